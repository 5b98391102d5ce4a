//! Our rules for packets, as values: what may be forwarded, and which host ports lead to containers.
//!
//! The kernel's copy is read back by the comment that each rule carries, which is the rule in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network};
use serde::{Deserialize, Serialize};

use crate::{Bridge, HostNet, IfName, Maker, Observed, Protocol, Published, Reach};

/// What the host calls itself.
const LOOPBACK: Ipv4Network = Ipv4Network::new_checked(Ipv4Addr::new(127, 0, 0, 0), 8).expect("a network");

/// The rules of our nftables table, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// Rules of all chains, chain by chain; within one they are asked in this order.
    pub rules: Vec<FirewallRule>,
}

impl Firewall {
    /// The rules for these bridges; `None` when there is nothing to guard.
    pub(crate) fn of(
        bridges: &BTreeMap<&IfName, &Bridge>,
        wanted: &HostNet,
        observed: &Observed,
    ) -> Option<Self> {
        if bridges.is_empty() && wanted.subnets.is_empty() {
            return None;
        }
        let mut rules = Vec::new();
        rules.extend(publish(bridges, wanted, observed));
        rules.extend(seclude(bridges));
        rules.extend(forward(bridges, wanted));
        rules.sort_by_key(|rule| rule.chain);
        Some(Self { rules })
    }

    /// Each rule in words, as its comment in the kernel says it.
    pub fn sentences(&self) -> Vec<String> {
        self.rules.iter().map(ToString::to_string).collect()
    }
}

fn rule<const N: usize>(chain: Chain, when: [Match; N], then: Verdict) -> FirewallRule {
    FirewallRule { chain, when: when.into(), then }
}

/// Host ports that lead to containers: the one translation there is.
fn publish(bridges: &BTreeMap<&IfName, &Bridge>, wanted: &HostNet, observed: &Observed) -> Vec<FirewallRule> {
    let bridge_of = |port: &Published| {
        let is_ipv4 = port.container.is_ipv4() && port.host_ip.is_none_or(|ip| ip.is_ipv4());
        let at = wanted.addresses.get(&port.container).filter(|_| is_ipv4)?;
        bridges.get_key_value(&at.bridge).filter(|(_, bridge)| bridge.reach == Reach::Vlan)
    };
    let mut rules = Vec::new();
    let mut publishing = BTreeMap::new();
    for port in &wanted.published {
        let Some((&name, &bridge)) = bridge_of(port) else { continue };
        publishing.insert(name, bridge);
        for chain in [Chain::Publish, Chain::PublishLocal] {
            let mut when = vec![Match::ToHost, Match::Port(port.protocol, port.host_port)];
            let one_address = port.host_ip.filter(|ip| !ip.is_unspecified());
            when.extend(one_address.map(|ip| Match::To(IpNetwork::from(ip))));
            let then = Verdict::Publish { container: port.container, port: port.container_port };
            rules.push(FirewallRule { chain, when, then });
        }
    }
    for (name, bridge) in publishing {
        let [into, out] = [Match::In(name.clone()), Match::Out(name.clone())];
        rules.push(rule(Chain::Arriving, [into.clone(), Match::Published], Verdict::MarkPublished));
        if bridge.maker == Maker::Berth {
            // Published ports switch `route_localnet` on, which would let containers at the host's own
            // services on 127.0.0.1. Answers to published connections pass: their translation back to
            // 127.0.0.1 comes after this chain.
            let loopback = Match::To(LOOPBACK.into());
            rules.push(rule(Chain::Early, [into.clone(), loopback], Verdict::Drop));
        }
        let host = observed.interfaces.get(&bridge.interface).and_then(|seen| seen.address);
        let Some(host) = host.map(Verdict::SourceNat) else { continue };
        // `localhost` means nothing to the container, and a container that reaches its neighbour by a
        // host port must get the answer by the host too.
        let loopback = Match::From(LOOPBACK.into());
        rules.push(rule(Chain::Leaving, [out.clone(), Match::Published, loopback], host.clone()));
        rules.push(rule(Chain::Leaving, [into, out, Match::Published], host));
    }
    rules
}

/// Containers of an internal network reach each other and nothing else, the host included.
fn seclude(bridges: &BTreeMap<&IfName, &Bridge>) -> Vec<FirewallRule> {
    let internal = bridges.iter().filter(|(_, bridge)| bridge.reach == Reach::Internal);
    internal.map(|(&name, _)| rule(Chain::Input, [Match::In(name.clone())], Verdict::Drop)).collect()
}

/// Between our bridges and the VLAN, and nothing between either and what else the host has.
///
/// Left alone is what others send out to the VLAN with addresses of their own, as docker0's containers
/// do: the host forwarded it before we came, or does not forward it now.
fn forward(bridges: &BTreeMap<&IfName, &Bridge>, wanted: &HostNet) -> Vec<FirewallRule> {
    let vlans: BTreeSet<&IfName> = wanted
        .subnets
        .values()
        .map(|subnet| &subnet.interface)
        .chain(bridges.values().map(|bridge| &bridge.interface))
        .collect();
    let (routed, internal): (Vec<_>, Vec<_>) = bridges
        .iter()
        .map(|(&name, bridge)| (name, bridge.reach))
        .partition(|(_, reach)| *reach == Reach::Vlan);
    let mut rules = Vec::new();

    // Frames from port to port come by here when bridge-nf-call-iptables is on.
    for (name, _) in routed.iter().chain(&internal) {
        let within = [Match::In((*name).clone()), Match::Out((*name).clone())];
        rules.push(rule(Chain::Forward, within, Verdict::Accept));
    }
    for (name, _) in &internal {
        rules.push(rule(Chain::Forward, [Match::In((*name).clone())], Verdict::Drop));
        rules.push(rule(Chain::Forward, [Match::Out((*name).clone())], Verdict::Drop));
    }
    rules.push(rule(Chain::Forward, [Match::Established], Verdict::Accept));
    rules.push(rule(Chain::Forward, [Match::Published], Verdict::Accept));
    for (name, _) in &routed {
        let from = [Match::In((*name).clone())];
        rules.push(rule(Chain::Forward, from, Verdict::Goto(Chain::FromBridge)));
        rules.push(rule(Chain::FromBridge, [Match::Out((*name).clone())], Verdict::Accept));
        rules.push(rule(Chain::FromVlan, [Match::Out((*name).clone())], Verdict::Accept));
    }
    for &vlan in &vlans {
        rules.push(rule(Chain::Forward, [Match::In(vlan.clone())], Verdict::Goto(Chain::FromVlan)));
        rules.push(rule(Chain::FromBridge, [Match::Out(vlan.clone())], Verdict::Accept));
        let back = [Match::In(vlan.clone()), Match::Out(vlan.clone())];
        rules.push(rule(Chain::FromVlan, back, Verdict::Accept));
    }
    rules.push(rule(Chain::FromBridge, [], Verdict::Drop));
    // Somebody else's published ports stay reachable.
    rules.push(rule(Chain::FromVlan, [Match::Translated], Verdict::Accept));
    rules.push(rule(Chain::FromVlan, [], Verdict::Drop));
    for (name, _) in &routed {
        rules.push(rule(Chain::Forward, [Match::Out((*name).clone())], Verdict::Drop));
    }
    // Nobody else on this host speaks with our subnets' addresses.
    for (subnet, at) in &wanted.subnets {
        let pretending = [Match::From(*subnet), Match::Out(at.interface.clone())];
        rules.push(rule(Chain::Forward, pretending, Verdict::Drop));
    }
    rules
}

/// What happens to packets that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallRule {
    /// Where it is asked.
    pub chain: Chain,
    /// All of these must hold.
    pub when: Vec<Match>,
    /// What happens then.
    pub then: Verdict,
}

/// When packets are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chain {
    /// First of all.
    Early,
    /// Before the route is chosen: arriving packets of known connections.
    Arriving,
    /// Connections from outside, before their route is chosen.
    Publish,
    /// Connections of the host itself.
    PublishLocal,
    /// To the host itself.
    Input,
    /// Through the host.
    Forward,
    /// Through the host, from a VLAN interface.
    FromVlan,
    /// Through the host, from a bridge of ours.
    FromBridge,
    /// Connections about to leave.
    Leaving,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// It came in here.
    In(IfName),
    /// It leaves here.
    Out(IfName),
    /// Its source lies here.
    From(IpNetwork),
    /// Its destination lies here.
    To(IpNetwork),
    /// Its destination is any address of the host.
    ToHost,
    /// It goes to this port.
    Port(Protocol, u16),
    /// It belongs to a connection that was allowed before.
    Established,
    /// It belongs to a connection whose destination somebody translated.
    Translated,
    /// It belongs to a connection through a published port of ours.
    Published,
}

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes on; other tables are asked as well.
    Accept,
    /// It is dropped.
    Drop,
    /// That chain decides.
    Goto(Chain),
    /// It is marked, so that it is routed as the host's own answers are.
    MarkPublished,
    /// The connection goes to this container instead, and is remembered as published.
    Publish {
        /// The container.
        container: IpAddr,
        /// Its port.
        port: u16,
    },
    /// The connection takes this source address.
    SourceNat(IpAddr),
}

impl fmt::Display for FirewallRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.chain)?;
        for condition in &self.when {
            write!(f, " {condition}")?;
        }
        write!(f, " -> {}", self.then)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Early => "early",
            Self::Arriving => "arriving",
            Self::Publish => "publish",
            Self::PublishLocal => "publish_local",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::FromVlan => "from_vlan",
            Self::FromBridge => "from_bridge",
            Self::Leaving => "leaving",
        })
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(link) => write!(f, "in {link}"),
            Self::Out(link) => write!(f, "out {link}"),
            Self::From(network) => write!(f, "from {network}"),
            Self::To(network) => write!(f, "to {network}"),
            Self::ToHost => f.write_str("to host"),
            Self::Port(protocol, port) => write!(f, "{protocol} {port}"),
            Self::Established => f.write_str("established"),
            Self::Translated => f.write_str("translated"),
            Self::Published => f.write_str("published"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Goto(chain) => write!(f, "{chain}"),
            Self::MarkPublished => f.write_str("mark published"),
            Self::Publish { container, port } => write!(f, "{container} {port}"),
            Self::SourceNat(address) => write!(f, "source {address}"),
        }
    }
}

#[cfg(test)]
mod tests;
