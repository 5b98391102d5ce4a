//! A store that is lost for good, without a backup: made anew from the provider's word, the journals and what runs.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::{Answer, StoreRebuild};
use provider_mock::PowerState;
use tests::lab::{Daemon, Host, until};

use super::scene::{Fleet, SOON, Size};

/// How long an address rests in this fleet before it is used again.
const REST: &str = "quarantine_secs = 3";

#[test]
fn a_store_that_is_lost_for_good_is_made_anew_and_everybody_keeps_their_address() -> Result<()> {
    let fleet = Fleet::set(Size { hosts: 3, members: 1, prefix: 28 })?;
    let (one, dead, three) =
        (fleet.run("h1", "one", "")?, fleet.run("h2", "two", "")?, fleet.run("h3", "three", "")?);
    fleet.settles()?;
    let pings = [fleet.ping(one)?, fleet.ping(three)?];
    let (h1, h3) = (fleet.host("h1"), fleet.host("h3"));
    let whole = h3.try_sh("berth store rebuild --no-others")?;
    ensure!(!whole.is_success() && whole.stderr.contains("the store is whole"), "{}", whole.stderr);

    // One meets the new life as it runs, the other as it starts.
    rests_shortly(h1)?;
    fleet.settles()?;
    fleet.host("h2").power_off()?;
    fleet.lab().etcd().wipe()?;
    rests_shortly(h3)?;
    let anew = made_anew(h3)?;
    ensure!(anew.began && anew.subnets == [fleet.subnet()] && !anew.over, "{anew:?}");
    let id =
        anew.awaited.iter().find(|it| it.gone.is_none() && it.host == id_of(&fleet, "h2")).map(|it| &it.host);
    let id = id.with_context(|| format!("h2 is not awaited: {anew:?}"))?.clone();

    // Everybody who lives comes back to what it had, and finds room for more.
    for (host, name, address) in [(h1, "one", one), (h3, "three", three)] {
        until(SOON, &format!("{name} has its address by the book"), || {
            let known = super::scene::assigned(host).unwrap_or_default();
            Ok(known.contains(&address).then_some(()))
        })
        .with_context(|| host.log_tail(Daemon::Berthd))?;
        ensure!(host.address_of(name)? == address, "{name} has another address");
        fleet.vm_reaches(address)?;
    }
    until(SOON, "both have answered", || {
        let said: StoreRebuild = h3.ask("store rebuild --no-others")?;
        let silent: Vec<_> =
            said.awaited.iter().filter(|it| !it.accounted).map(|it| it.host.clone()).collect();
        Ok((silent == [id.clone()]).then_some(()))
    })?;
    nobody_gets(&fleet, h1, dead)?;
    who_is_awaited_is_said_with_what_to_type(h3, &id)?;
    let runs = h3.try_sh(&format!("berth store rebuild --gone {id}"))?;
    ensure!(!runs.is_success() && runs.stderr.contains("running"), "{}", runs.stderr);

    fleet.lab().cloud().set_power("h2", PowerState::Halted)?;
    let said: StoreRebuild = h3.ask(&format!("store rebuild --gone {id}"))?;
    ensure!(said.over, "{said:?}");
    let again = fleet.run_soon("h1", "again", &format!("--ip {dead}"))?;
    ensure!(again == dead, "{again} instead of {dead}");
    let more = fleet.run_soon("h3", "more", "")?;
    ensure!(![one, dead, three].contains(&more), "{more} is used by two");
    for host in [h1, h3] {
        let users = fleet.containers(host)?;
        ensure!(users.len() == 2, "{}: {users:?}", host.name());
    }
    for ping in pings {
        println!("{} packets, none lost", ping.lost_nothing()?);
    }
    Ok(())
}

fn rests_shortly(host: &Host) -> Result<()> {
    host.kill(Daemon::Berthd)?;
    host.sh(&format!("sed -i '1i {REST}' /etc/berth/berth.toml"))?;
    host.start(Daemon::Berthd)
}

/// Says it until the agent knows who it is, and the provider has answered.
fn made_anew(host: &Host) -> Result<StoreRebuild> {
    let mut last = String::new();
    let anew = until(SOON, "the store is made anew", || {
        let said = host.try_sh("berth -o json store rebuild")?;
        last = said.stderr.clone();
        Ok(serde_json::from_str::<Answer<StoreRebuild>>(&said.stdout).ok())
    });
    Ok(anew.with_context(|| format!("{last}\n{}", host.log_tail(Daemon::Berthd)))?.answer)
}

/// By status, by doctor, and to whoever would evict a host that has no record yet.
fn who_is_awaited_is_said_with_what_to_type(host: &Host, id: &str) -> Result<()> {
    let command = format!("berth store rebuild --gone {id}");
    for page in
        [format!("berth host evict {id}; true"), "berth status; true".into(), "berth doctor; true".into()]
    {
        let said = host.try_sh(&page)?;
        let all = format!("{}{}", said.stdout, said.stderr);
        ensure!(all.contains(&command), "{page}: {all}");
    }
    Ok(())
}

/// What the provider calls a host.
fn id_of(fleet: &Fleet, name: &str) -> String {
    let file = fleet.host(name).home().join("state/identity.json");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let identity: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    identity.pointer("/identity/instance").and_then(|id| id.as_str()).unwrap_or_default().to_owned()
}

/// An address of a host that has not answered stays where it is: long after its rest, because others had to claim theirs.
fn nobody_gets(fleet: &Fleet, host: &Host, address: IpAddr) -> Result<()> {
    let said = fleet.refused(host.name(), &format!("--ip {address}"))?;
    ensure!(said.contains("quarantine"), "{said}");
    Ok(())
}
