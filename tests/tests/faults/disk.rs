//! A disk that is full, files that cannot be read, and two agents on one state directory.

use anyhow::{Result, ensure};
use tests::lab::{Daemon, until};

use tests::stage::{REAPED, SOON, Stage, without_cooling};

#[test]
fn a_full_disk_loses_nothing_and_damaged_or_shared_state_is_refused_with_what_to_do() -> Result<()> {
    let stage = Stage::build(without_cooling())?;
    let host = stage.host();
    // The state directory on a small disk of its own.
    let state = format!("{}/state", host.home().display());
    host.sh(&format!("mount -t tmpfs -o size=12m,mode=700 tmpfs {state}"))?;
    host.start_all()?;
    stage.create_network()?;
    a_full_disk_refuses_and_loses_nothing(&stage, &state)?;
    a_second_agent_on_the_same_state_is_refused(&stage, &state)?;
    damaged_files_are_refused_with_how_to_make_them_again(&stage, &state)
}

fn a_full_disk_refuses_and_loses_nothing(stage: &Stage, state: &str) -> Result<()> {
    let host = stage.host();
    let kept = stage.run("kept", "")?;
    stage.run("going", "")?;
    host.sh(&format!("dd if=/dev/zero of={state}/fill bs=4k 2>/dev/null || true; df {state}"))?;
    // A little is left in what the journal's last page has: used up by a few refusals and a few grants.
    let said = until(SOON, "there is no room for a record", || {
        let said = host.try_sh("docker run -d --network cloud --label late busybox sleep 1000")?;
        Ok((!said.is_success()).then_some(said.stderr))
    })?;
    ensure!(said.contains("free") && said.contains("space"), "{said}");
    stage.vm_reaches(kept)?;
    // Docker hears that the endpoint could not be deleted, or its release is kept: found by the two witnesses.
    host.try_sh("docker rm -f going")?;

    // An agent that dies now comes back when there is room, and knows all that was answered.
    host.kill(Daemon::Berthd)?;
    host.sh(&format!("rm {state}/fill"))?;
    host.start(Daemon::Berthd)?;
    stage.vm_reaches(kept)?;
    host.sh("docker ps -aq --filter label=late | xargs -r docker rm -f; docker rm -f going || true")?;
    stage.settles_on(&[kept], REAPED)?;
    let again = stage.run("again", "")?;
    stage.vm_reaches(again)?;
    host.sh("docker rm -f again")?;
    stage.settles_on(&[kept], SOON)
}

fn a_second_agent_on_the_same_state_is_refused(stage: &Stage, state: &str) -> Result<()> {
    let host = stage.host();
    host.sh(
        "sed -e 's#/run/docker/plugins/berth.sock#/run/other-plugin.sock#' -e 's#/run/berth/#/run/other/#' \
         -e 's#:9717#:9718#' /etc/berth/berth.toml >/etc/berth/other.toml",
    )?;
    let said = host.try_sh("timeout 20 berthd --config /etc/berth/other.toml")?;
    let words = format!("{}{}", said.stdout, said.stderr);
    ensure!(said.code == 1 && words.contains("only one berthd may use it"), "{}: {words}", said.code);
    ensure!(words.contains(state), "{words}");
    let address = stage.run("beside", "")?;
    stage.vm_reaches(address)?;
    host.sh("docker rm -f beside").map(drop)
}

fn damaged_files_are_refused_with_how_to_make_them_again(stage: &Stage, state: &str) -> Result<()> {
    let host = stage.host();
    let kept = host.address_of("kept")?;
    host.stop(Daemon::Berthd)?;
    for journal in ["allocator.journal", "docker.journal"] {
        for damage in ["printf XXXX | dd of=FILE bs=1 seek=40 conv=notrunc", "truncate -s 7 FILE"] {
            // The agent comes up, so that dockerd need not wait, and refuses.
            let words = with_damage(stage, &format!("{state}/{journal}"), damage, || {
                host.start(Daemon::Berthd)?;
                let said = stage.refused("")?;
                host.stop(Daemon::Berthd)?;
                Ok(said)
            })?;
            ensure!(words.contains("berthd --rebuild"), "{journal} after {damage}: {words}");
        }
    }
    for damage in ["printf nonsense >FILE", "dd if=/dev/zero of=FILE bs=4k count=4 conv=notrunc"] {
        let words = with_damage(stage, &format!("{state}/store.redb"), damage, || {
            let said = host.try_sh("timeout 20 berthd --config /etc/berth/berth.toml")?;
            ensure!(said.code == 1, "berthd ended with {}", said.code);
            Ok(said.stdout + &said.stderr)
        })?;
        ensure!(words.contains("berthd --restore-store"), "the store after {damage}: {words}");
    }
    stage.vm_reaches(kept)?;
    host.start(Daemon::Berthd)?;
    stage.settles_on(&[kept], SOON)
}

/// What is said while a file is damaged; it must name the file. Afterwards the file is as it was.
fn with_damage(
    stage: &Stage,
    path: &str,
    damage: &str,
    said: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let host = stage.host();
    host.sh(&format!("cp {path} /run/good && {{ {}; }} 2>&1", damage.replace("FILE", path)))?;
    let words = said()?;
    ensure!(words.contains(path), "{path} after {damage} is not named: {words}");
    host.sh(&format!("cp /run/good {path}"))?;
    Ok(words)
}
