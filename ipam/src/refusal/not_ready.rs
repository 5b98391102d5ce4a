//! Why a host may not allocate at all.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{BootId, InstanceId};

/// Why the host may not allocate now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NotReady {
    /// The store has not been read since the agent started.
    StoreNotRead,
    /// This boot is not registered yet.
    BootNotRegistered,
    /// The record of this host names another machine: this is a clone.
    OtherInstance {
        /// This machine.
        here: InstanceId,
        /// The machine in the record.
        recorded: InstanceId,
    },
    /// Another boot registered itself as this host while this one was running: there are two.
    Superseded {
        /// The other boot.
        by: BootId,
    },
    /// There is no cluster record.
    NoCluster,
    /// The cluster is frozen.
    Frozen {
        /// What this host saw that made it freeze, if it was this one.
        why: Option<String>,
    },
}

impl NotReady {
    /// Whether it may pass by itself within a request's patience; if not, it needs a person.
    pub fn passes(&self) -> bool {
        match self {
            Self::StoreNotRead | Self::BootNotRegistered => true,
            Self::OtherInstance { .. } | Self::Superseded { .. } | Self::NoCluster | Self::Frozen { .. } => {
                false
            }
        }
    }
}

/// How a frozen cluster goes on.
const THAW: &str = "its store must get its memory back, or be made anew by `berth store rebuild`: \
                    docs/operating.md, \"A frozen cluster\"";

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreNotRead => f.write_str("the store has not been read yet; see `berth status`"),
            Self::BootNotRegistered => f.write_str("this boot is not registered in the store yet"),
            Self::OtherInstance { here, recorded } => write!(
                f,
                "this host's record belongs to instance {recorded}, and this is {here}: a cloned image; \
                 give this machine a host id of its own"
            ),
            Self::Superseded { by } => write!(
                f,
                "another machine registered as this host (boot {by}): two machines share one host id; \
                 give one of them its own"
            ),
            Self::NoCluster => f.write_str("the store has no cluster record; run `berth cluster init`"),
            Self::Frozen { why: None } => write!(f, "the cluster is frozen; {THAW}"),
            Self::Frozen { why: Some(why) } => {
                write!(f, "the cluster is frozen ({why}); {THAW}")
            }
        }
    }
}
