//! Host ports that lead to containers.

use hostnet::{HostNet, Protocol, Published};

use crate::namespace::Namespace;
use crate::talk::{Server, echoes, greets};
use crate::vlan::{Container, HOST, VM, Vlan, ip, wanted};

/// A container that runs, with one of its ports published.
struct Site {
    vlan: Vlan,
    net: HostNet,
    inside: Namespace,
    address: &'static str,
}

impl Site {
    /// Port 80 as the host's 8080.
    fn new() -> Site {
        Site::with(|port| port)
    }

    /// The same, published otherwise.
    fn with(otherwise: impl FnOnce(Published) -> Published) -> Site {
        let vlan = Vlan::new();
        let one = Container::new("10.50.0.10");
        let mut net = wanted(&[&one]);
        net.published.insert(otherwise(publish(8080, &one, 80)));
        vlan.must_bring_to(&net);
        let inside = vlan.start(&net, &one);
        Site { vlan, net, inside, address: one.address }
    }
}

pub(crate) fn publish(host_port: u16, container: &Container, container_port: u16) -> Published {
    Published {
        protocol: Protocol::Tcp,
        host_ip: None,
        host_port,
        container: ip(container.address),
        container_port,
    }
}

#[test]
fn a_published_port_is_reached_from_the_vlan_and_the_client_is_seen_as_itself() {
    let site = Site::new();

    let server = Server::start(&site.inside, 80);
    assert!(greets(&site.vlan.vm, &format!("{HOST}:8080")));
    assert_eq!(server.saw(), ip(VM));
    let server = Server::start(&site.inside, 80);
    assert!(greets(&site.vlan.vm, &format!("{}:80", site.address)), "the container's own port stays");
    assert_eq!(server.saw(), ip(VM));
}

#[test]
fn a_published_port_is_reached_from_the_public_side_and_answered_there() {
    let site = Site::new();
    // A client behind the router of the public side: only the host's default route leads to it.
    site.vlan.public.ip("addr add 192.0.2.7/32 dev lo");
    site.vlan.public.ip("route add 203.0.113.11 dev eth0 src 192.0.2.7");

    let server = Server::start(&site.inside, 80);
    assert!(greets(&site.vlan.public, "203.0.113.11:8080"));
    assert_eq!(server.saw(), ip("192.0.2.7"));
}

#[test]
fn a_published_port_is_reached_from_the_host_by_any_of_its_names() {
    let site = Site::new();
    // `localhost` would mean nothing to the container; the other names are seen as they are.
    for (name, seen) in [("127.0.0.1", HOST), (HOST, HOST), ("203.0.113.11", "203.0.113.11")] {
        let server = Server::start(&site.inside, 80);
        assert!(greets(&site.vlan.host, &format!("{name}:8080")), "{name}");
        assert_eq!(server.saw(), ip(seen));
    }
}

#[test]
fn a_neighbour_on_the_same_bridge_reaches_a_published_port() {
    let vlan = Vlan::new();
    let (one, two) = (Container::new("10.50.0.10"), Container::new("10.50.0.11"));
    let mut net = wanted(&[&one, &two]);
    net.published.insert(publish(8080, &one, 80));
    vlan.must_bring_to(&net);
    let (first, second) = (vlan.start(&net, &one), vlan.start(&net, &two));
    let _server = Server::start(&first, 80);
    assert!(greets(&second, &format!("{HOST}:8080")));
}

#[test]
fn a_port_published_on_one_address_is_closed_on_the_others() {
    let site = Site::with(|port| Published { host_ip: Some(ip("127.0.0.1")), ..port });
    assert!(!greets(&site.vlan.vm, &format!("{HOST}:8080")));
    let _server = Server::start(&site.inside, 80);
    assert!(greets(&site.vlan.host, "127.0.0.1:8080"));
}

#[test]
fn datagrams_are_published_too() {
    let site =
        Site::with(|port| Published { protocol: Protocol::Udp, host_port: 5353, container_port: 53, ..port });
    assert!(echoes(&site.vlan.vm, &format!("{HOST}:5353"), &site.inside, 53));
}

#[test]
fn containers_do_not_reach_what_listens_on_the_hosts_loopback() {
    let site = Site::new();
    // A container that may set its routes sends 127.0.0.2 to the host's bridge.
    site.inside.sysctl("conf/eth0/route_localnet", "1");
    site.inside.ip("route del local 127.0.0.0/8 dev lo table local");
    site.inside.ip("route add 127.0.0.2/32 via 10.50.0.1");
    let before = drops(&site.vlan);
    assert!(!site.inside.pings("127.0.0.2"));
    // Reading the rule's place is no proof that the packet came by: the bridge counted it.
    assert!(drops(&site.vlan) > before, "the packet never left the container");
}

/// Packets that came to the host by the bridge.
fn drops(vlan: &Vlan) -> u64 {
    let link = &vlan.host.ip_json(&format!("-s link show {}", crate::vlan::bridge()))[0];
    link["stats64"]["rx"]["packets"].as_u64().unwrap()
}

#[test]
fn a_port_is_closed_when_it_is_published_no_more() {
    let site = Site::new();
    let _server = Server::start(&site.inside, 80);
    assert!(greets(&site.vlan.vm, &format!("{HOST}:8080")));

    let net = HostNet { published: [].into(), ..site.net };
    site.vlan.must_bring_to(&net);
    assert!(!greets(&site.vlan.vm, &format!("{HOST}:8080")));
    assert_eq!(site.vlan.host.read_sysctl(&format!("conf/{}/route_localnet", crate::vlan::bridge())), "0");
}
