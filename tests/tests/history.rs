//! Who had which address when, on a host with real Docker: exact through kills and a reboot. Needs root.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::{Assignment, History};
use jiff::Timestamp;
use tests::lab::{Daemon, DockerHost, until};
use tests::stage::{SOON, Stage, without_cooling};

/// What the ledger says of an address, once it is as expected.
fn history(
    stage: &Stage,
    address: IpAddr,
    what: &str,
    expected: impl Fn(&[Assignment]) -> bool,
) -> Result<Vec<Assignment>> {
    let mut last = String::new();
    let found = until(SOON, what, || {
        // An agent that has just started has no answer yet.
        let Ok(history) = stage.host().ask::<History>(&format!("address history {address}")) else {
            return Ok(None);
        };
        last = format!("{:#?}", history.assignments);
        Ok(expected(&history.assignments).then_some(history.assignments))
    });
    found.with_context(|| format!("{last}\n{}", stage.host().log_tail(Daemon::Berthd)))
}

fn names(told: &[Assignment]) -> Vec<Option<&str>> {
    told.iter().map(|one| one.container.as_deref()).collect()
}

/// Each ended before the next began; only the last may run.
fn is_exact_and_disjoint(told: &[Assignment]) -> Result<()> {
    for pair in told.windows(2) {
        let end = pair[0].to.with_context(|| format!("{:?} runs before {:?}", pair[0], pair[1]))?;
        ensure!(pair[0].from <= end && end <= pair[1].from, "{:?} overlaps {:?}", pair[0], pair[1]);
    }
    ensure!(told.iter().all(|one| !one.earlier && !one.use_unknown), "{told:?}");
    Ok(())
}

#[test]
fn the_history_of_an_address_is_exact_through_kills_and_a_reboot() -> Result<()> {
    let stage = Stage::set(DockerHost { sockets_held: true, ..without_cooling() })?;
    let host = stage.host();
    let address = stage.run("first", "")?;
    let run = |name: &str| stage.run(name, &format!("--ip {address}"));
    let told = history(&stage, address, "the first is named", |told| names(told) == [Some("first")])?;
    ensure!(
        told[0].to.is_none() && told[0].endpoint.is_some() && told[0].network.as_deref() == Some("cloud")
    );

    // Killed right after the release was answered: what is in the journal is in the ledger.
    host.sh("docker rm -f first")?;
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    stage.settles_on(&[], SOON)?;
    let between = Timestamp::now();
    run("second")?;
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    history(&stage, address, "the second runs", |told| names(told) == [Some("first"), Some("second")])?;

    host.power_off()?;
    host.power_on("00000000-0000-4000-8000-000000000002")?;
    host.start_all()?;
    let told = history(&stage, address, "the second has ended", |told| {
        told.len() == 2 && told.iter().all(|one| one.to.is_some())
    })?;
    ensure!(told[1].why.as_deref() == Some("reboot"), "{told:?}");
    host.sh("docker rm -f second")?;
    until(SOON, "the address is free again", || {
        // A run that was refused leaves a container behind.
        host.sh("docker rm -f third")?;
        Ok(run("third").ok())
    })?;
    let told =
        history(&stage, address, "the third runs", |told| told.len() == 3 && told[2].container.is_some())?;
    ensure!(names(&told) == [Some("first"), Some("second"), Some("third")], "{told:?}");
    ensure!(told[0].why.as_deref() == Some("released"), "{told:?}");
    is_exact_and_disjoint(&told)?;

    // Who had it then, and who had it when nobody did.
    let at = |moment: Timestamp| host.try_sh(&format!("berth address show {address} --at {moment}"));
    let then = at(told[1].from)?;
    ensure!(then.is_success() && then.stdout.contains("second"), "{}{}", then.stdout, then.stderr);
    let nobody = at(between)?;
    ensure!(
        nobody.code == 1 && nobody.stdout.contains("nobody had it"),
        "{}{}",
        nobody.stdout,
        nobody.stderr
    );
    let lines = host.sh("berth address history --container third --json-lines")?;
    let exported: Assignment = serde_json::from_str(lines.trim())?;
    ensure!(exported == told[2], "{exported:?}");
    Ok(())
}
