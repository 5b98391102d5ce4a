//! A host whose dockerd keeps its default firewall: what is forwarded and not Docker's is dropped, and
//! frames from port to port of a bridge count as forwarded.

use std::fs;

use hostnet::HostNet;

use crate::talk::{Server, greets};
use crate::vlan::{Container, FOREIGN, HOST, VM, Vlan, ip, wanted};

fn docker_drops(vlan: &Vlan) {
    for rule in ["-N DOCKER-USER", "-A DOCKER-USER -i eth9 -j DROP", "-A DOCKER-USER -j RETURN"] {
        iptables(vlan, rule);
    }
    iptables(vlan, "-A FORWARD -j DOCKER-USER");
    iptables(vlan, "-P FORWARD DROP");
    vlan.host.enter(|| fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1").unwrap());
}

fn iptables(vlan: &Vlan, words: &str) -> String {
    let (good, said) = vlan.host.try_run(&format!("iptables -w 5 {words}"));
    assert!(good, "iptables {words}: {said}");
    said
}

#[test]
fn containers_are_reached_behind_dockers_default_firewall() {
    let vlan = Vlan::new();
    docker_drops(&vlan);
    let (one, two) = (Container::new("10.50.0.10"), Container::new("10.50.0.11"));
    let net = wanted(&[&one, &two]);
    vlan.must_bring_to(&net);
    let (first, second) = (vlan.start(&net, &one), vlan.start(&net, &two));

    for (from, to) in [(&vlan.vm, one.address), (&first, VM), (&first, two.address), (&first, HOST)] {
        assert!(from.pings(to), "{to}");
    }
    let server = Server::start(&second, 80);
    assert!(greets(&vlan.vm, "10.50.0.11:80"));
    assert_eq!(server.saw(), ip(VM));
    assert!(!first.pings(FOREIGN), "our own guard still holds");
}

#[test]
fn dockers_chain_is_left_as_it_was() {
    let vlan = Vlan::new();
    docker_drops(&vlan);
    let before = iptables(&vlan, "-S");
    vlan.must_bring_to(&wanted(&[&Container::new("10.50.0.10")]));
    assert_ne!(iptables(&vlan, "-S"), before);
    vlan.must_bring_to(&HostNet::default());
    assert_eq!(iptables(&vlan, "-S"), before);
}
