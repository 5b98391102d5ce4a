//! The number under which an address is assigned, never repeated.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which life of the cluster: grows when a store is filled from another one or a backup, or made anew.
///
/// Number and id are compared together: two rebuilds that chose one number differ by the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// Greater than that of every earlier life.
    pub number: u64,
    /// Random, chosen by whoever started this life.
    pub id: u64,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:04x}", self.number, self.id & 0xffff)
    }
}

/// Names one assignment of one address: the only thing that can close it.
///
/// Epochs of one address are ordered and never repeat, also after give back and take again, grant,
/// reboot, rebuild, return and re-order: each of those raises the take number or the generation.
/// It holds no revision of the store, so it survives migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// The life of the cluster in which the address was gained.
    pub generation: Generation,
    /// The block's take number under which the host gained the address.
    pub take: u64,
    /// The host's own counter of assignments.
    pub counter: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.generation, self.take, self.counter)
    }
}
