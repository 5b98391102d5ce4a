//! What a transaction did to a block, read off the two values: for traces, and to know what a search
//! has reached.

use std::fmt;
use std::net::IpAddr;

use ipam::{Block, BlockState, HostId};

/// One address's change from one value of a block to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Taken(IpAddr, HostId),
    GivenBack(IpAddr, HostId),
    Granted(IpAddr, HostId, HostId),
    Retaken(IpAddr, HostId),
    Claimed(IpAddr, HostId),
    Swept(IpAddr, HostId),
    QuarantineEnded(IpAddr),
    /// No address changed hands; some operation can no longer land.
    MovedOn,
    Drained,
    Undrained,
}

pub(crate) fn changes(before: &Block, after: &Block) -> Vec<Change> {
    let mut changes: Vec<Change> =
        before.id().addresses().filter_map(|address| change_of(address, before, after)).collect();
    match (before.state(), after.state()) {
        (BlockState::Open, BlockState::Draining) => changes.push(Change::Drained),
        (BlockState::Draining, BlockState::Open) => changes.push(Change::Undrained),
        _ => (),
    }
    if changes.is_empty() {
        changes.push(Change::MovedOn);
    }
    changes
}

fn change_of(address: IpAddr, before: &Block, after: &Block) -> Option<Change> {
    let quarantined = before.quarantined().contains_key(&address);
    let (was, is) = (before.held().get(&address), after.held().get(&address));
    match (was, is) {
        (None, Some(is)) if quarantined => Some(Change::Claimed(address, is.by.host.clone())),
        (None, Some(is)) => Some(Change::Taken(address, is.by.host.clone())),
        (Some(was), None) if after.quarantined().contains_key(&address) => {
            Some(Change::Swept(address, was.by.host.clone()))
        }
        (Some(was), None) => Some(Change::GivenBack(address, was.by.host.clone())),
        (Some(was), Some(is)) if was.by.host != is.by.host => {
            Some(Change::Granted(address, was.by.host.clone(), is.by.host.clone()))
        }
        (Some(was), Some(is)) if was != is => Some(Change::Retaken(address, is.by.host.clone())),
        (None, None) if quarantined && !after.quarantined().contains_key(&address) => {
            Some(Change::QuarantineEnded(address))
        }
        _ => None,
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(address, by) => write!(f, "{by} takes {address}"),
            Self::GivenBack(address, by) => write!(f, "{by} gives {address} back"),
            Self::Granted(address, by, to) => write!(f, "{by} gives {address} to {to}"),
            Self::Retaken(address, by) => write!(f, "{by} takes {address} again"),
            Self::Claimed(address, by) => write!(f, "{by} claims {address} from quarantine"),
            Self::Swept(address, by) => write!(f, "{address}, held by {by}, goes to quarantine"),
            Self::QuarantineEnded(address) => write!(f, "the quarantine of {address} ends"),
            Self::MovedOn => write!(f, "the block moves on, and an earlier operation cannot land"),
            Self::Drained => write!(f, "the block drains"),
            Self::Undrained => write!(f, "the block is open again"),
        }
    }
}
