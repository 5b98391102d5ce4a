//! Everything a status page needs, as this host knows it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::block::{BlockCounts, BlockState};
use crate::cluster::ClusterState;
use crate::epoch::Generation;
use crate::names::{
    BlockId, Holder, HostId, Incarnation, PoolName, RequestId, ReservationName, Revision, Zone,
};
use crate::pool::{Pool, Reservation, Subnet};
use crate::record::Operation;
use crate::refusal::{AddressState, Capacity, NotReady};

/// Who was evicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvictedView {
    /// Whether anything waits in quarantine.
    pub in_quarantine: bool,
    /// Hosts that are not in their first life.
    pub again: BTreeMap<HostId, Incarnation>,
}

/// What this host knows. A copy: nothing in it changes the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// This host.
    pub host: HostId,
    /// Its incarnation, once registered.
    pub incarnation: Option<Incarnation>,
    /// Why it may not take addresses now, if so. Assignments from holdings may still go on.
    pub not_ready: Option<NotReady>,
    /// The cluster's life and state, once seen.
    pub cluster: Option<(Generation, ClusterState)>,
    /// The cluster that this host's journal belongs to, and the last life of it that it knows.
    pub journalled: Option<(String, Generation)>,
    /// Every host of the cluster that is known of, and its life.
    pub hosts: BTreeMap<HostId, Incarnation>,
    /// Addresses that a block shows with a holder that is no host of the cluster, or with an earlier life of one.
    pub lost: BTreeMap<IpAddr, Holder>,
    /// The pools.
    pub pools: BTreeMap<PoolName, PoolView>,
    /// The subnets of this host's zones, and those of other zones of which it still holds something.
    pub subnets: Vec<SubnetView>,
    /// The reservations.
    pub reservations: Vec<Reservation>,
    /// The requests that wait for the store or for other hosts.
    pub waiting: Vec<RequestId>,
    /// Addresses that were taken from this host by an eviction and must fall silent.
    pub revoked: Vec<IpAddr>,
}

impl View {
    /// The zone of a block, if it is of one of these subnets.
    pub fn zone_of(&self, block: BlockId) -> Option<&Zone> {
        self.subnets.iter().find(|it| it.subnet.cidr == block.subnet).map(|it| &it.subnet.zone)
    }
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Its policy.
    pub pool: Pool,
    /// What the capacity role says about it.
    pub capacity: Capacity,
    /// How many free addresses this host means to hold of it now.
    pub warm: u32,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetView {
    /// Its record.
    pub subnet: Subnet,
    /// Whether this host is in its zone. If not, it was: what runs there keeps its addresses, and nothing new is
    /// assigned.
    pub in_reach: bool,
    /// Its blocks, in order. Before the store was read: those in which the journal shows holdings,
    /// and of those only what this host holds.
    pub blocks: Vec<BlockView>,
}

/// A block, and what this host holds of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// Which.
    pub id: BlockId,
    /// Whether its addresses may be taken.
    pub state: BlockState,
    /// The revision of the newest value seen.
    pub revision: Revision,
    /// Its take number.
    pub take: u64,
    /// How many addresses are in which state.
    pub counts: BlockCounts,
    /// How many each host holds, this one included.
    pub holders: BTreeMap<HostId, u32>,
    /// What this host does with those it holds.
    pub here: HoldingCounts,
    /// The operation under way, if any.
    pub operation: Option<Operation>,
    /// Every address, in order.
    pub addresses: Vec<AddressView>,
}

/// What a host does with the addresses of a block that it holds: each is in exactly one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldingCounts {
    /// May be assigned.
    pub free: u32,
    /// In use.
    pub assigned: u32,
    /// Held back after a release.
    pub cooling: u32,
    /// On their way to the block or to another host.
    pub leaving: u32,
    /// Held since an earlier boot, and not yet re-taken.
    pub not_retaken: u32,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressView {
    /// Which.
    pub address: IpAddr,
    /// What it is doing.
    pub state: AddressState,
    /// The name that keeps it, if any.
    pub reservation: Option<ReservationName>,
}
