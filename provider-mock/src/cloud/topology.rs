//! What the wires must look like for a cloud: the part of its state that real packets meet.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::balancer::setup::Setup;
use super::balancer::{Attachment, Balancer};
use super::firewall::FirewallRule;
use super::local::LocalBalancer;
use super::machine::mac_for;
use super::security::{Remote, SecurityGroup, SecurityRule};
use super::spec::NetworkSpace;
use super::{Cloud, Id};

/// VLANs, the router's addresses on them, machines and load balancers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The L2 domains, by id.
    pub vlans: Vec<Id>,
    /// The router's addresses.
    pub gateways: Vec<Gateway>,
    /// What is plugged in.
    pub machines: Vec<WiredMachine>,
    /// What stands before them.
    pub balancers: Vec<WiredBalancer>,
    /// The firewalls that have rules.
    pub firewalls: Vec<WiredFirewall>,
    /// The interfaces that security groups guard.
    pub guards: Vec<Guard>,
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

/// A load balancer and its wires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiredBalancer {
    /// Its wires, as a machine's: `balancer-<id>`.
    pub machine: WiredMachine,
    /// Its virtual address.
    pub front: Ipv4Addr,
    /// What it does.
    pub setup: Setup,
}

/// An interface that security groups guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Its wire.
    pub wire: Id,
    /// What may pass; all else may not.
    pub rules: Vec<GuardRule>,
}

/// A rule with the addresses of whom it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardRule {
    /// The rule.
    pub it: SecurityRule,
    /// Who is at the other end; anybody if absent. Of a group these are the primary addresses of its interfaces: the
    /// cloud does not know who has which address of a portable subnet.
    pub remotes: Option<Vec<Ipv4Network>>,
}

/// A firewall before a VLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WiredFirewall {
    /// The VLAN's id.
    pub vlan: Id,
    /// Its rules; not empty.
    pub rules: Vec<FirewallRule>,
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
        let strict = cloud.firewalls.values().filter(|firewall| !firewall.rules.is_empty());
        let wired =
            |it: &super::firewall::VlanFirewall| WiredFirewall { vlan: it.vlan, rules: it.rules.clone() };
        let ports = cloud.machines.values().flat_map(|machine| &machine.ports);
        Self {
            guards: ports.filter_map(|port| guard(cloud, port)).collect(),
            firewalls: strict.map(wired).collect(),
            vlans: cloud.vlans.keys().copied().collect(),
            gateways: gateways.collect(),
            machines: machines.collect(),
            balancers: cloud
                .balancers
                .values()
                .filter(|it| it.is_up())
                .map(|it| balancer(cloud, it))
                .chain(cloud.local_balancers.values().map(|it| local(cloud, it)))
                .collect(),
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

/// A balancer's ports are those of a machine: 0 private, 1 public. Its second wire has the id after its own.
fn balancer(cloud: &Cloud, balancer: &Balancer) -> WiredBalancer {
    let sides = if balancer.front == balancer.back {
        vec![(balancer.id, balancer.back)]
    } else {
        vec![(balancer.id, balancer.back), (balancer.id + 1, balancer.front)]
    };
    let machine = WiredMachine {
        hostname: format!("balancer-{}", balancer.id),
        wires: sides.into_iter().filter_map(|(id, side)| balancer_wire(cloud, id, side)).collect(),
    };
    WiredBalancer { machine, front: balancer.front.address, setup: balancer.in_force.clone() }
}

fn local(cloud: &Cloud, balancer: &LocalBalancer) -> WiredBalancer {
    let machine = WiredMachine {
        hostname: format!("balancer-{}", balancer.id),
        wires: balancer_wire(cloud, balancer.id, balancer.at).into_iter().collect(),
    };
    WiredBalancer { machine, front: balancer.at.address, setup: balancer.setup() }
}

fn balancer_wire(cloud: &Cloud, id: Id, side: Attachment) -> Option<Wire> {
    let subnet = cloud.subnets.get(&side.subnet)?;
    Some(Wire {
        id,
        port: cloud.vlans.get(&subnet.vlan).map_or(NetworkSpace::Private, |vlan| vlan.space).port(),
        mac: mac_for(cloud.spec.seed, id),
        vlan: subnet.vlan,
        address: Ipv4Network::new(side.address, subnet.cidr.prefix()).ok()?,
        gateway: subnet.gateway(),
    })
}

/// An interface is guarded once a group is attached to it and a reboot has made it ready.
fn guard(cloud: &Cloud, port: &super::machine::Port) -> Option<Guard> {
    let attached = |group: &&SecurityGroup| group.components_in_force.contains(&port.id);
    let mut groups = cloud.security_groups.values().filter(attached).peekable();
    groups.peek().filter(|_| port.security_ready)?;
    let rules = groups.flat_map(|group| &group.rules_in_force);
    let rule = |it: &SecurityRule| GuardRule { it: it.clone(), remotes: remotes(cloud, it.remote) };
    Some(Guard { wire: port.id, rules: rules.map(rule).collect() })
}

fn remotes(cloud: &Cloud, remote: Remote) -> Option<Vec<Ipv4Network>> {
    match remote {
        Remote::Anybody => None,
        Remote::Addresses(network) => Some(vec![network]),
        Remote::Group(id) => {
            let group = cloud.security_groups.get(&id);
            let members = group.map(|group| group.components_in_force.as_slice()).unwrap_or_default();
            let ports = cloud.machines.values().flat_map(|machine| &machine.ports);
            let named = ports.filter(|port| members.contains(&port.id));
            Some(named.map(|port| Ipv4Network::from(port.address)).collect())
        }
    }
}
