//! What no plan can change.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{HostNet, IfName, Maker, Observed, Reach};

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
    let strangers = observed.strangers.iter().cloned().map(Obstacle::Stranger);
    let mut found: BTreeSet<Obstacle> = strangers.collect();
    found.extend(of_bridges(wanted, observed));
    found.extend(of_ports(wanted, observed));
    found.extend(of_subnets(wanted, observed));
    found.extend(of_addresses(wanted));
    found.extend(of_published(wanted));
    found.into_iter().collect()
}

fn of_bridges(wanted: &HostNet, observed: &Observed) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for (name, bridge) in &wanted.bridges {
        if !observed.interfaces.contains_key(&bridge.interface) {
            found.push(Obstacle::NoInterface(bridge.interface.clone()));
        }
        match bridge.maker {
            Maker::Berth if is_taken(name, observed) => found.push(Obstacle::NameTaken(name.clone())),
            Maker::Docker if !observed.interfaces.contains_key(name) => {
                found.push(Obstacle::AwaitsDocker(name.clone()));
            }
            Maker::Berth | Maker::Docker => {}
        }
    }
    found
}

fn of_ports(wanted: &HostNet, observed: &Observed) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for (name, port) in &wanted.ports {
        if !wanted.bridges.contains_key(&port.bridge) {
            found.push(Obstacle::UnknownBridge(port.bridge.clone()));
        }
        if observed.ports.contains_key(name) {
            continue;
        }
        let taken = [name, &port.container_end].into_iter().filter(|link| is_taken(link, observed));
        found.extend(taken.cloned().map(Obstacle::NameTaken));
    }
    found
}

fn of_subnets(wanted: &HostNet, observed: &Observed) -> Vec<Obstacle> {
    let mut found = Vec::new();
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
    found
}

fn of_addresses(wanted: &HostNet) -> Vec<Obstacle> {
    let mut found = Vec::new();
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
    found
}

fn of_published(wanted: &HostNet) -> Vec<Obstacle> {
    let reachable = |container: &IpAddr| {
        let bridge = wanted.addresses.get(container).and_then(|at| wanted.bridges.get(&at.bridge));
        bridge.is_some_and(|bridge| bridge.reach == Reach::Vlan)
    };
    let mut found = Vec::new();
    for port in &wanted.published {
        if !reachable(&port.container) {
            found.push(Obstacle::UnknownContainer(port.container));
        }
        found.extend(port.host_ip.filter(IpAddr::is_ipv6).map(Obstacle::NotIpv4));
    }
    found
}

/// Does somebody else have a link of this name?
pub(crate) fn is_taken(link: &IfName, observed: &Observed) -> bool {
    observed.interfaces.contains_key(link) || observed.strangers.contains(link)
}
