use expect_test::expect;

use super::*;
use crate::{InterfaceSeen, Mac, Maker, Published, Reach};

#[test]
fn the_rules_of_a_published_and_an_internal_network() {
    let eth0 = IfName::parse("eth0").unwrap();
    let bridge = |reach| Bridge {
        mac: Mac::derived("x"),
        interface: eth0.clone(),
        mtu: None,
        reach,
        maker: Maker::Berth,
    };
    let (blue, inside) = (IfName::bridge("blue"), IfName::bridge("inside"));
    let (routed, internal) = (bridge(Reach::Vlan), bridge(Reach::Internal));
    let bridges = BTreeMap::from([(&blue, &routed), (&inside, &internal)]);
    let subnet = "10.50.0.0/26".parse().unwrap();
    let container: IpAddr = "10.50.0.10".parse().unwrap();
    let mut wanted = HostNet::default();
    let at = crate::Subnet { gateway: "10.50.0.1".parse().unwrap(), interface: eth0.clone() };
    wanted.subnets.insert(subnet, at);
    wanted.addresses.insert(container, crate::Address { subnet, bridge: blue.clone() });
    for (host_ip, host_port) in [(None, 8080), (Some("192.0.2.1".parse().unwrap()), 9090)] {
        let port = Published { protocol: Protocol::Tcp, host_ip, host_port, container, container_port: 80 };
        wanted.published.insert(port);
    }
    let seen = InterfaceSeen { mac: None, mtu: 1500, address: Some("10.40.0.11".parse().unwrap()) };
    let observed = Observed { interfaces: BTreeMap::from([(eth0.clone(), seen)]), ..Observed::default() };

    let rules = Firewall::of(&bridges, &wanted, &observed).unwrap().sentences();
    expect![[r#"
        early: in berth-bblue to 127.0.0.0/8 -> drop
        arriving: in berth-bblue published -> mark published
        publish: to host tcp 8080 -> 10.50.0.10 80
        publish: to host tcp 9090 to 192.0.2.1/32 -> 10.50.0.10 80
        publish_local: to host tcp 8080 -> 10.50.0.10 80
        publish_local: to host tcp 9090 to 192.0.2.1/32 -> 10.50.0.10 80
        input: in berth-binside -> drop
        forward: in berth-bblue out berth-bblue -> accept
        forward: in berth-binside out berth-binside -> accept
        forward: in berth-binside -> drop
        forward: out berth-binside -> drop
        forward: established -> accept
        forward: published -> accept
        forward: in berth-bblue -> from_bridge
        forward: in eth0 -> from_vlan
        forward: out berth-bblue -> drop
        forward: from 10.50.0.0/26 out eth0 -> drop
        from_vlan: out berth-bblue -> accept
        from_vlan: in eth0 out eth0 -> accept
        from_vlan: translated -> accept
        from_vlan: -> drop
        from_bridge: out berth-bblue -> accept
        from_bridge: out eth0 -> accept
        from_bridge: -> drop
        leaving: out berth-bblue published from 127.0.0.0/8 -> source 10.40.0.11
        leaving: in berth-bblue out berth-bblue published -> source 10.40.0.11
    "#]]
    .assert_eq(&(rules.join("\n") + "\n"));
    assert!(rules.iter().all(|rule| rule.len() < 128), "nft keeps no longer comment");
    let observed = Observed { firewall: Some(rules), ..Observed::default() };
    assert_eq!(observed.published(), wanted.published, "what is published can be read back");
}

#[test]
fn where_nothing_is_wanted_there_is_no_table() {
    assert_eq!(Firewall::of(&BTreeMap::new(), &HostNet::default(), &Observed::default()), None);
}
