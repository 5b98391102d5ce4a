//! All addresses of a subnet are every host's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::{AddressReport, Host as Known, Source, Status};
use tests::lab::until;

use super::scene::{Fleet, SOON, Size};

/// Longer than the second that a released address cools.
const COOLED: Duration = Duration::from_secs(5);

#[test]
fn every_address_is_used_whoever_asks_and_the_last_one_is_given_to_any_host() -> Result<()> {
    // A /28 has thirteen addresses for containers.
    let fleet = Fleet::set(Size { hosts: 3, members: 1, prefix: 28 })?;
    as_many_containers_as_addresses_fit_and_one_more_is_told_who_has_them(&fleet)?;
    every_host_shows_the_same_holders(&fleet)?;
    the_last_free_address_is_served_from_any_host_within_a_second(&fleet)?;
    churn_at_full_leaks_nothing(&fleet)
}

fn as_many_containers_as_addresses_fit_and_one_more_is_told_who_has_them(fleet: &Fleet) -> Result<()> {
    fleet.run_many(&[("h1", 9), ("h2", 3), ("h3", 1)])?;
    let users = fleet.settles()?;
    ensure!(users.len() == fleet.room(), "{} of {} addresses: {users:?}", users.len(), fleet.room());
    for address in users.keys() {
        fleet.vm_reaches(*address)?;
    }
    let said = fleet.refused("h3", "")?;
    for part in
        ["no free address in pool default", "1 assigned here", "9 held by", "3 held by", "3 set aside"]
    {
        ensure!(said.contains(part), "not told of \"{part}\": {said}");
    }
    Ok(())
}

fn every_host_shows_the_same_holders(fleet: &Fleet) -> Result<()> {
    for host in fleet.hosts() {
        let hosts: Vec<Known> = host.ask("host list")?;
        ensure!(hosts.len() == 3, "{} knows {hosts:?}", host.name());
    }
    for user in fleet.hosts() {
        let status: Status = user.ask("status")?;
        let held = format!("held by {},", status.host.context("no id")?);
        for address in fleet.containers(user)?.into_keys() {
            for host in fleet.hosts() {
                let report: AddressReport = host.ask(&format!("address show {address}"))?;
                let (words, name) = (&report.words, host.name());
                let store =
                    words.iter().find(|word| word.by == Source::Store).context("no word of the store")?;
                ensure!(store.says.starts_with(&held), "{name} of {address}: {words:?}");
                ensure!(!words.iter().any(|word| word.differs), "{name} of {address}: {words:?}");
            }
        }
    }
    Ok(())
}

fn the_last_free_address_is_served_from_any_host_within_a_second(fleet: &Fleet) -> Result<()> {
    // From the host with many to those with few, and back.
    for (giver, asker) in [("h1", "h3"), ("h1", "h2"), ("h3", "h1")] {
        let left = fleet.host(giver).sh("docker ps -q --last 1")?;
        let id = left.trim();
        fleet.host(giver).sh(&format!("docker rm -f {id}"))?;
        // The first answer that is no refusal: before, the address cooled where it was released.
        let took = until(COOLED + SOON, &format!("the last address reaches {asker}"), || {
            let (took, answer) = fleet.request(asker)?;
            Ok(answer["Address"].is_string().then_some(took))
        })?;
        println!("the last free address, of {giver}: served on {asker} in {} ms", took.as_millis());
        ensure!(took <= Duration::from_secs(1), "served after {} ms", took.as_millis());
        fleet.run_soon(asker, &format!("after-{giver}-{asker}"), "")?;
    }
    let users = fleet.settles()?;
    ensure!(users.len() == fleet.room(), "full no more: {users:?}");
    Ok(())
}

fn churn_at_full_leaks_nothing(fleet: &Fleet) -> Result<()> {
    for round in 1..=3 {
        // Each host gives up to two away while it takes as many, so that addresses change hosts.
        fleet.on_all(|host| {
            let gone = host.sh("docker rm -f $(docker ps -q | head -n 2)")?.lines().count();
            (1..=gone).try_for_each(|number| {
                fleet.run_soon(host.name(), &format!("round-{round}-{number}"), "").map(drop)
            })
        })?;
    }
    let users = fleet.settles()?;
    println!("after the churn: {users:?}");
    fleet.on_all(|host| host.sh("docker ps -aq | xargs -r docker rm -f").map(drop))?;
    ensure!(fleet.settles()?.is_empty(), "something is left");
    fleet.nothing_leaked("h2", 0)
}
