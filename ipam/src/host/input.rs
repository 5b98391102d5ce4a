//! What goes into a host and what comes out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::names::{
    BlockId, BootId, EndpointId, HostId, InstanceId, PoolName, RequestId, ReservationName, Revision, Token,
    Zone,
};
use crate::pool::Reservation;
use crate::record::Record;
use crate::refusal::{Capacity, Refusal};
use crate::transaction::{Key, Prefix, Seen, Sent, Transaction};

/// Who this host is, in this boot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Its name in the cluster.
    pub host: HostId,
    /// The provider's word for the machine.
    pub instance: InstanceId,
    /// This boot.
    pub boot: BootId,
    /// The zones it has a network in.
    pub zones: BTreeSet<Zone>,
}

/// Which address is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wish {
    /// Any of a family.
    Any(Family),
    /// Any of one subnet (a Docker network of the built-in bridge driver has only one).
    Within(IpNetwork),
    /// This one (`--ip`).
    Exact(IpAddr),
}

impl Wish {
    /// The family it lies in, and the subnet it is bound to, if it names one.
    pub(super) fn scope(&self) -> (Family, Option<IpNetwork>) {
        match self {
            Self::Any(family) => (*family, None),
            Self::Within(cidr) => (Family::of(cidr.ip()), Some(crate::names::network_of(*cidr))),
            Self::Exact(address) => (Family::of(*address), None),
        }
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What happened. Every [`Effect`] that asks for an outcome gets exactly one, in any order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Time passed: due when [`Host::next_deadline`](super::Host::next_deadline) is reached.
    Tick,
    /// The journal tells all that containers of this host use: Docker and the kernel know of nothing else.
    /// Said once; until then this host does not answer for itself after the store was made anew.
    Accounted,

    /// An address is asked for (RequestAddress).
    Assign {
        /// To be answered under this name.
        request: RequestId,
        /// From this pool.
        pool: PoolName,
        /// Which.
        wish: Wish,
        /// For whom, where that is known already: the same endpoint gets the same answer.
        endpoint: Option<EndpointId>,
    },
    /// What [`Input::Assign`] would do, without doing it.
    Explain {
        /// To be answered under this name.
        request: RequestId,
        /// From this pool.
        pool: PoolName,
        /// Which.
        wish: Wish,
    },
    /// An endpoint uses an assigned address (CreateEndpoint, or a container seen with it).
    Bind {
        /// To be answered under this name.
        request: RequestId,
        /// The address.
        address: IpAddr,
        /// Who uses it.
        endpoint: EndpointId,
    },
    /// An endpoint was deleted (DeleteEndpoint): its address waits for the release.
    EndpointGone {
        /// To be answered under this name.
        request: RequestId,
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// Docker's ReleaseAddress. It names no owner, so it closes only an assignment whose endpoint is
    /// deleted or never came to exist.
    Release {
        /// To be answered under this name.
        request: RequestId,
        /// The address.
        address: IpAddr,
    },
    /// The reconciler has two witnesses that nothing uses the assignment of this epoch.
    Reap {
        /// To be answered under this name.
        request: RequestId,
        /// The address.
        address: IpAddr,
        /// The assignment's epoch.
        epoch: Epoch,
    },
    /// A running container uses an address that this host lost with its journal or by eviction: gain
    /// it back from quarantine, in use by `endpoint`.
    Claim {
        /// To be answered under this name.
        request: RequestId,
        /// The address.
        address: IpAddr,
        /// Who uses it.
        endpoint: EndpointId,
    },
    /// A name for an address, to outlive containers.
    Reserve {
        /// To be answered under this name.
        request: RequestId,
        /// The name.
        name: ReservationName,
        /// Of this pool.
        pool: PoolName,
        /// Which address; any free one if not said.
        address: Option<IpAddr>,
    },
    /// The end of a reservation.
    Unreserve {
        /// To be answered under this name.
        request: RequestId,
        /// The name.
        name: ReservationName,
    },
    /// An assignment is to be visible to services: its endpoint is opened in the store. It is closed
    /// by itself when the assignment is.
    Publish {
        /// To be answered under this name.
        request: RequestId,
        /// The address.
        address: IpAddr,
        /// The assignment's epoch.
        epoch: Epoch,
    },
    /// An operator ends the cooling of an address before its time, on record.
    Uncool {
        /// To be answered under this name.
        request: RequestId,
        /// The address.
        address: IpAddr,
        /// The epoch it cools after.
        epoch: Epoch,
    },
    /// A revoked address has fallen silent: [`Effect::Silence`] was carried out.
    Silenced {
        /// The address.
        address: IpAddr,
    },
    /// What the capacity role says about a pool, to be passed on in refusals.
    Capacity {
        /// The pool.
        pool: PoolName,
        /// Its word.
        capacity: Capacity,
    },

    /// Everything that stands under a prefix: at start, and after a compacted watch. What is missing
    /// from it is gone.
    Listed {
        /// The prefix.
        prefix: Prefix,
        /// The store's revision of the reading.
        revision: Revision,
        /// What stands there, each with the revision at which it was written.
        entries: Vec<Seen>,
    },
    /// Events of a watch, in order. They may come late; a delete has no value.
    Seen(Vec<Seen>),

    /// The outcome of [`Effect::Persist`].
    Persisted {
        /// Which.
        token: Token,
        /// What became of it.
        outcome: Persisted,
    },
    /// The outcome of [`Effect::Send`].
    Sent {
        /// Which.
        token: Token,
        /// What became of it.
        outcome: Sent,
    },
    /// The outcome of [`Effect::Read`].
    Read {
        /// Which.
        token: Token,
        /// Every key asked for, present or absent; `None` when the store did not answer.
        found: Option<Vec<Seen>>,
    },
}

/// What became of a write to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persisted {
    /// It is there, as durable as was asked.
    Done,
    /// It may be there or not (a full disk, an error of the device).
    Failed,
}

/// How durable a write to the journal must be before its outcome is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// write(2) has returned: survives the process.
    Written,
    /// fsync(2) has returned: survives power loss.
    Synced,
}

/// What is to be done. Carried out in the order given; outcomes may come back in any order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Append to the journal, after everything appended before.
    Persist {
        /// Names the outcome.
        token: Token,
        /// What.
        records: Vec<Record>,
        /// How durably.
        durability: Durability,
    },
    /// Commit a transaction.
    Send {
        /// Names the outcome.
        token: Token,
        /// What.
        transaction: Transaction,
    },
    /// Read keys from the store itself, not from what a watch has shown.
    Read {
        /// Names the outcome.
        token: Token,
        /// What.
        keys: Vec<Key>,
    },
    /// The answer to a request.
    Answer {
        /// Which.
        request: RequestId,
        /// What.
        result: Result<Answer, Refusal>,
    },
    /// This host lost the address while it was in use (it was evicted): make it fall silent at once,
    /// say so loudly, and report [`Input::Silenced`].
    Silence {
        /// The address.
        address: IpAddr,
        /// The epoch that is over.
        epoch: Epoch,
    },
}

/// A request carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Input::Assign`], [`Input::Bind`] and [`Input::Claim`].
    Assigned(Assignment),
    /// To [`Input::EndpointGone`]: the assignments it had, at most one a family.
    Gone(Vec<Assignment>),
    /// To [`Input::Release`], [`Input::Reap`] and [`Input::Uncool`].
    Released(Released),
    /// To [`Input::Reserve`] and [`Input::Unreserve`].
    Reservation(Reservation),
    /// To [`Input::Explain`].
    Explained(Explanation),
    /// To [`Input::Publish`].
    Published,
}

/// An address assigned to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// The address.
    pub address: IpAddr,
    /// Its subnet.
    pub subnet: IpNetwork,
    /// The subnet's router, if it has one.
    pub gateway: Option<IpAddr>,
    /// Names this assignment, and no other ever.
    pub epoch: Epoch,
}

/// What a release did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Released {
    /// The assignment is closed; its address cools.
    Closed(Epoch),
    /// An endpoint still uses it: taken as a hint to look, nothing changed.
    Hint(Epoch),
    /// Nothing was assigned there: a repeated or late release.
    Nothing,
}

/// What an [`Input::Assign`] would do now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Explanation {
    /// Answer at once with this address, held by this host.
    Here(IpAddr),
    /// Take an address from this block first.
    Take(BlockId),
    /// Ask these hosts for one, most promising first.
    Ask(Vec<HostId>),
    /// Refuse.
    Refuse(Refusal),
}
