//! Hints of surplus: what each host of a zone says it could give, and what this one says of itself.

use std::collections::BTreeMap;

use super::waiting::has_unreserved;
use super::{AfterSend, Family, Host};
use crate::block::BlockState;
use crate::cluster::Surplus;
use crate::names::{BlockId, HostId, PoolName, Timestamp, Zone};
use crate::transaction::{Key, Sent, Transaction, Value, Write};

/// How long hints of surplus are gathered before they are written where others have nothing left to take, in
/// milliseconds.
const GATHERED_MILLIS: u64 = 1_000;

/// The same while there is something to take, and a hint is for the capacity role alone: every host of the zone is
/// shown every hint.
const GATHERED_AT_LEISURE_MILLIS: u64 = 5_000;

/// What hosts say they could give.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Hints {
    /// As the store shows them.
    shown: BTreeMap<Zone, BTreeMap<HostId, Surplus>>,
    /// What was sent of what this host could give, and the store has not shown since.
    told: BTreeMap<Zone, Surplus>,
    /// When what is gathered is due.
    pub(super) due: Option<Timestamp>,
    /// No hint is sent before: the last one did not arrive.
    rest: Option<Timestamp>,
    /// Whether what is known of this host's own hints changed in this step.
    stirred: bool,
}

impl Hints {
    /// What a host last said of a zone.
    pub(super) fn of(&self, zone: &Zone, host: &HostId) -> Option<&Surplus> {
        self.shown.get(zone)?.get(host)
    }

    /// Who said something of which zone.
    pub(super) fn whose(&self) -> impl Iterator<Item = (&Zone, &HostId)> {
        self.shown.iter().flat_map(|(zone, hosts)| hosts.keys().map(move |host| (zone, host)))
    }

    /// They stand otherwise now: another life of the cluster.
    pub(super) fn forget(&mut self) {
        self.shown.clear();
        self.told.clear();
    }
}

impl Host {
    /// What changes what this host should say of itself: what it holds free, what is left to take, what the store
    /// shows of it, and time. Of a step that changes none of them, nothing follows.
    pub(super) fn look_at_hints(&mut self, stirred: bool) {
        let heard = std::mem::take(&mut self.hints.stirred);
        if stirred || heard {
            self.tell_surplus();
        }
    }

    /// Writes how much this host could give, seldom: it is a hint. But at once where it had nothing and others can
    /// have something from a host alone: so they need not ask everybody.
    fn tell_surplus(&mut self) {
        if let Some(rest) = self.hints.rest.filter(|rest| *rest > self.now) {
            self.hints.due = Some(rest);
            return;
        }
        let due = self.hints.due.is_some_and(|due| due <= self.now);
        let by_the_store = |zone| self.surplus_by_the_store(zone);
        let told_none =
            self.identity.zones.iter().all(|zone| by_the_store(zone).is_none_or(|told| told.free.is_empty()));
        let gathering = self.hints.due.is_some() && !due;
        if gathering && !(told_none && self.holds_the_last_of_some_pool()) {
            return;
        }
        let changed = self.identity.zones.iter().any(|zone| {
            let (free, told) = (self.free_in(zone), by_the_store(zone));
            told.map_or(!free.is_empty(), |told| !told.free.iter().eq(free.iter().map(|(p, n)| (*p, n))))
        });
        if !changed {
            self.hints.due = None;
            return;
        }
        let hints: Vec<(Zone, Surplus)> =
            self.identity.zones.iter().map(|zone| (zone.clone(), self.surplus_in(zone))).collect();
        let gives = hints.iter().flat_map(|(_, hint)| hint.free.keys());
        let told = self.identity.zones.iter().filter_map(by_the_store).flat_map(|told| told.free.keys());
        let is_short = !due && gives.chain(told).any(|pool| self.all_is_held(pool));
        let at_once = due || (is_short && told_none);
        if !at_once {
            let gathered = if is_short { GATHERED_MILLIS } else { GATHERED_AT_LEISURE_MILLIS };
            self.hints.due.get_or_insert(self.now.after(gathered));
            return;
        }
        self.hints.due = None;
        let Ok(compares) = self.footing() else {
            self.hints.due = Some(self.now.after(GATHERED_MILLIS));
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
        self.hints.told = hints.into_iter().collect();
        self.send(Transaction { compares, writes }, AfterSend::Surplus);
    }

    /// What the store has of it: what was sent last, until the store shows its own word, or nothing came of it.
    /// Only the store knows what a former process of this host said.
    fn surplus_by_the_store(&self, zone: &Zone) -> Option<&Surplus> {
        self.hints.told.get(zone).or_else(|| self.hints.of(zone, &self.identity.host))
    }

    /// A hint that did not arrive is written again: the zone's role counts by it whether a subnet is needed.
    pub(super) fn surplus_sent(&mut self, outcome: Sent) {
        match outcome {
            Sent::Committed { .. } => return,
            Sent::Conflict { now } => self.seen(now),
            Sent::Failed | Sent::Unknown => self.hints.rest = Some(self.now.after(GATHERED_MILLIS)),
        }
        self.hints.told.clear();
    }

    /// The store showed a hint. Of this host's own, that is what it has, unless another is on its way.
    pub(super) fn surplus_seen(&mut self, zone: Zone, host: HostId, surplus: Option<Surplus>) {
        let own = host == self.identity.host;
        let on_its_way = self.after_send.values().any(|after| matches!(after, AfterSend::Surplus));
        if own && !on_its_way {
            self.hints.told.remove(&zone);
        }
        self.hints.stirred |= own;
        let shown = self.hints.shown.entry(zone).or_default();
        match surplus {
            Some(surplus) => shown.insert(host, surplus),
            None => shown.remove(&host),
        };
    }

    /// Whether this host has something free of a pool of which nobody can take anything.
    fn holds_the_last_of_some_pool(&self) -> bool {
        let free = self.queue.iter().filter(|(_, queue)| !queue.is_empty());
        let pools = free.filter_map(|(cidr, _)| self.subnets.get(cidr)).map(|subnet| &subnet.pool);
        // Subnets of a pool follow each other: it is looked at once.
        let mut last = None;
        pools.filter(|pool| last.replace(*pool) != Some(*pool)).any(|pool| self.all_is_held(pool))
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
