//! Passing Docker's own firewall.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::IfName;

/// A rule of ours in iptables' chain `DOCKER-USER`, which Docker keeps for the operator's rules.
///
/// With its default settings dockerd drops everything that the host forwards and that is not its own:
/// an accept in our own table cannot undo that, as every table may drop. What may pass is decided by
/// our table alone ([`crate::firewall`]); these rules only keep Docker from deciding too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Admission {
    /// Which packets.
    pub direction: Direction,
    /// Of which bridge.
    pub bridge: IfName,
}

/// Whether packets come from a bridge or go to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// They come from it.
    From,
    /// They go to it.
    To,
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::From => "from",
            Direction::To => "to",
        };
        write!(f, "packets {direction} {}", self.bridge)
    }
}
