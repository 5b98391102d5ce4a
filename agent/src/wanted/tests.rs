use expect_test::{Expect, expect};
use hostnet::Protocol;
use ipam::{EndpointId, Generation};

use super::*;
use crate::docker::{NetworkId, PublishedPort};

fn epoch(counter: u64) -> Epoch {
    Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter }
}

fn network(id: &str, internal: bool) -> Network {
    let subnet = "10.50.0.0/26".parse().unwrap();
    let (id, pool, zone) = (NetworkId(id.into()), "default".into(), "vlan".into());
    Network { id, pool, zone, subnet, internal, mtu: None }
}

fn endpoint(id: &str, network: &str, address: &str, stage: Stage) -> Endpoint {
    let address: IpNetwork = address.parse().unwrap();
    Endpoint {
        id: EndpointId(id.into()),
        network: NetworkId(network.into()),
        address,
        gateway: address.iter().nth(1),
        epoch: epoch(1),
        mac: Mac([2, 0x42, 0, 0, 0, 1]),
        ports: vec![PublishedPort {
            protocol: Protocol::Tcp,
            host_address: None,
            host_port: 8080,
            container_port: 80,
        }],
        published: true,
        stage,
    }
}

fn lent(address: &str) -> Lent {
    let address: IpNetwork = address.parse().unwrap();
    Lent {
        address,
        gateway: address.iter().nth(1),
        epoch: epoch(1),
        zone: "vlan".into(),
        bridge: Some(IfName::parse("brcloud").unwrap()),
        endpoint: None,
        former: None,
        released: false,
    }
}

fn pages(networks: Vec<Network>, endpoints: Vec<Endpoint>, lent: Vec<Lent>) -> Pages {
    Pages {
        networks: networks.into_iter().map(|it| (it.id.clone(), it)).collect(),
        endpoints: endpoints.into_iter().map(|it| (it.id.clone(), it)).collect(),
        lent: lent.into_iter().map(|it| (it.address.ip(), it)).collect(),
    }
}

/// Endpoints of one network on the VLAN, and nothing else.
fn on_the_vlan(endpoints: Vec<Endpoint>) -> Pages {
    pages(vec![network("aaaa1111", false)], endpoints, vec![])
}

fn assigned(addresses: &[&str]) -> Vec<Assigned> {
    addresses.iter().map(|it| Assigned { address: it.parse().unwrap(), epoch: epoch(1) }).collect()
}

fn interfaces() -> Interfaces {
    BTreeMap::from([("vlan".into(), IfName::parse("eth0").unwrap())])
}

fn check(pages: &Pages, held: &[&str], expected: Expect) {
    let host = wanted(pages, &assigned(held), &interfaces()).unwrap();
    let mut text = String::new();
    for (name, bridge) in &host.bridges {
        text += &format!(
            "bridge {name} to {} reaching {:?}, made by {:?}\n",
            bridge.interface, bridge.reach, bridge.maker
        );
    }
    for (name, port) in &host.ports {
        text += &format!("port {name} of {} on {}\n", port.label, port.bridge);
    }
    for (subnet, at) in &host.subnets {
        text += &format!("subnet {subnet} by {} on {}\n", at.gateway, at.interface);
    }
    for (address, at) in &host.addresses {
        text += &format!("address {address} of {} on {}\n", at.subnet, at.bridge);
    }
    for port in &host.published {
        text += &format!("published {port}\n");
    }
    expected.assert_eq(&text);
}

#[test]
fn a_network_has_a_bridge_of_its_own_before_it_has_containers() {
    let pages = pages(vec![network("aaaa1111", false), network("bbbb2222", true)], vec![], vec![]);
    check(
        &pages,
        &[],
        expect![[r#"
        bridge berth-baaaa1111 to eth0 reaching Vlan, made by Berth
        bridge berth-bbbbb2222 to eth0 reaching Internal, made by Berth
    "#]],
    );
}

#[test]
fn an_endpoint_is_wanted_from_join_to_leave() {
    let stages = [Stage::Aside, Stage::Created, Stage::Left, Stage::Deleted, Stage::Released];
    let not_joined = stages.iter().enumerate();
    let mut endpoints: Vec<Endpoint> = not_joined
        .map(|(at, stage)| endpoint(&format!("e{at}"), "aaaa1111", "10.50.0.3/26", *stage))
        .collect();
    endpoints.push(endpoint("joined", "aaaa1111", "10.50.0.2/26", Stage::Joined));
    let pages = on_the_vlan(endpoints);
    check(
        &pages,
        &["10.50.0.2", "10.50.0.3"],
        expect![[r#"
        bridge berth-baaaa1111 to eth0 reaching Vlan, made by Berth
        port berth-pjoined of 10.50.0.2 on berth-baaaa1111
        subnet 10.50.0.0/26 by 10.50.0.1 on eth0
        address 10.50.0.2 of 10.50.0.0/26 on berth-baaaa1111
        published tcp any 8080 to 10.50.0.2 80
    "#]],
    );
}

#[test]
fn an_address_that_is_not_assigned_falls_silent() {
    let endpoints = vec![endpoint("e1", "aaaa1111", "10.50.0.2/26", Stage::Joined)];
    let pages = pages(vec![network("aaaa1111", false)], endpoints, vec![lent("10.50.0.9/26")]);
    check(
        &pages,
        &[],
        expect![[r#"
        bridge berth-baaaa1111 to eth0 reaching Vlan, made by Berth
    "#]],
    );
}

#[test]
fn an_assignment_of_another_epoch_is_another_endpoints() {
    let endpoints = vec![endpoint("e1", "aaaa1111", "10.50.0.2/26", Stage::Joined)];
    let pages = on_the_vlan(endpoints);
    let newer = vec![Assigned { address: "10.50.0.2".parse().unwrap(), epoch: epoch(2) }];
    assert!(wanted(&pages, &newer, &interfaces()).unwrap().ports.is_empty());
}

#[test]
fn an_internal_container_has_a_port_and_no_place_on_the_vlan() {
    let endpoints = vec![endpoint("e1", "bbbb2222", "10.50.0.2/26", Stage::Joined)];
    check(
        &pages(vec![network("bbbb2222", true)], endpoints, vec![]),
        &["10.50.0.2"],
        expect![[r#"
        bridge berth-bbbbb2222 to eth0 reaching Internal, made by Berth
        port berth-pe1 of 10.50.0.2 on berth-bbbbb2222
    "#]],
    );
}

#[test]
fn a_lent_address_leads_nowhere_before_its_bridge_is_known() {
    let nowhere = Lent { bridge: None, ..lent("10.50.0.9/26") };
    check(&pages(vec![], vec![], vec![nowhere]), &["10.50.0.9"], expect![[""]]);
}

#[test]
fn a_lent_address_leads_to_dockers_own_bridge() {
    check(
        &pages(vec![], vec![], vec![lent("10.50.0.9/26")]),
        &["10.50.0.9"],
        expect![[r#"
        bridge brcloud to eth0 reaching Vlan, made by Docker
        subnet 10.50.0.0/26 by 10.50.0.1 on eth0
        address 10.50.0.9 of 10.50.0.0/26 on brcloud
    "#]],
    );
}

#[test]
fn addresses_of_a_further_subnet_bring_their_own_gateway() {
    let endpoints = vec![endpoint("e1", "aaaa1111", "10.60.7.2/26", Stage::Joined)];
    check(
        &on_the_vlan(endpoints),
        &["10.60.7.2"],
        expect![[r#"
        bridge berth-baaaa1111 to eth0 reaching Vlan, made by Berth
        port berth-pe1 of 10.60.7.2 on berth-baaaa1111
        subnet 10.60.7.0/26 by 10.60.7.1 on eth0
        address 10.60.7.2 of 10.60.7.0/26 on berth-baaaa1111
        published tcp any 8080 to 10.60.7.2 80
    "#]],
    );
}

#[test]
fn a_zone_without_an_interface_is_said_and_not_left_out() {
    let pages = on_the_vlan(vec![]);
    assert_eq!(wanted(&pages, &[], &Interfaces::new()), Err(WantedError::NoInterface("vlan".into())));
}

fn in_use(addresses: &[&str]) -> Vec<Assigned> {
    addresses.iter().map(|it| Assigned { address: it.parse().unwrap(), epoch: epoch(1) }).collect()
}

fn guarding(addresses: &[&str]) -> Policy {
    Policy { guarded: addresses.iter().map(|it| it.parse().unwrap()).collect(), ..Policy::default() }
}

#[test]
fn while_it_is_not_known_what_services_say_the_kernels_policy_goes_on() {
    let observed = Observed { policy: Some(guarding(&["10.50.0.2", "10.50.0.3"])), ..Observed::default() };
    let assigned = in_use(&["10.50.0.2", "10.50.0.4"]);
    assert_eq!(policy(None, Unnamed::Open, &assigned, &observed), None);
    assert_eq!(
        policy(None, Unnamed::Closed, &assigned, &observed),
        Some(guarding(&["10.50.0.2", "10.50.0.4"])),
        "a new container is closed from the first moment"
    );
}

#[test]
fn nothing_is_said_of_an_address_that_nobody_has() {
    let known = Some(guarding(&["10.50.0.2", "10.50.0.3"]));
    let policy = policy(known, Unnamed::Open, &in_use(&["10.50.0.3"]), &Observed::default());
    assert_eq!(policy, Some(guarding(&["10.50.0.3"])));
}
