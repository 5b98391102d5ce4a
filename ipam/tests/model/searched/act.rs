//! What can happen next, in the words of the protocol.

use std::fmt;
use std::net::IpAddr;

use ipam::{BlockId, Prefix};

/// One step of a world. Machines are counted from 0, and called h1, h2, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A container asks for any address, or for this one.
    Ask(usize, Option<IpAddr>),
    /// A container is removed.
    Stop(usize, IpAddr),
    /// The reconciler closes what nothing uses.
    Reap(usize, IpAddr),
    /// A release is repeated for the assignment before the present one.
    LateRelease(usize, IpAddr),
    /// What the agent sent reaches the store, or does not.
    Arrive(usize, usize, Fate),
    /// The store's answer arrives.
    Hear(usize),
    /// A watch shows its next event.
    Watch(usize, Prefix),
    /// The agent lists and watches, for the first time since it started.
    List(usize),
    /// The watches begin anew, because what they missed was compacted away.
    Compacted(usize),
    /// Time passes on a host.
    Pass(usize),
    /// A transaction of unknown outcome lands after all.
    Land(usize, usize),
    Kill(usize),
    Start(usize),
    CutPower(usize, Unsynced),
    DiskFails(usize, Written),
    LoseJournal(usize),
    /// The provider is asked what became of the machine, and says whether it is off.
    Question(usize),
    Evict(usize),
    Sweep(usize, BlockId),
    EndQuarantine(IpAddr),
    /// A container's address becomes known to services.
    Open(usize, IpAddr),
    /// An owner names an open endpoint in the cloud.
    Name(IpAddr),
    /// The owner has read the cloud back without it.
    Unname(IpAddr),
    Drain(BlockId),
    Undrain(BlockId),
    /// The cluster is frozen, and all journals and kernels are read.
    BeginRebuild,
    /// Blocks are written from what was read, under a new generation.
    EndRebuild,
    /// A running container's address is claimed from quarantine.
    Claim(usize, IpAddr),
}

/// What becomes of a call to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done, and the answer comes back.
    Known,
    /// It is done, and the answer comes later.
    Slow,
    /// Nobody hears what became of it; it may land at any later time, at once too, or never.
    Unknown,
    /// The store was not reached, and that is known.
    Unreached,
}

/// What becomes of what was written and not synced when the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Kept,
    Lost,
}

/// Whether a write that failed is there all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    There,
    NotThere,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |machine: &usize| format!("h{}", machine + 1);
        match self {
            Self::Ask(m, None) => write!(f, "{}: a container asks for an address", host(m)),
            Self::Ask(m, Some(address)) => write!(f, "{}: a container asks for {address}", host(m)),
            Self::Stop(m, address) => write!(f, "{}: the container on {address} is removed", host(m)),
            Self::Reap(m, address) => write!(f, "{}: nothing uses {address}, it is reaped", host(m)),
            Self::LateRelease(m, address) => {
                write!(f, "{}: the release of an earlier assignment of {address} is repeated", host(m))
            }
            Self::Arrive(m, call, Fate::Known) => write!(f, "{}: call {call} is done", host(m)),
            Self::Arrive(m, call, Fate::Slow) => {
                write!(f, "{}: call {call} is done, its answer is on its way", host(m))
            }
            Self::Arrive(m, call, Fate::Unknown) => {
                write!(f, "{}: nobody hears what became of call {call}", host(m))
            }
            Self::Arrive(m, call, Fate::Unreached) => {
                write!(f, "{}: call {call} does not reach the store", host(m))
            }
            Self::Hear(m) => write!(f, "{}: the store's answer arrives", host(m)),
            Self::Watch(m, prefix) => write!(f, "{}: the watch of {prefix:?} shows", host(m)),
            Self::List(m) => write!(f, "{}: the store is listed", host(m)),
            Self::Compacted(m) => write!(f, "{}: the watches were compacted, all is listed again", host(m)),
            Self::Pass(m) => write!(f, "{}: time passes", host(m)),
            Self::Land(m, _) => write!(f, "{}: a transaction lands late", host(m)),
            Self::Kill(m) => write!(f, "{}: the agent is killed", host(m)),
            Self::Start(m) => write!(f, "{}: the agent starts", host(m)),
            Self::CutPower(m, Unsynced::Kept) => write!(f, "{}: the power is cut", host(m)),
            Self::CutPower(m, Unsynced::Lost) => {
                write!(f, "{}: the power is cut, what was not synced is lost", host(m))
            }
            Self::DiskFails(m, Written::There) => {
                write!(f, "{}: the next write to the disk fails, and is there", host(m))
            }
            Self::DiskFails(m, Written::NotThere) => {
                write!(f, "{}: the next write to the disk fails", host(m))
            }
            Self::LoseJournal(m) => write!(f, "{}: the journal is lost, and made anew", host(m)),
            Self::Question(m) => write!(f, "the provider is asked about {}", host(m)),
            Self::Evict(m) => write!(f, "{} is evicted", host(m)),
            Self::Sweep(m, block) => write!(f, "what {} held in {block} is swept", host(m)),
            Self::EndQuarantine(address) => write!(f, "the quarantine of {address} is over"),
            Self::Open(m, address) => write!(f, "{}: {address} becomes known to services", host(m)),
            Self::Name(address) => write!(f, "an owner names {address} in the cloud"),
            Self::Unname(address) => write!(f, "nothing in the cloud names {address} any more"),
            Self::Drain(block) => write!(f, "{block} is to be emptied"),
            Self::Undrain(block) => write!(f, "{block} is open again"),
            Self::BeginRebuild => write!(f, "the store is frozen, journals and kernels are read"),
            Self::EndRebuild => write!(f, "the store is rebuilt, under a new generation"),
            Self::Claim(m, address) => write!(f, "{}: its container's {address} is claimed", host(m)),
        }
    }
}
