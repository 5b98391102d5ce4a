//! What a host writes into its journal.
//!
//! Every record states how something *is*, not how it changed: replaying one twice, or one that may
//! or may not have reached the disk, does no harm. The journal's frame carries the version.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::epoch::{Epoch, Generation};
use crate::names::{
    BlockId, BootId, EndpointId, Holder, Incarnation, ReservationName, Revision, Timestamp, Zone,
};
use crate::pool::{Pool, Subnet};
use crate::refusal::Usage;

/// One statement about this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// A boot that was, or is about to be, registered in the store: from now on the journal knows it.
    Boot {
        /// The boot.
        boot: BootId,
        /// The incarnation it is registered under.
        incarnation: Incarnation,
    },
    /// The life of the cluster this journal belongs to, and the newest revision seen in it.
    Cluster {
        /// The cluster's id.
        id: String,
        /// Its generation.
        generation: Generation,
        /// The newest revision seen.
        revision: Revision,
    },
    /// What this host last did in a block.
    Block {
        /// The block.
        id: BlockId,
        /// The zone of its subnet.
        zone: Zone,
        /// The boot under which its holding is usable.
        boot: BootId,
        /// The life of the cluster in which it is usable.
        generation: Generation,
        /// The newest revision acted upon.
        acted: Revision,
        /// The take number of the value acted upon.
        take: u64,
        /// The last operation number known to be committed.
        committed: u64,
        /// The operation whose outcome is not known yet, if any.
        operation: Option<Operation>,
    },
    /// The holding of one address.
    Address {
        /// The block.
        block: BlockId,
        /// The address.
        address: IpAddr,
        /// How it is held; `None` when it is held no more.
        holding: Option<Holding>,
    },
    /// The counter of assignments: none at or below it will be issued again.
    Counter(u64),
    /// A pool's policy, so that an agent restarted without the store still knows it.
    Pool(Pool),
    /// A subnet in which something is held, for the same reason.
    Subnet(Subnet),
}

impl Record {
    /// The counter of assignments that this record shows as used up.
    pub fn counter(&self) -> Option<u64> {
        match self {
            Self::Counter(counter) => Some(*counter),
            Self::Address { holding: Some(holding), .. } => match &holding.state {
                Life::Assigned { epoch, .. } | Life::Cooling { epoch, .. } => Some(epoch.counter),
                Life::Free { .. } | Life::Leaving { .. } => None,
            },
            _ => None,
        }
    }
}

/// An operation on a block, written before its transaction is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Operation {
    /// Its number, which only grows per host and block.
    pub number: u64,
    /// The boot that began it: what a re-take regained is usable under that boot alone.
    pub boot: BootId,
    /// The revision of the block that it compares.
    pub compared: Revision,
    /// What it does.
    pub deed: Deed,
}

/// What an [`Operation`] does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Deed {
    /// Gains free addresses.
    Take(BTreeSet<IpAddr>),
    /// Lets addresses go, to the block or to a host that asked.
    GiveBack {
        /// Which.
        addresses: BTreeSet<IpAddr>,
        /// To whom.
        to: Option<Holder>,
    },
    /// Gains again, after a boot, everything held in the block.
    Retake,
    /// Gains back, from quarantine, what running containers of this host use.
    Claim(BTreeMap<IpAddr, EndpointId>),
    /// Puts what this host held in an earlier incarnation into quarantine.
    SweepOwn,
    /// Names an address.
    Reserve {
        /// The name.
        name: ReservationName,
        /// The address.
        address: IpAddr,
    },
    /// Ends a reservation.
    Unreserve(ReservationName),
    /// Changes nothing, so that an earlier operation can no longer land.
    Settle,
}

/// One address held by this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holding {
    /// The life of the cluster in which it was gained.
    pub generation: Generation,
    /// The incarnation of this host in which it was gained.
    pub incarnation: Incarnation,
    /// The block's take number under which it was gained.
    pub take: u64,
    /// The name that keeps it, if any: then it is assigned only to who asks for it by address.
    pub reserved: Option<ReservationName>,
    /// What it is doing. An address held is in exactly one of these states.
    pub state: Life,
}

impl Life {
    /// Whether the address's endpoint was opened in the store, or may have been.
    pub fn published(&self) -> bool {
        matches!(self, Self::Assigned { published: true, .. } | Self::Cooling { published: true, .. })
    }
}

/// What a held address is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Life {
    /// May be assigned.
    Free {
        /// Its place in the queue: the lower, the longer free.
        turn: u64,
    },
    /// In use.
    Assigned {
        /// Under this epoch.
        epoch: Epoch,
        /// By whom.
        usage: Usage,
        /// Asked for by address; so a repeated request gets it again while it is unbound.
        exact: bool,
        /// Whether its endpoint was opened in the store, or may have been.
        published: bool,
    },
    /// Released, and held back.
    Cooling {
        /// The epoch it was assigned under.
        epoch: Epoch,
        /// When the timer ends; by the clock of `boot`.
        until: Timestamp,
        /// Which boot's clock that is.
        boot: BootId,
        /// Was asked for by address (`--ip`): who asks so again on this host need not wait for the timer.
        #[serde(default)]
        exact: bool,
        /// Whether its endpoint was opened: then the timer is not enough.
        published: bool,
    },
    /// To be given back, or to another host. Assignable again only through a committed transaction.
    Leaving {
        /// To whom, if not to the block.
        to: Option<Holder>,
    },
}
