//! A configuration with mistakes, and a state that cannot be read, while somebody else holds the sockets.

use std::time::Instant;

use anyhow::{Result, ensure};
use api::{Mode, Status};
use tests::lab::{BerthConfig, Daemon, DockerHost, until};

use tests::stage::{DOCKERS_PATIENCE, SOON, Stage, without_cooling};

/// Six mistakes: three that stand in a line, three things that are missing.
const BAD: &str = r#"clutser = "lab"
[host]
state_dir = "var/lib"
[[pool]]
name = "default"
prefix = 40
"#;

#[test]
fn with_a_bad_configuration_the_agent_does_not_start_and_lists_every_mistake_with_its_line() -> Result<()> {
    let stage = Stage::build(DockerHost::default())?;
    let host = stage.host();
    host.write_config(BAD)?;
    for how in ["", "--check"] {
        let said = host.try_sh(&format!("timeout 20 berthd --config /etc/berth/berth.toml {how}"))?;
        ensure!(said.code == 64, "exit status {}: {}", said.code, said.stderr);
        for mistake in [
            "`cluster` is missing",
            "line 1, column 1: `clutser` is not an option; write `cluster`",
            "line 3, column 13: `state_dir` is",
            "line 6, column 10: `prefix` is 40",
            "`subnets_max` is missing",
        ] {
            ensure!(said.stderr.contains(mistake), "not listed, `{mistake}`: {}", said.stderr);
        }
    }
    Ok(())
}

#[test]
fn an_agent_that_cannot_work_behind_held_sockets_takes_releases_and_refuses_the_rest_at_once() -> Result<()> {
    let sockets_held = DockerHost { sockets_held: true, ..without_cooling() };
    let good = sockets_held.berth.clone();
    let stage = Stage::set(sockets_held)?;
    with_a_bad_configuration(&stage, &good)?;
    with_a_damaged_journal(&stage)
}

fn with_a_bad_configuration(stage: &Stage, good: &BerthConfig) -> Result<()> {
    let host = stage.host();
    let kept = stage.run("kept", "")?;
    stage.run("going", "")?;
    host.stop(Daemon::Berthd)?;
    // The rest of the file is bad; where the state lies can still be read.
    let state = format!("[host]\nstate_dir = \"{}/state\"\n", host.home().display());
    host.write_config(&BAD.replace("[host]\nstate_dir = \"var/lib\"\n", &state))?;
    host.start(Daemon::Berthd)?;

    let said = stage.refused("")?;
    ensure!(said.contains("its configuration has 5 mistakes"), "{said}");
    let status: Status = host.ask("status")?;
    let mode = format!("{:?}", status.mode);
    ensure!(mode.contains("ReleasesOnly") && mode.contains("write `cluster`"), "{mode}");

    let begun = Instant::now();
    host.sh("docker rm -f going")?;
    ensure!(begun.elapsed() < DOCKERS_PATIENCE, "dockerd hung for {} s", begun.elapsed().as_secs());
    stage.vm_reaches(kept)?;

    host.configure(good)?;
    host.stop(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    // Docker never repeats a release: it was kept.
    stage.settles_on(&[kept], SOON)
}

fn with_a_damaged_journal(stage: &Stage) -> Result<()> {
    let host = stage.host();
    let kept = host.address_of("kept")?;
    host.stop(Daemon::Berthd)?;
    let journal = format!("{}/state/allocator.journal", host.home().display());
    host.sh(&format!(
        "cp {journal} {journal}.good && printf XXXX | dd of={journal} bs=1 seek=40 conv=notrunc"
    ))?;
    host.start(Daemon::Berthd)?;

    let said = stage.refused("")?;
    ensure!(said.contains("is damaged at byte") && said.contains("berthd --rebuild"), "{said}");
    let status: Status = host.ask("status")?;
    ensure!(matches!(status.mode, Mode::ReleasesOnly { .. }), "mode {:?}", status.mode);
    let begun = Instant::now();
    host.sh("docker rm -f kept")?;
    ensure!(begun.elapsed() < DOCKERS_PATIENCE, "dockerd hung for {} s", begun.elapsed().as_secs());

    host.stop(Daemon::Berthd)?;
    host.sh(&format!("mv {journal}.good {journal}"))?;
    host.start(Daemon::Berthd)?;
    stage.settles_on(&[], SOON)?;
    // A second of cooling is left: an address that is plainly free is not listed.
    until(SOON, "the address is free", || Ok(stage.state_of(kept)?.is_none().then_some(())))?;
    let again = stage.run("again", &format!("--ip {kept}"))?;
    stage.vm_reaches(again)
}
