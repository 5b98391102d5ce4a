//! What every [`Kernel`] promises. The fake and the real one run it.

use std::net::IpAddr;

use crate::{
    Address, Bridge, Change, HostNet, IfName, Kernel, Mac, Maker, Port, Protocol, Published, Reach, Subnet,
    bring_to, plan,
};

/// Panics where a promise is not kept. The kernel must have `interface` with this address, and nothing
/// of ours; it has nothing of ours afterwards.
pub async fn conformance(kernel: &impl Kernel, interface: &IfName, address: IpAddr) {
    let empty = kernel.observe().await.expect("a look at a fresh kernel");
    assert_eq!(plan(&HostNet::default(), &empty), [], "there is something of ours already");
    assert_eq!(empty.interfaces.get(interface).and_then(|seen| seen.address), Some(address));

    let wanted = example(interface);
    a_plan_brings_about_what_is_wanted(kernel, &wanted).await;
    a_change_made_twice_succeeds_twice(kernel, &wanted).await;
    a_link_that_is_not_there_is_an_error(kernel).await;
    a_port_moves_to_another_bridge(kernel, &wanted).await;

    let brought = bring_to(kernel, &HostNet::default()).await.expect("a look");
    assert!(brought.is_complete(), "{brought:?}");
    let left = kernel.observe().await.expect("a look");
    assert_eq!((&left.bridges, &left.ports), (&empty.bridges, &empty.ports));
    assert_eq!((&left.routes, &left.rules, &left.proxies), (&empty.routes, &empty.rules, &empty.proxies));
    assert_eq!(left.firewall, None);
}

/// One of everything.
fn example(interface: &IfName) -> HostNet {
    let bridge = IfName::bridge("conformance");
    let subnet = "10.50.0.0/26".parse().expect("a subnet");
    let container: IpAddr = "10.50.0.10".parse().expect("an address");
    let gateway = "10.50.0.1".parse().expect("an address");
    let mut wanted = HostNet::default();
    for (name, reach) in [(&bridge, Reach::Vlan), (&IfName::bridge("inside"), Reach::Internal)] {
        let mac = Mac::derived(name.as_str());
        let made = Bridge { mac, interface: interface.clone(), mtu: None, reach, maker: Maker::Berth };
        wanted.bridges.insert(name.clone(), made);
    }
    let port = Port {
        bridge: bridge.clone(),
        container_end: IfName::container_end("one"),
        mac: Mac::derived("one"),
        label: container.to_string(),
    };
    wanted.ports.insert(IfName::port("one"), port);
    wanted.subnets.insert(subnet, Subnet { gateway, interface: interface.clone() });
    wanted.addresses.insert(container, Address { subnet, bridge });
    wanted.published.insert(Published {
        protocol: Protocol::Tcp,
        host_ip: None,
        host_port: 8080,
        container,
        container_port: 80,
    });
    wanted
}

async fn a_plan_brings_about_what_is_wanted(kernel: &impl Kernel, wanted: &HostNet) {
    let brought = bring_to(kernel, wanted).await.expect("a look");
    assert!(brought.is_complete(), "{brought:?}");
    let observed = kernel.observe().await.expect("a look");
    assert_eq!(plan(wanted, &observed), [], "a second plan is empty");
}

async fn a_change_made_twice_succeeds_twice(kernel: &impl Kernel, wanted: &HostNet) {
    let blank = crate::Observed {
        interfaces: kernel.observe().await.expect("a look").interfaces,
        ..crate::Observed::default()
    };
    for change in plan(wanted, &blank) {
        if let Err(error) = kernel.apply(&change).await {
            panic!("{change}, made again, failed: {error:?}");
        }
    }
    let observed = kernel.observe().await.expect("a look");
    assert_eq!(plan(wanted, &observed), []);
}

async fn a_link_that_is_not_there_is_an_error(kernel: &impl Kernel) {
    let missing = IfName::bridge("missing");
    let attempt = Change::SetUp { link: missing.clone() };
    let refused = kernel.apply(&attempt).await.expect_err("a link that is not there was set up");
    assert_eq!(refused.to_string(), format!("could not set {missing} up: there is no link {missing}"));
    let gone = Change::DeletePort { name: missing };
    kernel.apply(&gone).await.expect("deleting what is gone");
}

async fn a_port_moves_to_another_bridge(kernel: &impl Kernel, wanted: &HostNet) {
    let mut moved = wanted.clone();
    let other = IfName::bridge("inside");
    for port in moved.ports.values_mut() {
        port.bridge = other.clone();
    }
    a_plan_brings_about_what_is_wanted(kernel, &moved).await;
    let observed = kernel.observe().await.expect("a look");
    assert!(observed.ports.values().all(|port| port.bridge.as_ref() == Some(&other)));
}
