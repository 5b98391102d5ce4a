use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use ipnetwork::IpNetwork;

use super::*;
use crate::{
    Address, FakeKernel, InterfaceSeen, Kernel, Mac, Port, Protocol, Published, Reach, Subnet, bring_to,
    obstacles,
};

const SUBNET: &str = "10.50.0.0/26";

#[test]
fn nothing_wanted_on_a_fresh_host_changes_nothing() {
    check(&HostNet::default(), &host(), expect![""]);
}

#[test]
fn a_bridge_is_guarded_addressed_and_switched_before_it_is_up() {
    check(
        &one_bridge(),
        &host(),
        expect![[r#"
            replace firewall by 13 rules
            create bridge berth-bblue mac c6:cc:d2:9b:c2:dd mtu 1500
            label berth-bblue "berth:bridge"
            add address 10.40.0.11 to berth-bblue
            set forwarding of berth-bblue to 1
            set proxy_arp of berth-bblue to 1
            set proxy_delay of berth-bblue to 0
            set send_redirects of berth-bblue to 0
            set rp_filter of berth-bblue to 2
            set route_localnet of berth-bblue to 0
            set berth-bblue up
            set send_redirects of all to 0
        "#]],
    );
}

#[test]
fn a_smaller_mtu_is_heeded_and_a_larger_than_the_vlans_is_not() {
    for (asked, given) in [(1400, 1400), (9000, 1500)] {
        let mut wanted = one_container();
        wanted.bridges.values_mut().for_each(|bridge| bridge.mtu = Some(asked));
        let mtus = plan(&wanted, &host()).into_iter().filter_map(|change| match change {
            Change::CreateBridge { mtu, .. } | Change::CreatePort { mtu, .. } => Some(mtu),
            _ => None,
        });
        assert_eq!(mtus.collect::<Vec<u32>>(), [given, given]);
    }
}

#[tokio::test]
async fn a_container_is_answered_for_last() {
    let before = after(&one_bridge()).await;
    check(
        &one_container(),
        &before,
        expect![[r#"
        replace firewall by 14 rules
        set forwarding of eth0 to 1
        set proxy_delay of eth0 to 0
        create port berth-pone to berth-cone mac 02:42:0a:32:00:0a mtu 1500
        label berth-pone "berth:port 10.50.0.10"
        attach berth-pone to berth-bblue
        set berth-pone up
        add route 10.50.0.0/26 through eth0 from 10.40.0.11
        add route 10.50.0.10/32 through berth-bblue from 10.40.0.11
        add route 0.0.0.0/0 via 10.50.0.1 through eth0 in table 171048960
        add rule 7171: from 10.50.0.0/26 lookup main but its default route
        add rule 7172: from 10.50.0.0/26 lookup 171048960
        answer for 10.50.0.10 on eth0
    "#]],
    );
}

#[tokio::test]
async fn a_container_that_left_is_answered_for_no_more_before_its_route_goes() {
    let before = after(&one_container()).await;
    check(
        &one_bridge(),
        &before,
        expect![[r#"
        replace firewall by 13 rules
        stop answering for 10.50.0.10 on eth0
        remove rule 7171: from 10.50.0.0/26 lookup main but its default route
        remove rule 7172: from 10.50.0.0/26 lookup 171048960
        remove route 10.50.0.0/26 through eth0 from 10.40.0.11
        remove route 10.50.0.10/32 through berth-bblue from 10.40.0.11
        remove route 0.0.0.0/0 via 10.50.0.1 through eth0 in table 171048960
        delete port berth-pone
    "#]],
    );
}

#[tokio::test]
async fn an_address_that_moves_to_another_bridge_changes_its_route_alone() {
    let mut two = one_container();
    two.bridges.insert(IfName::bridge("green"), two.bridges[&IfName::bridge("blue")].clone());
    let before = after(&two).await;
    for at in two.addresses.values_mut() {
        at.bridge = IfName::bridge("green");
    }
    check(
        &two,
        &before,
        expect![[r#"
        remove route 10.50.0.10/32 through berth-bblue from 10.40.0.11
        add route 10.50.0.10/32 through berth-bgreen from 10.40.0.11
    "#]],
    );
}

#[tokio::test]
async fn a_published_port_opens_localhost_on_its_bridge_and_has_its_answers_routed_by_main() {
    let before = after(&one_container()).await;
    let mut wanted = one_container();
    wanted.published.insert(published());
    check(
        &wanted,
        &before,
        expect![[r#"
        replace firewall by 20 rules
        set route_localnet of berth-bblue to 1
        add rule 7170: marked 0x62657274 lookup main
    "#]],
    );
}

#[tokio::test]
async fn a_network_turned_internal_is_cut_off_from_the_vlan() {
    let before = after(&one_container()).await;
    let mut wanted = one_container();
    for bridge in wanted.bridges.values_mut() {
        bridge.reach = Reach::Internal;
    }
    check(
        &wanted,
        &before,
        expect![[r#"
        replace firewall by 13 rules
        stop answering for 10.50.0.10 on eth0
        remove route 10.50.0.10/32 through berth-bblue from 10.40.0.11
        remove address 10.40.0.11 from berth-bblue
        set forwarding of berth-bblue to 0
        set proxy_arp of berth-bblue to 0
    "#]],
    );
}

#[tokio::test]
async fn everything_is_taken_back_in_an_order_that_loses_no_guard() {
    let before = after(&one_container()).await;
    check(
        &HostNet::default(),
        &before,
        expect![[r#"
        stop answering for 10.50.0.10 on eth0
        remove rule 7171: from 10.50.0.0/26 lookup main but its default route
        remove rule 7172: from 10.50.0.0/26 lookup 171048960
        remove route 10.50.0.0/26 through eth0 from 10.40.0.11
        remove route 10.50.0.10/32 through berth-bblue from 10.40.0.11
        remove route 0.0.0.0/0 via 10.50.0.1 through eth0 in table 171048960
        delete port berth-pone
        delete bridge berth-bblue
        remove firewall
    "#]],
    );
}

#[tokio::test]
async fn what_drifted_is_put_back_and_nothing_else() {
    let kernel = FakeKernel::with(host().interfaces);
    bring_to(&kernel, &one_container()).await.unwrap();
    kernel.meanwhile(|observed| {
        let bridge = observed.bridges.get_mut(&IfName::bridge("blue")).unwrap();
        (bridge.mtu, bridge.up, bridge.mac) = (1400, false, Mac([2, 0, 0, 0, 0, 9]));
        observed.ports.get_mut(&IfName::port("one")).unwrap().bridge = None;
        observed.proxies.clear();
        observed.firewall.as_mut().unwrap().push("a rule by hand".into());
    });
    check(
        &one_container(),
        &kernel.observe().await.unwrap(),
        expect![[r#"
        replace firewall by 14 rules
        set mac of berth-bblue to c6:cc:d2:9b:c2:dd
        set mtu of berth-bblue to 1500
        set berth-bblue up
        attach berth-pone to berth-bblue
        answer for 10.50.0.10 on eth0
    "#]],
    );
}

#[tokio::test]
async fn where_docker_has_a_firewall_our_bridges_are_admitted_behind_our_own_guard() {
    let docker = |observed: &mut Observed| observed.admissions = Some([].into());
    let kernel = FakeKernel::with(host().interfaces);
    kernel.meanwhile(docker);
    let brought = bring_to(&kernel, &one_bridge()).await.unwrap();
    let first: Vec<String> = brought.made.iter().take(3).map(ToString::to_string).collect();
    expect![[r#"
        replace firewall by 13 rules
        admit packets from berth-bblue past Docker's firewall
        admit packets to berth-bblue past Docker's firewall"#]]
    .assert_eq(&first.join("\n"));
    let left = bring_to(&kernel, &HostNet::default()).await.unwrap();
    let last: Vec<String> = left.made.iter().map(ToString::to_string).collect();
    expect![[r#"
        admit packets from berth-bblue no more
        admit packets to berth-bblue no more
        delete bridge berth-bblue
        remove firewall"#]]
    .assert_eq(&last.join("\n"));
}

#[tokio::test]
async fn a_bridge_whose_vlan_interface_went_missing_keeps_its_guard_and_its_ports() {
    let mut before = after(&one_container()).await;
    before.interfaces.clear();
    check(
        &one_container(),
        &before,
        expect![[r#"
        stop answering for 10.50.0.10 on eth0
        remove rule 7171: from 10.50.0.0/26 lookup main but its default route
        remove rule 7172: from 10.50.0.0/26 lookup 171048960
        remove route 10.50.0.0/26 through eth0 from 10.40.0.11
        remove route 10.50.0.10/32 through berth-bblue from 10.40.0.11
        remove route 0.0.0.0/0 via 10.50.0.1 through eth0 in table 171048960
        remove address 10.40.0.11 from berth-bblue
    "#]],
    );
}

#[test]
fn what_is_in_the_way_is_named_and_what_hangs_on_it_left_out() {
    let mut observed = host();
    let theirs = InterfaceSeen { mac: None, mtu: 1500, address: None };
    observed.interfaces.insert(IfName::bridge("blue"), theirs);
    observed.strangers.insert(IfName::parse("berth-old").unwrap());
    let mut wanted = one_container();
    let nowhere = Subnet { gateway: "10.60.0.1".parse().unwrap(), interface: IfName::parse("eth9").unwrap() };
    wanted.subnets.insert("10.60.0.0/26".parse().unwrap(), nowhere);
    let stray = Address { subnet: SUBNET.parse().unwrap(), bridge: IfName::bridge("red") };
    wanted.addresses.insert("10.99.0.1".parse().unwrap(), stray.clone());
    wanted.addresses.insert("2001:db8::1".parse().unwrap(), stray);
    wanted.published.insert(Published { container: "10.50.0.44".parse().unwrap(), ..published() });
    let named: String = obstacles(&wanted, &observed).iter().map(|found| format!("{found}\n")).collect();
    expect![[r#"
        berth-bblue was not made by Berth, which needs the name; rename or delete it
        berth-old is named like a link of Berth's but was not made by it; left alone
        there is no interface eth9; what leads to it is left out
        2001:db8::1 is left out: this version routes IPv4 only
        10.99.0.1 is left out: 10.50.0.0/26 is not one of the host's subnets that contain it
        berth-bred is not one of the host's wanted bridges
        no port leads to 10.50.0.44: no bridge towards the VLAN has it
    "#]]
    .assert_eq(&named);
    let made = plan(&wanted, &observed);
    assert!(!made.iter().any(|change| change.to_string().contains("berth-")), "{made:?}");
}

#[test]
fn a_change_survives_json() {
    for change in plan(&one_container(), &host()) {
        let json = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
    }
}

#[tokio::test]
async fn what_was_seen_survives_json() {
    let seen = after(&one_container()).await;
    let json = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<Observed>(&json).unwrap(), seen);
}

fn check(wanted: &HostNet, observed: &Observed, expected: Expect) {
    let plan: String = plan(wanted, observed).iter().map(|change| format!("{change}\n")).collect();
    expected.assert_eq(&plan);
}

/// What is there once this was wanted.
async fn after(wanted: &HostNet) -> Observed {
    let kernel = FakeKernel::with(host().interfaces);
    let brought = bring_to(&kernel, wanted).await.unwrap();
    assert!(brought.is_complete(), "{brought:?}");
    kernel.observe().await.unwrap()
}

/// A host with one interface on a VLAN.
fn host() -> Observed {
    let address = Some("10.40.0.11".parse().unwrap());
    let seen = InterfaceSeen { mac: Some(Mac([2, 0, 0, 0, 0, 1])), mtu: 1500, address };
    Observed { interfaces: BTreeMap::from([(eth0(), seen)]), ..Observed::default() }
}

fn eth0() -> IfName {
    IfName::parse("eth0").unwrap()
}

fn one_bridge() -> HostNet {
    let bridge = Bridge {
        mac: Mac::derived("blue"),
        interface: eth0(),
        mtu: None,
        reach: Reach::Vlan,
        maker: Maker::Berth,
    };
    HostNet { bridges: BTreeMap::from([(IfName::bridge("blue"), bridge)]), ..HostNet::default() }
}

fn one_container() -> HostNet {
    let mut wanted = one_bridge();
    let port = Port {
        bridge: IfName::bridge("blue"),
        container_end: IfName::container_end("one"),
        mac: Mac([2, 0x42, 10, 50, 0, 10]),
        label: "10.50.0.10".into(),
    };
    wanted.ports.insert(IfName::port("one"), port);
    let subnet: IpNetwork = SUBNET.parse().unwrap();
    wanted.subnets.insert(subnet, Subnet { gateway: "10.50.0.1".parse().unwrap(), interface: eth0() });
    let at = Address { subnet, bridge: IfName::bridge("blue") };
    wanted.addresses.insert("10.50.0.10".parse().unwrap(), at);
    wanted
}

fn published() -> Published {
    Published {
        protocol: Protocol::Tcp,
        host_ip: None,
        host_port: 8080,
        container: "10.50.0.10".parse().unwrap(),
        container_port: 80,
    }
}
