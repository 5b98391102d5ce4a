//! The store goes away and comes back.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use tests::lab::{Daemon, until};

use super::scene::{Fleet, SOON, Size, assigned};

#[test]
fn a_store_outage_stops_nothing_that_runs_and_leaks_nothing() -> Result<()> {
    let fleet = Fleet::set(Size { hosts: 2, members: 1, prefix: 28 })?;
    let (h1, h2) = (fleet.host("h1"), fleet.host("h2"));
    let (web, other) = (fleet.run("h1", "web", "")?, fleet.run("h2", "other", "")?);
    // Released, and so held and free here once it has cooled.
    let spare = fleet.run("h1", "spare", "")?;
    h1.sh("docker rm -f spare")?;
    fleet.settles()?;
    let pings = [fleet.ping(web)?, fleet.ping(other)?];

    fleet.lab().etcd().kill()?;
    let from_holdings = containers_start_from_what_is_held(&fleet)?;
    ensure!(!from_holdings.contains(&web) && !from_holdings.contains(&other), "one address twice");
    ensure!(from_holdings.contains(&spare), "{spare} was held and free, and not given: {from_holdings:?}");
    // Letting go needs no store, and what cooled is given again.
    h1.sh("docker rm -f outage-1")?;
    fleet.run_soon("h1", "again", "")?;
    an_agent_that_restarts_without_the_store_serves_what_it_holds(&fleet)?;

    fleet.lab().etcd().start()?;
    fleet.run_soon("h1", "after", "")?;
    fleet.run_soon("h2", "after", "")?;
    let users = fleet.settles()?;
    fleet.on_all(|host| {
        host.sh("docker ps -aq --filter name=a --filter name=outage | xargs -r docker rm -f").map(drop)
    })?;
    for ping in pings {
        println!("{} packets, none lost", ping.lost_nothing()?);
    }
    println!("when the store was back: {users:?}");
    h2.sh("docker rm -f other")?;
    fleet.nothing_leaked("h2", 1)
}

/// Until nothing that is held is free; then they are refused, in time and with the reason.
fn containers_start_from_what_is_held(fleet: &Fleet) -> Result<Vec<IpAddr>> {
    let mut started = Vec::new();
    for number in 1..=fleet.room() {
        let run = format!("docker run -d --name outage-{number} --network cloud busybox sleep 1000");
        let said = fleet.host("h1").try_sh(&run)?;
        if !said.is_success() {
            fleet.host("h1").sh(&format!("docker rm -f outage-{number}"))?;
            break;
        }
        started.push(fleet.host("h1").address_of(&format!("outage-{number}"))?);
    }
    println!("without the store {} containers started from what was held", started.len());
    let said = fleet.refused("h1", "")?;
    ensure!(said.contains("store"), "refused without a word of the store: {said}");
    let status = fleet.host("h1").sh("berth status; true")?;
    ensure!(status.contains("etcd"), "no word of etcd: {status}");
    Ok(started)
}

fn an_agent_that_restarts_without_the_store_serves_what_it_holds(fleet: &Fleet) -> Result<()> {
    let host = fleet.host("h1");
    let before = assigned(host)?;
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    until(SOON, "berthd knows what it holds", || Ok(assigned(host).ok().filter(|now| *now == before)))?;
    host.sh("docker rm -f again")?;
    fleet.run_soon("h1", "again", "").map(drop)
}
