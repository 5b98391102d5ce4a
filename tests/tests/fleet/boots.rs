//! Hosts that reboot, and a disk that was copied.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::{Address, Mode, Status};
use serde_json::json;
use tests::lab::{Daemon, boot_id, until};
use tests::plugin;

use super::scene::{Fleet, SOON, Size};

#[test]
fn a_rebooted_host_takes_up_its_holdings_and_a_copied_disk_is_refused() -> Result<()> {
    let layout = Size { hosts: 3, members: 1, prefix: 29 }.layout();
    // h3 is never started as itself: it gets a copy of another's disk.
    let fleet = Fleet::of(layout, &["h1", "h2"])?;
    a_host_that_is_off_keeps_what_it_holds_and_takes_it_up_after_its_boot(&fleet)?;
    a_copied_disk_is_refused_by_name_and_harms_nobody(&fleet)
}

fn a_host_that_is_off_keeps_what_it_holds_and_takes_it_up_after_its_boot(fleet: &Fleet) -> Result<()> {
    let host = fleet.host("h1");
    let web = fleet.run("h1", "web", "--restart always")?;
    fleet.run("h2", "other", "")?;
    fleet.settles()?;
    let before = take_of(fleet, web)?;

    host.power_off()?;
    let said = fleet.refused("h2", &format!("--ip {web}"))?;
    ensure!(said.contains("is held by host"), "{said}");
    host.power_on(&boot_id(1, 2))?;
    [Daemon::Containerd, Daemon::Berthd, Daemon::Dockerd].into_iter().try_for_each(|it| host.start(it))?;
    let again = until(SOON, "the container that restarts always is back", || {
        let running = host.sh("docker inspect -f '{{.State.Running}}' web")?;
        (running.trim() == "true").then(|| host.address_of("web")).transpose()
    })
    .with_context(|| host.log_tail(Daemon::Berthd))?;
    ensure!(take_of(fleet, again)? > before, "its epoch did not grow");
    fleet.vm_reaches(again)?;
    fleet.settles().map(drop)
}

/// Under which take an address is assigned on h1: the middle of an epoch, `generation/take/counter`.
fn take_of(fleet: &Fleet, address: IpAddr) -> Result<u64> {
    let addresses: Vec<Address> = fleet.host("h1").ask("address list")?;
    let epoch = addresses.into_iter().find(|it| it.address == address).and_then(|it| it.epoch);
    let take = epoch.as_ref().and_then(|epoch| epoch.split('/').nth(1)?.parse().ok());
    take.with_context(|| format!("{address} has no epoch: {epoch:?}"))
}

fn a_copied_disk_is_refused_by_name_and_harms_nobody(fleet: &Fleet) -> Result<()> {
    let (original, copy) = (fleet.host("h1"), fleet.host("h3"));
    let status: Status = original.ask("status")?;
    let id = status.host.context("h1 has no id")?;
    let (from, to) = (original.home().join("state"), copy.home().join("state"));
    copy.sh(&format!("cp -a {}/. {}", from.display(), to.display()))?;
    copy.start(Daemon::Berthd)?;
    let reasons = until(SOON, "the copy refuses", || {
        let status: Status = copy.ask("status")?;
        Ok(match status.mode {
            Mode::ReleasesOnly { reasons } => Some(reasons.join("; ")),
            _ => None,
        })
    })
    .with_context(|| copy.log_tail(Daemon::Berthd))?;
    ensure!(reasons.contains(&id), "{id} is not named: {reasons}");
    let ask = json!({ "PoolID": format!("default/{}", fleet.subnet()), "Address": "", "Options": null });
    let (_, answer) = plugin::call(copy, "/IpamDriver.RequestAddress", ask.to_string().as_bytes())?;
    ensure!(answer["Error"].as_str().is_some_and(|said| said.contains(&id)), "{answer}");

    // Nobody else is disturbed.
    fleet.run_soon("h1", "undisturbed", "")?;
    fleet.run_soon("h2", "undisturbed", "")?;
    fleet.settles().map(drop)
}
