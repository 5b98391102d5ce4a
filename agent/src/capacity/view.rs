//! What one look found: everything a decision needs, as a value.

use std::collections::{BTreeMap, BTreeSet};

use ipam::role::{BlockSeen, HostsSeen};
use ipam::{Block, HostId, PoolName, Rebuild, Subnet, Timestamp};
use ipnetwork::IpNetwork;
use provider::{CloudSubnet, ClusterTags, Network, ZoneId};
use store::Revision;

use super::{
    PoolPolicy,
    policy::PolicyRecord,
    record::{OrderKey, OrderRecord},
    rest::Rest,
};

/// A stored value and when it was written, to be compared when it is written again.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) revision: Revision,
}

/// One look at store and cloud.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) tags: ClusterTags,
    pub(super) network: Network,
    /// What the pools of this host's configuration go by.
    pub(super) pools: Vec<PoolPolicy>,
    /// Every order of the zone, of any state.
    pub(super) orders: BTreeMap<OrderKey, At<OrderRecord>>,
    /// The open subnets of every zone.
    pub(super) subnets: BTreeMap<IpNetwork, At<Subnet>>,
    /// The blocks of the zone's subnets.
    pub(super) blocks: Vec<At<Block>>,
    /// Free addresses that hosts hold, by pool.
    pub(super) surplus: BTreeMap<PoolName, u32>,
    /// The hosts of the cluster, read before everything else.
    pub(super) hosts: HostsSeen,
    /// The last time that the store was lost and made anew, if it ever was.
    pub(super) rebuild: Option<At<Rebuild>>,
    /// What the cluster goes by for each pool, and whose configuration says so.
    pub(super) policies: BTreeMap<PoolName, At<PolicyRecord>>,
    /// Who has the capacity role of each zone.
    pub(super) owners: BTreeMap<ZoneId, HostId>,
    /// The portable subnets that the cloud shows in the zone, where it was asked.
    pub(super) cloud: Option<Vec<CloudSubnet>>,
    /// The time of the look.
    pub(super) now: Timestamp,
}

/// What earlier looks found that matters to this decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// Pools that were short, and since when.
    pub(super) short: BTreeMap<PoolName, Timestamp>,
    /// Pools whose last order failed, and how long none is tried again.
    pub(super) order_not_before: BTreeMap<PoolName, Rest>,
    /// Subnets that nobody used, and since when.
    pub(super) unused: BTreeMap<OrderKey, Timestamp>,
    /// Open subnets that the cloud did not show, and since when.
    pub(super) unshown: BTreeMap<OrderKey, Timestamp>,
    /// Orders whose last step failed or left them on their way, and how long it is not tried again.
    pub(super) step_not_before: BTreeMap<OrderKey, Rest>,
}

impl View {
    /// The orders of a pool.
    pub(super) fn orders_of<'a>(&'a self, pool: &'a PoolName) -> impl Iterator<Item = &'a OrderRecord> {
        self.orders.values().map(|at| &at.value).filter(move |record| record.pool == *pool)
    }

    /// Addresses of a pool that can be handed out in this zone: held by nobody in an open block, or free in a holding.
    pub(super) fn free(&self, pool: &PoolName) -> u32 {
        let open = |at: &&At<Block>| at.value.state() == ipam::BlockState::Open;
        let ours = |at: &&At<Block>| {
            self.subnets.get(&at.value.id().subnet).is_some_and(|subnet| subnet.value.pool == *pool)
        };
        let unheld = self.blocks.iter().filter(open).filter(ours).map(|at| at.value.counts().free);
        unheld.sum::<u32>() + self.surplus.get(pool).copied().unwrap_or(0)
    }

    /// Subnets that a pool pays for, or may.
    pub(super) fn paid_for(&self, pool: &PoolName) -> u32 {
        let paid = self.orders_of(pool).filter(|record| record.order.is_paid_for()).count();
        u32::try_from(paid).unwrap_or(u32::MAX)
    }

    /// The subnets that were tagged for this cluster, were never opened, and are in nobody's book.
    pub(super) fn adoptable(&self) -> impl Iterator<Item = &CloudSubnet> {
        let booked: BTreeSet<_> =
            self.orders.values().filter_map(|at| Some(at.value.order.subnet()?.id.clone())).collect();
        self.cloud.iter().flatten().filter(move |subnet| {
            self.tags.mark(subnet)
                && !self.tags.mark_opened(subnet)
                && !booked.contains(&subnet.id)
                && !self.subnets.contains_key(&subnet.cidr)
        })
    }

    /// Whether nobody uses an address of a subnet, and no reservation names one.
    pub(super) fn is_unused(&self, subnet: IpNetwork) -> bool {
        let unused = |at: &At<Block>| {
            let block = &at.value;
            block.held().is_empty() && block.quarantined().is_empty() && block.reserved().is_empty()
        };
        self.blocks_of(subnet).next().is_some() && self.blocks_of(subnet).all(unused)
    }

    /// The subnets of a zone that are not about to be returned; and all that are known, in whatever state and zone.
    pub(super) fn in_the_book(&self, zone: &ZoneId) -> (Vec<Subnet>, BTreeSet<IpNetwork>) {
        let leaves = |cidr| self.blocks_of(cidr).any(|at| at.value.state() == ipam::BlockState::Returning);
        let open = self.subnets.values().map(|at| &at.value);
        let open = open.filter(|subnet| subnet.zone.0 == zone.as_str() && !leaves(subnet.cidr)).cloned();
        let booked = self.orders.values().filter_map(|at| Some(at.value.order.subnet()?.cidr));
        (open.collect(), booked.chain(self.subnets.keys().copied()).collect())
    }

    /// The blocks of a subnet.
    pub(super) fn blocks_of(&self, subnet: IpNetwork) -> impl Iterator<Item = &At<Block>> {
        self.blocks.iter().filter(move |at| at.value.id().subnet == subnet)
    }

    /// The blocks in the words of the pure machines.
    pub(super) fn blocks_seen(&self, zone: &ZoneId) -> Vec<BlockSeen> {
        let seen = |at: &At<Block>| BlockSeen {
            zone: ipam::Zone(zone.to_string()),
            block: at.value.clone(),
            revision: ipam::Revision(at.revision.0),
        };
        self.blocks.iter().map(seen).collect()
    }
}
