//! What others have on the host: it stays as it is, and the VLAN does not reach it.

use std::time::Duration;

use hostnet::neighbour::probe;
use hostnet::{HostNet, IfName, Maker, Obstacle, Reach};

use crate::talk::{Server, arrives, greets};
use crate::vlan::{Container, FOREIGN, HOST, SUBNET, VM, Vlan, add, bridge, eth0, ip, routed, wanted};

#[test]
fn only_what_is_a_containers_is_answered_for_on_the_vlan() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let (_first, mac) = (vlan.start(&net, &one), vlan.host_mac());

    let asked = [one.address, "10.50.0.12", FOREIGN, "172.17.0.1"].map(ip);
    let answers =
        vlan.vm.block_on(|| async { probe(&eth0(), &asked, Duration::from_millis(600)).await.unwrap() });
    // 172.17.0.1 is the host's own; the kernel answers for all of those, with or without us.
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [(ip(one.address), mac), (ip("172.17.0.1"), mac)]);
}

#[test]
fn the_vlan_does_not_reach_docker0_and_docker0_reaches_the_vlan_as_before() {
    let vlan = Vlan::new();
    vlan.vm.ip(&format!("route add 172.17.0.0/16 via {HOST}"));
    assert!(vlan.vm.pings(FOREIGN), "without us it is reached: the host forwards");

    let one = Container::new("10.50.0.10");
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let first = vlan.start(&net, &one);
    assert!(!vlan.vm.pings(FOREIGN));
    assert!(!first.pings(FOREIGN), "nor do containers");
    assert!(!vlan.foreign.pings(one.address), "nor the other way");
    assert!(vlan.foreign.pings(VM));
}

#[test]
fn what_others_made_survives_untouched() {
    let vlan = Vlan::new();
    let host = &vlan.host;
    host.ip("link add br-theirs type bridge");
    host.ip("link add berth-bstranger type bridge");
    host.ip("route add 192.0.2.0/24 dev docker0");
    host.ip("route add 192.0.2.0/24 dev docker0 table 171048960 proto static");
    host.ip("rule add from 192.0.2.0/24 lookup 171048960 priority 7172");
    host.ip("neigh add proxy 10.50.0.40 dev eth0");
    host.nft("add table inet theirs");
    let before = theirs(&vlan);

    let net = wanted(&[&Container::new("10.50.0.10")]);
    let brought = vlan.bring_to(&net);
    let stranger = IfName::parse("berth-bstranger").unwrap();
    assert_eq!(brought.obstacles, [Obstacle::Stranger(stranger)]);
    assert!(brought.failed.is_empty());
    vlan.bring_to(&HostNet::default());
    assert_eq!(theirs(&vlan), before);
}

/// Everything `ip` and nft show but link state, which changes by itself.
fn theirs(vlan: &Vlan) -> Vec<String> {
    let links = vlan.host.ip_json("link show").into_iter().map(|link| link["ifname"].to_string());
    let shown = ["ip route show table all", "ip rule show", "ip neigh show proxy", "nft list ruleset"];
    links.chain(shown.map(|command| vlan.host.try_run(command).1)).collect()
}

#[test]
fn what_stands_in_the_way_is_said_and_left_alone() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    vlan.host.ip(&format!("route add {SUBNET} dev docker0"));
    vlan.host.ip(&format!("neigh add proxy {} dev eth0", one.address));
    let brought = vlan.bring_to(&wanted(&[&one]));
    let failed: Vec<String> = brought.failed.iter().map(ToString::to_string).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].contains("a route to 10.50.0.0/26 is there already"), "{failed:?}");
    assert!(failed[1].contains("a neighbour proxy for 10.50.0.10 on eth0 is there already"), "{failed:?}");
    assert_eq!(vlan.host.ip_json(&format!("route show {SUBNET}"))[0]["dev"], "docker0");
}

#[test]
fn containers_of_an_internal_network_reach_each_other_and_nothing_else() {
    let vlan = Vlan::new();
    let (one, two) = (Container::new("10.50.0.10"), Container::new("10.50.0.11"));
    let mut net = wanted(&[&one, &two]);
    net.bridges.get_mut(&bridge()).unwrap().reach = Reach::Internal;
    vlan.must_bring_to(&net);
    let (first, second) = (vlan.start(&net, &one), vlan.start(&net, &two));
    assert!(first.pings(two.address));

    // Not even with a route of its own.
    first.ip("route add default dev eth0");
    for address in [HOST, VM, "10.40.0.1", FOREIGN] {
        assert!(!first.pings(address), "{address}");
    }
    assert!(!arrives(&first, &format!("{HOST}:9"), &vlan.host), "nor what asks for no answer");
    assert!(!vlan.vm.pings(two.address));
    assert!(second.pings(one.address));
}

#[test]
fn replies_by_the_other_bridge() {
    let vlan = Vlan::new();
    vlan.host.sysctl("conf/all/rp_filter", "1");
    let one = Container::new("10.50.0.10");
    let two = Container { bridge: IfName::bridge("green"), ..Container::new("10.50.0.20") };
    let net = wanted(&[&one, &two]);
    vlan.must_bring_to(&net);
    // One container on two networks: what comes in by the second, it answers by the first.
    let both = vlan.start(&net, &one);
    vlan.join(&both, "eth1", &two);
    assert!(vlan.vm.pings(one.address));
    assert!(vlan.vm.pings(two.address));
}

#[test]
fn a_bridge_that_dockerd_made_is_routed_to_and_never_made_or_deleted() {
    let vlan = Vlan::new();
    let made = IfName::parse("brcloud").unwrap();
    let one = Container { bridge: made.clone(), ..Container::new("10.50.0.10") };
    let mut net = wanted(&[]);
    net.bridges.insert(made.clone(), hostnet::Bridge { maker: Maker::Docker, ..routed("brcloud") });
    add(&mut net, &one);
    // The built-in driver makes the veth pair itself.
    net.ports.clear();
    assert_eq!(vlan.bring_to(&net).obstacles, [Obstacle::AwaitsDocker(made)]);

    vlan.host.ip("link add brcloud type bridge");
    vlan.host.ip("link set brcloud up");
    let container = crate::namespace::Namespace::new("swarm");
    vlan.host.ip(&format!("link add veth1 type veth peer name eth0 netns {}", container.name));
    vlan.host.ip("link set veth1 master brcloud up");
    container.ip("addr add 10.50.0.10/26 dev eth0");
    container.ip("link set eth0 up");
    container.ip("route add default via 10.50.0.1");
    vlan.must_bring_to(&net);

    let server = Server::start(&container, 80);
    assert!(greets(&vlan.vm, "10.50.0.10:80"));
    assert_eq!(server.saw(), ip(VM));
    vlan.must_bring_to(&HostNet::default());
    assert_eq!(vlan.host.ip_json("link show brcloud").len(), 1);
}
