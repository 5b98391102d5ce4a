//! What this host knows, for people; and the whole reason of a shortage.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Family, Host, Wish};
use crate::block::{Block, BlockCounts, BlockState};
use crate::epoch::Epoch;
use crate::names::{BlockId, Holder, PoolName, Revision, Timestamp};
use crate::pool::Subnet;
use crate::record::Life;
use crate::refusal::{AddressState, Refusal, Shortage};
use crate::transaction::Prefix;
use crate::view::{AddressView, BlockView, EvictedView, HoldingCounts, PoolView, SubnetView, View};

impl Host {
    /// Everything this host knows, and how much longer what is cooling will cool.
    pub fn view(&self, now: Timestamp) -> View {
        View {
            host: self.identity.host.clone(),
            incarnation: self.me().map(|me| me.incarnation),
            not_ready: self.not_ready(),
            cluster: self.cluster.seen.as_ref().map(|(cluster, _)| (cluster.generation, cluster.state)),
            journalled: self.cluster.journalled.as_ref().map(|(id, life, _)| (id.clone(), *life)),
            hosts: self.hosts.iter().map(|(host, (record, _))| (host.clone(), record.incarnation)).collect(),
            lost: self.lost_holdings().collect(),
            pools: self.pools.keys().map(|name| (name.clone(), self.pool_view(name))).collect(),
            subnets: self.subnet_views(now),
            reservations: self.reservations.values().cloned().collect(),
            waiting: self.waiting.keys().copied().collect(),
            revoked: self.revoked.keys().copied().collect(),
        }
    }

    /// What stands with a holder that is no host, or with an earlier life of one. Before the hosts were read
    /// nobody is known to be none.
    fn lost_holdings(&self) -> impl Iterator<Item = (IpAddr, Holder)> + '_ {
        let lives =
            |by: &Holder| self.hosts.get(&by.host).is_some_and(|(it, _)| it.incarnation <= by.incarnation);
        let seen = self.blocks.values().filter_map(|facts| facts.seen.as_ref());
        let seen = seen.filter(|_| self.listed.contains(&Prefix::Hosts));
        let held = seen.flat_map(|(block, _)| block.held());
        held.filter(move |(_, held)| !lives(&held.by))
            .map(|(address, held)| (*address, Holder::clone(&held.by)))
    }

    fn pool_view(&self, name: &PoolName) -> PoolView {
        let warm = |family| self.demand_of(name, family).map_or(0, |demand| demand.warm);
        PoolView {
            pool: self.pools[name].clone(),
            capacity: self.capacity.get(name).cloned().unwrap_or_default(),
            warm: warm(Family::V4).max(warm(Family::V6)),
        }
    }

    fn subnet_views(&self, now: Timestamp) -> Vec<SubnetView> {
        let in_reach = |subnet: &Subnet| self.identity.zones.contains(&subnet.zone);
        let held = |subnet: &Subnet| self.held.values().any(|held| held.block.subnet == subnet.cidr);
        let shown = self.subnets.values().filter(|subnet| in_reach(subnet) || held(subnet));
        shown
            .map(|subnet| SubnetView {
                subnet: subnet.clone(),
                in_reach: in_reach(subnet),
                blocks: self
                    .blocks
                    .iter()
                    .filter(|(id, _)| id.subnet == subnet.cidr)
                    .filter_map(|(id, facts)| match &facts.seen {
                        Some((block, revision)) => Some(self.block_view(*id, block, *revision, now)),
                        None => self.holding_view(*id, now),
                    })
                    .collect(),
            })
            .collect()
    }

    fn block_view(&self, id: BlockId, block: &Block, revision: Revision, now: Timestamp) -> BlockView {
        let mut holders = BTreeMap::new();
        for held in block.held().values() {
            *holders.entry(held.by.host.clone()).or_default() += 1;
        }
        let address_view = |address| AddressView {
            address,
            state: self.address_state_at(address, now),
            reservation: block.reserved().get(&address).cloned(),
        };
        let flight = self.blocks.get(&id).and_then(|facts| facts.flight.as_ref());
        BlockView {
            id,
            state: block.state(),
            revision,
            take: block.take_number(),
            counts: block.counts(),
            holders,
            here: self.holding_counts(id),
            operation: flight.map(|flight| flight.operation.clone()),
            addresses: id.addresses().map(address_view).collect(),
        }
    }

    /// What the journal alone tells of a block, while the store was not read yet.
    fn holding_view(&self, id: BlockId, now: Timestamp) -> Option<BlockView> {
        let facts = self.blocks.get(&id)?;
        let addresses: Vec<AddressView> = self
            .held
            .iter()
            .filter(|(_, held)| held.block == id)
            .map(|(address, held)| AddressView {
                address: *address,
                state: self.address_state_at(*address, now),
                reservation: held.holding.reserved.clone(),
            })
            .collect();
        let held = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        (held > 0).then(|| BlockView {
            id,
            state: BlockState::Open,
            revision: facts.acted,
            take: facts.take,
            counts: BlockCounts { total: held, held, ..BlockCounts::default() },
            holders: [(self.identity.host.clone(), held)].into(),
            here: self.holding_counts(id),
            operation: facts.flight.as_ref().map(|flight| flight.operation.clone()),
            addresses,
        })
    }

    /// Who was evicted, as far as it matters to others: a small part of [`Host::view`], to be looked at after every
    /// change.
    pub fn evicted(&self) -> EvictedView {
        let mut seen = self.blocks.values().filter_map(|facts| facts.seen.as_ref());
        let lives = self.hosts.iter().map(|(host, (record, _))| (host.clone(), record.incarnation));
        EvictedView {
            in_quarantine: seen.any(|(block, _)| !block.quarantined().is_empty()),
            again: lives.filter(|(_, life)| life.0 > 1).collect(),
        }
    }

    /// Whether this host may gain and lose addresses now.
    pub fn is_ready(&self) -> bool {
        self.not_ready().is_none()
    }

    /// Under which epoch containers of this host may use an address, if they may.
    pub fn assigned(&self, address: IpAddr) -> Option<Epoch> {
        let held = self.held.get(&address).filter(|held| self.this_boots(held.block))?;
        match &held.holding.state {
            Life::Assigned { epoch, .. } => Some(*epoch),
            _ => None,
        }
    }

    /// Blocks in which nothing is under way, or left to be re-taken: how many addresses this host has
    /// there, how many the block shows as its own, and how many are quarantined.
    pub(crate) fn settled_holdings(&self) -> impl Iterator<Item = (BlockId, u32, u32, u32)> + '_ {
        let mut here: BTreeMap<BlockId, Option<u32>> = BTreeMap::new();
        for held in self.held.values() {
            let retaken = match &held.holding.state {
                Life::Leaving { .. } => true,
                Life::Assigned { .. } => self.this_boots(held.block),
                Life::Free { .. } | Life::Cooling { .. } => self.usable(held),
            };
            let count = here.entry(held.block).or_insert(Some(0));
            *count = count.filter(|_| retaken).map(|count| count + 1);
        }
        let ready = self.not_ready().is_none();
        here.into_iter().filter(move |_| ready).filter_map(|(id, here)| {
            let facts = self.blocks.get(&id).filter(|facts| facts.flight.is_none())?;
            let (block, _) = facts.seen.as_ref()?;
            let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
            let own = block.held().values().filter(|held| held.by.host == self.identity.host).count();
            Some((id, here?, count(own), count(block.quarantined().len())))
        })
    }

    /// What this host does with what it holds of a block.
    fn holding_counts(&self, id: BlockId) -> HoldingCounts {
        let mut counts = HoldingCounts::default();
        for held in self.held.values().filter(|held| held.block == id) {
            let count = match &held.holding.state {
                Life::Leaving { .. } => &mut counts.leaving,
                Life::Assigned { .. } if self.this_boots(id) => &mut counts.assigned,
                Life::Assigned { .. } => &mut counts.not_retaken,
                _ if !self.usable(held) => &mut counts.not_retaken,
                Life::Free { .. } => &mut counts.free,
                Life::Cooling { .. } => &mut counts.cooling,
            };
            *count += 1;
        }
        counts
    }

    /// The whole reason why a pool has nothing for this host.
    pub(super) fn exhausted(&self, pool: &PoolName, wish: &Wish) -> Refusal {
        let (family, within) = wish.scope();
        let mut shortage = Shortage {
            pool: Some(pool.clone()),
            zones: self.identity.zones.iter().cloned().collect(),
            capacity: self.capacity.get(pool).cloned().unwrap_or_default(),
            not_ready: self.not_ready(),
            store_is_silent: self.store_is_silent(),
            ..Shortage::default()
        };
        for cidr in self.subnets_of(pool, family).filter(|cidr| within.is_none_or(|within| within == *cidr)) {
            shortage.subnets += 1;
            let of = |index| BlockId { subnet: cidr, index };
            for (id, facts) in self.blocks.range(of(0)..=of(u32::MAX)) {
                if let Some((block, _)) = &facts.seen {
                    self.count_block(&mut shortage, block);
                }
                self.count_holding(&mut shortage, *id);
            }
        }
        Refusal::Exhausted(Box::new(shortage))
    }

    fn count_block(&self, shortage: &mut Shortage, block: &Block) {
        let counts = block.counts();
        shortage.total += counts.total;
        shortage.set_aside += counts.set_aside;
        shortage.quarantined += counts.quarantined;
        let kept = block.free().filter(|address| block.reserved().contains_key(address)).count();
        shortage.reserved += u32::try_from(kept).unwrap_or(u32::MAX);
        let free = counts.free.saturating_sub(u32::try_from(kept).unwrap_or(u32::MAX));
        if block.state() == BlockState::Open {
            shortage.free += free;
        } else {
            shortage.emptying += free;
        }
        for (address, held) in block.held() {
            if held.by.host != self.identity.host {
                *shortage.held_by.entry(held.by.host.clone()).or_default() += 1;
            } else if !self.held.contains_key(address) {
                shortage.not_retaken += 1;
            }
        }
    }

    fn count_holding(&self, shortage: &mut Shortage, id: BlockId) {
        for (address, held) in self.held.iter().filter(|(_, held)| held.block == id) {
            match self.address_state(*address) {
                AddressState::Assigned { .. } => shortage.assigned += 1,
                AddressState::Leaving { .. } => shortage.leaving += 1,
                AddressState::NotRetaken => shortage.not_retaken += 1,
                AddressState::FreeHere if held.holding.reserved.is_some() => shortage.reserved += 1,
                AddressState::Cooling { .. }
                    if matches!(held.holding.state, Life::Cooling { published: true, .. }) =>
                {
                    shortage.cooling_published += 1;
                }
                AddressState::Cooling { left_millis, .. } => {
                    shortage.cooling += 1;
                    let next = shortage.cooling_next_millis.get_or_insert(left_millis);
                    *next = left_millis.min(*next);
                }
                _ => (),
            }
        }
    }
}
