//! How much to hold: warm while the host is busy, small when idle; and how surplus goes back.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::operation::Phase;
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

/// How long hints of surplus are gathered before they are written, in milliseconds.
const SURPLUS_MILLIS: u64 = 1_000;

/// How busy a host is with a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Demand {
    /// How many free addresses it means to hold.
    pub(super) warm: u32,
    /// When it will count as idler.
    pub(super) idle_due: Option<Timestamp>,
}

impl Demand {
    /// Below how many free addresses to refill: well before the last.
    fn low(&self) -> usize {
        (self.warm as usize / 2).max(1)
    }
}

impl Default for Demand {
    fn default() -> Self {
        Self { warm: WARM_MIN, idle_due: None }
    }
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
        if free < demand.low() {
            demand.warm = (demand.warm * 2).min(WARM_MAX);
        }
    }

    pub(super) fn look_at_demand(&mut self, scope: Scope) {
        let in_reach = |subnet: &&Subnet| self.identity.zones.contains(&subnet.zone);
        let usable: BTreeSet<(PoolName, Family)> = match scope {
            Scope::Stirred if self.waiting.is_empty() => self.drawn.clone(),
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
        let warm = self.demand.get(&(pool.clone(), family)).map_or(WARM_MIN, |demand| demand.warm);
        let waiting = waiting.count();
        let (free, low) = (self.free_here(pool, family), Demand { warm, idle_due: None }.low());
        if free >= low + waiting {
            return;
        }
        let mut blocks: Vec<BlockId> = self.blocks_of(pool, family).collect();
        let coming: usize = blocks.iter().map(|id| self.coming(*id)).sum();
        if coming > 0 && blocks.iter().any(|id| self.takes_now(*id)) {
            // What comes may be enough, and if not, one take for all who wait by then costs no more than one
            // for each: a burst of a hundred requests is two or three transactions.
            return;
        }
        let wanted = warm as usize + waiting;
        let here = free + coming;
        let mut missing = if here < low + waiting { wanted - here } else { 0 };
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
        let Some((block, _)) = self.blocks.get(&id).and_then(|facts| facts.seen.as_ref()) else { return };
        let zone = self.subnets.get(&id.subnet).map(|subnet| &subnet.zone);
        let left = zone.is_some_and(|zone| !self.identity.zones.contains(zone));
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

    /// Writes how much this host could give, seldom: it is a hint.
    fn tell_surplus(&mut self) {
        let due = self.surplus_due.is_some_and(|due| due <= self.now);
        let hints: Vec<(Zone, Surplus)> =
            self.identity.zones.iter().map(|zone| (zone.clone(), self.surplus_in(zone))).collect();
        let changed = hints.iter().any(|(zone, hint)| {
            self.surplus_by_the_store(zone).map_or(!hint.free.is_empty(), |told| told != hint)
        });
        if !changed {
            self.surplus_due = None;
            return;
        }
        if !due {
            self.surplus_due.get_or_insert(self.now.after(SURPLUS_MILLIS));
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
            Sent::Failed | Sent::Unknown => (),
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

    fn surplus_in(&self, zone: &Zone) -> Surplus {
        let mut hint = Surplus::default();
        for (cidr, queue) in &self.queue {
            let subnet = self.subnets.get(cidr).filter(|subnet| subnet.zone == *zone);
            if let Some(subnet) = subnet.filter(|_| !queue.is_empty()) {
                let free = queue.len();
                *hint.free.entry(subnet.pool.clone()).or_default() += u32::try_from(free).unwrap_or(u32::MAX);
            }
        }
        hint
    }
}
