//! Docker hosts that share one subnet through etcd: an address moves, the store goes away and comes back,
//! a host dies.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::{Condition, History, HostLife, Source, SubnetState};
use provider_mock::PowerState;

use super::Step;
use super::scene::{Scene, VIRTUAL};
use crate::lab::{BerthConfig, Host};

/// An order takes seconds in the simulated cloud, and several hosts share few processors.
const DELIVERY: Duration = Duration::from_secs(120);
/// Whatever agents do without being asked; a store's leader is elected anew meanwhile.
const SOON: Duration = Duration::from_secs(90);
/// The sign of life of a dead host lasts half a minute, then the cloud is asked twice.
const EVICTED: Duration = Duration::from_secs(180);

/// Which of the subnet's addresses moves: far from those that are given first.
const RESERVED: usize = 40;

pub(super) const STORY: &[Step] = &[
    Step {
        title: "A cluster is founded",
        why: "berthd waits until somebody says, once, that this empty store is to be a cluster's.",
        act: the_cluster_is_founded,
    },
    Step {
        title: "The other hosts join",
        why: "The same file on each host: the cluster's name and where etcd is. Nothing is added to a list.",
        act: the_others_join,
    },
    Step {
        title: "One subnet for all of them",
        why: "Each host holds some of the subnet's addresses and gives them out without asking anybody.",
        act: all_use_one_subnet,
    },
    Step {
        title: "An address moves to another host",
        why: "It is reserved, so it is asked for by --ip; the router is told, and must acknowledge it.",
        act: an_address_moves,
    },
    Step {
        title: "The store goes away, and comes back",
        why: "Containers run on and new ones get addresses: each host gives out what it holds.",
        act: the_store_goes_away,
    },
    Step {
        title: "A host dies, and its address is used elsewhere",
        why: "Nobody times it out: its addresses are free only once the cloud says that the machine is off.",
        act: a_host_dies,
    },
    Step {
        title: "Who had that address?",
        why: "Any host tells, also of a host that is gone.",
        act: who_had_it,
    },
];

/// With short waits: nothing in the lab needs the usual minutes.
pub(super) fn impatient(berth: BerthConfig) -> BerthConfig {
    BerthConfig { quarantine_secs: Some(3), staleness_secs: Some(4), ..berth }
}

fn the_cluster_is_founded(scene: &mut Scene) -> Result<()> {
    scene.ask_host("berth status")?;
    scene.on_host("berth cluster init")?;
    let open = scene.wait(DELIVERY, "a subnet is ordered and delivered", || {
        // An agent that has just joined has no answer yet.
        let subnets: Vec<api::Subnet> = scene.host()?.ask("subnet list").unwrap_or_default();
        Ok(subnets.into_iter().find(|subnet| subnet.state == SubnetState::Open && subnet.counts.usable() > 0))
    })?;
    scene.ask_host("berth cluster show")?;
    scene.found_subnet(open.subnet);
    scene.narrator().holds(&format!("the cloud delivered {}", open.subnet));
    Ok(())
}

fn the_others_join(scene: &mut Scene) -> Result<()> {
    let names = names(scene);
    for name in names.iter().skip(1) {
        scene.start(name)?;
    }
    scene.wait(SOON, "all hosts are alive", || {
        let hosts: Vec<api::Host> = scene.host()?.ask("host list").unwrap_or_default();
        let alive = hosts.iter().filter(|host| host.life == HostLife::Alive).count();
        Ok((alive == names.len()).then_some(()))
    })?;
    let listed = scene.ask_host("berth host list")?;
    scene.check(listed.lines().count() > names.len(), "each host is listed", &listed)
}

fn all_use_one_subnet(scene: &mut Scene) -> Result<()> {
    let subnet = scene.subnet()?;
    for name in names(scene) {
        let host = scene.lab().host(&name)?;
        scene.wait(DELIVERY, &format!("{name} knows the subnet"), || {
            let subnets: Vec<api::Subnet> = host.ask("subnet list").unwrap_or_default();
            Ok(subnets.iter().any(|it| it.counts.usable() > 0).then_some(()))
        })?;
        // Docker takes --ip only where the subnet was named.
        let create = format!("docker network create -d berth --ipam-driver berth --subnet {subnet} cloud");
        scene.on(&name, &create)?;
        scene.on(&name, "docker run -d --name web --network cloud busybox httpd -f -h /www")?;
        let address = host.address_of("web")?;
        scene.check(subnet.contains(address), &format!("{name} gave {address} of {subnet}"), "")?;
        reached(scene, address)?;
    }
    scene.ask_host("berth subnet list")?;
    scene.ask_host("berth host list").map(drop)
}

fn an_address_moves(scene: &mut Scene) -> Result<()> {
    let address = scene.subnet()?.iter().nth(RESERVED).context("the subnet has too few addresses")?;
    let other = &names(scene)[1];
    let run = format!("docker run -d --name db --network cloud --ip {address} busybox httpd -f -h /www");
    scene.on_host(&format!("berth address reserve db --address {address}"))?;
    scene.on_host(&run)?;
    reached(scene, address)?;
    scene.on_host("docker rm -f db")?;
    once_it_is_free(scene, other, "db", &run)?;
    reached(scene, address)?;
    let shown = scene.ask(other, &format!("berth address show {address}"))?;
    scene.check(shown.contains("assigned"), &format!("{other} has {address} now"), &shown)
}

fn the_store_goes_away(scene: &mut Scene) -> Result<()> {
    let running = scene.host()?.address_of("web")?;
    scene.lab().etcd().kill()?;
    scene.narrator().say("every member of etcd is killed");
    reached(scene, running)?;
    scene.on_host("docker run -d --name offline --network cloud busybox httpd -f -h /www")?;
    reached(scene, scene.host()?.address_of("offline")?)?;
    scene.wait(SOON, "berthd says that the store is gone", || {
        Ok((!store_is_well(scene.host()?)?).then_some(()))
    })?;
    scene.ask_host("berth status")?;

    scene.narrator().during("etcd starts", || scene.lab().etcd().start())?;
    scene.wait(SOON, "berthd has the store again", || Ok(store_is_well(scene.host()?)?.then_some(())))?;
    scene.narrator().holds("etcd is back, and nothing has to be done");
    scene.on_host("docker rm -f offline").map(drop)
}

fn a_host_dies(scene: &mut Scene) -> Result<()> {
    let names = names(scene);
    let (dead, heir) = (&names[names.len() - 1], &names[1]);
    let host = scene.lab().host(dead)?;
    let address = host.address_of("web")?;
    host.power_off()?;
    scene.lab().cloud().set_power(dead, PowerState::Halted)?;
    scene.narrator().say(&format!("{dead} loses its power, with the container at {address}"));
    scene.wait(EVICTED, "the cloud is asked, and the host is evicted", || {
        let hosts: Vec<api::Host> = scene.host()?.ask("host list")?;
        Ok(hosts.iter().any(|host| host.life == HostLife::Evicted).then_some(()))
    })?;
    scene.ask_host("berth host list")?;
    let run = format!("docker run -d --name heir --network cloud --ip {address} busybox httpd -f -h /www");
    once_it_is_free(scene, heir, "heir", &run)?;
    reached(scene, address)?;
    scene.found_container(address);
    Ok(())
}

fn who_had_it(scene: &mut Scene) -> Result<()> {
    let address = scene.container()?;
    let told = scene.wait(SOON, "both assignments are told", || {
        let told: History = scene.host()?.ask(&format!("address history {address}"))?;
        Ok((told.assignments.len() == 2 && told.assignments.iter().all(|it| it.container.is_some()))
            .then_some(told))
    })?;
    scene.ask_host(&format!("berth address history {address}"))?;
    let names: Vec<&str> = told.assignments.iter().filter_map(|it| it.container.as_deref()).collect();
    scene.check(names == ["web", "heir"], "first web had it, then heir", &names.join(", "))?;
    let first = told.assignments.first().context("no assignment is told")?;
    scene.ask_host(&format!("berth address show {address} --at {}", first.from))?;
    scene.ask_host("berth check").map(drop)
}

/// The Docker hosts, in order.
fn names(scene: &Scene) -> Vec<String> {
    scene.lab().hosts().map(|host| host.name().to_owned()).collect()
}

/// The virtual machine gets an answer from the container.
fn reached(scene: &Scene, address: IpAddr) -> Result<()> {
    scene.on_node(VIRTUAL, &format!("ping -c 1 -W 5 {address} | head -2")).map(drop)
}

/// Runs a container with a given address: shows why that is refused at first, and does it when it is not any more.
fn once_it_is_free(scene: &Scene, host: &str, container: &str, run: &str) -> Result<()> {
    let first = scene.lab().host(host)?.try_sh(run)?;
    scene.narrator().command(host, run);
    scene.narrator().said(&(first.stdout.clone() + &first.stderr));
    if first.is_success() {
        return Ok(());
    }
    scene.wait(SOON, "it is not refused any more", || {
        scene.lab().host(host)?.try_sh(&format!("docker rm -f {container}"))?;
        Ok(scene.lab().host(host)?.try_sh(run)?.is_success().then_some(()))
    })?;
    scene.narrator().holds("a moment later it is not refused any more");
    Ok(())
}

fn store_is_well(host: &Host) -> Result<bool> {
    let status: api::Status = host.ask("status")?;
    let store = status.parts.into_iter().find(|part| part.part == Source::Store);
    match store.context("no word of the store in `berth status`")?.condition {
        Condition::Good => Ok(true),
        Condition::Unasked => bail!("the store was never asked"),
        Condition::Failing { .. } => Ok(false),
    }
}
