//! A power cut and a new boot id, on the same disks.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::AddressState;
use tests::lab::{Daemon, Pool, until};

use tests::stage::{SOON, Stage, with_pool};

#[test]
fn after_a_power_cut_what_was_assigned_cools_first_and_containers_come_back_with_an_address() -> Result<()> {
    let stage = Stage::set(with_pool(Pool { cooling_secs: 20, ..Pool::default() }))?;
    let host = stage.host();
    let before = [stage.run("auto", "--restart always")?, stage.run("plain", "")?];
    stage.settles_on(&before, SOON)?;
    let takes = takes_of(&stage, &before)?;

    host.power_off()?;
    host.power_on("00000000-0000-4000-8000-000000000002")?;
    host.start(Daemon::Containerd)?;
    host.start(Daemon::Berthd)?;
    until(SOON, "what was assigned cools", || {
        let cools = |address: &IpAddr| -> Result<bool> {
            // Right after the start there is no answer yet.
            Ok(matches!(stage.state_of(*address), Ok(Some(AddressState::Cooling { .. }))))
        };
        Ok((cools(&before[0])? && cools(&before[1])?).then_some(()))
    })
    .with_context(|| host.log_tail(Daemon::Berthd))?;
    host.start(Daemon::Dockerd)?;
    let auto = until(SOON, "the container that restarts always is back", || {
        let running = host.sh("docker inspect -f '{{.State.Running}}' auto")?;
        (running.trim() == "true").then(|| host.address_of("auto")).transpose()
    })
    .with_context(|| host.log_tail(Daemon::Dockerd))?;
    ensure!(!before.contains(&auto), "{auto} was assigned before it cooled");
    stage.vm_reaches(auto)?;
    stage.settles_on(&[auto], SOON)?;

    // The holding was re-taken: its new epochs are above all those of the boot before.
    let take = takes_of(&stage, &[auto])?;
    ensure!(takes.iter().all(|before| *before < take[0]), "taken as {takes:?}, after the boot as {take:?}");
    until(SOON, "what cooled is free", || {
        Ok(before.iter().all(|address| matches!(stage.state_of(*address), Ok(None))).then_some(()))
    })?;
    let plain = before[1];
    ensure!(stage.run("next", &format!("--ip {plain}"))? == plain, "--ip was not heeded");
    stage.vm_reaches(plain)?;
    stage.settles_on(&[auto, plain], SOON)
}

/// Under which take each address is assigned: the middle of an epoch, `generation/take/counter`.
fn takes_of(stage: &Stage, addresses: &[IpAddr]) -> Result<Vec<u64>> {
    let listed = stage.addresses()?;
    let take = |address: &IpAddr| {
        let found = listed.iter().find(|it| it.address == *address)?;
        found.epoch.as_ref()?.split('/').nth(1)?.parse().ok()
    };
    addresses.iter().map(|address| take(address).with_context(|| format!("no epoch of {address}"))).collect()
}
