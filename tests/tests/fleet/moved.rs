//! A store that moves from etcd to a file and back, and one that is put back from a backup, under a running container.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use tests::lab::{BerthConfig, Daemon, Host, Pool, StoreChoice, until};

use super::scene::{Fleet, SOON, Size, assigned};

#[test]
fn a_store_moves_and_is_put_back_under_a_running_container_that_feels_nothing() -> Result<()> {
    let fleet = Fleet::set(Size { hosts: 1, members: 1, prefix: 28 })?;
    let host = fleet.host("h1");
    let web = fleet.run("h1", "web", "")?;
    fleet.settles()?;
    let ping = fleet.ping(web)?;

    moves(host, StoreChoice::Embedded)?;
    has(&fleet, host, web)?;
    is_put_back(&fleet, host)?;
    moves(host, StoreChoice::Etcd)?;
    has(&fleet, host, web)?;
    let more = fleet.run_soon("h1", "more", "")?;
    ensure!(more != web, "{more} is used by two");
    fleet.settles()?;
    println!("{} packets, none lost", ping.lost_nothing()?);
    Ok(())
}

fn moves(host: &Host, to: StoreChoice) -> Result<()> {
    host.stop(Daemon::Berthd)?;
    host.sh("cp /etc/berth/berth.toml /etc/berth/old.toml")?;
    let pool = Pool { prefix: 28, subnets_max: 1, free_min: 1, cooling_secs: 1, ..Pool::default() };
    host.configure(&BerthConfig { store: to, pools: vec![pool], ..BerthConfig::default() })?;
    let said = host.sh("berthd --migrate-store /etc/berth/old.toml")?;
    ensure!(said.contains("generation"), "{said}");
    host.start(Daemon::Berthd)
}

/// A backup that the host has acted since is refused by name; one of now is taken.
fn is_put_back(fleet: &Fleet, host: &Host) -> Result<()> {
    let dir = host.home().display().to_string();
    host.sh(&format!("berth store backup {dir}/early"))?;
    let late = fleet.run_soon("h1", "late", "")?;
    fleet.settles()?;
    // Every address taken since shows as free in the early one.
    for number in 0..4 {
        fleet.run_soon("h1", &format!("late-{number}"), "")?;
    }
    fleet.settles()?;
    host.sh(&format!("berth store backup {dir}/now"))?;
    host.stop(Daemon::Berthd)?;
    host.sh(&format!("mv {dir}/state/store.redb {dir}/store.lost"))?;
    let stale = host.try_sh(&format!("berthd --restore-store {dir}/early"))?;
    let said = format!("{}{}", stale.stdout, stale.stderr);
    ensure!(!stale.is_success() && said.contains("older than what this host did"), "{said}");
    host.sh(&format!("berthd --restore-store {dir}/now"))?;
    host.start(Daemon::Berthd)?;
    has(fleet, host, late)
}

fn has(fleet: &Fleet, host: &Host, address: IpAddr) -> Result<()> {
    until(SOON, &format!("{address} is in the book"), || {
        Ok(assigned(host).unwrap_or_default().contains(&address).then_some(()))
    })
    .with_context(|| host.log_tail(Daemon::Berthd))?;
    fleet.vm_reaches(address)?;
    fleet.settles().map(drop)
}
