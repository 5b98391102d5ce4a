//! What this host's network should be, from what Docker told us and what is assigned. A pure mapping.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hostnet::{
    Address, Bridge, HostNet, IfName, Mac, Maker, Observed, Policy, Port, Published, Reach, Subnet,
};
use ipam::{Epoch, Zone};
use ipnetwork::IpNetwork;

use crate::config::Unnamed;
use crate::docker::{Assigned, Endpoint, InUse, Lent, Network, Pages, Stage};

/// The host's interface in each zone it is attached to.
pub type Interfaces = BTreeMap<Zone, IfName>;

/// What is wanted cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// A network is on a VLAN of which no interface is known. Leaving it out would detach its containers.
    #[error(
        "no interface of this host is known to be in zone {0}; hint: `berth host show` says what the provider answered"
    )]
    NoInterface(Zone),
}

/// The network this host should have.
///
/// An endpoint is part of it from `Join` to `Leave`, and only while its address is assigned to it: what
/// was revoked or released falls silent.
pub fn wanted(pages: &Pages, assigned: &[Assigned], interfaces: &Interfaces) -> Result<HostNet, WantedError> {
    let held: BTreeSet<(IpAddr, Epoch)> = assigned.iter().map(|it| (it.address, it.epoch)).collect();
    let mut host = HostNet::default();
    for network in pages.networks.values() {
        host.bridges.insert(IfName::bridge(&network.id.0), bridge(network, interfaces)?);
    }
    for endpoint in pages.endpoints.values() {
        let has_address = held.contains(&(endpoint.address.ip(), endpoint.epoch));
        if let Some(network) = pages.networks.get(&endpoint.network)
            && endpoint.stage == Stage::Joined
            && has_address
        {
            attach(&mut host, endpoint, network, interfaces)?;
        }
    }
    for lent in pages.lent.values().filter(|lent| held.contains(&(lent.address.ip(), lent.epoch))) {
        lend(&mut host, lent, interfaces)?;
    }
    Ok(host)
}

/// What is assigned, and what is left as it is because nothing is known of it yet.
///
/// The latter only where the kernel has it already: running containers lose nothing while an agent
/// starts, and after a reboot nothing is brought up on a guess.
pub fn assigned_or_left(pages: &Pages, in_use: &InUse, observed: &Observed) -> Vec<Assigned> {
    let unknown = |address: &IpAddr| {
        !in_use.unassigned.contains(address) && in_use.assigned.iter().all(|it| it.address != *address)
    };
    let joined = pages.endpoints.values().filter(|endpoint| {
        endpoint.stage == Stage::Joined && observed.ports.contains_key(&IfName::port(&endpoint.id.0))
    });
    let joined = joined.map(|endpoint| Assigned { address: endpoint.address.ip(), epoch: endpoint.epoch });
    let answered = |lent: &&Lent| observed.proxies.iter().any(|proxy| proxy.address == lent.address.ip());
    let lent = pages.lent.values().filter(answered);
    let lent = lent.map(|lent| Assigned { address: lent.address.ip(), epoch: lent.epoch });
    let left = joined.chain(lent).filter(|assigned| unknown(&assigned.address));
    in_use.assigned.iter().cloned().chain(left).collect()
}

/// What containers accept. While it is not known what services say, what the kernel has goes on; and nothing is said of
/// an address that nobody has.
pub fn policy(
    known: Option<Policy>,
    unnamed: Unnamed,
    assigned: &[Assigned],
    observed: &Observed,
) -> Option<Policy> {
    let assigned: BTreeSet<IpAddr> = assigned.iter().map(|it| it.address).collect();
    let mut policy = match (known, unnamed) {
        (None, Unnamed::Open) => return None,
        (None, Unnamed::Closed) => observed.policy.clone().unwrap_or_default(),
        (Some(known), _) => known,
    };
    policy.guarded.retain(|address| assigned.contains(address));
    policy.openings.retain(|opening| assigned.contains(&opening.to));
    if unnamed == Unnamed::Closed {
        policy.guarded.extend(assigned.iter().filter(|address| address.is_ipv4()));
    }
    Some(policy)
}

fn bridge(network: &Network, interfaces: &Interfaces) -> Result<Bridge, WantedError> {
    Ok(Bridge {
        mac: Mac::derived(&network.id.0),
        interface: interface(&network.zone, interfaces)?,
        mtu: network.mtu,
        reach: if network.internal { Reach::Internal } else { Reach::Vlan },
        maker: Maker::Berth,
    })
}

fn attach(
    host: &mut HostNet,
    endpoint: &Endpoint,
    network: &Network,
    interfaces: &Interfaces,
) -> Result<(), WantedError> {
    let port = Port {
        bridge: IfName::bridge(&network.id.0),
        container_end: IfName::container_end(&endpoint.id.0),
        mac: endpoint.mac,
        label: endpoint.address.ip().to_string(),
    };
    let bridge = port.bridge.clone();
    host.ports.insert(IfName::port(&endpoint.id.0), port);
    // An internal network's containers are reached over their bridge alone.
    if network.internal {
        return Ok(());
    }
    let interface = interface(&network.zone, interfaces)?;
    if route(host, endpoint.address, endpoint.gateway, interface, bridge) && endpoint.published {
        host.published.extend(endpoint.ports.iter().map(|port| Published {
            protocol: port.protocol,
            host_ip: port.host_address,
            host_port: port.host_port,
            container: endpoint.address.ip(),
            container_port: port.container_port,
        }));
    }
    Ok(())
}

fn lend(host: &mut HostNet, lent: &Lent, interfaces: &Interfaces) -> Result<(), WantedError> {
    let Some(bridge) = &lent.bridge else { return Ok(()) };
    let interface = interface(&lent.zone, interfaces)?;
    let made = Bridge {
        mac: Mac::derived(bridge.as_str()),
        interface: interface.clone(),
        mtu: None,
        reach: Reach::Vlan,
        maker: Maker::Docker,
    };
    host.bridges.insert(bridge.clone(), made);
    route(host, lent.address, lent.gateway, interface, bridge.clone());
    Ok(())
}

/// Leads an address of the VLAN to a bridge. Without a gateway there is no VLAN to speak of.
fn route(
    host: &mut HostNet,
    address: IpNetwork,
    gateway: Option<IpAddr>,
    interface: IfName,
    bridge: IfName,
) -> bool {
    let (Some(gateway), Ok(subnet)) = (gateway, IpNetwork::new(address.network(), address.prefix())) else {
        return false;
    };
    host.subnets.insert(subnet, Subnet { gateway, interface });
    host.addresses.insert(address.ip(), Address { subnet, bridge });
    true
}

fn interface(zone: &Zone, interfaces: &Interfaces) -> Result<IfName, WantedError> {
    interfaces.get(zone).cloned().ok_or_else(|| WantedError::NoInterface(zone.clone()))
}

#[cfg(test)]
mod tests;
