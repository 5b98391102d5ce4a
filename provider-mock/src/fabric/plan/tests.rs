use expect_test::{Expect, expect};

use super::*;

fn name() -> FabricName {
    "t".parse().unwrap()
}

fn check(spec: &FabricSpec, from: &Topology, to: &Topology, expected: Expect) {
    let steps: Vec<_> = plan(&name(), spec, from, to).iter().map(Step::to_string).collect();
    expected.assert_eq(&steps.join("\n"));
}

fn gateway(address: &str) -> Gateway {
    Gateway { vlan: 7, address: address.parse().unwrap() }
}

fn machine(hostname: &str) -> WiredMachine {
    let wire = Wire {
        id: 100,
        port: 0,
        mac: "06:00:00:00:00:01".to_owned(),
        vlan: 7,
        address: "10.40.0.11/24".parse().unwrap(),
        gateway: "10.40.0.1".parse().unwrap(),
    };
    WiredMachine { hostname: hostname.to_owned(), wires: vec![wire] }
}

#[test]
fn a_machine_gets_its_mac_its_address_and_the_routes_of_a_softlayer_host() {
    let to = Topology { machines: vec![machine("h1")], ..Topology::default() };
    check(
        &FabricSpec::default(),
        &Topology::default(),
        &to,
        expect![[r#"
        ip netns add t-h1
        ip -n t-h1 link set lo up
        ip -n t-fabric link add m100 type veth peer name eth0 address 06:00:00:00:00:01 netns t-h1
        ip -n t-fabric link set m100 master v7 up
        ip -n t-h1 address add 10.40.0.11/24 dev eth0
        ip -n t-h1 link set eth0 up
        ip -n t-h1 route add 10.0.0.0/8 via 10.40.0.1 dev eth0
        ip -n t-h1 route add default via 10.40.0.1 dev eth0"#]],
    );
}

#[test]
fn a_delivered_subnet_is_one_more_address_of_the_router_and_a_reclaimed_one_is_forgotten() {
    let before = Topology { vlans: vec![7], gateways: vec![gateway("10.40.0.1/24")], ..Topology::default() };
    let mut after = before.clone();
    after.gateways.push(gateway("10.50.0.1/26"));
    check(&FabricSpec::default(), &before, &after, expect!["ip -n t-router address add 10.50.0.1/26 dev v7"]);
    check(
        &FabricSpec::default(),
        &after,
        &before,
        expect![[r#"
        ip -n t-router address delete 10.50.0.1/26 dev v7
        ip -n t-router neighbour flush to 10.50.0.0/26 dev v7"#]],
    );
}

#[test]
fn a_deleted_machine_loses_its_wires_even_if_something_runs_inside() {
    let from = Topology { machines: vec![machine("h1")], ..Topology::default() };
    check(
        &FabricSpec::default(),
        &from,
        &Topology::default(),
        expect![[r#"
        ip -n t-fabric link delete m100
        ip netns delete t-h1"#]],
    );
}

fn balancer() -> WiredBalancer {
    WiredBalancer {
        machine: machine("balancer-9"),
        front: "10.40.0.11".parse().unwrap(),
        setup: crate::cloud::balancer::setup::Setup::default(),
    }
}

#[test]
fn a_balancer_is_plugged_in_before_it_begins_and_ends_before_it_is_unplugged() {
    let empty = Topology::default();
    let with = Topology { balancers: vec![balancer()], ..Topology::default() };
    let begun = plan(&name(), &FabricSpec::default(), &empty, &with);
    assert_eq!(begun.first().unwrap().to_string(), "ip netns add t-balancer-9");
    assert_eq!(begun.last(), Some(&Step::Balance(Box::new(balancer()))));
    check(
        &FabricSpec::default(),
        &with,
        &empty,
        expect![[r#"
        balancer-9: end
        ip -n t-fabric link delete m100
        ip netns delete t-balancer-9"#]],
    );
}

#[test]
fn what_is_right_is_left_alone() {
    let topology = Topology {
        vlans: vec![7],
        gateways: vec![gateway("10.40.0.1/24")],
        machines: vec![machine("h1")],
        balancers: vec![balancer()],
        ..Topology::default()
    };
    assert_eq!(plan(&name(), &FabricSpec::default(), &topology, &topology), []);
}

#[test]
fn a_name_that_could_be_the_beginning_of_another_is_refused() {
    for wrong in ["", "a-b", "A", "averylongname", "a/b"] {
        assert!(wrong.parse::<FabricName>().is_err(), "{wrong}");
    }
}
