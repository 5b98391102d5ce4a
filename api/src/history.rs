//! Who had which address when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which assignments a caller asks for: those for which everything that is said holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Of this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Of containers with this name, or with an id that begins so (four digits at least).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// That had not ended before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// That began at this moment or before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// The assignments that were asked for, and what could not be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// By address, and of each in the order in which they were.
    pub assignments: Vec<Assignment>,
    /// Parts of the ledger that may have more, that only other hosts keep, and that could not be had from them.
    pub unseen: Vec<Unseen>,
    /// There is more than one answer has room for.
    #[serde(default)]
    pub cut: bool,
    /// What is to be known of the times: which hosts' clocks differ, and where two of them contradict each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<String>,
    /// What to do where something could not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One assignment of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The address.
    pub address: IpAddr,
    /// The number under which it was assigned; never repeated.
    pub epoch: String,
    /// The host that had it.
    pub host: String,
    /// The Docker endpoint, once it was bound.
    pub endpoint: Option<String>,
    /// The container's name, if Docker showed it in time.
    pub container: Option<String>,
    /// The container's id.
    pub container_id: Option<String>,
    /// The Docker network's name.
    pub network: Option<String>,
    /// When it began, on the clock of its host.
    pub from: Timestamp,
    /// It began earlier than that; nobody knows when.
    #[serde(default)]
    pub earlier: bool,
    /// When it ended, at the latest; absent while it runs.
    pub to: Option<Timestamp>,
    /// Why it ended: `released`, `reaped`, `reboot`, `evicted` or `memory lost`.
    pub why: Option<String>,
    /// The host held the address, and never told what it did with it.
    #[serde(default)]
    pub use_unknown: bool,
    /// How far the host's wall clock had been moved when it began, in milliseconds.
    #[serde(default)]
    pub clock_moved_millis: i64,
}

/// A part of the ledger that only other hosts keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// When the first assignment in it began.
    pub from: Timestamp,
    /// When the last one ended.
    pub to: Timestamp,
    /// The hosts that have it.
    pub keepers: Vec<String>,
    /// Why each of them did not tell, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}
