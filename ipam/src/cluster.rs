//! The records of the store beside blocks: who the hosts are, what they want and what they publish.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::epoch::{Epoch, Generation};
use crate::names::{BootId, EndpointId, HostId, Incarnation, InstanceId, PoolName, Zone};

/// The cluster's one record, made only by `berth cluster init`; every transaction compares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Random, made once: tells a wiped store from the one we knew.
    pub id: String,
    /// Which life of the cluster this is.
    pub generation: Generation,
    /// Whether addresses may move between hosts.
    pub state: ClusterState,
}

/// Whether addresses may move between hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClusterState {
    /// As usual.
    Open,
    /// Somebody saw that the store lost its memory: nothing is taken, given or adopted until
    /// the store has its memory back, or goes on as a new generation, here or elsewhere.
    Frozen,
}

/// A host, as all hosts see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostRecord {
    /// The provider's word for the machine: a cloned image has another.
    pub instance: InstanceId,
    /// Its life: raised by eviction.
    pub incarnation: Incarnation,
    /// The boot that registered last.
    pub boot: BootId,
    /// The zones it has a network in.
    pub zones: BTreeSet<Zone>,
    /// The zones it had a network in before, and has not yet found to have nothing of its own: it looks there also
    /// when its disk does not know of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left: BTreeSet<Zone>,
    /// The life of the cluster in which it has accounted for all that it used in the lives before: what it
    /// uses is held by it, and it uses nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Generation>,
}

/// A host's sign of life: it stands for as long as the host says in time that it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SignOfLife {
    /// The boot that lives.
    pub boot: BootId,
}

/// The last time that a host was evicted by others; it stays when the host returns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Eviction {
    /// The incarnation that the host was raised to.
    pub incarnation: Incarnation,
    /// The host whose agent did it.
    pub by: HostId,
    /// When, by that host's time of day (RFC 3339): for people.
    pub at: String,
    /// Whose word it was that the host uses nothing any more.
    pub word: EvictionWord,
}

/// Whose word it was that a host uses nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvictionWord {
    /// The provider's, asked twice.
    Provider {
        /// What it said.
        said: String,
    },
    /// An operator's, with what else was found out.
    Operator {
        /// Who.
        who: String,
        /// What the operator stated, and what the provider and the wire said to it.
        said: String,
    },
    /// An operator's alone, against what was found out or without it.
    Force {
        /// Who.
        who: String,
        /// Why.
        because: String,
    },
}

impl fmt::Display for EvictionWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider { said } => f.write_str(said),
            Self::Operator { who, said } => write!(f, "on the word of {who}: {said}"),
            Self::Force { who, because } => write!(f, "forced by {who}: {because}"),
        }
    }
}

/// How many free addresses a host holds, for others to know whom to ask first. Only a hint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Surplus {
    /// Free addresses held, by pool.
    pub free: BTreeMap<PoolName, u32>,
}

/// One host asking another for addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Want {
    /// The asker's incarnation: a grant to an evicted asker fails by compare.
    pub incarnation: Incarnation,
    /// The asker's boot.
    pub boot: BootId,
    /// What it asks for.
    pub ask: Ask,
}

/// What a [`Want`] asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// Some free addresses of a pool.
    Some {
        /// The pool.
        pool: PoolName,
        /// How many would do.
        count: u32,
        /// Whether an IPv6 address is asked for.
        v6: bool,
    },
    /// This address.
    This(IpAddr),
}

/// The open assignments of one host in one block, packed into one value that is never deleted.
///
/// Opening and closing an endpoint both rewrite it and compare its revision: so a close defeats a
/// late open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Published {
    /// What is open, and under which epoch.
    pub open: BTreeMap<IpAddr, Epoch>,
}

/// An endpoint that services may select.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The epoch of its assignment.
    pub epoch: Epoch,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Where it runs.
    pub host: HostId,
}

/// A cloud object that names an address (a load balancer member, a firewall rule, a name), written
/// before the provider is called and removed after the provider was read back without it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependent {
    /// Who may have a call under way about it.
    pub writers: BTreeSet<HostId>,
}
