//! The rules of security groups.

use ipnetwork::Ipv4Network;
use jiff::Timestamp;
use serde::Serialize;

use crate::cloud::Id;

/// One thing that may pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecurityRule {
    /// Its id.
    pub id: Id,
    /// `ingress` or `egress`.
    pub direction: Direction,
    /// Whether of IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Any if absent.
    pub protocol: Option<RuleProtocol>,
    /// The lowest port; for ICMP the type.
    pub port_min: Option<u16>,
    /// The highest port; for ICMP the code.
    pub port_max: Option<u16>,
    /// Who is at the other end.
    pub remote: Remote,
    /// When it was added.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// Which way packets of a new connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the guest.
    Ingress,
    /// From the guest.
    Egress,
}

impl Direction {
    /// SoftLayer's spelling.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// VRRP.
    Vrrp,
}

impl RuleProtocol {
    /// SoftLayer's spelling.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Vrrp => "vrrp",
        }
    }

    /// The protocol of this spelling.
    pub fn by_key(key: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Icmp, Self::Vrrp].into_iter().find(|it| it.key() == key)
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remote {
    /// Anybody.
    Anybody,
    /// Who has one of these addresses; a single one is written without its prefix length.
    Addresses(Ipv4Network),
    /// Whose interface has this group.
    Group(Id),
}
