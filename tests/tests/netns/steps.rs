//! Look, plan, do: what the kernel ends up with, again and after a crash.

use std::thread::sleep;
use std::time::{Duration, Instant};

use hostnet::{Change, HostNet, IfName, Kernel, Mac, Netlink, Observed, plan};
use serde_json::Value;

use crate::published::publish;
use crate::vlan::{Container, HOST, Vlan, bridge, ip, wanted};

/// Two containers and a published port: something of every kind.
fn everything() -> HostNet {
    let (one, two) = (Container::new("10.50.0.10"), Container::new("10.50.0.11"));
    let mut net = wanted(&[&one, &two]);
    net.published.insert(publish(8080, &one, 80));
    net
}

#[test]
fn the_kernel_has_what_was_wanted() {
    let vlan = Vlan::new();
    let net = everything();
    vlan.must_bring_to(&net);
    let host = &vlan.host;

    let link = &host.ip_json(&format!("link show {}", bridge()))[0];
    assert_eq!(link["address"], net.bridges[&bridge()].mac.to_string());
    assert_eq!(link["ifalias"], "berth:bridge");
    assert_eq!(link["linkinfo"]["info_data"]["stp_state"], 0);
    assert!(link["flags"].as_array().unwrap().contains(&Value::from("UP")));

    let container = Container::new("10.50.0.10");
    let port = &host.ip_json(&format!("link show {}", container.port()))[0];
    assert_eq!(port["master"], bridge().as_str());
    assert_eq!(port["ifalias"], "berth:port 10.50.0.10");
    let end = &host.ip_json(&format!("link show {}", container.end()))[0];
    assert_eq!(end["address"], Mac::derived("10.50.0.10").to_string());

    let route = &host.ip_json("route show 10.50.0.10")[0];
    assert_eq!((&route["dev"], &route["protocol"]), (&bridge().as_str().into(), &"171".into()));
    assert_eq!(route["prefsrc"], HOST);
    let out = host.ip_json("route show table 171048960");
    assert_eq!(out.len(), 1);
    assert_eq!((&out[0]["gateway"], &out[0]["dev"]), (&"10.50.0.1".into(), &"eth0".into()));
    assert!(out[0]["flags"].as_array().unwrap().contains(&"onlink".into()));

    let rules = host.ip_json("rule show");
    let main = rules.iter().find(|rule| rule["priority"] == 7171 && rule["src"] == "10.50.0.0").unwrap();
    assert_eq!((&main["table"], &main["suppress_prefixlen"]), (&"main".into(), &0.into()));
    let table = rules.iter().find(|rule| rule["priority"] == 7172 && rule["src"] == "10.50.0.0").unwrap();
    assert_eq!(table["table"], "171048960");

    let mut proxies: Vec<String> =
        host.ip_json("neigh show proxy").iter().map(|entry| entry["dst"].as_str().unwrap().into()).collect();
    proxies.sort();
    assert_eq!(proxies, ["10.50.0.10", "10.50.0.11"]);
    assert_eq!(host.read_sysctl("conf/eth0/proxy_arp"), "0", "never blanket proxy ARP on the VLAN");
    assert_eq!(host.read_sysctl(&format!("conf/{}/proxy_arp", bridge())), "1");
    assert_eq!(host.read_sysctl(&format!("conf/{}/rp_filter", bridge())), "2");
    assert_eq!(host.read_sysctl("neigh/eth0/proxy_delay"), "0");
}

#[test]
fn a_second_look_plans_nothing() {
    let vlan = Vlan::new();
    vlan.must_bring_to(&everything());
    assert_eq!(plan(&everything(), &vlan.observe()), []);
}

#[test]
fn looks_at_one_moment_all_see_everything() {
    let vlan = Vlan::new();
    vlan.must_bring_to(&everything());
    // A list that the kernel does not tell in one piece.
    for number in 0..1_000 {
        vlan.host.ip(&format!("route add 172.16.{}.{}/32 dev eth0", number / 250, number % 250));
    }
    // As in the agent, somebody else drives the socket meanwhile.
    vlan.host.enter(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let kernel = Netlink::open().unwrap();
            let one = kernel.observe().await.unwrap();
            for _ in 0..20 {
                let looks = futures::future::join_all((0..4).map(|_| kernel.observe())).await;
                assert!(looks.into_iter().all(|look| look.unwrap() == one));
            }
        });
    });
}

#[test]
fn every_change_can_be_made_twice() {
    let vlan = Vlan::new();
    for target in [everything(), HostNet::default()] {
        let changes = plan(&target, &vlan.observe());
        assert!(!changes.is_empty());
        vlan.host.block_on(|| async {
            let kernel = Netlink::open().unwrap();
            for change in &changes {
                kernel.apply(change).await.unwrap();
                kernel.apply(change).await.unwrap_or_else(|error| panic!("{change} again: {error:?}"));
            }
        });
        assert_eq!(plan(&target, &vlan.observe()), []);
    }
}

#[test]
fn a_crash_between_any_two_changes_is_healed_by_the_next_plan() {
    let vlan = Vlan::new();
    let (nothing, all) = (HostNet::default(), everything());
    for (start, goal) in [(&nothing, &all), (&all, &nothing)] {
        vlan.must_bring_to(start);
        let changes = plan(goal, &vlan.observe());
        vlan.must_bring_to(goal);
        let right = settled(vlan.observe());
        for crash in 0..changes.len() {
            vlan.must_bring_to(start);
            make(&vlan, &changes[..crash]);
            vlan.must_bring_to(goal);
            assert_eq!(settled(vlan.observe()), right, "crashed before: {}", changes[crash]);
        }
    }
}

fn make(vlan: &Vlan, changes: &[Change]) {
    vlan.host.block_on(|| async {
        let kernel = Netlink::open().unwrap();
        for change in changes {
            kernel.apply(change).await.unwrap();
        }
    });
}

/// Without what is not ours to put back: the switches of the host's own links.
fn settled(mut observed: Observed) -> Observed {
    observed.sysctls.retain(|sysctl, _| sysctl.link == Some(bridge()));
    observed
}

#[test]
fn what_others_broke_is_put_right_by_the_next_plan() {
    let vlan = Vlan::new();
    let (net, bridge, port) = (everything(), bridge(), Container::new("10.50.0.10").port());
    vlan.must_bring_to(&net);
    let right = settled(vlan.observe());
    for damage in [
        "nft flush table inet berth".to_owned(),
        "nft delete table inet berth".into(),
        format!("ip link set {bridge} down"),
        format!("ip link set {bridge} address 02:00:00:00:00:99"),
        format!("ip addr flush dev {bridge}"),
        format!("ip link set {port} nomaster"),
        format!("ip link delete {port}"),
        format!("ip link delete {bridge}"),
        "ip route delete 10.50.0.10".into(),
        "ip route flush table 171048960".into(),
        "ip rule delete priority 7171".into(),
        "ip neigh delete proxy 10.50.0.11 dev eth0".into(),
        format!("sysctl -q net.ipv4.conf.{bridge}.proxy_arp=0"),
        "sysctl -q net.ipv4.ip_forward=0".into(),
    ] {
        let (good, said) = vlan.host.try_run(&damage);
        assert!(good, "{damage}: {said}");
        assert_ne!(plan(&net, &vlan.observe()), [], "{damage} went unseen");
        vlan.must_bring_to(&net);
        assert_eq!(settled(vlan.observe()), right, "{damage}");
    }
}

#[test]
fn what_dockerd_removed_already_is_no_error() {
    let vlan = Vlan::new();
    let one = Container::new("10.50.0.10");
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let removal = plan(&HostNet::default(), &vlan.observe());
    // The container's namespace dies, and the veth pair with it.
    drop(vlan.start(&net, &one));
    eventually(|| vlan.host.ip_json("link show").iter().all(|link| link["ifname"] != one.port().as_str()));
    make(&vlan, &removal);
    assert_eq!(plan(&HostNet::default(), &vlan.observe()), []);
}

#[test]
fn the_bridge_and_its_ports_follow_the_vlan_interfaces_mtu() {
    let vlan = Vlan::new();
    vlan.host.ip("link set eth0 mtu 9000");
    let one = Container::new("10.50.0.10");
    let net = wanted(&[&one]);
    vlan.must_bring_to(&net);
    let mtu = |link: &IfName| vlan.host.ip_json(&format!("link show {link}"))[0]["mtu"].clone();
    assert_eq!([mtu(&bridge()), mtu(&one.port()), mtu(&one.end())], [9000, 9000, 9000]);

    vlan.host.ip("link set eth0 mtu 1400");
    vlan.must_bring_to(&net);
    assert_eq!(mtu(&bridge()), 1400);
}

#[test]
fn the_netlink_kernel_keeps_the_traits_promises() {
    let vlan = Vlan::new();
    vlan.host.block_on(|| async {
        hostnet::testing::conformance(&Netlink::open().unwrap(), &crate::vlan::eth0(), ip(HOST)).await;
    });
}

/// The kernel takes a namespace down in its own time.
fn eventually(holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "it did not come about in ten seconds");
        sleep(Duration::from_millis(20));
    }
}
