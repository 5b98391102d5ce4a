//! From any network to any other, with a crash anywhere on the way.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeMap;

use hostnet::{
    Address, Bridge, FakeKernel, HostNet, IfName, InterfaceSeen, Kernel, Mac, Maker, Port, Protocol,
    Published, Reach, Subnet, bring_to, obstacles, plan,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

proptest! {
    #[test]
    fn one_plan_leads_from_any_network_to_any_other_even_after_a_crash(
        before in networks(), after in networks(), crash in 0usize..40,
    ) {
        run(async {
            let kernel = FakeKernel::with(interfaces());
            kernel.meanwhile(|observed| observed.admissions = Some([].into()));
            bring_to(&kernel, &before).await.unwrap();
            let changes = plan(&after, &kernel.observe().await.unwrap());
            for change in changes.iter().take(crash) {
                kernel.apply(change).await.unwrap();
            }
            let brought = bring_to(&kernel, &after).await.unwrap();
            prop_assert!(brought.failed.is_empty(), "{:?}", brought.failed);
            let observed = kernel.observe().await.unwrap();
            prop_assert_eq!(plan(&after, &observed), vec![]);

            bring_to(&kernel, &HostNet::default()).await.unwrap();
            let left = kernel.observe().await.unwrap();
            prop_assert!(left.bridges.is_empty() && left.ports.is_empty() && left.proxies.is_empty());
            prop_assert!(left.routes.is_empty() && left.rules.is_empty() && left.firewall.is_none());
            prop_assert_eq!(left.interfaces, interfaces());
            Ok(())
        })?;
    }

    /// Each proxied address has a route to a bridge of ours, and a way out by its own gateway.
    #[test]
    fn nothing_is_answered_for_that_is_not_delivered(wanted in networks()) {
        run(async {
            let kernel = FakeKernel::with(interfaces());
            bring_to(&kernel, &wanted).await.unwrap();
            let observed = kernel.observe().await.unwrap();
            for proxy in &observed.proxies {
                let delivered = observed.routes.iter().any(|route| {
                    route.to == proxy.address.into() && observed.bridges.contains_key(&route.through)
                });
                prop_assert!(delivered, "{proxy} is answered for and not routed");
                prop_assert_eq!(wanted.bridges[&wanted.addresses[&proxy.address].bridge].reach, Reach::Vlan);
            }
            prop_assert!(obstacles(&wanted, &observed).iter().all(|found| !found.to_string().is_empty()));
            Ok(())
        })?;
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Small domains, so that things collide. `eth1` does not exist.
fn networks() -> impl Strategy<Value = HostNet> {
    let interface = prop_oneof![4 => Just("eth0"), 1 => Just("eth1")].prop_map(name);
    let bridges = btree_map(0..3u8, (interface.clone(), any::<bool>()), 0..3);
    let ports = vec((0..3u8, 0..4u8), 0..4);
    let subnets = btree_map(0..2u8, interface, 0..3);
    let addresses = btree_map((0..2u8, 2..5u8), 0..3u8, 0..5);
    let published = btree_set((any::<bool>(), 8000..8003u16, (0..2u8, 2..5u8)), 0..3);
    (bridges, ports, subnets, addresses, published).prop_map(
        |(bridges, ports, subnets, addresses, published)| {
            let mut net = HostNet::default();
            for (number, (interface, internal)) in bridges {
                let reach = if internal { Reach::Internal } else { Reach::Vlan };
                let mac = Mac::derived(&number.to_string());
                net.bridges
                    .insert(bridge(number), Bridge { mac, interface, mtu: None, reach, maker: Maker::Berth });
            }
            for (on, endpoint) in ports {
                let id = endpoint.to_string();
                let container_end = IfName::container_end(&id);
                let port =
                    Port { bridge: bridge(on), container_end, mac: Mac::derived(&id), label: id.clone() };
                net.ports.insert(IfName::port(&id), port);
            }
            for (number, interface) in subnets {
                let gateway = format!("10.50.{number}.1").parse().unwrap();
                net.subnets.insert(subnet(number), Subnet { gateway, interface });
            }
            for ((number, last), on) in addresses {
                let at = Address { subnet: subnet(number), bridge: bridge(on) };
                net.addresses.insert(address(number, last), at);
            }
            for (tcp, host_port, (number, last)) in published {
                let protocol = if tcp { Protocol::Tcp } else { Protocol::Udp };
                let container = address(number, last);
                net.published.insert(Published {
                    protocol,
                    host_ip: None,
                    host_port,
                    container,
                    container_port: 80,
                });
            }
            net
        },
    )
}

fn interfaces() -> BTreeMap<IfName, InterfaceSeen> {
    let address = Some("10.40.0.11".parse().unwrap());
    let seen = InterfaceSeen { mac: Some(Mac([2, 0, 0, 0, 0, 1])), mtu: 1500, address };
    BTreeMap::from([(name("eth0"), seen)])
}

fn name(text: &str) -> IfName {
    IfName::parse(text).unwrap()
}

fn bridge(number: u8) -> IfName {
    IfName::bridge(&number.to_string())
}

fn subnet(number: u8) -> ipnetwork::IpNetwork {
    format!("10.50.{number}.0/26").parse().unwrap()
}

fn address(number: u8, last: u8) -> std::net::IpAddr {
    format!("10.50.{number}.{last}").parse().unwrap()
}
