//! What the host says to the store: typed keys, values, compares and writes.
//!
//! The shell spells keys and encodes values; it decides nothing. A transaction commits entirely, at
//! one revision, if every compare holds, and else not at all.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::block::Block;
use crate::cluster::{
    ClusterRecord, Dependent, EndpointRecord, Eviction, HostRecord, Published, SignOfLife, Surplus, Want,
};
use crate::epoch::Epoch;
use crate::names::{BlockId, HostId, PoolName, ReservationName, Revision, Zone};
use crate::pool::{Pool, Reservation, Subnet};

/// A place in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// The cluster's one record.
    Cluster,
    /// A host's record.
    Host(HostId),
    /// A host's sign of life.
    Session(HostId),
    /// When and why a host was evicted last.
    Eviction(HostId),
    /// A pool's policy.
    Pool(PoolName),
    /// An opened subnet.
    Subnet(IpNetwork),
    /// A block of a subnet.
    Block {
        /// The zone of the subnet.
        zone: Zone,
        /// The block.
        block: BlockId,
    },
    /// A reservation.
    Reservation(ReservationName),
    /// How much a host could give.
    Surplus {
        /// The zone of the addresses.
        zone: Zone,
        /// The host that holds them.
        host: HostId,
    },
    /// One host asking another.
    Want {
        /// The zone of the addresses.
        zone: Zone,
        /// Who is asked; it watches only its own wants.
        holder: HostId,
        /// Who asks.
        asker: HostId,
    },
    /// What a host has open in a block.
    Published {
        /// The host.
        host: HostId,
        /// The block.
        block: BlockId,
    },
    /// An open endpoint.
    Endpoint(IpAddr),
    /// A cloud object that names an address under an epoch.
    Dependent {
        /// The address.
        address: IpAddr,
        /// The epoch under which it was named.
        epoch: Epoch,
        /// The cloud object, as its owner calls it.
        object: String,
    },
}

/// A family of keys: what is watched, listed, or compared to be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Prefix {
    /// The cluster's one record.
    Cluster,
    /// All hosts.
    Hosts,
    /// All pools.
    Pools,
    /// All subnets.
    Subnets,
    /// All blocks of all subnets of a zone.
    Blocks(Zone),
    /// All reservations.
    Reservations,
    /// The hints of a zone.
    Surplus(Zone),
    /// What others want of this host.
    Wants {
        /// The zone.
        zone: Zone,
        /// The host that is asked.
        holder: HostId,
    },
    /// What a host has open, in all blocks.
    Published(HostId),
    /// The cloud objects that name an address, under any epoch.
    Dependents(IpAddr),
}

impl Prefix {
    /// Whether `key` belongs to this family.
    pub fn contains(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::Cluster, Key::Cluster)
            | (Self::Hosts, Key::Host(_))
            | (Self::Pools, Key::Pool(_))
            | (Self::Subnets, Key::Subnet(_))
            | (Self::Reservations, Key::Reservation(_)) => true,
            (Self::Blocks(of), Key::Block { zone, .. }) | (Self::Surplus(of), Key::Surplus { zone, .. }) => {
                of == zone
            }
            (Self::Wants { zone: in_zone, holder: of }, Key::Want { zone, holder, .. }) => {
                in_zone == zone && of == holder
            }
            (Self::Published(of), Key::Published { host, .. }) => of == host,
            (Self::Dependents(of), Key::Dependent { address, .. }) => of == address,
            _ => false,
        }
    }
}

/// What stands at a [`Key`]: the value's kind is always the key's. Stored as versioned JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// At [`Key::Cluster`].
    Cluster(ClusterRecord),
    /// At [`Key::Host`].
    Host(HostRecord),
    /// At [`Key::Session`].
    Session(SignOfLife),
    /// At [`Key::Eviction`].
    Eviction(Eviction),
    /// At [`Key::Pool`].
    Pool(Pool),
    /// At [`Key::Subnet`].
    Subnet(Subnet),
    /// At [`Key::Block`].
    Block(Block),
    /// At [`Key::Reservation`].
    Reservation(Reservation),
    /// At [`Key::Surplus`].
    Surplus(Surplus),
    /// At [`Key::Want`].
    Want(Want),
    /// At [`Key::Published`].
    Published(Published),
    /// At [`Key::Endpoint`].
    Endpoint(EndpointRecord),
    /// At [`Key::Dependent`].
    Dependent(Dependent),
}

/// What must still be true for a transaction to commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compare {
    /// The value was last written at this revision.
    At {
        /// Where.
        key: Key,
        /// When it was last written.
        revision: Revision,
    },
    /// This very value stands there, whenever it was written. For the cluster's record: revisions begin
    /// again where a store is lost and made anew, its generation does not.
    Holds {
        /// Where.
        key: Key,
        /// What; of the key's kind.
        value: Value,
    },
    /// Nothing stands there.
    Absent(Key),
    /// Nothing stands under this prefix.
    Empty(Prefix),
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Write {
    /// Puts a value, over whatever stands there.
    Put {
        /// Where.
        key: Key,
        /// What; of the key's kind.
        value: Value,
    },
    /// Removes a value; removing nothing is no mistake.
    Delete(Key),
}

/// Compares and writes, all or nothing. Without writes it only asks whether the compares hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transaction {
    /// What must hold.
    pub compares: Vec<Compare>,
    /// What is written if it does.
    pub writes: Vec<Write>,
}

/// What was read at a key: in a conflict, an answer to a read, or a watch event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// Where.
    pub key: Key,
    /// What stands there, if anything.
    pub value: Option<Value>,
    /// When it was last written; for an absent value the revision at which it was seen absent (of
    /// the delete, or of the store when read).
    pub revision: Revision,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// It took effect at this revision.
    Committed {
        /// The revision of every value it wrote.
        revision: Revision,
    },
    /// A compare failed and nothing was written.
    Conflict {
        /// The present value of every key compared by [`Compare::At`], [`Compare::Holds`] and
        /// [`Compare::Absent`], and what stands under each prefix compared to be empty.
        now: Vec<Seen>,
    },
    /// It was certainly not applied and never will be (the store was not reached at all).
    Failed,
    /// Nobody knows: it may have landed, may land later, or never.
    Unknown,
}
