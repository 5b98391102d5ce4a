//! The changes that turn what is into what should be. A function of two values.

mod target;

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{Bridge, BridgeSeen, Change, Firewall, HostNet, IfName, Maker, Observed, Reach, mark};
use target::Target;

/// The changes that turn `observed` into `wanted`, in the order to make them.
///
/// Links that others made are never in the plan, nor is anything that hangs on an [`Obstacle`].
/// Guarding comes before connecting, and an address is answered for only once packets to it arrive.
pub fn plan(wanted: &HostNet, observed: &Observed) -> Vec<Change> {
    let target = Target::of(wanted, observed);
    let mut changes = Vec::new();
    changes.extend(guard(&target, observed));
    changes.extend(take_back(&target, observed));
    changes.extend(delete_links(wanted, observed));
    for (name, bridge) in target.bridges.iter().filter(|(_, bridge)| bridge.maker == Maker::Berth) {
        changes.extend(set_up_bridge(name, bridge, &target, observed));
    }
    changes.extend(switch(&target, observed));
    changes.extend(set_up_ports(wanted, &target, observed));
    changes.extend(connect(&target, observed));
    changes.extend(unguard(&target, observed));
    changes
}

/// The table comes first, so that nothing is forwarded that it would have stopped.
fn guard(target: &Target, observed: &Observed) -> Vec<Change> {
    let differs = |wanted: &&Firewall| observed.firewall.as_ref() != Some(&wanted.sentences());
    let table = target.firewall.as_ref().filter(differs).cloned().map(Change::ReplaceFirewall);
    let missing = observed.admissions.iter().flat_map(|seen| target.admissions.difference(seen));
    table.into_iter().chain(missing.cloned().map(Change::Admit)).collect()
}

fn unguard(target: &Target, observed: &Observed) -> Option<Change> {
    (target.firewall.is_none() && observed.firewall.is_some()).then_some(Change::RemoveFirewall)
}

/// Stops attracting packets before it stops delivering them.
fn take_back(target: &Target, observed: &Observed) -> Vec<Change> {
    let proxies = observed.proxies.difference(&target.proxies).cloned().map(Change::RemoveProxy);
    let rules = observed.rules.difference(&target.rules).cloned().map(Change::RemoveRule);
    let routes = observed.routes.difference(&target.routes).cloned().map(Change::RemoveRoute);
    let admissions = observed.admissions.iter().flat_map(|seen| seen.difference(&target.admissions));
    proxies.chain(rules).chain(routes).chain(admissions.cloned().map(Change::Dismiss)).collect()
}

fn delete_links(wanted: &HostNet, observed: &Observed) -> Vec<Change> {
    let ports = observed.ports.keys().filter(|name| !wanted.ports.contains_key(name));
    let bridges = observed
        .bridges
        .keys()
        .filter(|name| wanted.bridges.get(name).is_none_or(|bridge| bridge.maker == Maker::Docker));
    ports
        .map(|name| Change::DeletePort { name: name.clone() })
        .chain(bridges.map(|name| Change::DeleteBridge { name: name.clone() }))
        .collect()
}

/// A bridge is switched before it is up, so that it never answers in another way.
fn set_up_bridge(name: &IfName, bridge: &Bridge, target: &Target, observed: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    let seen = observed.bridges.get(name);
    let mtu = target.mtu(bridge);
    match seen {
        None => changes.push(Change::CreateBridge { name: name.clone(), mac: bridge.mac, mtu }),
        Some(seen) => {
            if seen.mac != bridge.mac {
                changes.push(Change::SetMac { bridge: name.clone(), mac: bridge.mac });
            }
            if seen.mtu != mtu {
                changes.push(Change::SetMtu { bridge: name.clone(), mtu });
            }
        }
    }
    let alias = format!("{}bridge", mark::ALIAS);
    if seen.and_then(|seen| seen.alias.as_ref()) != Some(&alias) {
        changes.push(Change::Label { link: name.clone(), alias });
    }
    changes.extend(address_bridge(name, target.host_address(bridge), seen));
    for (sysctl, &value) in target.sysctls.iter().filter(|(sysctl, _)| sysctl.link.as_ref() == Some(name)) {
        if observed.sysctls.get(sysctl) != Some(&value) {
            changes.push(Change::SetSysctl { sysctl: sysctl.clone(), value });
        }
    }
    if !seen.is_some_and(|seen| seen.up) {
        changes.push(Change::SetUp { link: name.clone() });
    }
    changes
}

fn address_bridge(name: &IfName, wanted: Option<IpAddr>, seen: Option<&BridgeSeen>) -> Vec<Change> {
    let addresses = seen.map(|seen| &seen.addresses).into_iter().flatten().copied();
    let there = addresses.clone().any(|address| Some(address) == wanted);
    let stale = addresses.filter(|address| Some(*address) != wanted);
    let remove = stale.map(|address| Change::RemoveAddress { bridge: name.clone(), address });
    let missing = wanted.filter(|_| !there);
    remove.chain(missing.map(|address| Change::AddAddress { bridge: name.clone(), address })).collect()
}

/// The switches of links that are not ours, and of `all`.
fn switch(target: &Target, observed: &Observed) -> Vec<Change> {
    let ours = |link: &IfName| target.bridges.get(link).is_some_and(|bridge| bridge.maker == Maker::Berth);
    let differs = |(sysctl, value): &(_, &u32)| observed.sysctls.get(*sysctl) != Some(*value);
    target
        .sysctls
        .iter()
        .filter(|(sysctl, _)| !sysctl.link.as_ref().is_some_and(ours))
        .filter(differs)
        .map(|(sysctl, &value)| Change::SetSysctl { sysctl: sysctl.clone(), value })
        .collect()
}

fn set_up_ports(wanted: &HostNet, target: &Target, observed: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, port) in &wanted.ports {
        let Some(bridge) = target.bridges.get(&port.bridge) else { continue };
        let seen = observed.ports.get(name);
        if seen.is_none() {
            let taken = |link| observed.interfaces.contains_key(link) || observed.strangers.contains(link);
            if taken(name) || taken(&port.container_end) {
                continue;
            }
            changes.push(Change::CreatePort {
                name: name.clone(),
                container_end: port.container_end.clone(),
                mac: port.mac,
                mtu: target.mtu(bridge),
            });
        }
        let alias = target::port_alias(port);
        if seen.and_then(|seen| seen.alias.as_ref()) != Some(&alias) {
            changes.push(Change::Label { link: name.clone(), alias });
        }
        if seen.and_then(|seen| seen.bridge.as_ref()) != Some(&port.bridge) {
            changes.push(Change::Attach { port: name.clone(), bridge: port.bridge.clone() });
        }
        if !seen.is_some_and(|seen| seen.up) {
            changes.push(Change::SetUp { link: name.clone() });
        }
    }
    changes
}

/// Starts delivering packets before it attracts them.
fn connect(target: &Target, observed: &Observed) -> Vec<Change> {
    let routes = target.routes.difference(&observed.routes).cloned().map(Change::AddRoute);
    let rules = target.rules.difference(&observed.rules).cloned().map(Change::AddRule);
    let proxies = target.proxies.difference(&observed.proxies).cloned().map(Change::AddProxy);
    routes.chain(rules).chain(proxies).collect()
}

/// What stands between the host and what is wanted, and what no plan can change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// A link of somebody else has the name that ours should have.
    NameTaken(IfName),
    /// A link is named like ours and carries no mark of ours. It stands in nobody's way.
    Stranger(IfName),
    /// The VLAN interface is not there.
    NoInterface(IfName),
    /// The VLAN interface has no IPv4 address, so the host has no source address towards containers.
    NoHostAddress(IfName),
    /// dockerd has not made this bridge yet.
    AwaitsDocker(IfName),
    /// The data path of this version is IPv4.
    NotIpv4(IpAddr),
    /// An address lies in a subnet that is not part of what is wanted, or outside its own.
    UnknownSubnet(IpAddr, IpNetwork),
    /// A port or an address is on a bridge that is not part of what is wanted.
    UnknownBridge(IfName),
    /// A port is published for an address that no bridge towards the VLAN has.
    UnknownContainer(IpAddr),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(link) => {
                write!(f, "{link} was not made by Berth, which needs the name; rename or delete it")
            }
            Self::Stranger(link) => {
                write!(f, "{link} is named like a link of Berth's but was not made by it; left alone")
            }
            Self::NoInterface(link) => {
                write!(f, "there is no interface {link}; what leads to it is left out")
            }
            Self::NoHostAddress(link) => {
                write!(f, "{link} has no IPv4 address; the host itself may not reach its containers")
            }
            Self::AwaitsDocker(link) => write!(f, "dockerd has not made the bridge {link} yet"),
            Self::NotIpv4(address) => write!(f, "{address} is left out: this version routes IPv4 only"),
            Self::UnknownSubnet(address, subnet) => {
                write!(f, "{address} is left out: {subnet} is not one of the host's subnets that contain it")
            }
            Self::UnknownBridge(link) => write!(f, "{link} is not one of the host's wanted bridges"),
            Self::UnknownContainer(address) => {
                write!(f, "no port leads to {address}: no bridge towards the VLAN has it")
            }
        }
    }
}

/// What stands in the way, in a fixed order.
pub fn obstacles(wanted: &HostNet, observed: &Observed) -> Vec<Obstacle> {
    let mut found: Vec<Obstacle> = observed.strangers.iter().cloned().map(Obstacle::Stranger).collect();
    let taken = |link: &IfName| observed.interfaces.contains_key(link) || observed.strangers.contains(link);
    for (name, bridge) in &wanted.bridges {
        if !observed.interfaces.contains_key(&bridge.interface) {
            found.push(Obstacle::NoInterface(bridge.interface.clone()));
        }
        match bridge.maker {
            Maker::Berth if taken(name) => found.push(Obstacle::NameTaken(name.clone())),
            Maker::Docker if !observed.interfaces.contains_key(name) => {
                found.push(Obstacle::AwaitsDocker(name.clone()));
            }
            Maker::Berth | Maker::Docker => {}
        }
    }
    for (name, port) in &wanted.ports {
        if !wanted.bridges.contains_key(&port.bridge) {
            found.push(Obstacle::UnknownBridge(port.bridge.clone()));
        }
        let made = observed.ports.contains_key(name);
        found.extend(
            [name, &port.container_end]
                .into_iter()
                .filter(|link| !made && taken(link))
                .cloned()
                .map(Obstacle::NameTaken),
        );
    }
    for (subnet, at) in &wanted.subnets {
        if subnet.is_ipv6() {
            found.push(Obstacle::NotIpv4(subnet.network()));
        }
        match observed.interfaces.get(&at.interface) {
            None => found.push(Obstacle::NoInterface(at.interface.clone())),
            Some(seen) if seen.address.is_none() => found.push(Obstacle::NoHostAddress(at.interface.clone())),
            Some(_) => {}
        }
    }
    for (&address, at) in &wanted.addresses {
        if address.is_ipv6() {
            found.push(Obstacle::NotIpv4(address));
        } else if !at.subnet.contains(address) || !wanted.subnets.contains_key(&at.subnet) {
            found.push(Obstacle::UnknownSubnet(address, at.subnet));
        }
        if !wanted.bridges.contains_key(&at.bridge) {
            found.push(Obstacle::UnknownBridge(at.bridge.clone()));
        }
    }
    let reachable = |container: &IpAddr| {
        let bridge = wanted.addresses.get(container).and_then(|at| wanted.bridges.get(&at.bridge));
        bridge.is_some_and(|bridge| bridge.reach == Reach::Vlan)
    };
    for port in &wanted.published {
        if !reachable(&port.container) {
            found.push(Obstacle::UnknownContainer(port.container));
        }
        found.extend(port.host_ip.filter(IpAddr::is_ipv6).map(Obstacle::NotIpv4));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
