//! How much to hold: warm while the host is busy, small when idle; and how surplus goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::operation::Phase;
use super::waiting::has_unreserved;
use super::{AfterSend, Family, Host, Scope, Waiting, Wish};
use crate::block::BlockState;
use crate::cluster::Surplus;
use crate::names::{BlockId, HostId, PoolName, Timestamp, Zone};
use crate::pool::Subnet;
use crate::record::{Deed, Life};
use crate::transaction::{Key, Sent, Transaction, Value, Write};

/// How many free addresses an idle host holds of a pool: the next container starts without a round
/// trip.
const WARM_MIN: u32 = 1;

/// How many free addresses a busy host holds at most: a burst of `docker compose up`.
const WARM_MAX: u32 = 32;

/// How long without an assignment before a host counts as idler, in milliseconds.
const IDLE_MILLIS: u64 = 30_000;

/// How long hints of surplus are gathered before they are written where others have nothing left to take, in
/// milliseconds.
const SURPLUS_MILLIS: u64 = 1_000;

/// The same while there is something to take, and a hint is for the capacity role alone: every host of the zone is
/// shown every hint.
const SURPLUS_AT_LEISURE_MILLIS: u64 = 5_000;

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

impl Host {
    /// An address was assigned. A host that has to refill again and again means to hold twice as much
    /// each time: so a burst costs few round trips, however long it is.
    pub(super) fn demanded(&mut self, address: IpAddr) {
        let Some(pool) = self.subnet_of(address).map(|subnet| subnet.pool.clone()) else { return };
        let family = Family::of(address);
        let free = self.free_here(&pool, family);
        let idle_due = Some(self.now.after(IDLE_MILLIS));
        self.drawn.insert((pool.clone(), family));
        let demand = self.demand.entry((pool, family)).or_default();
        demand.idle_due = idle_due;
        if free < low(demand.warm as usize) {
            demand.warm = (demand.warm * 2).min(WARM_MAX);
        }
    }

    pub(super) fn look_at_demand(&mut self, scope: Scope) {
        let now = self.now;
        for demand in self.demand.values_mut() {
            demand.yields = demand.yields.filter(|until| *until > now);
        }
        let in_reach = |subnet: &&Subnet| self.identity.zones.contains(&subnet.zone);
        let usable: BTreeSet<(PoolName, Family)> = match scope {
            Scope::Stirred if self.waiting.is_empty() => std::mem::take(&mut self.drawn),
            _ => {
                let all = self.subnets.values().filter(in_reach);
                let all: BTreeSet<(&PoolName, Family)> =
                    all.map(|subnet| (&subnet.pool, Family::of(subnet.cidr.ip()))).collect();
                all.into_iter().map(|(pool, family)| (pool.clone(), family)).collect()
            }
        };
        for (pool, family) in usable {
            self.cool_down(&pool, family);
            self.warm_up(&pool, family);
        }
        self.tell_surplus();
    }

    /// Takes what is missing to be as warm as the demand, and for every request that waits.
    fn warm_up(&mut self, pool: &PoolName, family: Family) {
        let waiting = self.waiting.values().filter(|waiting| match waiting {
            Waiting::Assign { pool: of, wish: Wish::Any(any), .. } => of == pool && *any == family,
            _ => false,
        });
        let demand = self.demand.get(&(pool.clone(), family));
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
        let (pool, family) = (subnet.pool.clone(), Family::of(id.subnet.ip()));
        if self.waiting.values().any(|waiting| waiting.wants_of(&pool)) {
            return;
        }
        let (now, any) = (self.now, self.scatter(&format!("{pool}{}", self.token)));
        let demand = self.demand.entry((pool, family)).or_default();
        let least = YIELD_MILLIS << demand.lost.min(YIELD_DOUBLINGS);
        demand.lost += 1;
        demand.yields = Some(now.after(least + any % least));
    }

    /// A take came through.
    pub(super) fn take_won(&mut self, id: BlockId) {
        let Some(subnet) = self.subnets.get(&id.subnet) else { return };
        if let Some(demand) = self.demand.get_mut(&(subnet.pool.clone(), Family::of(id.subnet.ip()))) {
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
        let key = (pool.clone(), family);
        let Some(demand) =
            self.demand.get_mut(&key).filter(|d| d.idle_due.is_some_and(|due| due <= self.now))
        else {
            return;
        };
        demand.warm = (demand.warm / 2).max(WARM_MIN);
        let warm = demand.warm as usize;
        let free = self.free_here(pool, family);
        let surplus = if free > 2 * warm { free - warm } else { 0 };
        let quiet = warm as u32 == WARM_MIN && surplus == 0;
        let idle_due = (!quiet).then(|| self.now.after(IDLE_MILLIS));
        if let Some(demand) = self.demand.get_mut(&key) {
            demand.idle_due = idle_due;
        }
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

    /// Writes how much this host could give, seldom: it is a hint. But at once where it had nothing and others can
    /// have something from a host alone: so they need not ask everybody.
    fn tell_surplus(&mut self) {
        if let Some(rest) = self.surplus_rest.filter(|rest| *rest > self.now) {
            self.surplus_due = Some(rest);
            return;
        }
        let due = self.surplus_due.is_some_and(|due| due <= self.now);
        let by_the_store = |zone| self.surplus_by_the_store(zone);
        let told_none =
            self.identity.zones.iter().all(|zone| by_the_store(zone).is_none_or(|told| told.free.is_empty()));
        if self.surplus_due.is_some() && !due && !told_none {
            return;
        }
        let changed = self.identity.zones.iter().any(|zone| {
            let (free, told) = (self.free_in(zone), by_the_store(zone));
            told.map_or(!free.is_empty(), |told| !told.free.iter().eq(free.iter().map(|(p, n)| (*p, n))))
        });
        if !changed {
            self.surplus_due = None;
            return;
        }
        let hints: Vec<(Zone, Surplus)> =
            self.identity.zones.iter().map(|zone| (zone.clone(), self.surplus_in(zone))).collect();
        let gives = hints.iter().flat_map(|(_, hint)| hint.free.keys());
        let told = self.identity.zones.iter().filter_map(by_the_store).flat_map(|told| told.free.keys());
        let is_short = !due && gives.chain(told).any(|pool| self.all_is_held(pool));
        let at_once = due || (is_short && told_none);
        if !at_once {
            let gathered = if is_short { SURPLUS_MILLIS } else { SURPLUS_AT_LEISURE_MILLIS };
            self.surplus_due.get_or_insert(self.now.after(gathered));
            return;
        }
        self.surplus_due = None;
        let Ok(compares) = self.footing() else {
            self.surplus_due = Some(self.now.after(SURPLUS_MILLIS));
            return;
        };
        let host = self.identity.host.clone();
        let writes = hints
            .iter()
            .map(|(zone, hint)| Write::Put {
                key: Key::Surplus { zone: zone.clone(), host: host.clone() },
                value: Value::Surplus(hint.clone()),
            })
            .collect();
        self.told_surplus = hints.into_iter().collect();
        self.send(Transaction { compares, writes }, AfterSend::Surplus);
    }

    /// What the store has of it: what was sent last, until the store shows its own word, or nothing came of it.
    /// Only the store knows what a former process of this host said.
    fn surplus_by_the_store(&self, zone: &Zone) -> Option<&Surplus> {
        let shown = || self.surplus.get(&(zone.clone(), self.identity.host.clone()));
        self.told_surplus.get(zone).or_else(shown)
    }

    /// A hint that did not arrive is written again: the zone's role counts by it whether a subnet is needed.
    pub(super) fn surplus_sent(&mut self, outcome: Sent) {
        match outcome {
            Sent::Committed { .. } => return,
            Sent::Conflict { now } => self.seen(now),
            Sent::Failed | Sent::Unknown => self.surplus_rest = Some(self.now.after(SURPLUS_MILLIS)),
        }
        self.told_surplus.clear();
    }

    /// The store showed a hint. Of this host's own, that is what it has, unless another is on its way.
    pub(super) fn surplus_seen(&mut self, zone: Zone, host: HostId, surplus: Option<Surplus>) {
        let on_its_way = self.after_send.values().any(|after| matches!(after, AfterSend::Surplus));
        if host == self.identity.host && !on_its_way {
            self.told_surplus.remove(&zone);
        }
        match surplus {
            Some(surplus) => self.surplus.insert((zone, host), surplus),
            None => self.surplus.remove(&(zone, host)),
        };
    }

    /// Whether no block of a pool has anything to take.
    fn all_is_held(&self, pool: &PoolName) -> bool {
        let free = |id: BlockId| {
            let (block, _) = self.blocks.get(&id)?.seen.as_ref()?;
            Some(block.state() == BlockState::Open && has_unreserved(block))
        };
        [Family::V4, Family::V6]
            .into_iter()
            .all(|family| self.blocks_of(pool, family).all(|id| free(id) != Some(true)))
    }

    fn surplus_in(&self, zone: &Zone) -> Surplus {
        let free = self.free_in(zone).into_iter();
        Surplus { free: free.map(|(pool, free)| (pool.clone(), free)).collect() }
    }

    fn free_in(&self, zone: &Zone) -> BTreeMap<&PoolName, u32> {
        let mut all = BTreeMap::new();
        for (cidr, queue) in self.queue.iter().filter(|(_, queue)| !queue.is_empty()) {
            if let Some(subnet) = self.subnets.get(cidr).filter(|subnet| subnet.zone == *zone) {
                *all.entry(&subnet.pool).or_default() += u32::try_from(queue.len()).unwrap_or(u32::MAX);
            }
        }
        all
    }
}
