//! Routes, rules and neighbour proxies, as plain values.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::IfName;

/// A routing table by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Table(pub u32);

impl Table {
    /// The table every packet is looked up in by default.
    pub const MAIN: Self = Self(254);
}

impl Table {
    /// The table of a subnet: for IPv4 its network address as a number, which no two subnets share and
    /// which is far above the numbers that people choose; for IPv6 the lower half of its prefix.
    pub fn of(subnet: &IpNetwork) -> Self {
        match subnet {
            IpNetwork::V4(net) => Self(net.network().to_bits()),
            IpNetwork::V6(net) => Self((net.network().to_bits() >> 64) as u32),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MAIN { f.write_str("main") } else { write!(f, "{}", self.0) }
    }
}

/// A route of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Where it is looked up.
    pub table: Table,
    /// For whom it is.
    pub to: IpNetwork,
    /// The link packets leave by.
    pub through: IfName,
    /// The router behind that link, taken to be there without a route to it (`onlink`); `None`: the
    /// destination is on the link itself.
    pub via: Option<IpAddr>,
    /// The source address of what the host itself sends.
    pub source: Option<IpAddr>,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        write!(f, " through {}", self.through)?;
        if let Some(source) = self.source {
            write!(f, " from {source}")?;
        }
        if self.table == Table::MAIN { Ok(()) } else { write!(f, " in table {}", self.table) }
    }
}

/// A rule of ours: which packets are looked up where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Smaller is asked earlier.
    pub priority: u32,
    /// Which packets.
    pub selector: Selector,
    /// Where they are looked up.
    pub table: Table,
    /// Pass over routes with a prefix of at most this length: 0 passes over default routes.
    pub suppress_prefix: Option<u8>,
}

/// Which packets a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Those from a subnet.
    From(IpNetwork),
    /// Those that carry a mark.
    Mark(u32),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.selector {
            Selector::From(subnet) => write!(f, "{}: from {subnet}", self.priority)?,
            Selector::Mark(mark) => write!(f, "{}: marked {mark:#x}", self.priority)?,
        }
        write!(f, " lookup {}", self.table)?;
        match self.suppress_prefix {
            Some(0) => f.write_str(" but its default route"),
            Some(length) => write!(f, " but prefixes up to /{length}"),
            None => Ok(()),
        }
    }
}

/// An address that the host answers ARP for on a link, one by one.
///
/// Never the link's own `proxy_arp`: that would answer for everything routed elsewhere, docker0's
/// addresses too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Proxy {
    /// The address answered for.
    pub address: IpAddr,
    /// The VLAN interface it is answered on.
    pub on: IfName,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.address, self.on)
    }
}
