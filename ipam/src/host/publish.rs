//! Endpoints that services may select: opened and closed by transaction, and what that means for the
//! reuse of their addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::journal::AfterPersist;
use super::{AfterSend, Answer, Durability, Host, RETRY_MILLIS};
use crate::cluster::{EndpointRecord, Published};
use crate::epoch::Epoch;
use crate::names::{BlockId, EndpointId, RequestId, Revision, Timestamp};
use crate::record::Life;
use crate::refusal::{CoolingWait, Refusal, Usage};
use crate::transaction::{Compare, Key, Prefix, Sent, Transaction, Value, Write};

/// How long at most before the store is asked again whether the cloud still names an address, in milliseconds: every
/// named address of a fleet costs one transaction each time.
const NAMED_MILLIS_MAX: u64 = 10_000;

/// How many addresses one rewrite opens and closes at most: etcd takes 128 operations (`--max-txn-ops`), and a block
/// may have twice as many addresses.
const REWRITTEN_MAX: usize = 100;

/// What is open in a block, and what is under way about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PublishedFacts {
    /// The newest value, and when it was written.
    seen: Option<(Published, Revision)>,
    /// A rewrite under way, to leave this behind.
    flight: Option<Published>,
    /// Whether a rewrite may still land that nobody knows the outcome of: another must defeat it.
    unsettled: bool,
    /// How many openings are on their way to the journal.
    persisting: u32,
    /// Requests to open that wait for the store.
    requests: BTreeMap<RequestId, (IpAddr, Epoch)>,
    /// Addresses whose timer is over, and that wait for the cloud to forget them; and when each is asked about
    /// again, if it was.
    overdue: BTreeMap<IpAddr, Option<Timestamp>>,
    not_before: Option<Timestamp>,
}

impl PublishedFacts {
    pub(super) fn open(&self) -> &BTreeMap<IpAddr, Epoch> {
        const NONE: &BTreeMap<IpAddr, Epoch> = &BTreeMap::new();
        self.seen.as_ref().map_or(NONE, |(published, _)| &published.open)
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        self.not_before.into_iter().chain(self.overdue.values().flatten().copied()).min()
    }

    /// What was to be asked about again at a time that has come is to be asked about now.
    fn ripen(&mut self, now: Timestamp) {
        for due in self.overdue.values_mut() {
            *due = due.filter(|due| *due > now);
        }
    }

    /// The store may show something else now: what is under way stays, and so do requests.
    pub(super) fn forget(&mut self) {
        self.seen = None;
        self.unsettled = true;
    }

    /// What an agent that starts must assume: an opening may still be under way.
    pub(super) fn after_restart() -> Self {
        Self { unsettled: true, ..Self::default() }
    }
}

impl Host {
    pub(super) fn publish(&mut self, request: RequestId, address: IpAddr, epoch: Epoch) {
        let fresh = match self.held.get(&address).map(|held| &held.holding.state) {
            Some(Life::Assigned {
                epoch: now, usage: Usage::Bound(_) | Usage::Unbound, published, ..
            }) if *now == epoch && self.block_of(address).is_some_and(|id| self.this_boots(id)) => {
                !*published
            }
            _ => return self.answer(request, Err(Refusal::Superseded { address, epoch })),
        };
        let Some(id) = self.block_of(address) else { return };
        self.change(address, |state| with_published(state, true));
        let facts = self.published.entry(id).or_default();
        facts.persisting += 1;
        facts.requests.insert(request, (address, epoch));
        let record = self.address_record(address);
        let after = AfterPersist::Published { id, request, fresh };
        self.persist(vec![record], Durability::Synced, after);
    }

    pub(super) fn published_persisted(&mut self, id: BlockId, request: RequestId, fresh: bool, done: bool) {
        let Some(facts) = self.published.get_mut(&id) else { return };
        facts.persisting = facts.persisting.saturating_sub(1);
        if done {
            return;
        }
        let Some((address, _)) = facts.requests.remove(&request) else { return };
        if fresh {
            // Never sent, so never open.
            self.change(address, |state| with_published(state, false));
        }
        self.answer(request, Err(Refusal::JournalFailed));
    }

    pub(super) fn published_seen(&mut self, id: BlockId, value: Option<Value>, revision: Revision) {
        let facts = self.published.entry(id).or_default();
        if let Some(Value::Published(published)) = value
            && facts.seen.as_ref().is_none_or(|(_, newest)| revision > *newest)
        {
            facts.seen = Some((published, revision));
        }
    }

    /// The compare that makes a rewrite of what is open, and a re-take, depend on what was seen.
    pub(super) fn published_compare(&self, id: BlockId) -> Compare {
        let key = Key::Published { host: self.identity.host.clone(), block: id };
        match self.published.get(&id).and_then(|facts| facts.seen.as_ref()) {
            Some((_, revision)) => Compare::At { key, revision: *revision },
            None => Compare::Absent(key),
        }
    }

    pub(super) fn look_at_published(&mut self, ids: BTreeSet<BlockId>) {
        for id in ids {
            self.answer_published(id);
            let now = self.now;
            let Some(facts) = self.published.get_mut(&id) else { continue };
            facts.ripen(now);
            if facts.flight.is_some() || facts.persisting > 0 || facts.not_before.is_some_and(|due| due > now)
            {
                continue;
            }
            facts.not_before = None;
            let idle = !facts.unsettled && facts.open().is_empty() && facts.overdue.is_empty();
            if idle && self.published_here.is_empty() {
                continue;
            }
            if !self.retaken(id) || !self.listed.contains(&Prefix::Published(self.identity.host.clone())) {
                continue;
            }
            self.rewrite_published(id);
            self.ask_for_dependents(id);
        }
    }

    fn answer_published(&mut self, id: BlockId) {
        let Some(facts) = self.published.get_mut(&id) else { return };
        let done: Vec<RequestId> = facts
            .requests
            .iter()
            .filter(|(_, (address, epoch))| facts.open().get(address) == Some(epoch))
            .map(|(request, _)| *request)
            .collect();
        for request in done {
            if let Some(facts) = self.published.get_mut(&id) {
                facts.requests.remove(&request);
            }
            self.answer(request, Ok(Answer::Published));
        }
    }

    /// Rewrites what is open where it differs from what should be, or where an earlier rewrite may
    /// still land: as much at once as a transaction takes, and the rest when that came through.
    fn rewrite_published(&mut self, id: BlockId) {
        let wanted = self.wanted_open(id);
        let Some(facts) = self.published.get(&id) else { return };
        let mut open = facts.open().clone();
        let (host, mut writes) = (self.identity.host.clone(), Vec::new());
        let closed = facts.open().keys().filter(|address| !wanted.contains_key(address));
        for address in closed.take(REWRITTEN_MAX) {
            open.remove(address);
            writes.push(Write::Delete(Key::Endpoint(*address)));
        }
        let room = REWRITTEN_MAX - writes.len();
        let opened =
            wanted.into_iter().filter(|(address, (epoch, _))| facts.open().get(address) != Some(epoch));
        for (address, (epoch, endpoint)) in opened.take(room) {
            open.insert(address, epoch);
            let record = EndpointRecord { epoch, endpoint, host: host.clone() };
            writes.push(Write::Put { key: Key::Endpoint(address), value: Value::Endpoint(record) });
        }
        if writes.is_empty() && !facts.unsettled {
            return;
        }
        let Ok(mut compares) = self.footing() else { return };
        compares.push(self.published_compare(id));
        let published = Published { open };
        let key = Key::Published { host, block: id };
        writes.push(Write::Put { key, value: Value::Published(published.clone()) });
        if let Some(facts) = self.published.get_mut(&id) {
            facts.flight = Some(published);
        }
        self.send(Transaction { compares, writes }, AfterSend::Published(id));
    }

    fn wanted_open(&self, id: BlockId) -> BTreeMap<IpAddr, (Epoch, EndpointId)> {
        let of_block = self.published_here.range(id.range()).filter_map(|it| Some((*it, self.held.get(it)?)));
        of_block
            .filter(|(_, held)| held.block == id)
            .filter_map(|(address, held)| match &held.holding.state {
                Life::Assigned { epoch, usage, published: true, .. } => {
                    let endpoint = match usage {
                        Usage::Bound(endpoint) | Usage::Gone(endpoint) => endpoint.clone(),
                        // Of one that is lent to another driver nobody told the name.
                        Usage::Unbound => EndpointId(String::new()),
                    };
                    Some((address, (*epoch, endpoint)))
                }
                _ => None,
            })
            .collect()
    }

    pub(super) fn published_sent(&mut self, id: BlockId, outcome: Sent) {
        let retry = self.now.after(RETRY_MILLIS);
        let Some(facts) = self.published.get_mut(&id) else { return };
        let Some(published) = facts.flight.take() else { return };
        match outcome {
            Sent::Committed { revision } => {
                facts.unsettled = false;
                if facts.seen.as_ref().is_none_or(|(_, newest)| revision > *newest) {
                    facts.seen = Some((published, revision));
                }
            }
            Sent::Conflict { now } => self.seen(now),
            Sent::Failed => facts.not_before = Some(retry),
            Sent::Unknown => {
                facts.unsettled = true;
                facts.not_before = Some(retry);
            }
        }
    }

    /// The timer of a published address is over: from now on it waits for the cloud.
    pub(super) fn overdue(&mut self, address: IpAddr) {
        if let Some(id) = self.block_of(address) {
            self.published.entry(id).or_default().overdue.entry(address).or_insert(None);
            self.stirred.insert(id);
        }
    }

    /// Asks whether anything in the cloud still names the overdue addresses that are closed. Once
    /// closed and empty it stays empty: a dependent is written only while its endpoint is open.
    fn ask_for_dependents(&mut self, id: BlockId) {
        let Some(facts) = self.published.get_mut(&id) else { return };
        if facts.unsettled || facts.flight.is_some() {
            return;
        }
        let open = facts.open().clone();
        let due = facts.overdue.iter().filter(|(_, again)| again.is_none()).map(|(address, _)| *address);
        let closed: Vec<IpAddr> = due.filter(|address| !open.contains_key(address)).collect();
        let Ok(footing) = self.footing() else { return };
        for address in closed {
            if let Some(facts) = self.published.get_mut(&id) {
                facts.overdue.remove(&address);
            }
            let Some(Life::Cooling { epoch, .. }) = self.held.get(&address).map(|held| &held.holding.state)
            else {
                continue;
            };
            let epoch = *epoch;
            let mut compares = footing.clone();
            compares.push(Compare::Absent(Key::Endpoint(address)));
            compares.push(Compare::Empty(Prefix::Dependents(address)));
            let ask = Transaction { compares, writes: Vec::new() };
            self.send(ask, AfterSend::Dependents(address, epoch));
        }
    }

    pub(super) fn dependents_sent(&mut self, address: IpAddr, epoch: Epoch, outcome: Sent) {
        let Some(Life::Cooling { epoch: cooling, until, .. }) =
            self.held.get(&address).map(|held| &held.holding.state)
        else {
            return;
        };
        if *cooling != epoch {
            return;
        }
        // As long again as it has waited already.
        let waited = self.now.0.saturating_sub(until.0).clamp(RETRY_MILLIS, NAMED_MILLIS_MAX);
        match outcome {
            Sent::Committed { .. } => self.cooled(address),
            Sent::Conflict { now } => {
                self.seen(now);
                self.overdue_again(address, self.now.after(waited));
            }
            Sent::Failed | Sent::Unknown => self.overdue_again(address, self.now.after(RETRY_MILLIS)),
        }
    }

    fn overdue_again(&mut self, address: IpAddr, at: Timestamp) {
        let Some(facts) = self.block_of(address).and_then(|id| self.published.get_mut(&id)) else { return };
        facts.overdue.insert(address, Some(at));
    }

    /// What a cooling address waits for beside its timer.
    pub(super) fn cooling_wait(&self, address: IpAddr, published: bool) -> CoolingWait {
        if !published {
            return CoolingWait::Timer;
        }
        let facts = self.block_of(address).and_then(|id| self.published.get(&id));
        match facts {
            Some(facts) if !facts.unsettled && !facts.open().contains_key(&address) => {
                CoolingWait::Dependents
            }
            _ => CoolingWait::Close,
        }
    }
}

fn with_published(state: &Life, published: bool) -> Option<Life> {
    match state {
        Life::Assigned { epoch, usage, exact, .. } => {
            Some(Life::Assigned { epoch: *epoch, usage: usage.clone(), exact: *exact, published })
        }
        _ => None,
    }
}
