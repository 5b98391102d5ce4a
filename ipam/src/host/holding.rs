//! The addresses this host holds: adopted, queued, cooled, lost.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::{Effect, Family, Host};
use crate::block::Block;
use crate::names::{BlockId, EndpointId, Holder, PoolName, ReservationName, Timestamp};
use crate::pool::COOLING_MILLIS_DEFAULT;
use crate::record::{Deed, Holding, Life};
use crate::refusal::Usage;

/// An address that a block shows as this host's, its take number and its name.
type Shown = (IpAddr, u64, Option<ReservationName>);

/// An address held by this host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HeldHere {
    pub(super) block: BlockId,
    pub(super) holding: Holding,
}

impl HeldHere {
    /// The counter of the newest assignment that this holding shows; 0 if none.
    pub(super) fn counter(&self) -> u64 {
        match &self.holding.state {
            Life::Assigned { epoch, .. } | Life::Cooling { epoch, .. } => epoch.counter,
            Life::Free { .. } | Life::Leaving { .. } => 0,
        }
    }
}

impl Host {
    /// Whether a held address may be assigned: held by this incarnation and in this life of the cluster, in
    /// a block whose holding was gained or re-taken in this boot.
    pub(super) fn usable(&self, held: &HeldHere) -> bool {
        Some(held.holding.incarnation) == self.incarnation
            && Some(held.holding.generation) == self.life()
            && self.retaken(held.block)
    }

    /// Whether what is held in a block was gained or re-taken in this boot and this life of the
    /// cluster.
    pub(super) fn retaken(&self, id: BlockId) -> bool {
        let generation = self.cluster.journalled.as_ref().map(|(_, generation, _)| *generation);
        self.this_boots(id) && self.blocks.get(&id).is_some_and(|facts| facts.generation == generation)
    }

    /// Whether what the journal shows in use in a block may still be: of an earlier boot nothing is,
    /// its containers are gone too.
    pub(super) fn this_boots(&self, id: BlockId) -> bool {
        self.blocks.get(&id).is_some_and(|facts| facts.boot.as_ref() == Some(&self.identity.boot))
    }

    /// Changes what a held address is doing, and everything that is looked up by it.
    pub(super) fn change(&mut self, address: IpAddr, to: impl FnOnce(&Life) -> Option<Life>) -> bool {
        let Some(state) = self.held.get(&address).and_then(|held| to(&held.holding.state)) else {
            return false;
        };
        self.unindex(address);
        if let Some(held) = self.held.get_mut(&address) {
            held.holding.state = state;
            self.stirred.insert(held.block);
        }
        self.index(address);
        true
    }

    /// What is held of a block, in the order of its addresses.
    pub(super) fn held_of(&self, id: BlockId) -> impl Iterator<Item = (IpAddr, &HeldHere)> {
        let held = self.held.range(id.range()).filter(move |(_, held)| held.block == id);
        held.map(|(address, held)| (*address, held))
    }

    pub(super) fn index(&mut self, address: IpAddr) {
        let Some(held) = self.held.get(&address) else { return };
        if held.holding.state.published() {
            self.published_here.insert(address);
        }
        let subnet = held.block.subnet;
        match &held.holding.state {
            Life::Free { turn } => {
                let turn = *turn;
                if held.holding.reserved.is_none() && self.usable(held) {
                    self.queue.entry(subnet).or_default().insert(turn, address);
                }
            }
            Life::Assigned { usage: Usage::Bound(endpoint) | Usage::Gone(endpoint), .. } => {
                self.endpoints.entry(endpoint.clone()).or_default().insert(address);
            }
            Life::Cooling { until, .. } => {
                self.cooling.insert((*until, address));
            }
            Life::Leaving { .. } => {
                self.leaving.insert(address);
            }
            Life::Assigned { usage: Usage::Unbound, .. } => (),
        }
    }

    pub(super) fn unindex(&mut self, address: IpAddr) {
        let Some(held) = self.held.get(&address) else { return };
        self.published_here.remove(&address);
        match &held.holding.state {
            Life::Free { turn } => {
                if let Some(queue) = self.queue.get_mut(&held.block.subnet) {
                    queue.remove(turn);
                }
            }
            Life::Assigned { usage: Usage::Bound(endpoint) | Usage::Gone(endpoint), .. } => {
                if let Some(addresses) = self.endpoints.get_mut(endpoint) {
                    addresses.remove(&address);
                    if addresses.is_empty() {
                        self.endpoints.remove(endpoint);
                    }
                }
            }
            Life::Cooling { until, .. } => {
                self.cooling.remove(&(*until, address));
            }
            Life::Leaving { .. } => {
                self.leaving.remove(&address);
            }
            Life::Assigned { usage: Usage::Unbound, .. } => (),
        }
    }

    /// The end of the queue of free addresses.
    pub(super) fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    /// Ends the timers that are over. A published address waits for more than its timer.
    pub(super) fn expire(&mut self) {
        while let Some((until, address)) = self.cooling.first().copied() {
            if until > self.now {
                return;
            }
            if self.published_here.contains(&address) {
                self.cooling.remove(&(until, address));
                self.overdue(address);
            } else {
                self.cooled(address);
            }
        }
    }

    /// A cooling address is free: at once assignable, or on its way if its subnet is being emptied.
    pub(super) fn cooled(&mut self, address: IpAddr) {
        let turn = self.next_turn();
        let cooled = self.change(address, |state| match state {
            Life::Cooling { .. } => Some(Life::Free { turn }),
            _ => None,
        });
        if cooled {
            self.note(address);
        }
    }

    /// Whether an address cools by its timer alone, and for somebody: it is kept by a reservation, or was
    /// asked for by address on this very host, as a container with an `--ip` does at each of its starts.
    pub(super) fn rests_for_who_asks_again(&self, address: IpAddr) -> bool {
        self.held.get(&address).is_some_and(|held| match held.holding.state {
            Life::Cooling { published: false, exact, .. } => {
                (exact || held.holding.reserved.is_some()) && self.usable(held)
            }
            _ => false,
        })
    }

    /// When an address released now, or found in use after a boot, has cooled by its timer.
    pub(super) fn cool_until(&self, address: IpAddr) -> Timestamp {
        let pool = self.subnet_of(address).and_then(|subnet| self.pools.get(&subnet.pool));
        self.now.after(pool.map_or(COOLING_MILLIS_DEFAULT, |pool| pool.cooling_millis))
    }

    /// How many free, unreserved, usable addresses this host holds of a pool.
    pub(super) fn free_here(&self, pool: &PoolName, family: Family) -> usize {
        self.queues_of(pool, family).map(|(_, queue)| queue.len()).sum()
    }

    /// The queues of free addresses of a pool. There are as many as subnets of which anything was held.
    fn queues_of<'a>(
        &'a self,
        pool: &'a PoolName,
        family: Family,
    ) -> impl Iterator<Item = (IpNetwork, &'a BTreeMap<u64, IpAddr>)> {
        let of_pool = move |cidr: &IpNetwork| {
            self.subnets
                .get(cidr)
                .is_some_and(|subnet| subnet.pool == *pool && self.identity.zones.contains(&subnet.zone))
        };
        self.queue
            .iter()
            .filter(move |(cidr, _)| Family::of(cidr.ip()) == family && of_pool(cidr))
            .map(|(cidr, queue)| (*cidr, queue))
    }

    /// The usable free address that has been free longest, of a pool or of one subnet of it.
    pub(super) fn longest_free(
        &self,
        pool: &PoolName,
        family: Family,
        within: Option<IpNetwork>,
    ) -> Option<IpAddr> {
        self.queues_of(pool, family)
            .filter(|(cidr, _)| within.is_none_or(|within| within == *cidr))
            .filter_map(|(_, queue)| queue.first_key_value())
            .min()
            .map(|(_, address)| *address)
    }

    pub(super) fn reconcile_all(&mut self) {
        let ids: Vec<BlockId> = self.blocks.keys().copied().collect();
        for id in ids {
            self.judge_gone(id);
            self.reconcile(id);
        }
    }

    /// Brings what is held in line with what the block shows: adopts what it shows as this host's,
    /// forgets what it does not.
    ///
    /// Only from a value not older than the newest acted upon, and with no operation in flight: a
    /// lagging value would hand back what was granted away.
    pub(super) fn reconcile(&mut self, id: BlockId) {
        let Some(me) = self.me() else { return };
        if self.not_ready().is_some() {
            return;
        }
        let Some(facts) = self.blocks.get(&id) else { return };
        let Some((block, revision)) = &facts.seen else { return };
        if facts.flight.is_some() || *revision < facts.acted {
            return;
        }
        let holds = block.held_by(&me).next().is_some();
        let retaken = self.retaken(id);
        if !retaken && holds {
            // Another boot's holding: to be re-taken by transaction first.
            return;
        }
        let lost = self.unshown(block, &me);
        let shown = self.newly_shown(block, &me);
        if lost.is_empty() && shown.is_empty() && retaken {
            // Another host's doing, as nearly always: a value of up to 256 addresses is not copied for it.
            return;
        }
        let (block, revision) = (block.clone(), *revision);
        for address in &lost {
            self.lose(*address);
        }
        let shown: Vec<IpAddr> = shown.into_iter().map(|shown| self.adopt(id, &me, shown)).collect();
        self.acted_upon(id, &block, revision);
        let touched: Vec<IpAddr> = lost.into_iter().chain(shown).collect();
        for address in &touched {
            self.index(*address);
        }
        self.persist_block(id, touched);
    }

    /// What is held here of a block that does not show it.
    fn unshown(&self, block: &Block, me: &Holder) -> Vec<IpAddr> {
        let shown = |address: &IpAddr, take: u64| {
            block.held().get(address).is_some_and(|held| *held.by == *me && held.take == take)
        };
        self.held_of(block.id())
            .filter(|(address, held)| !shown(address, held.holding.take))
            .filter(|(address, held)| !self.claimable(block, *address, held))
            .map(|(address, _)| address)
            .collect()
    }

    /// A running assignment of an earlier life of the cluster is not lost: it is claimed. In a block that was
    /// made anew so is everything that was held in this boot and not on its way to somebody else: the store
    /// forgot whose it is, and nobody else can have held it.
    fn claimable(&self, block: &Block, address: IpAddr, held: &HeldHere) -> bool {
        let Some((cluster, _)) = &self.cluster.seen else { return false };
        if held.holding.generation >= cluster.generation {
            return false;
        }
        match block.quarantined().get(&address).map(|quarantined| &quarantined.was) {
            Some(Some(was)) => {
                was.by.host == self.identity.host && matches!(held.holding.state, Life::Assigned { .. })
            }
            Some(None) => self.this_boots(held.block) && !matches!(held.holding.state, Life::Leaving { .. }),
            None => false,
        }
    }

    /// What this host holds, and running containers use, since an earlier life of the cluster, and the block
    /// keeps in quarantine. Nobody else will ask for it: those containers know nothing of a rebuild.
    pub(super) fn to_claim(&self, block: &Block) -> BTreeMap<IpAddr, EndpointId> {
        let waiting = block.quarantined().keys();
        let held = waiting.filter_map(|address| Some((*address, self.held.get(address)?)));
        held.filter(|(address, held)| held.block == block.id() && self.claimable(block, *address, held))
            .map(|(address, held)| match &held.holding.state {
                Life::Assigned { usage: Usage::Bound(by) | Usage::Gone(by), .. } => (address, by.clone()),
                // Bound to nobody. It stays as it is, so the name is never used.
                _ => (address, EndpointId(String::new())),
            })
            .collect()
    }

    /// What a block shows as this host's that is not held here, not since that take, or bears another name.
    fn newly_shown(&self, block: &Block, me: &Holder) -> Vec<Shown> {
        if self.cluster.seen.is_none() {
            return Vec::new();
        }
        let named = |(address, take)| (address, take, block.reserved().get(&address).cloned());
        let known = |(address, take, reserved): &Shown| {
            let held = self.held.get(address).map(|held| &held.holding);
            held.is_some_and(|holding| holding.take == *take && holding.reserved == *reserved)
        };
        block.held_by(me).map(named).filter(|shown| !known(shown)).collect()
    }

    fn adopt(&mut self, id: BlockId, me: &Holder, (address, take, reserved): Shown) -> IpAddr {
        self.unindex(address);
        if let Some(held) = self.held.get_mut(&address) {
            held.holding.reserved = reserved;
        } else if let Some((cluster, _)) = &self.cluster.seen {
            let generation = cluster.generation;
            let state = Life::Free { turn: self.next_turn() };
            let holding = Holding { generation, incarnation: me.incarnation, take, reserved, state };
            self.held.insert(address, HeldHere { block: id, holding });
            self.adopted += 1;
        }
        address
    }

    /// Lets go of an address that the store shows as another's, or nobody's. In use, it must fall
    /// silent: whoever took it thought this host dead.
    pub(super) fn lose(&mut self, address: IpAddr) {
        self.unindex(address);
        let Some(held) = self.held.remove(&address) else { return };
        if let Life::Assigned { epoch, .. } = held.holding.state
            && self.this_boots(held.block)
        {
            self.revoked.insert(address, epoch);
            self.effects.push(Effect::Silence { address, epoch });
        }
    }

    pub(super) fn revoke_all(&mut self) {
        self.revoke(|_| true);
    }

    /// What an earlier incarnation held went to quarantine when it was evicted.
    pub(super) fn revoke_below(&mut self, incarnation: crate::names::Incarnation) {
        self.revoke(|held| held.holding.incarnation < incarnation);
    }

    fn revoke(&mut self, which: impl Fn(&HeldHere) -> bool) {
        let lost: Vec<IpAddr> =
            self.held.iter().filter(|(_, held)| which(held)).map(|(address, _)| *address).collect();
        for address in &lost {
            self.lose(*address);
        }
        let records = lost.iter().map(|address| self.address_record(*address)).collect();
        self.persist(records, super::Durability::Written, super::AfterPersist::Nothing);
    }

    /// After a re-take: what the journal shows in use or cooling cools first, the rest is usable.
    pub(super) fn regained(&mut self, block: &Block, me: &Holder) {
        let open = self.published.get(&block.id()).map(|facts| facts.open().clone()).unwrap_or_default();
        let Some((cluster, _)) = &self.cluster.seen else { return };
        let generation = cluster.generation;
        let shown: Vec<(IpAddr, u64)> = block.held_by(me).collect();
        for (address, take) in shown {
            let until = self.cool_until(address);
            let boot = self.identity.boot.clone();
            let state = match self.held.get(&address).map(|held| held.holding.state.clone()) {
                // A new life of the cluster, not of the host: its containers run on.
                Some(running @ Life::Assigned { .. }) if self.this_boots(block.id()) => running,
                Some(
                    Life::Assigned { epoch, exact, published, .. }
                    | Life::Cooling { epoch, exact, published, .. },
                ) => {
                    let published = published || open.contains_key(&address);
                    Life::Cooling { epoch, until, boot, exact, published }
                }
                _ => match open.get(&address) {
                    Some(epoch) => {
                        Life::Cooling { epoch: *epoch, until, boot, exact: false, published: true }
                    }
                    None => Life::Free { turn: self.next_turn() },
                },
            };
            self.unindex(address);
            let reserved = block.reserved().get(&address).cloned();
            let holding = Holding { generation, incarnation: me.incarnation, take, reserved, state };
            self.held.insert(address, HeldHere { block: block.id(), holding });
        }
    }

    /// After a claim: the running container keeps its address, under a new epoch if the journal does
    /// not know the old one.
    pub(super) fn claimed(&mut self, block: &Block, me: &Holder, deed: &Deed) {
        let Deed::Claim(endpoints) = deed else { return };
        let Some((cluster, _)) = &self.cluster.seen else { return };
        let generation = cluster.generation;
        let shown: Vec<(IpAddr, u64)> =
            block.held_by(me).filter(|(a, _)| endpoints.contains_key(a)).collect();
        for (address, take) in shown {
            self.unindex(address);
            let state = match self.held.get(&address).map(|held| held.holding.state.clone()) {
                Some(state @ (Life::Assigned { .. } | Life::Free { .. } | Life::Cooling { .. })) => state,
                Some(Life::Leaving { .. }) | None => Life::Assigned {
                    epoch: self.next_epoch(generation, take),
                    usage: Usage::Bound(endpoints[&address].clone()),
                    exact: true,
                    // What services knew of it went with the journal: its release must wait for them.
                    published: true,
                },
            };
            let reserved = block.reserved().get(&address).cloned();
            let holding = Holding { generation, incarnation: me.incarnation, take, reserved, state };
            self.held.insert(address, HeldHere { block: block.id(), holding });
            self.revoked.remove(&address);
        }
    }
}
