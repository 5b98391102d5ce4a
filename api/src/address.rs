//! One address: its state, who has it, and what everybody says about it.

use crate::Word;
use ipnetwork::IpNetwork;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An address of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// Its pool.
    pub pool: String,
    /// The subnet it is in.
    pub subnet: IpNetwork,
    /// The L2 domain in which it can be used.
    pub zone: String,
    /// What it is at present.
    #[serde(flatten)]
    pub state: AddressState,
    /// The number under which it is or was last held; never repeated.
    pub epoch: Option<String>,
    /// The Docker endpoint it is bound to.
    pub endpoint: Option<String>,
    /// The container's name, if Docker told it.
    pub container: Option<String>,
    /// The Docker network's name, if Docker told it, else its id.
    pub network: Option<String>,
    /// The name it is reserved under.
    pub reservation: Option<String>,
}

/// What an address is at present: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AddressState {
    /// Held by this host, and assignable.
    Free,
    /// In use on this host.
    Assigned,
    /// Released, not to be reused yet.
    Cooling {
        /// When it ends, as far as a timer decides.
        until: Option<Timestamp>,
        /// What it waits for, in words.
        why: String,
    },
    /// On its way from this host back to the store.
    Leaving,
    /// Held by this host since an earlier boot, and not usable until the store confirmed it.
    NotRetaken,
    /// Held by nobody.
    Unheld,
    /// Held by another host.
    Elsewhere {
        /// That host's id.
        host: String,
    },
    /// Not to be reused yet, after an eviction or a lost journal.
    Quarantined {
        /// Why.
        why: String,
    },
    /// Never handed out.
    SetAside {
        /// Network, gateway, broadcast, excluded, occupied or reserved by the provider.
        why: String,
    },
}

impl AddressState {
    /// The state in one or two words, as tables show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Assigned => "assigned",
            Self::Cooling { .. } => "cooling",
            Self::Leaving => "leaving",
            Self::NotRetaken => "not re-taken",
            Self::Unheld => "unheld",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Quarantined { .. } => "quarantined",
            Self::SetAside { .. } => "set aside",
        }
    }
}

/// One address on everybody's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressReport {
    /// The address as the agent sees it.
    pub address: Address,
    /// The host's ports that lead to it (`-p`), as `[ADDRESS:]HOST->CONTAINER/PROTOCOL`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// What names it outside of its host: services, load balancers, firewalls. It is used again by nobody before none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named_by: Vec<String>,
    /// What each source says. Sources that were silent stand in the envelope.
    pub words: Vec<Word>,
    /// What to do where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Which addresses a caller wants listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressesQuery {
    /// Those of this pool; absent: of all pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The plainly free ones too.
    #[serde(default)]
    pub all: bool,
}

/// What a caller asks to have explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainQuery {
    /// The pool; absent: the pool named `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// This very address; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The family when any address will do; absent: IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

/// What a request for an address would get now. Nothing was changed to find out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The pool that was asked.
    pub pool: String,
    /// Whether the request would be granted.
    pub granted: bool,
    /// The address it would get, if that can be said.
    pub address: Option<IpAddr>,
    /// Why: one sentence, with all counts where it is a refusal.
    pub because: String,
    /// What to do next, where it is a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A named address that outlives containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its name, one per cluster.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Its pool.
    pub pool: String,
}

/// Asks for a reservation. Only root may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// The name to reserve under.
    pub name: String,
    /// The pool; absent: the pool named `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// This very address; absent: any free one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// Ends a reservation. Only root may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreserveQuery {
    /// The reservation's name.
    pub name: String,
}
