//! A host that finds itself in another zone: what runs goes on, what was free goes back to those who are still there.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use api::Status;
use tests::lab::{BerthConfig, Daemon, Host, Layout, Pool, ProviderChoice, StaticSubnet, StoreChoice, until};

use super::scene::{Fleet, SOON};

/// A /28 of a rack: all but its own address, the gateway's and the last.
const ROOM: usize = 13;

#[test]
fn a_host_that_changes_its_zone_keeps_what_runs_and_leaves_the_rest_to_who_stayed() -> Result<()> {
    let fleet = Fleet::over(Layout::fleet(2, 1, &in_rack("a", "10.60.0")?))?;
    let (h1, h2) = (fleet.host("h1"), fleet.host("h2"));
    // The fabric's router knows nothing of racks: this machine is the gateway of both.
    let gateway = "ip address add 10.60.0.1/28 dev eth0 && ip address add 10.61.0.1/28 dev eth0";
    fleet.lab().node("vm1")?.sh(gateway)?;
    let web = fleet.run("h1", "web", "")?;
    // Free ones that are to go back, besides the one that stays in use.
    fleet.run_many(&[("h1", 4)])?;
    h1.sh("docker rm -f h1-1 h1-2 h1-3 h1-4")?;
    // A host routes a subnet of which it uses something.
    fleet.run("h2", "neighbour", "")?;
    let ping = fleet.ping_from("h2", web)?;

    h1.configure(&in_rack("b", "10.61.0")?)?;
    h1.stop(Daemon::Berthd)?;
    h1.start(Daemon::Berthd)?;
    it_says_what_is_left_behind(h1, web)?;
    nothing_new_is_assigned_from_the_zone_that_was_left(&fleet)?;
    the_new_zone_serves(h1)?;

    for number in 2..ROOM {
        fleet.run_soon("h2", &format!("filling-{number}"), "")?;
    }
    println!("{} packets, none lost", ping.lost_nothing()?);
    let users = fleet.settles()?;
    ensure!(users.len() == ROOM + 1, "{users:?}");

    h1.sh("docker rm -f web")?;
    fleet.run_soon("h2", "heir", &format!("--ip {web}"))?;
    until(SOON, "nothing is left behind any more", || {
        let status: Status = h1.ask("status")?;
        Ok(status.notices.is_empty().then_some(()))
    })?;
    h2.sh("berth check").map(drop)
}

/// A host whose operator names the one subnet of its rack.
fn in_rack(rack: &str, net: &str) -> Result<BerthConfig> {
    let subnet = StaticSubnet {
        cidr: format!("{net}.0/28").parse()?,
        gateway: format!("{net}.1").parse()?,
        exclude: Vec::new(),
    };
    Ok(BerthConfig {
        store: StoreChoice::Etcd,
        provider: ProviderChoice::Static {
            zone: format!("rack-{rack}"),
            interface: "eth0".to_owned(),
            subnets: vec![subnet],
        },
        pools: vec![Pool { prefix: 28, subnets_max: 2, free_min: 1, cooling_secs: 1, ..Pool::default() }],
        ..BerthConfig::default()
    })
}

fn it_says_what_is_left_behind(host: &Host, web: IpAddr) -> Result<()> {
    let about = until(SOON, "status names the zone that was left", || {
        // A berthd that was just started may not answer yet.
        let notices = host.ask::<Status>("status").map(|status| status.notices).unwrap_or_default();
        Ok(notices.into_iter().find(|notice| notice.about == "zone rack-a"))
    })?;
    ensure!(about.problem.contains(&web.to_string()), "{about:?}");
    let doctor = host.try_sh("berth doctor")?;
    ensure!(doctor.stdout.contains("rack-a"), "doctor says nothing of it:\n{}", doctor.stdout);
    Ok(())
}

fn nothing_new_is_assigned_from_the_zone_that_was_left(fleet: &Fleet) -> Result<()> {
    let refused = fleet.refused("h1", "")?;
    println!("{}", refused.trim());
    ensure!(refused.contains("rack-"), "the zone is not named: {refused}");
    Ok(())
}

fn the_new_zone_serves(host: &Host) -> Result<()> {
    until(SOON, "the subnet of the new zone is open", || {
        let create = "docker network create -d berth --ipam-driver berth --subnet 10.61.0.0/28 rack-b";
        Ok(host.try_sh(create)?.is_success().then_some(()))
    })?;
    until(SOON, "a container of the new zone starts", || {
        host.try_sh("docker rm -f new")?;
        let run = "docker run -d --name new --network rack-b busybox sleep 3600";
        Ok(host.try_sh(run)?.is_success().then_some(()))
    })?;
    let address = host.address_of("new")?;
    ensure!(address.to_string().starts_with("10.61.0."), "{address} is not of the new zone");
    Ok(())
}
