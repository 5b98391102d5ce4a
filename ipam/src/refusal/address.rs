//! Why one address cannot be had: what it is doing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::block::SetAside;
use crate::epoch::Epoch;
use crate::names::{EndpointId, HostId, ReservationName};

/// What an address is doing, as this host knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AddressState {
    /// Held by nobody.
    Free,
    /// Held by this host, not in use.
    FreeHere,
    /// In use on this host.
    Assigned {
        /// Under which epoch.
        epoch: Epoch,
        /// By whom.
        usage: Usage,
    },
    /// Released on this host, and held back.
    Cooling {
        /// Under which epoch it was assigned.
        epoch: Epoch,
        /// How much longer by the timer, in milliseconds; 0 when it is over.
        left_millis: u64,
        /// What it waits for when the timer is over.
        waits: CoolingWait,
    },
    /// Being given back, or to another host.
    Leaving {
        /// To whom, if not to the block.
        to: Option<HostId>,
    },
    /// Held by another host; only that one knows whether it is in use.
    Held(HostId),
    /// Held by this host since an earlier boot or incarnation, and not yet re-taken.
    NotRetaken,
    /// Never handed out.
    SetAside(SetAside),
    /// Held back after an eviction, or since the store was made anew.
    Quarantined {
        /// Who held it, if that is known.
        was: Option<HostId>,
        /// Whose word it was that the holder is gone.
        why: String,
    },
    /// Kept for another name.
    Reserved(ReservationName),
    /// In no subnet of the pool that this host can use.
    Outside,
}

/// Who uses an assigned address, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Usage {
    /// Asked for, and no endpoint has come to exist yet.
    Unbound,
    /// An endpoint uses it.
    Bound(EndpointId),
    /// Its endpoint was deleted; only the release is missing.
    Gone(EndpointId),
}

/// What a cooling address waits for beside its timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CoolingWait {
    /// Nothing: no service ever used it.
    Timer,
    /// For its endpoint to be closed in the store.
    Close,
    /// For the cloud objects that name it to be gone.
    Dependents,
}

impl fmt::Display for AddressState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => write!(f, "is free"),
            Self::FreeHere => write!(f, "is free on this host"),
            Self::Assigned { epoch, usage: Usage::Bound(endpoint) } => {
                write!(f, "is in use by endpoint {endpoint} under epoch {epoch}")
            }
            Self::Assigned { epoch, usage: Usage::Unbound } => {
                write!(f, "is assigned under epoch {epoch} and waits for its endpoint")
            }
            Self::Assigned { epoch, usage: Usage::Gone(endpoint) } => {
                write!(f, "was used by endpoint {endpoint} under epoch {epoch} and waits for its release")
            }
            Self::Cooling { epoch, left_millis: 0, waits } => {
                write!(f, "is cooling after epoch {epoch}, until {waits}")
            }
            Self::Cooling { epoch, left_millis, .. } => {
                write!(f, "is cooling after epoch {epoch} for another {} s", left_millis.div_ceil(1000))
            }
            Self::Leaving { to: None } => write!(f, "is being given back"),
            Self::Leaving { to: Some(host) } => write!(f, "is being given to host {host}"),
            Self::Held(host) => write!(f, "is held by host {host}, which did not give it up"),
            Self::NotRetaken => write!(f, "is held since an earlier boot and not yet re-taken"),
            Self::SetAside(why) => write!(f, "is set aside: {why}"),
            Self::Quarantined { was: Some(was), why } => {
                write!(f, "is quarantined: host {was} held it ({why})")
            }
            Self::Quarantined { was: None, why } => write!(f, "is quarantined: {why}"),
            Self::Reserved(name) => write!(f, "is reserved as {name}"),
            Self::Outside => write!(
                f,
                "is in no subnet of the pool that this host can use; `berth subnet list` shows those of its zones"
            ),
        }
    }
}

impl fmt::Display for CoolingWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timer => "its timer ends",
            Self::Close => "its endpoint is closed in the store",
            Self::Dependents => "nothing in the cloud names it",
        })
    }
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "the subnet's own address",
            Self::Gateway => "the gateway",
            Self::Broadcast => "the broadcast address",
            Self::Excluded => "excluded by the operator",
            Self::Occupied => "somebody else answers for it",
            Self::Reserved => "kept by the provider",
        })
    }
}
