//! The cluster, and its store as a whole.

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
