//! Tables: what lives, given what Docker, the kernel, the store and the book say; and the pages it makes.

use expect_test::{Expect, expect};
use hostnet::{IfName, PortSeen, Route};
use ipam::{EndpointId, Generation};

use super::*;
use crate::docker::events::{Attachment, Container, SeenNetwork};
use crate::docker::{DRIVER, Endpoint, NetworkId, Stage};

const N: &str = "4f1c9a52e0b7";
const BRIDGED: &str = "77aa9a52e0b7";
const E: &str = "aa11c9a52e0b7d36";
const L: &str = "cc33c9a52e0b7d36";

/// What everybody says; a test changes some of it.
#[derive(Clone)]
struct World {
    sight: Sight,
    observed: Observed,
    subnets: Vec<Subnet>,
    before: Pages,
    /// What a whole allocator's journal has assigned.
    assigned: Epochs,
    /// What is assigned after claiming.
    epochs: Epochs,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn epoch(counter: u64) -> Epoch {
    Epoch { generation: Generation { number: 1, id: 0xbeef }, take: 9, counter }
}

fn network(id: &str, name: &str, driver: &str) -> SeenNetwork {
    SeenNetwork {
        id: NetworkId(id.into()),
        name: name.into(),
        driver: driver.into(),
        ipam_driver: DRIVER.into(),
        subnets: vec!["10.50.0.0/26".parse().unwrap()],
        auxiliary: BTreeMap::new(),
        internal: false,
        mtu: None,
        bridge: None,
    }
}

fn container(name: &str, network: &str, endpoint: &str, at: &str) -> Container {
    let attachment = Attachment {
        network: NetworkId(network.into()),
        network_name: "any".into(),
        endpoint: Some(endpoint.into()),
        address: Some(address(at)),
        mac: Some("02:42:0a:32:00:aa".parse().unwrap()),
    };
    Container {
        id: format!("{name}-id"),
        name: name.into(),
        labels: BTreeMap::new(),
        running: true,
        readiness: api::Readiness::Ready,
        ending: false,
        attachments: vec![attachment],
    }
}

fn route(to: &str, through: &IfName) -> Route {
    let to = address(to).into();
    Route { table: hostnet::Table::MAIN, to, through: through.clone(), via: None, source: None }
}

/// `web` on a network of ours with a published port, `old` behind Docker's own bridge; nothing is known.
fn world() -> World {
    let brcloud = IfName::parse("brcloud").unwrap();
    let port = |address: &str| PortSeen {
        bridge: Some(IfName::bridge(N)),
        up: true,
        alias: Some(format!("berth:port {address}")),
        container_end: None,
    };
    World {
        sight: Sight {
            networks: vec![network(N, "cloud", DRIVER), network(BRIDGED, "lan", "bridge")],
            containers: vec![container("web", N, E, "10.50.0.2"), container("old", BRIDGED, L, "10.50.0.3")],
            ..Sight::default()
        },
        observed: Observed {
            ports: [(IfName::port(E), port("10.50.0.2"))].into(),
            routes: [route("10.50.0.2", &IfName::bridge(N)), route("10.50.0.3", &brcloud)].into(),
            firewall: Some(vec!["publish: to host tcp 8080 -> 10.50.0.2 80".into()]),
            ..Observed::default()
        },
        subnets: vec![Subnet {
            cidr: "10.50.0.0/26".parse().unwrap(),
            pool: "default".into(),
            zone: "vlan".into(),
            gateway: Some(address("10.50.0.1")),
        }],
        before: Pages::default(),
        assigned: Epochs::new(),
        epochs: [(address("10.50.0.2"), epoch(1)), (address("10.50.0.3"), epoch(2))].into(),
    }
}

impl World {
    fn pages(&self) -> Pages {
        let living = Living::find(&self.sight, &self.observed, &self.subnets, &self.before);
        pages::pages(&living, &self.epochs, &self.before, &self.assigned, &self.observed)
    }

    /// The pages in words, and what differs.
    fn check(&self, expected: Expect) {
        let living = Living::find(&self.sight, &self.observed, &self.subnets, &self.before);
        let pages = self.pages();
        let networks =
            pages.networks.values().map(|it| format!("network {} of pool {} in {}", it.id, it.pool, it.zone));
        let endpoints = pages.endpoints.values().map(|it| {
            let ports: Vec<String> = it.ports.iter().map(ToString::to_string).collect();
            let Endpoint { id, address, epoch, mac, stage, .. } = it;
            format!("endpoint {id} {address} {epoch} {mac} {stage:?} {}", ports.join(" "))
        });
        let lent = pages.lent.values().map(|it| {
            let bridge = it.bridge.as_ref().map_or("nothing", IfName::as_str);
            format!("lent {} {} behind {bridge}", it.address, it.epoch)
        });
        let differs = living.differences.iter().map(|it| format!("! {it}"));
        let lines: Vec<String> = networks.chain(endpoints).chain(lent).chain(differs).collect();
        let text: String = lines.iter().map(|line| format!("{}\n", line.trim_end())).collect();
        expected.assert_eq(&text);
    }
}

#[test]
fn with_no_book_networks_and_endpoints_are_as_docker_and_the_kernel_show_them() {
    world().check(expect![[r#"
        network 4f1c9a52e0b7 of pool default in vlan
        endpoint aa11c9a52e0b7d36 10.50.0.2/26 1-beef/9/1 02:42:0a:32:00:aa Joined 8080->80/tcp
        lent 10.50.0.3/26 1-beef/9/2 behind brcloud
    "#]]);
}

#[test]
fn what_a_whole_book_knows_of_a_living_container_is_kept_under_its_new_epoch() {
    let mut world = world();
    let mut before = world.pages();
    for endpoint in before.endpoints.values_mut() {
        endpoint.epoch = epoch(70);
        endpoint.gateway = None;
    }
    world.before = before;
    world.observed.firewall = None;
    let endpoint = world.pages().endpoints[&EndpointId::from(E)].clone();
    assert_eq!((endpoint.epoch, endpoint.gateway, endpoint.ports.len()), (epoch(1), None, 1));
}

#[test]
fn what_nobody_shows_is_kept_only_while_it_is_assigned() {
    let mut world = world();
    world.before = world.pages();
    world.sight.containers.clear();
    world.observed.ports.clear();
    world.observed.routes.clear();
    world.check(expect![[r#"
        network 4f1c9a52e0b7 of pool default in vlan
    "#]]);
    world.assigned = world.epochs.clone();
    world.check(expect![[r#"
        network 4f1c9a52e0b7 of pool default in vlan
        endpoint aa11c9a52e0b7d36 10.50.0.2/26 1-beef/9/1 02:42:0a:32:00:aa Joined 8080->80/tcp
        lent 10.50.0.3/26 1-beef/9/2 behind brcloud
    "#]]);
}

#[test]
fn a_container_that_could_not_keep_its_address_is_left_out() {
    let mut world = world();
    world.epochs.remove(&address("10.50.0.2"));
    world.check(expect![[r#"
        network 4f1c9a52e0b7 of pool default in vlan
        lent 10.50.0.3/26 1-beef/9/2 behind brcloud
    "#]]);
}

#[test]
fn a_network_keeps_its_auxiliary_addresses() {
    let mut world = world();
    world.sight.containers.clear();
    world.sight.networks[0].auxiliary = [("router".to_owned(), address("10.50.0.3"))].into();
    world.observed = Observed::default();
    world.check(expect![[r#"
        network 4f1c9a52e0b7 of pool default in vlan
        endpoint aux:4f1c9a52e0b7:router 10.50.0.3/26 1-beef/9/2 02:42:0a:32:00:03 Aside
    "#]]);
}

#[test]
fn where_docker_and_the_kernel_differ_it_is_said() {
    let mut world = world();
    // Docker lists a container whose port is gone, the kernel has another's.
    let port = world.observed.ports.remove(&IfName::port(E)).unwrap();
    world.observed.ports.insert(IfName::port("dd44"), port);
    world.observed.routes = [route("10.50.0.9", &IfName::bridge(N))].into();
    world.check(expect![[r#"
        network 4f1c9a52e0b7 of pool default in vlan
        endpoint aa11c9a52e0b7d36 10.50.0.2/26 1-beef/9/1 02:42:0a:32:00:aa Created 8080->80/tcp
        ! Docker shows web with 10.50.0.2, and the kernel has no port for it
        ! Docker shows old with 10.50.0.3, and no route says behind which bridge: left out
        ! the kernel has port berth-pdd44 (berth:port 10.50.0.2) in a container that Docker does not list
        ! the kernel routes 10.50.0.9 to berth-b4f1c9a52, and no container has it
    "#]]);
}

#[test]
fn networks_and_addresses_that_the_store_does_not_know_are_left_out() {
    let mut world = world();
    world.subnets.clear();
    world.observed = Observed::default();
    world.sight.networks.truncate(1);
    world.check(expect![[r#"
        ! Docker's network cloud has 10.50.0.0/26, which the store does not know: left out
        ! Docker shows web with 10.50.0.2, and the kernel has no port for it
        ! Docker shows web with 10.50.0.2, which is in no subnet that the store knows: left out
    "#]]);
}

#[test]
fn a_container_that_does_not_run_uses_nothing() {
    let mut world = world();
    for container in &mut world.sight.containers {
        container.attachments.iter_mut().for_each(|at| (at.endpoint, at.address) = (None, None));
    }
    world.observed = Observed::default();
    assert!(world.pages().endpoints.is_empty() && world.pages().lent.is_empty());
}

#[test]
fn endpoints_keep_the_stage_that_docker_told() {
    let mut world = world();
    world.before = world.pages();
    world.before.endpoints.values_mut().for_each(|it| it.stage = Stage::Deleted);
    // Docker had said its end already: the next berthd settles it.
    assert_eq!(world.pages().endpoints[&EndpointId::from(E)].stage, Stage::Deleted);
}
