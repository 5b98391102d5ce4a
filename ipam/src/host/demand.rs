//! How much to hold: warm while the host is busy, small when idle; and how surplus goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::operation::Phase;
use super::{Family, Host, Scope, Waiting, Wish};
use crate::block::BlockState;
use crate::names::{BlockId, PoolName, Timestamp};
use crate::pool::Subnet;
use crate::record::{Deed, Life};
use crate::transaction::Transaction;

/// How many free addresses an idle host holds of a pool: the next container starts without a round
/// trip.
const WARM_MIN: u32 = 1;

/// How many free addresses a busy host holds at most: a burst of `docker compose up`.
const WARM_MAX: u32 = 32;

/// How long without an assignment before a host counts as idler, in milliseconds.
const IDLE_MILLIS: u64 = 30_000;

/// How long a host for which nobody waits leaves a pool to others after it lost a take, in milliseconds; doubles with
/// each further loss.
const YIELD_MILLIS: u64 = 500;

/// How often that doubles: up to 8 s.
const YIELD_DOUBLINGS: u32 = 4;

/// How busy a host is with a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Demand {
    /// How many free addresses it means to hold.
    pub(super) warm: u32,
    /// When it will count as idler.
    pub(super) idle_due: Option<Timestamp>,
    /// How often in a row it lost a take for which nobody waited.
    lost: u32,
    /// Before when it takes nothing unless somebody waits.
    yields: Option<Timestamp>,
}

impl Demand {
    /// When it has something to do.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.idle_due.into_iter().chain(self.yields).min()
    }
}

impl Default for Demand {
    fn default() -> Self {
        Self { warm: WARM_MIN, idle_due: None, lost: 0, yields: None }
    }
}

/// Below how many free addresses to refill: well before the last.
fn low(warm: usize) -> usize {
    (warm / 2).max(1)
}

/// Whose demand an address of the subnet is.
fn pool_of(subnet: &Subnet) -> (&PoolName, Family) {
    (&subnet.pool, Family::of(subnet.cidr.ip()))
}

impl Host {
    /// An address was assigned. A host that has to refill again and again means to hold twice as much
    /// each time: so a burst costs few round trips, however long it is.
    pub(super) fn demanded(&mut self, address: IpAddr) {
        let Some(subnet) = self.subnet_of(address) else { return };
        let (cidr, family) = (subnet.cidr, Family::of(address));
        let free = self.free_here(&subnet.pool, family);
        let idle_due = Some(self.now.after(IDLE_MILLIS));
        self.drawn.insert(cidr);
        let Some(demand) = self.demand_in(cidr) else { return };
        demand.idle_due = idle_due;
        if free < low(demand.warm as usize) {
            demand.warm = (demand.warm * 2).min(WARM_MAX);
        }
    }

    pub(super) fn look_at_demand(&mut self, scope: Scope) {
        let now = self.now;
        for demand in self.demand.values_mut().flat_map(BTreeMap::values_mut) {
            demand.yields = demand.yields.filter(|until| *until > now);
        }
        let in_reach = |subnet: &&Subnet| self.identity.zones.contains(&subnet.zone);
        let usable: BTreeSet<(&PoolName, Family)> = match scope {
            Scope::Stirred if self.waiting.is_empty() => {
                self.drawn.iter().filter_map(|cidr| self.subnets.get(cidr)).map(pool_of).collect()
            }
            _ => self.subnets.values().filter(in_reach).map(pool_of).collect(),
        };
        let usable: Vec<_> = usable.into_iter().map(|(pool, family)| (pool.clone(), family)).collect();
        for (pool, family) in usable {
            self.cool_down(&pool, family);
            self.warm_up(&pool, family);
        }
    }

    /// Takes what is missing to be as warm as the demand, and for every request that waits.
    fn warm_up(&mut self, pool: &PoolName, family: Family) {
        let waiting = self.waiting.values().filter(|waiting| match waiting {
            Waiting::Assign { pool: of, wish: Wish::Any(any), .. } => of == pool && *any == family,
            _ => false,
        });
        let demand = self.demand_of(pool, family);
        let (warm, yields) =
            demand.map_or((WARM_MIN, false), |demand| (demand.warm, demand.yields.is_some()));
        let (warm, waiting) = (warm as usize, waiting.count());
        let (free, low) = (self.free_here(pool, family), low(warm));
        if free >= low + waiting || (waiting == 0 && yields) {
            return;
        }
        let mut blocks: Vec<BlockId> = self.blocks_of(pool, family).collect();
        let coming: usize = blocks.iter().map(|id| self.coming(*id)).sum();
        if coming > 0 && blocks.iter().any(|id| self.takes_now(*id)) {
            // What comes may be enough, and if not, one take for all who wait by then costs no more than one
            // for each: a burst of a hundred requests is two or three transactions.
            return;
        }
        let here = free + coming;
        if here >= low + waiting {
            return;
        }
        let wanted = self.fair_warmth(&blocks, warm, waiting) + waiting;
        let mut missing = wanted.saturating_sub(here);
        while missing > 0 {
            let Some((id, addresses)) = self.takeable(&blocks, missing) else { return };
            let count = addresses.len();
            if self.begin(id, Deed::Take(addresses), Transaction::default()).is_err() {
                return;
            }
            blocks.retain(|other| *other != id);
            missing = missing.saturating_sub(count);
        }
    }

    /// How warm to be: as warm as the demand, while there is enough for every host of the zone to be so; then no
    /// warmer than this host's share of what nobody holds. So the last addresses are had with one take by whoever
    /// needs them, and need not be asked for. A host that has none at all takes one ahead.
    fn fair_warmth(&self, blocks: &[BlockId], warm: usize, waiting: usize) -> usize {
        let free = |id: &BlockId| {
            let (block, _) = self.blocks.get(id)?.seen.as_ref()?;
            (block.state() == BlockState::Open).then(|| block.free_count())
        };
        let mut left: usize = 0;
        let enough = waiting + warm * self.hosts.len().max(1);
        for id in blocks {
            left += free(id).unwrap_or(0);
            if left >= enough {
                return warm;
            }
        }
        let near = self.hosts.values().filter(|(host, _)| !host.zones.is_disjoint(&self.identity.zones));
        let share = left.saturating_sub(waiting) / near.count().max(1);
        let holds = self.held.values().any(|held| blocks.contains(&held.block));
        warm.min(if holds || waiting > 0 { share } else { share.max(1) })
    }

    /// A take was lost to another host. If nobody waits here, somebody may wait there.
    pub(super) fn take_lost(&mut self, id: BlockId) {
        let Some(subnet) = self.subnets.get(&id.subnet) else { return };
        if self.waiting.values().any(|waiting| waiting.wants_of(&subnet.pool)) {
            return;
        }
        let (now, any) = (self.now, self.scatter(&format!("{}{}", subnet.pool, self.token)));
        let Some(demand) = self.demand_in(id.subnet) else { return };
        let least = YIELD_MILLIS << demand.lost.min(YIELD_DOUBLINGS);
        demand.lost += 1;
        demand.yields = Some(now.after(least + any % least));
    }

    /// A take came through.
    pub(super) fn take_won(&mut self, id: BlockId) {
        if let Some(demand) = self.demand_in(id.subnet) {
            demand.lost = 0;
        }
    }

    /// How many addresses an operation under way will bring.
    fn coming(&self, id: BlockId) -> usize {
        match self.blocks.get(&id).and_then(|facts| facts.flight.as_ref()).map(|f| &f.operation.deed) {
            Some(Deed::Take(addresses)) => addresses.len(),
            _ => 0,
        }
    }

    /// Whether a take of the block is on its way, and will be heard of soon. One of unknown outcome may take
    /// long to settle: nobody waits for that.
    fn takes_now(&self, id: BlockId) -> bool {
        let flight = self.blocks.get(&id).and_then(|facts| facts.flight.as_ref());
        flight.is_some_and(|flight| {
            matches!(flight.operation.deed, Deed::Take(_))
                && matches!(flight.phase, Phase::Persisting | Phase::Sent(_))
        })
    }

    /// After a quiet time, means to hold half as many, and gives back what is more than twice that.
    fn cool_down(&mut self, pool: &PoolName, family: Family) {
        let now = self.now;
        let is_due = |demand: &Demand| demand.idle_due.is_some_and(|due| due <= now);
        if !self.demand_of(pool, family).is_some_and(is_due) {
            return;
        }
        let free = self.free_here(pool, family);
        let Some(demand) = self.demand.get_mut(&family).and_then(|pools| pools.get_mut(pool)) else { return };
        demand.warm = (demand.warm / 2).max(WARM_MIN);
        let warm = demand.warm as usize;
        let surplus = if free > 2 * warm { free - warm } else { 0 };
        let quiet = demand.warm == WARM_MIN && surplus == 0;
        demand.idle_due = (!quiet).then(|| now.after(IDLE_MILLIS));
        if self.footing().is_err() {
            return;
        }
        for _ in 0..surplus {
            let Some(address) = self.longest_free(pool, family, None) else { return };
            self.change(address, |_| Some(Life::Leaving { to: None }));
        }
    }

    /// Nothing free is kept in a subnet that is being emptied, or is of a zone that this host left, and nothing
    /// that is to be set aside: it goes back to the block, also if it was promised to another host.
    pub(super) fn let_go_of_unwanted(&mut self, id: BlockId) {
        let Some(facts) = self.blocks.get(&id) else { return };
        let Some((block, _)) = &facts.seen else { return };
        let left = !self.identity.zones.contains(&facts.zone);
        let all = left || block.state() != BlockState::Open;
        if !all && block.unwanted().is_empty() {
            return;
        }
        let idle = |life: &Life| matches!(life, Life::Free { .. } | Life::Leaving { to: Some(_) });
        let unwanted: Vec<IpAddr> = self
            .held
            .iter()
            .filter(|(_, held)| held.block == id && idle(&held.holding.state))
            .map(|(address, _)| *address)
            .filter(|address| all || block.unwanted().contains_key(address))
            .collect();
        for address in unwanted {
            self.change(address, |_| Some(Life::Leaving { to: None }));
        }
    }

    /// How busy this host is with a pool, if it ever was.
    pub(super) fn demand_of(&self, pool: &PoolName, family: Family) -> Option<&Demand> {
        self.demand.get(&family)?.get(pool)
    }

    /// The same, of the pool of a subnet, from now on.
    fn demand_in(&mut self, subnet: IpNetwork) -> Option<&mut Demand> {
        let pool = &self.subnets.get(&subnet)?.pool;
        let pools = self.demand.entry(Family::of(subnet.ip())).or_default();
        if !pools.contains_key(pool) {
            pools.insert(pool.clone(), Demand::default());
        }
        pools.get_mut(pool)
    }
}
