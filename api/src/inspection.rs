//! `berth check` (does everybody's word agree?) and `berth doctor` (is the ground we stand on sound?).

use crate::Word;
use serde::{Deserialize, Serialize};

/// What the oracle found over journal, store, kernel, Docker and cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// How many addresses were looked at.
    pub addresses: u32,
    /// How many Docker endpoints were looked at.
    pub endpoints: u32,
    /// What does not hold. Empty: all words agree.
    pub findings: Vec<Finding>,
    /// What asking cost, the pause between two looks not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CheckCost>,
}

/// What a check cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCost {
    /// How long the looks took.
    pub millis: u64,
    /// How often the store was read.
    pub store_reads: u32,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which promise it breaks, such as `S1`; absent where words merely differ.
    pub promise: Option<String>,
    /// What it is about: an address, a subnet, a link.
    pub subject: String,
    /// What is the matter, in one sentence.
    pub problem: String,
    /// Who says what about it.
    pub words: Vec<Word>,
    /// What to do.
    pub hint: Option<String>,
}

/// What was looked at around the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// One entry for each thing that was looked at, also if it is well.
    pub examinations: Vec<Examination>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examination {
    /// What was looked at, such as `forwarding`.
    pub name: String,
    /// Whether it is well.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do, where it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// Whether something is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Good,
    /// It is not.
    Bad,
    /// It could not be told.
    Unknown,
}
