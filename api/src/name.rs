//! Names: what would be answered to one, and where they are answered.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What is asked of [`crate::paths::NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameQuery {
    /// A name, or an address whose name is asked for.
    pub name: String,
}

/// What would be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameReport {
    /// The name that is asked for.
    pub asked: String,
    /// How it is answered, in DNS's own words, such as `No Error` or `Non-Existent Domain`.
    pub answer: String,
    /// The records.
    pub records: Vec<NameRecord>,
    /// On whose word, or why there is no answer.
    pub word: String,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRecord {
    /// Of which name.
    pub name: String,
    /// Of which type, such as `A`.
    pub kind: String,
    /// What it says.
    pub data: String,
    /// For how many seconds it may be remembered.
    pub ttl_secs: u32,
}

/// Where names are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesLine {
    /// Below which domain those of the cluster are.
    pub domain: String,
    /// At these addresses of this host; none if they are answered nowhere.
    pub at: Vec<SocketAddr>,
}
