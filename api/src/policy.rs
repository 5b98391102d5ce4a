//! Who may reach the members of a service.

use std::fmt;
use std::str::FromStr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// Something that members of a service accept. With one of these the service is guarded: they accept nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Who may.
    pub from: Vec<Peer>,
    /// The name of the port; all of the service's, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// Somebody who may connect: `any`, `10.0.0.0/8`, `service/web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Peer {
    /// Everybody.
    Anybody,
    /// Whoever has an address in it.
    Network(IpNetwork),
    /// Whoever is a member of this service.
    Service(String),
}

/// It names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is nobody who could connect: write `any`, a network such as 10.0.0.0/8, or service/NAME")]
pub struct MalformedPeer(String);

impl FromStr for Peer {
    type Err = MalformedPeer;

    fn from_str(text: &str) -> Result<Self, MalformedPeer> {
        if text == "any" {
            return Ok(Self::Anybody);
        }
        if let Some(name) = text.strip_prefix("service/") {
            return Ok(Self::Service(name.to_owned()));
        }
        text.parse().map(Self::Network).map_err(|_| MalformedPeer(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for Peer {
    type Error = MalformedPeer;

    fn try_from(text: String) -> Result<Self, MalformedPeer> {
        text.parse()
    }
}

impl From<Peer> for String {
    fn from(peer: Peer) -> String {
        peer.to_string()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => f.write_str("any"),
            Self::Network(network) => network.fmt(f),
            Self::Service(name) => write!(f, "service/{name}"),
        }
    }
}

/// An entry of a policy, and how often it let a connection begin on the host that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyUse {
    /// The entry.
    pub entry: PolicyEntry,
    /// Packets that began a connection, since their container is open for them.
    pub packets: u64,
}
