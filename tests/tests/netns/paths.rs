//! Who reaches whom, and with which address.

use crate::talk::{Server, greets};
use crate::vlan::{BARE_METAL, BEYOND, Container, FOREIGN, GATEWAY, HOST, SUBNET2, VM, Vlan, ip, wanted};

#[test]
fn every_pair_talks_and_sees_the_others_own_address() {
    let vlan = Vlan::new();
    let (one, two) = (Container::new("10.50.0.10"), Container::new("10.50.0.11"));
    let net = wanted(&[&one, &two]);
    vlan.must_bring_to(&net);
    let (first, second) = (vlan.start(&net, &one), vlan.start(&net, &two));

    let others = [
        (&second, two.address),
        (&vlan.vm, VM),
        (&vlan.bare_metal, BARE_METAL),
        (&vlan.router, GATEWAY),
        (&vlan.host, HOST),
    ];
    for (machine, address) in others {
        let server = Server::start(machine, 80);
        assert!(greets(&first, &format!("{address}:80")), "container to {address}");
        assert_eq!(server.saw(), ip(one.address));

        let server = Server::start(&first, 80);
        assert!(greets(machine, &format!("{}:80", one.address)), "{address} to container");
        assert_eq!(server.saw(), ip(address), "{address} is seen as itself");
    }
    assert!(!first.pings(FOREIGN));
}

#[test]
fn a_host_that_does_not_forward_forwards_for_our_bridges_alone() {
    let vlan = Vlan::new();
    vlan.host.sysctl("ip_forward", "0");
    let one = Container::new("10.50.0.10");
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let first = vlan.start(&net, &one);
    assert!(vlan.vm.pings(one.address));
    assert!(first.pings(VM));
    assert!(!vlan.foreign.pings(VM), "docker0 is forwarded no more than before");
    assert_eq!(vlan.host.read_sysctl("ip_forward"), "0");
}

#[test]
fn containers_leave_through_the_vlan_and_not_by_the_hosts_default_route() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let first = vlan.start(&net, &one);

    let server = Server::start(&vlan.router, 80);
    assert!(greets(&first, &format!("{BEYOND}:80")));
    assert_eq!(server.saw(), ip(one.address));
    // The host itself still goes the other way, where nobody knows that address.
    assert!(!vlan.host.pings(BEYOND));
}

#[test]
fn containers_of_two_subnets_on_one_bridge_talk_through_the_host() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    let two = Container { subnet: SUBNET2, ..Container::new("10.50.1.10") };
    let net = wanted(&[&one, &two]);
    vlan.must_bring_to(&net);
    let (first, second) = (vlan.start(&net, &one), vlan.start(&net, &two));

    let server = Server::start(&second, 80);
    assert!(greets(&first, &format!("{}:80", two.address)));
    assert_eq!(server.saw(), ip(one.address));
    assert!(vlan.vm.pings(two.address));
    assert_eq!(redirects(&vlan), "0", "the host tells nobody of a shorter way");
}

/// How many ICMP redirects the host has sent (RFC 1213, icmpOutRedirects).
fn redirects(vlan: &Vlan) -> String {
    let snmp = vlan.host.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
    let mut icmp = snmp.lines().filter(|line| line.starts_with("Icmp:"));
    let mut lines = [icmp.next().unwrap(), icmp.next().unwrap()].map(|line| line.split(' '));
    let column = lines[0].position(|name| name == "OutRedirects").unwrap();
    lines[1].nth(column).unwrap().to_owned()
}
