//! Three members: a leader dies, a majority is lost and heals, and revisions are forgotten.

use std::net::IpAddr;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use api::Address;
use nix::sys::signal::Signal;
use tests::lab::{Daemon, Way, until};

use super::scene::{Fleet, SESSION, SOON, Size};

#[test]
fn hosts_outlive_a_dead_leader_a_lost_majority_and_forgotten_revisions() -> Result<()> {
    let fleet = Fleet::set(Size { hosts: 2, members: 3, prefix: 28 })?;
    let (one, two) = (fleet.run("h1", "one", "")?, fleet.run("h2", "two", "")?);
    let pings = [fleet.ping(one)?, fleet.ping(two)?];
    a_leader_is_killed_while_containers_come_and_go(&fleet)?;
    a_majority_is_lost_for_longer_than_a_session_and_heals(&fleet)?;
    a_host_that_missed_what_was_forgotten_reads_all_again(&fleet, two)?;
    for ping in pings {
        println!("{} packets, none lost", ping.lost_nothing()?);
    }
    fleet.on_all(|host| host.sh("docker ps -aq | xargs -r docker rm -f").map(drop))?;
    fleet.nothing_leaked("h1", 0)
}

fn a_leader_is_killed_while_containers_come_and_go(fleet: &Fleet) -> Result<()> {
    let etcd = fleet.lab().etcd();
    let leader = etcd.leader()?;
    thread::scope(|scope| {
        let churn = ["h1", "h2"].map(|host| {
            scope.spawn(move || -> Result<()> {
                for number in 1..=4 {
                    fleet.run_soon(host, &format!("churn-{number}"), "")?;
                }
                fleet.host(host).sh("docker rm -f churn-1 churn-2 churn-3 churn-4").map(drop)
            })
        });
        leader.kill()?;
        churn.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    leader.start()?;
    fleet.settles().map(drop)
}

/// Every sign of life is older than its time when the majority returns.
fn a_majority_is_lost_for_longer_than_a_session_and_heals(fleet: &Fleet) -> Result<()> {
    let members = &fleet.lab().etcd().members()[..2];
    members.iter().try_for_each(|member| member.signal(Signal::SIGSTOP))?;
    let said = until(SOON, "nothing that is held is free", || {
        let said = fleet.host("h1").try_sh("docker run -d --network cloud busybox sleep 1000")?;
        Ok((!said.is_success()).then_some(said.stderr))
    })?;
    ensure!(said.contains("store"), "refused without a word of the store: {said}");
    // Nothing tells when a time has passed but the time.
    thread::sleep(SESSION);
    members.iter().try_for_each(|member| member.signal(Signal::SIGCONT))?;
    fleet.run_soon("h1", "healed", "")?;
    fleet.run_soon("h2", "healed", "")?;
    until(SOON, "both hosts show that they live", || {
        Ok((fleet.lab().etcd().keys("sessions/")?.len() == 2).then_some(()))
    })?;
    fleet.settles().map(drop)
}

/// A reservation is made while the host is cut off, and the store forgets that anything changed.
fn a_host_that_missed_what_was_forgotten_reads_all_again(fleet: &Fleet, address: IpAddr) -> Result<()> {
    let (etcd, h1) = (fleet.lab().etcd(), fleet.lab().node("h1")?);
    etcd.cut_off(h1, Way::Both)?;
    fleet.host("h2").sh(&format!("berth address reserve unseen --address {address}"))?;
    etcd.compact()?;
    etcd.mend(h1)?;
    until(SOON, "h1 knows of the reservation", || {
        let shown: Vec<Address> = fleet.host("h1").ask("address list")?;
        let found = shown.into_iter().find(|it| it.address == address && it.reservation.is_some());
        Ok(found.map(drop))
    })
    .with_context(|| fleet.host("h1").log_tail(Daemon::Berthd))?;
    fleet.host("h2").sh("berth address release unseen")?;
    fleet.settles().map(drop)
}
