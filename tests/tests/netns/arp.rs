//! Announcing addresses to a router with a long memory, and finding occupied ones, of either family.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hostnet::neighbour::{Announced, Arrival, Patience, announce, probe, tell_bridge};
use hostnet::{IfName, Mac};

use crate::vlan::{BEYOND, Container, GATEWAY, VM, Vlan, bridge, eth0, ip, wanted};

/// Where the address was before it came here.
const FORMER: &str = "02:00:00:00:00:99";

fn arrival(container: &Container) -> Arrival {
    Arrival { address: ip(container.address), gateway: ip(GATEWAY), interface: eth0() }
}

/// A router that keeps what it knows for four hours.
fn remembers(vlan: &Vlan, container: &Container) {
    vlan.router.sysctl("neigh/eth0/base_reachable_time_ms", "14400000");
    vlan.router.ip(&format!("neigh replace {} lladdr {FORMER} dev eth0 nud reachable", container.address));
}

fn router_entry(vlan: &Vlan, container: &Container) -> String {
    let entries = vlan.router.ip_json(&format!("neigh show {}", container.address));
    entries[0]["lladdr"].as_str().unwrap().to_owned()
}

#[test]
fn a_router_with_a_long_memory_learns_where_an_announced_address_is() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    remembers(&vlan, &one);
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let _first = vlan.start(&net, &one);
    assert!(!vlan.router.pings(one.address), "the router still sends to where the address was");

    let announced = vlan.host.block_on(|| async { announce(&arrival(&one), Patience::default()).await });
    assert!(matches!(announced, Ok(Announced::Acknowledged { .. })), "{announced:?}");
    assert_eq!(router_entry(&vlan, &one), vlan.host_mac().to_string());
    assert!(vlan.router.try_run(&format!("ping -c 1 -W 1 -I {BEYOND} {}", one.address)).0);
}

#[test]
fn a_router_that_ignores_gratuitous_arp_is_convinced_all_the_same() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    remembers(&vlan, &one);
    let router = &vlan.router;
    router.nft("add table arp filter");
    router.nft("add chain arp filter input { type filter hook input priority 0; }");
    router.nft(&format!("add rule arp filter input arp daddr ip {} drop", one.address));
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let _first = vlan.start(&net, &one);

    let mac = vlan.host_mac();
    vlan.host.block_on(|| async { tell_bridge(&eth0(), ip(one.address), mac).await.unwrap() });
    assert!(!router.pings(one.address));
    assert_eq!(router_entry(&vlan, &one), FORMER, "the blind announcement was ignored");

    let announced = vlan.host.block_on(|| async { announce(&arrival(&one), Patience::default()).await });
    assert!(matches!(announced, Ok(Announced::Acknowledged { .. })), "{announced:?}");
    assert_eq!(router_entry(&vlan, &one), mac.to_string());
    assert!(router.pings(one.address));
}

#[test]
fn an_announcement_nobody_answers_says_so_and_ends() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    vlan.router.ip("link set eth0 down");
    let patience = Patience { attempts: 3, wait: Duration::from_millis(50) };
    let start = Instant::now();
    let announced = vlan.host.block_on(|| async { announce(&arrival(&one), patience).await.unwrap() });
    assert_eq!(announced, Announced::Unanswered { attempts: 3 });
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_announcement_is_repeated_until_it_is_answered() {
    let vlan = Vlan::new();
    let router = &vlan.router;
    // Deaf to ARP until it has counted three of the requests.
    router.nft("add table arp filter");
    router.nft("add chain arp filter input { type filter hook input priority 0; }");
    router.nft(&format!("add rule arp filter input arp daddr ip {GATEWAY} quota until 84 bytes drop"));
    let patience = Patience { attempts: 50, wait: Duration::from_millis(100) };
    let arrival = arrival(&Container::new("10.50.0.10"));
    let start = Instant::now();
    let announced = vlan.host.block_on(|| async { announce(&arrival, patience).await.unwrap() });
    assert!(matches!(announced, Announced::Acknowledged { .. }), "{announced:?}");
    assert!(start.elapsed() > Duration::from_millis(200), "it was answered at once");
}

#[test]
fn containers_on_the_bridge_learn_a_new_neighbours_mac() {
    let vlan = Vlan::new();
    let (one, two) = (Container::new("10.50.0.10"), Container::new("10.50.0.11"));
    let net = wanted(&[&one, &two]);
    vlan.must_bring_to(&net);
    let (first, _second) = (vlan.start(&net, &one), vlan.start(&net, &two));
    first.sysctl("neigh/eth0/base_reachable_time_ms", "14400000");
    first.ip(&format!("neigh replace {} lladdr {FORMER} dev eth0 nud reachable", two.address));
    assert!(!first.pings(two.address));

    let mac = Mac::derived(two.address);
    vlan.host.block_on(|| async { tell_bridge(&bridge(), ip(two.address), mac).await.unwrap() });
    assert!(first.pings(two.address));
}

#[test]
fn containers_on_the_bridge_follow_an_address_that_left_for_another_host() {
    let vlan = Vlan::new();
    let (one, two) = (Container::new("10.50.0.10"), Container::new("10.50.0.11"));
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let first = vlan.start(&net, &one);
    // The address is at another machine of the VLAN now, and the container still sends to the bridge.
    vlan.bare_metal.ip(&format!("addr add {}/32 dev eth0", two.address));
    first.sysctl("neigh/eth0/base_reachable_time_ms", "14400000");
    first.ip(&format!("neigh replace {} lladdr {FORMER} dev eth0 nud reachable", two.address));
    assert!(!first.pings(two.address));

    let mac = net.bridges[&bridge()].mac;
    vlan.host.block_on(|| async { tell_bridge(&bridge(), ip(two.address), mac).await.unwrap() });
    assert!(first.pings(two.address));
}

#[test]
fn occupied_addresses_are_found_in_one_pass_and_ours_do_not_count() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let _first = vlan.start(&net, &one);
    vlan.vm.ip("addr add 10.50.0.33/26 dev eth0");
    // On another host a container is answered for by proxy.
    vlan.bare_metal.sysctl("ip_forward", "1");
    vlan.bare_metal.ip("link add br0 type bridge");
    vlan.bare_metal.ip("link set br0 up");
    vlan.bare_metal.ip("route add 10.50.0.34/32 dev br0");
    vlan.bare_metal.ip("neigh add proxy 10.50.0.34 dev eth0");

    let all: Vec<IpAddr> = (2..63).map(|last| ip(&format!("10.50.0.{last}"))).collect();
    let start = Instant::now();
    let found = vlan.host.block_on(|| async { probe(&eth0(), &all, Duration::from_secs(2)).await.unwrap() });
    let addresses: Vec<IpAddr> = found.keys().copied().collect();
    assert_eq!(addresses, [ip("10.50.0.33"), ip("10.50.0.34")]);
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn occupied_ipv6_addresses_are_found_whether_a_neighbour_has_or_proxies_them() {
    let vlan = Vlan::new();
    for machine in [&vlan.host, &vlan.vm, &vlan.bare_metal] {
        machine.sysctl_ipv6("conf/eth0/disable_ipv6", "0");
    }
    vlan.vm.ip("addr add 2001:db8::33/64 dev eth0 nodad");
    vlan.bare_metal.sysctl_ipv6("conf/all/forwarding", "1");
    vlan.bare_metal.sysctl_ipv6("conf/eth0/proxy_ndp", "1");
    vlan.bare_metal.ip("neigh add proxy 2001:db8::34 dev eth0");
    // Until duplicate address detection is over, the link-local address may not be used.
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_ready = |it: &serde_json::Value| it["scope"] == "link" && it.get("tentative").is_none();
    let addresses = || vlan.host.ip_json("-6 addr show dev eth0")[0]["addr_info"].as_array().cloned();
    while !addresses().unwrap_or_default().iter().any(is_ready) {
        assert!(Instant::now() < deadline, "no link-local address");
    }

    let asked: Vec<IpAddr> = ["2001:db8::33", "2001:db8::34", "2001:db8::35", VM].map(ip).to_vec();
    let found =
        vlan.host.block_on(|| async { probe(&eth0(), &asked, Duration::from_secs(2)).await.unwrap() });
    let addresses: Vec<IpAddr> = found.keys().copied().collect();
    assert_eq!(addresses, [ip(VM), ip("2001:db8::33"), ip("2001:db8::34")]);
    let mac = vlan.vm.ip_json("link show eth0")[0]["address"].as_str().unwrap().to_owned();
    assert_eq!(found[&ip("2001:db8::33")].to_string(), mac);
}

#[test]
fn without_ipv6_on_the_interface_nobody_is_taken_for_absent() {
    let vlan = Vlan::new();
    vlan.host.sysctl_ipv6("conf/eth0/disable_ipv6", "1");
    let asked = [ip("2001:db8::33")];
    let result = vlan.host.block_on(|| async { probe(&eth0(), &asked, Duration::ZERO).await });
    let said = result.unwrap_err().to_string();
    assert_eq!(said, "eth0 cannot be used to ask neighbours: it has no link-local IPv6 address");
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let vlan = Vlan::new();
    let nic = IfName::parse("eth7").unwrap();
    let result = vlan.host.block_on(|| async { probe(&nic, &[ip(VM)], Duration::ZERO).await });
    assert_eq!(
        result.unwrap_err().to_string(),
        "eth7 cannot be used to ask neighbours: there is no such interface"
    );
}
