//! The cluster, and its store as a whole.

use ipnetwork::IpNetwork;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The cluster's record in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The name in the configuration.
    pub name: String,
    /// Made at random when it was founded.
    pub id: String,
    /// Which life of the cluster this is.
    pub generation: String,
    /// Whether addresses may move between hosts.
    pub frozen: bool,
    /// When it was founded, where hosts share the store.
    pub founded: Option<Timestamp>,
}

/// Everything that the store has at one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The revision.
    pub revision: u64,
    /// How many entries there are.
    pub entries: usize,
    /// The file's text: lines of JSON with a checksum, for `berthd --restore-store`.
    pub file: String,
}

/// An operator's word that the store was lost for good, and on who may still use its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildStore {
    /// Who says it.
    pub who: String,
    /// No host but those that are awaited uses addresses since before.
    pub no_others: bool,
    /// These are powered off, and their memory is lost.
    pub gone: Vec<String>,
}

/// A store that was made anew, and who is awaited since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRebuild {
    /// The generation that it began.
    pub generation: String,
    /// The host that did it.
    pub by: String,
    /// When, by that host's clock.
    pub at: Option<Timestamp>,
    /// Whether it was done just now.
    pub began: bool,
    /// The zones whose subnets are open again.
    pub zones: Vec<String>,
    /// The subnets that were opened just now.
    pub subnets: Vec<IpNetwork>,
    /// What is not there any more, in words.
    pub left_out: Vec<String>,
    /// The hosts that may use addresses since before.
    pub awaited: Vec<Awaited>,
    /// Whose word it is that there are no others.
    pub no_others: Option<String>,
    /// Whether nobody is left who might claim an address.
    pub over: bool,
}

/// A host that may use addresses since before the store was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Its id.
    pub host: String,
    /// Whose word it is that it is gone, if it is.
    pub gone: Option<String>,
    /// Whether it has answered, or is gone.
    pub accounted: bool,
}
