//! Why something was not done, in a sentence that says what to do next.

mod address;
mod not_ready;
mod shortage;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use address::{AddressState, CoolingWait, Usage};
pub use not_ready::NotReady;
pub use shortage::{Capacity, Shortage};

use crate::block::BlockState;
use crate::epoch::Epoch;
use crate::names::{BlockId, HostId, PoolName, ReservationName};

/// Why a request or a command was not carried out. Nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No address could be had for a request that names none.
    #[error("{0}")]
    Exhausted(Box<Shortage>),
    /// The address asked for cannot be had.
    #[error("address {address} {state}")]
    InTheWay {
        /// The address.
        address: IpAddr,
        /// What is in the way.
        state: AddressState,
    },
    /// No such pool.
    #[error("there is no pool {pool}{}", list_of(.known))]
    UnknownPool {
        /// What was asked for.
        pool: PoolName,
        /// What there is.
        known: Vec<PoolName>,
    },
    /// Nothing is assigned there: an endpoint cannot be bound to it.
    #[error("address {address} is not assigned; ask for it first (RequestAddress), then bind it")]
    NotAssigned {
        /// The address.
        address: IpAddr,
    },
    /// An epoch this host has not issued yet: the caller knows more than the journal.
    #[error("address {address} was never assigned under epoch {epoch} here; look at `berth check`")]
    NotYetIssued {
        /// The address.
        address: IpAddr,
        /// The epoch named.
        epoch: Epoch,
    },
    /// The assignment named is over, or another's: nothing can be done under that epoch any more.
    #[error("address {address} is no longer assigned under epoch {epoch}")]
    Superseded {
        /// The address.
        address: IpAddr,
        /// The epoch named.
        epoch: Epoch,
    },
    /// The host may not allocate now.
    #[error("{0}")]
    NotReady(NotReady),
    /// The store or another host did not answer in time.
    #[error(
        "no answer in {waited_millis} ms while {doing}; the store or a holder is slow or away: see `berth status`, then try again"
    )]
    Late {
        /// What was waited for.
        doing: String,
        /// How long, in milliseconds.
        waited_millis: u64,
    },
    /// The journal could not be written: nothing can be promised.
    #[error(
        "the journal of this host could not be written; free space on the disk of its state directory, then try again"
    )]
    JournalFailed,
    /// The name is another address's.
    #[error(
        "reservation {name} is taken: it keeps {address}; choose another name, or `berth address release {name}` first"
    )]
    NameTaken {
        /// The name.
        name: ReservationName,
        /// What it keeps.
        address: IpAddr,
    },
    /// No such reservation.
    #[error("there is no reservation {name}; `berth address list` shows those there are")]
    UnknownReservation {
        /// The name.
        name: ReservationName,
    },
    /// The block's subnet is being emptied.
    #[error("block {block} is {state}: its subnet is to be returned, so nothing in it is handed out")]
    Emptying {
        /// The block.
        block: BlockId,
        /// Draining or returning.
        state: BlockState,
    },
    /// A block cannot be returned while somebody may use an address of it.
    #[error(
        "block {block} cannot be returned: {held} addresses are held and {quarantined} quarantined, and it must be draining; drain it and wait"
    )]
    NotEmpty {
        /// The block.
        block: BlockId,
        /// How many are held.
        held: usize,
        /// How many are quarantined.
        quarantined: usize,
    },
    /// The operation number is not above the last one: this command was carried out, or overtaken.
    #[error("operation {operation} of {host} on block {block} is past: the block has seen {last}")]
    OperationPassed {
        /// The block.
        block: BlockId,
        /// Whose operation.
        host: HostId,
        /// Its number.
        operation: u64,
        /// The last number the block knows of that host.
        last: u64,
    },
}

impl Refusal {
    pub(crate) fn in_the_way(address: IpAddr, state: AddressState) -> Self {
        Self::InTheWay { address, state }
    }
}

impl fmt::Display for BlockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Returning => "returning",
        })
    }
}

fn list_of(pools: &[PoolName]) -> String {
    if pools.is_empty() {
        return "; no pool has been seen in the store yet".to_owned();
    }
    let names: Vec<&str> = pools.iter().map(|pool| pool.0.as_str()).collect();
    format!("; there are: {}", names.join(", "))
}
