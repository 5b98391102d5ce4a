//! How the agent and everything it stands on is doing.

use crate::{Counts, Host, NamesLine, Order, Quarantined, Source};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One page about this host's agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub agent: String,
    /// The cluster, as the configuration names it.
    pub cluster: String,
    /// The host's id; absent until the provider or the state directory told it.
    pub host: Option<String>,
    /// When this agent process started, by the host's wall clock.
    pub started: Timestamp,
    /// What the agent can do at present.
    pub mode: Mode,
    /// The parts the agent stands on, each with its condition.
    pub parts: Vec<Part>,
    /// Addresses by pool and zone.
    pub pools: Vec<PoolLine>,
    /// Orders that are not finished.
    pub orders: Vec<Order>,
    /// Hosts that are silent and hold addresses, or whose eviction is half done.
    #[serde(default)]
    pub hosts: Vec<Host>,
    /// Addresses that something keeps in quarantine although their time is over.
    #[serde(default)]
    pub quarantine: Vec<Quarantined>,
    /// Where names are answered, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NamesLine>,
    /// What somebody should put right although everything works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
}

/// Something that is not as it should be, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about: a pool, a subnet, a zone.
    pub about: String,
    /// What is the matter, in one sentence.
    pub problem: String,
    /// What to do.
    pub hint: String,
}

/// One pool in one zone, as a line of the status page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolLine {
    /// The pool's name.
    pub pool: String,
    /// The zone.
    pub zone: String,
    /// The addresses.
    pub counts: Counts,
}

/// What the agent can do at present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Mode {
    /// Everything.
    Serving,
    /// Building its parts; plugin calls wait or are refused with the reason.
    Starting,
    /// The configuration or the journal is bad, or the host lacks what the agent needs: releases are taken
    /// into the journal if they can be, the rest is refused.
    ReleasesOnly {
        /// Every mistake of the configuration, or what is the matter, and what to do about it.
        reasons: Vec<String>,
    },
}

/// A part the agent stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which part: the store, the kernel, Docker, the cloud, the journal.
    pub part: Source,
    /// What it is, such as `softlayer at https://…` or `embedded, /var/lib/berth/store.redb`.
    pub what: String,
    /// How it is doing.
    pub condition: Condition,
}

/// How a part is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "condition", rename_all = "snake_case")]
pub enum Condition {
    /// It answered when it was last asked.
    Good,
    /// It has not been asked yet.
    Unasked,
    /// It did not answer, or refused; the agent goes on from what it knows.
    Failing {
        /// What is the matter, with the causes.
        problem: String,
        /// What to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// Since when.
        since: Timestamp,
        /// When the agent asks again; absent if only an operator can help.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_try: Option<Timestamp>,
    },
}
