//! Why something was not done, in a sentence that says what to do next.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::block::{BlockState, SetAside};
use crate::epoch::Epoch;
use crate::names::{BlockId, BootId, EndpointId, HostId, InstanceId, PoolName, ReservationName, Zone};

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
    /// Held back after an eviction.
    Quarantined {
        /// Who held it.
        was: HostId,
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

/// Everything there is to know about why a pool has no address for this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shortage {
    /// The pool.
    pub pool: Option<PoolName>,
    /// The zones of this host in which it was looked for.
    pub zones: Vec<Zone>,
    /// How many subnets the pool has there.
    pub subnets: u32,
    /// How many addresses those have.
    pub total: u32,
    /// Assigned on this host.
    pub assigned: u32,
    /// Cooling on this host, by timer alone.
    pub cooling: u32,
    /// The shortest remaining time of those, in milliseconds.
    pub cooling_next_millis: Option<u64>,
    /// Cooling on this host until their endpoint is closed or nothing in the cloud names them.
    pub cooling_published: u32,
    /// Free, but kept for names.
    pub reserved: u32,
    /// On their way from this host.
    pub leaving: u32,
    /// Held by other hosts, used or free.
    pub held_by: BTreeMap<HostId, u32>,
    /// Held by nobody.
    pub free: u32,
    /// Held by nobody, but in blocks whose subnet is being emptied.
    pub emptying: u32,
    /// Never handed out.
    pub set_aside: u32,
    /// Held back after evictions.
    pub quarantined: u32,
    /// Held since an earlier boot and not yet re-taken.
    pub not_retaken: u32,
    /// What the capacity role says about more.
    pub capacity: Capacity,
    /// Why nothing can be taken now, if so.
    pub not_ready: Option<NotReady>,
}

/// What the capacity role does about a pool's size; passed on in refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Capacity {
    /// An order under way, in the role's words.
    pub order: Option<String>,
    /// The limit that keeps it from ordering, in the role's words.
    pub limit: Option<String>,
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

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool = self.pool.as_ref().map_or("", |pool| &pool.0);
        let zones: Vec<&str> = self.zones.iter().map(|zone| zone.0.as_str()).collect();
        write!(f, "no free address in pool {pool} in zone {}", zones.join(", "))?;
        write!(f, ": {} subnets, {} addresses", self.subnets, self.total)?;
        let mut part = |count: u32, what: &str| match count {
            0 => Ok(()),
            _ => write!(f, ", {count} {what}"),
        };
        part(self.assigned, "assigned here")?;
        part(self.cooling, "cooling by timer")?;
        part(self.cooling_published, "cooling until the cloud has forgotten them")?;
        part(self.reserved, "reserved")?;
        part(self.leaving, "leaving")?;
        for (host, count) in &self.held_by {
            part(*count, &format!("held by {host}"))?;
        }
        part(self.free, "free in the store")?;
        part(self.emptying, "in subnets being emptied")?;
        part(self.set_aside, "set aside")?;
        part(self.quarantined, "quarantined")?;
        part(self.not_retaken, "not yet re-taken after boot")?;
        if let Some(order) = &self.capacity.order {
            write!(f, "; {order}")?;
        }
        if let Some(limit) = &self.capacity.limit {
            write!(f, "; {limit}")?;
        }
        if let Some(not_ready) = &self.not_ready {
            write!(f, "; {not_ready}")?;
        }
        match self.cooling_next_millis {
            Some(left) if self.not_ready.is_none() => {
                write!(f, "; the next is free in {} s", left.div_ceil(1000))
            }
            _ if self.not_ready.is_some() || self.capacity.order.is_some() => Ok(()),
            _ => write!(f, "; release some, or raise the pool's limit"),
        }
    }
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
            Self::Quarantined { was, why } => write!(f, "is quarantined: host {was} held it ({why})"),
            Self::Reserved(name) => write!(f, "is reserved as {name}"),
            Self::Outside => write!(f, "is in no subnet of the pool that this host can use"),
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

/// How a frozen cluster goes on.
const THAW: &str = "its store must get its memory back: docs/operating.md, \"A frozen cluster\"";

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
