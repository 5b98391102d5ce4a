//! Our rules for packets, as values: what may be forwarded, and which host ports lead to containers.
//!
//! The kernel's copy is read back by the comment that each rule carries, which is the rule in words.

mod published;
mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{Bridge, HostNet, IfName, Observed, Protocol};

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
        rules.extend(rules::publish(bridges, wanted, observed));
        rules.extend(rules::seclude(bridges));
        rules.extend(rules::forward(bridges, wanted));
        rules.sort_by_key(|rule| rule.chain);
        Some(Self { rules })
    }

    /// Each rule in words, as its comment in the kernel says it.
    pub fn sentences(&self) -> Vec<String> {
        self.rules.iter().map(ToString::to_string).collect()
    }
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
