//! One container, from an empty cloud to an address that is free again.

use std::time::Duration;

use anyhow::{Context, Result};
use api::{AddressState, SubnetState};

use super::Step;
use super::scene::{METAL, Scene, VIRTUAL};
use crate::balancers::front;

/// An order takes seconds in the simulated cloud; berthd looks every few.
const DELIVERY: Duration = Duration::from_secs(90);
/// For Docker's events.
const NEWS: Duration = Duration::from_secs(30);
/// Well past the cooling time.
const COOLING: Duration = Duration::from_secs(60);

/// What the operator declares.
const WEB: &str = "name = \"web\"
[[port]]
port = 80
[load_balancer]
name = \"web-lb\"
order = \"private\"
[[load_balancer.listener]]
port = 80
protocol = \"http\"";

pub(super) const STORY: &[Step] = &[
    Step {
        title: "The host finds its own VLAN",
        why: "berthd asks the cloud's metadata service who it is: nobody configured a VLAN.",
        act: the_host_finds_its_vlan,
    },
    Step {
        title: "A portable subnet is ordered, and arrives",
        why: "The pool was empty, so berthd ordered one subnet, within its spending limit, and waited for it.",
        act: a_subnet_arrives,
    },
    Step {
        title: "A Docker network on it",
        why: "An ordinary `docker network create`; it names no subnet and outlives any one of them.",
        act: a_network_is_created,
    },
    Step {
        title: "A container with an address of the cloud's own",
        why: "Docker asks Berth for an address; the bridge and the way there are berthd's, made through netlink.",
        act: a_container_runs,
    },
    Step {
        title: "The virtual machine reaches the container",
        why: "A plain machine on the VLAN; no overlay, no translation: the page names the visitor's address.",
        act: |scene| reaches_the_container(scene, VIRTUAL),
    },
    Step {
        title: "The bare-metal server reaches it too",
        why: "The same from hardware.",
        act: |scene| reaches_the_container(scene, METAL),
    },
    Step {
        title: "The container reaches both",
        why: "The other way round, each sees the container's own address.",
        act: the_container_reaches_both,
    },
    Step {
        title: "What Berth says of it",
        why: "The agent answers, and says whose word it is.",
        act: berth_answers,
    },
    Step {
        title: "A load balancer of the cloud in front of it",
        why: "Declared once; berthd orders it and registers the container by its own address, as the cloud has it.",
        act: a_load_balancer_serves_it,
    },
    Step {
        title: "The container goes, its address cools",
        why: "Others on the VLAN may still remember who had the address: it rests before it is used again.",
        act: the_container_goes,
    },
    Step {
        title: "The address is free again",
        why: "Nothing is left of the container in the host's kernel.",
        act: the_address_is_free,
    },
];

fn the_host_finds_its_vlan(scene: &mut Scene) -> Result<()> {
    let host = scene.wait(DELIVERY, "berthd learns who it is", || {
        let host = scene.host()?.ask::<api::Host>("host show");
        Ok(host.ok().filter(|host| !host.attachments.is_empty()))
    })?;
    let seen = scene.ask_host("berth host show")?;
    let vlans: Vec<u32> = scene.lab().cloud().spec().vlans.iter().map(|vlan| vlan.number.into()).collect();
    let found: Vec<u32> = host.attachments.iter().filter_map(|attachment| attachment.vlan).collect();
    scene.check(found == vlans, &format!("the host knows its VLAN: {found:?}"), &seen)
}

fn a_subnet_arrives(scene: &mut Scene) -> Result<()> {
    let open = scene.wait(DELIVERY, "the cloud delivers a subnet", || {
        let subnets: Vec<api::Subnet> = scene.host()?.ask("subnet list")?;
        Ok(subnets.into_iter().find(|subnet| subnet.state == SubnetState::Open && subnet.counts.usable() > 0))
    })?;
    scene.ask_host("berth order list")?;
    scene.ask_host("berth subnet list")?;
    scene.found_subnet(open.subnet);

    let orders: Vec<api::Order> = scene.host()?.ask("order list")?;
    let seen = format!("{} orders", orders.len());
    scene.check(orders.len() == 1, "one subnet was ordered, not two", &seen)
}

fn a_network_is_created(scene: &mut Scene) -> Result<()> {
    scene.on_host("docker network create -d berth --ipam-driver berth cloud")?;
    // Docker tells the name only afterwards, through its events.
    scene.wait(NEWS, "berthd hears the network's name", || {
        let networks: Vec<api::Network> = scene.host()?.ask("network list")?;
        Ok(networks.iter().any(|network| network.name.as_deref() == Some("cloud")).then_some(()))
    })?;
    let networks = scene.ask_host("berth network list")?;
    scene.check(networks.contains("cloud"), "berthd knows the network", &networks)
}

fn a_container_runs(scene: &mut Scene) -> Result<()> {
    scene.on_host("docker run -d --name web --network cloud -l berth.service=web -l berth.port=80 busybox httpd -f -h /www")?;
    let address = scene.host()?.address_of("web")?;
    let inside = scene.on_host("docker exec web ip -4 address show dev eth0")?;
    scene.check(
        inside.contains(&format!("{address}/")),
        "the container has the address Docker shows",
        &inside,
    )?;
    let bridges = scene.on_host("ip -br link show type bridge")?;
    scene.check(!bridges.trim().is_empty(), "there is a bridge", &bridges)?;
    let subnet = scene.subnet()?;
    scene.check(
        subnet.contains(address),
        &format!("{address} is of the subnet {subnet} that the cloud delivered"),
        &address.to_string(),
    )?;
    scene.found_container(address);
    Ok(())
}

fn reaches_the_container(scene: &mut Scene, machine: &str) -> Result<()> {
    let container = scene.container()?;
    let own = scene.address_of(machine)?;
    let packets = scene.node(machine)?.capture("eth0", "icmp")?;
    scene.on_node(machine, &format!("ping -c 3 -i 0.2 -W 5 {container}"))?;
    let packets = packets.wait_for(&format!("{container} > {own}: ICMP echo reply"))?;
    scene.narrator().say(&format!("what tcpdump saw on {machine}:"));
    // One question and one answer tell it all.
    scene.narrator().said(&packets[..packets.len().min(2)].join("\n"));
    scene.narrator().holds(&format!("{machine} sees the container's own address {container}"));

    let page = scene.on_node(machine, &format!("busybox wget -q -O - http://{container}/cgi-bin/whoami"))?;
    let what = format!("the container sees {machine}'s own address {own}");
    scene.check(page.trim() == format!("you are {own}"), &what, &page)
}

fn the_container_reaches_both(scene: &mut Scene) -> Result<()> {
    let container = scene.container()?;
    for machine in [VIRTUAL, METAL] {
        let other = scene.address_of(machine)?;
        let page = scene.on_host(&format!("docker exec web wget -q -O - http://{other}/cgi-bin/whoami"))?;
        let what = format!("{machine} sees the container's own address {container}");
        scene.check(page.trim() == format!("you are {container}"), &what, &page)?;
    }
    Ok(())
}

fn berth_answers(scene: &mut Scene) -> Result<()> {
    let container = scene.container()?;
    let status = scene.ask_host("berth status")?;
    scene.check(!status.trim().is_empty(), "berthd says how it is", &status)?;
    let list = scene.ask_host("berth address list")?;
    scene.check(list.contains(&container.to_string()), "the address is listed", &list)?;
    scene.ask_host(&format!("berth address show {container}"))?;
    let report: api::AddressReport = scene.host()?.ask(&format!("address show {container}"))?;
    let differing = report.words.iter().filter(|word| word.differs).map(|word| word.says.as_str());
    let differing: Vec<&str> = differing.collect();
    scene.check(
        differing.is_empty(),
        "journal, store, kernel, Docker and cloud agree",
        &differing.join("; "),
    )?;
    let state = report.address.state;
    scene.check(state == AddressState::Assigned, "the address is assigned", state.name())
}

fn a_load_balancer_serves_it(scene: &mut Scene) -> Result<()> {
    scene.on_host(&format!("berth service apply -f - <<'END'\n{WEB}\nEND"))?;
    let front = scene.wait(DELIVERY, "the cloud delivers a load balancer, and it serves", || {
        let Some(front) = front(scene.lab().cloud(), "web-lb")? else { return Ok(None) };
        let ask = format!("timeout 3 busybox wget -q -O - http://{front}/");
        Ok(scene.node(VIRTUAL)?.try_sh(&ask)?.is_success().then_some(front))
    })?;
    let page = scene.on_node(VIRTUAL, &format!("busybox wget -q -O - http://{front}/"))?;
    scene.check(page.contains("container"), "a request through its address reaches the container", &page)?;
    scene.ask_host("berth service show web").map(drop)
}

fn the_container_goes(scene: &mut Scene) -> Result<()> {
    let container = scene.container()?;
    scene.on_host("docker rm -f web")?;
    let state = state_of_container(scene)?;
    scene.check(matches!(state, AddressState::Cooling { .. }), "the address is cooling", state.name())?;
    scene.ask_host(&format!("berth address show {container}"))?;

    let gone = scene.node(VIRTUAL)?.try_sh(&format!("ping -c 1 -W 1 {container}"))?;
    scene.check(!gone.is_success(), &format!("nobody answers at {container} any more"), &gone.stdout)
}

fn the_address_is_free(scene: &mut Scene) -> Result<()> {
    let container = scene.container()?;
    scene.wait(COOLING, &format!("{container} cools"), || {
        Ok((state_of_container(scene)? == AddressState::Free).then_some(()))
    })?;
    scene.ask_host(&format!("berth address show {container}"))?;
    scene.narrator().holds("the address is free");

    let routes = scene.on_host("ip route")?;
    let words: Vec<&str> = routes.split_whitespace().collect();
    scene.check(!words.contains(&container.to_string().as_str()), "no route to it is left", &routes)?;
    let proxies = scene.on_host("ip neighbour show proxy")?;
    scene.check(!proxies.contains(&format!("{container} ")), "the host answers for it no more", &proxies)
}

fn state_of_container(scene: &Scene) -> Result<AddressState> {
    let container = scene.container()?;
    let report: Result<api::AddressReport> = scene.host()?.ask(&format!("address show {container}"));
    Ok(report.context("the address has no state")?.address.state)
}
