//! What the wires must look like for a cloud: the part of its state that real packets meet.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::{Cloud, Id};

/// VLANs, the router's addresses on them, and machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The L2 domains, by id.
    pub vlans: Vec<Id>,
    /// The router's addresses.
    pub gateways: Vec<Gateway>,
    /// What is plugged in.
    pub machines: Vec<WiredMachine>,
}

/// An address of the router on a VLAN: the gateway of one subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The VLAN's id.
    pub vlan: Id,
    /// The address, with the prefix length of its subnet.
    pub address: Ipv4Network,
}

/// A machine and its wires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiredMachine {
    /// Its host name.
    pub hostname: String,
    /// Its ports.
    pub wires: Vec<Wire>,
}

/// A port of a machine on a VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The id of the network component: unique in the cloud.
    pub id: Id,
    /// 0 is `eth0`.
    pub port: u8,
    /// Its MAC.
    pub mac: String,
    /// The VLAN's id.
    pub vlan: Id,
    /// Its primary address, with the prefix length of the primary subnet.
    pub address: Ipv4Network,
    /// The router on its primary subnet.
    pub gateway: Ipv4Addr,
}

impl Topology {
    /// The wires of this cloud.
    ///
    /// A subnet's gateway is there from the order on, before the API shows the subnet, and until it is reclaimed.
    pub fn of(cloud: &Cloud) -> Self {
        let gateways = cloud.subnets.values().filter_map(|subnet| {
            let address = Ipv4Network::new(subnet.gateway(), subnet.cidr.prefix()).ok()?;
            Some(Gateway { vlan: subnet.vlan, address })
        });
        let machines = cloud.machines.values().map(|machine| WiredMachine {
            hostname: machine.hostname.clone(),
            wires: machine.ports.iter().filter_map(|port| wire(cloud, port)).collect(),
        });
        Self {
            vlans: cloud.vlans.keys().copied().collect(),
            gateways: gateways.collect(),
            machines: machines.collect(),
        }
    }
}

fn wire(cloud: &Cloud, port: &super::machine::Port) -> Option<Wire> {
    let subnet = cloud.subnets.get(&port.subnet)?;
    Some(Wire {
        id: port.id,
        port: port.number,
        mac: port.mac.clone(),
        vlan: port.vlan,
        address: Ipv4Network::new(port.address, subnet.cidr.prefix()).ok()?,
        gateway: subnet.gateway(),
    })
}
