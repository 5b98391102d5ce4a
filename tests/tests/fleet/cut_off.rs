//! Hosts that nobody hears from: cut off from the store, or stopped in the middle of a step.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tests::lab::{Daemon, Way, until};

use super::scene::{Fleet, SESSION, SOON, Size};

#[test]
fn no_timer_takes_the_addresses_of_a_silent_host() -> Result<()> {
    // A /29 has five addresses for containers.
    let fleet = Fleet::set(Size { hosts: 3, members: 1, prefix: 29 })?;
    let (cut, paused) = (fleet.run("h1", "cut", "")?, fleet.run("h2", "paused", "")?);
    fleet.settles()?;
    let pings = [fleet.ping(cut)?, fleet.ping(paused)?];

    fleet.lab().etcd().cut_off(fleet.lab().node("h1")?, Way::Both)?;
    fleet.host("h2").signal(Daemon::Berthd, Signal::SIGSTOP)?;
    until(SESSION + SOON, "the signs of life of both lapse", || {
        Ok((fleet.lab().etcd().keys("sessions/")?.len() == 1).then_some(()))
    })?;
    the_third_gets_what_is_free_and_nothing_of_theirs(&fleet, [cut, paused])?;

    fleet.lab().etcd().mend(fleet.lab().node("h1")?)?;
    fleet.host("h2").signal(Daemon::Berthd, Signal::SIGCONT)?;
    until(SOON, "both show that they live", || {
        Ok((fleet.lab().etcd().keys("sessions/")?.len() == 3).then_some(()))
    })?;
    let users = fleet.settles()?;
    ensure!(users.contains_key(&cut) && users.contains_key(&paused), "lost: {users:?}");
    for ping in pings {
        println!("{} packets, none lost", ping.lost_nothing()?);
    }
    fleet.on_all(|host| host.sh("docker ps -aq | xargs -r docker rm -f").map(drop))?;
    fleet.nothing_leaked("h1", 0)
}

fn the_third_gets_what_is_free_and_nothing_of_theirs(fleet: &Fleet, theirs: [IpAddr; 2]) -> Result<()> {
    for address in theirs {
        let said = fleet.refused("h3", &format!("--ip {address}"))?;
        ensure!(said.contains("is held by host"), "{address}: {said}");
    }
    let mut mine = Vec::new();
    for number in 1..=fleet.room() {
        let run = format!("docker run -d --name third-{number} --network cloud busybox sleep 1000");
        if !fleet.host("h3").try_sh(&run)?.is_success() {
            break;
        }
        mine.push(fleet.host("h3").address_of(&format!("third-{number}"))?);
    }
    println!("beside two silent hosts the third has {mine:?}");
    ensure!(theirs.iter().all(|address| !mine.contains(address)), "{theirs:?} were taken: {mine:?}");
    for address in theirs {
        fleet.vm_reaches(address).with_context(|| format!("{address} of a silent host"))?;
    }
    Ok(())
}
