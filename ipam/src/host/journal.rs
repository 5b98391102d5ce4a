//! The journal: what is written before what, and what is made of it after a start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::blocks::BlockFacts;
use super::hints::Hints;
use super::operation::{Flight, Phase};
use super::standing::{ClusterFacts, Standing};
use super::{Answer, Durability, Effect, Host, Identity, Persisted, RETRY_MILLIS};
use crate::names::{BlockId, Incarnation, PoolName, RequestId, Timestamp, Token};
use crate::record::{Life, Record};
use crate::refusal::{Refusal, Usage};

/// What waits for a write to the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum AfterPersist {
    /// Nothing does; if it fails, it is written again.
    Nothing,
    /// A new assignment, which nobody has heard of yet.
    Assign { request: RequestId, address: IpAddr, answer: Answer },
    /// An endpoint's use of an address.
    Bind { request: RequestId, address: IpAddr, answer: Answer },
    /// An assignment given again, once it is certain that the journal has it.
    Again { request: RequestId, address: IpAddr, answer: Answer },
    /// Something that is so whether or not the journal could be written: nobody says it twice.
    Answer { request: RequestId, answer: Answer },
    /// A registration of this boot.
    Register,
    /// An operation on a block.
    Operation(BlockId),
    /// An opening of an endpoint; `fresh` if it was not open before.
    Published { id: BlockId, request: RequestId, fresh: bool },
}

/// One thing that the journal knows the newest statement of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RecordKey {
    Boot,
    Cluster,
    Counter,
    Block(BlockId),
    Address(IpAddr),
    Pool(PoolName),
    Subnet(ipnetwork::IpNetwork),
}

impl AfterPersist {
    /// Whether what waits is about addresses that this host holds, and nothing else.
    pub(super) fn concerns_addresses(&self) -> bool {
        match self {
            Self::Nothing
            | Self::Assign { .. }
            | Self::Bind { .. }
            | Self::Again { .. }
            | Self::Answer { .. } => true,
            Self::Register | Self::Operation(_) | Self::Published { .. } => false,
        }
    }
}

impl Host {
    /// A host as its journal knows it. With no records: one that never was.
    ///
    /// Nothing is usable yet but what was held under this very boot.
    pub fn recover(identity: Identity, now: Timestamp, records: impl IntoIterator<Item = Record>) -> Self {
        let mut host = Self::unknown(identity, now);
        for record in records {
            host.replay(record);
        }
        // Of an operation under way nobody knows whether it landed.
        for facts in host.blocks.values_mut() {
            if let Some(flight) = &mut facts.flight {
                flight.phase = Phase::Unsettled;
            }
        }
        let addresses: Vec<IpAddr> = host.held.keys().copied().collect();
        for address in addresses {
            host.restart_timer(address);
            host.index(address);
        }
        let blocks: BTreeSet<BlockId> = host.held.values().map(|held| held.block).collect();
        host.published.extend(blocks.into_iter().map(|id| (id, super::PublishedFacts::after_restart())));
        host
    }

    fn unknown(identity: Identity, now: Timestamp) -> Self {
        Self {
            identity,
            now,
            standing: Standing::Unregistered { not_before: None },
            known_boots: BTreeSet::new(),
            incarnation: None,
            cluster: ClusterFacts::default(),
            accounted: false,
            pools: BTreeMap::new(),
            subnets: BTreeMap::new(),
            reservations: BTreeMap::new(),
            capacity: BTreeMap::new(),
            hosts: BTreeMap::new(),
            listed: BTreeSet::new(),
            blocks: BTreeMap::new(),
            block_due: None,
            held: BTreeMap::new(),
            queue: BTreeMap::new(),
            cooling: BTreeSet::new(),
            leaving: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            demand: BTreeMap::new(),
            published: BTreeMap::new(),
            published_here: BTreeSet::new(),
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
            ask_due: None,
            adopted: 0,
            wants: BTreeMap::new(),
            hints: Hints::default(),
            revoked: BTreeMap::new(),
            counter: 0,
            turn: 0,
            token: 0,
            after_persist: BTreeMap::new(),
            after_send: BTreeMap::new(),
            after_read: BTreeSet::new(),
            uncertain: BTreeSet::new(),
            flush_due: None,
            effects: Vec::new(),
            stirred: BTreeSet::new(),
            drawn: BTreeSet::new(),
        }
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Boot { boot, incarnation } => {
                self.known_boots.insert(boot);
                self.incarnation = self.incarnation.max(Some(incarnation));
            }
            Record::Cluster { id, generation, revision } => {
                self.cluster.journalled = Some((id, generation, revision));
            }
            Record::Block { id, zone, boot, generation, acted, take, committed, operation } => {
                let flight = operation.map(|operation| Flight::new(operation, Phase::Unsettled));
                let (boot, generation) = (Some(boot), Some(generation));
                let unknown = BlockFacts::unknown(zone);
                let facts = BlockFacts { boot, generation, acted, take, committed, flight, ..unknown };
                self.blocks.insert(id, facts);
            }
            Record::Address { address, holding: None, .. } => {
                self.held.remove(&address);
            }
            Record::Address { block, address, holding: Some(holding) } => {
                if let Life::Free { turn } = holding.state {
                    self.turn = self.turn.max(turn);
                }
                let held = super::HeldHere { block, holding };
                self.counter = self.counter.max(held.counter());
                self.held.insert(address, held);
            }
            Record::Counter(counter) => self.counter = self.counter.max(counter),
            Record::Pool(pool) => {
                self.pools.insert(pool.name.clone(), pool);
            }
            Record::Subnet(subnet) => {
                self.subnets.insert(subnet.cidr, subnet);
            }
        }
    }

    /// The clock of an earlier boot says nothing now: what was cooling then cools again.
    fn restart_timer(&mut self, address: IpAddr) {
        let again = self.cool_until(address);
        let Some(held) = self.held.get_mut(&address) else { return };
        if let Life::Cooling { until, boot, .. } = &mut held.holding.state
            && *boot != self.identity.boot
        {
            *until = again;
            *boot = self.identity.boot.clone();
        }
    }

    /// What a compacted journal holds: recovering from it gives what recovering from everything ever
    /// appended would. Valid after all effects of the last step were carried out.
    pub fn snapshot(&self) -> Vec<Record> {
        let incarnation = self.incarnation.unwrap_or(Incarnation(0));
        let boots = self.known_boots.iter().cloned().map(|boot| Record::Boot { boot, incarnation });
        let blocks = self.blocks.keys().filter_map(|id| self.record_of(&RecordKey::Block(*id)));
        let addresses = self.held.keys().filter_map(|address| self.record_of(&RecordKey::Address(*address)));
        let pools = self.pools.values().cloned().map(Record::Pool);
        let subnets = self.subnets.values().cloned().map(Record::Subnet);
        self.record_of(&RecordKey::Cluster)
            .into_iter()
            .chain([Record::Counter(self.counter)])
            .chain(boots)
            .chain(pools)
            .chain(subnets)
            .chain(blocks)
            .chain(addresses)
            .collect()
    }

    /// How something stands now, as the journal should know it.
    fn record_of(&self, key: &RecordKey) -> Option<Record> {
        match key {
            RecordKey::Boot => {
                let boot = self.identity.boot.clone();
                self.incarnation.map(|incarnation| Record::Boot { boot, incarnation })
            }
            RecordKey::Cluster => self
                .cluster
                .journalled
                .clone()
                .map(|(id, generation, revision)| Record::Cluster { id, generation, revision }),
            RecordKey::Counter => Some(Record::Counter(self.counter)),
            RecordKey::Block(id) => self.blocks.get(id).and_then(|facts| facts.record(*id)),
            RecordKey::Address(address) => Some(self.address_record(*address)),
            RecordKey::Pool(name) => self.pools.get(name).cloned().map(Record::Pool),
            RecordKey::Subnet(cidr) => self.subnets.get(cidr).cloned().map(Record::Subnet),
        }
    }

    /// The record of an address as it stands now.
    pub(super) fn address_record(&self, address: IpAddr) -> Record {
        match self.held.get(&address) {
            Some(held) => Record::Address { block: held.block, address, holding: Some(held.holding.clone()) },
            None => {
                let block = self.block_of(address).unwrap_or(BlockId {
                    // Which block it was does not matter for what is held no more.
                    subnet: address.into(),
                    index: 0,
                });
                Record::Address { block, address, holding: None }
            }
        }
    }

    /// The record of a block as it stands now, if this host ever acted in it.
    pub(super) fn block_record(&self, id: BlockId) -> Option<Record> {
        self.record_of(&RecordKey::Block(id))
    }

    /// Writes records, and with them whatever an earlier failed write left uncertain.
    pub(super) fn persist(&mut self, records: Vec<Record>, durability: Durability, after: AfterPersist) {
        let again = std::mem::take(&mut self.uncertain);
        let again = again.iter().filter_map(|key| self.record_of(key));
        // The newest statement comes last and counts.
        let records: Vec<Record> = again.chain(records).collect();
        if records.is_empty() && matches!(after, AfterPersist::Nothing) {
            return;
        }
        let token = self.next_token();
        let keys: Vec<RecordKey> = records.iter().map(RecordKey::of).collect();
        self.after_persist.insert(token, (after, keys));
        self.effects.push(Effect::Persist { token, records, durability });
    }

    /// Writes how an address stands now, where nothing waits for it.
    pub(super) fn note(&mut self, address: IpAddr) {
        let record = self.address_record(address);
        self.persist(vec![record], Durability::Written, AfterPersist::Nothing);
    }
}

impl Host {
    pub(super) fn persisted(&mut self, token: Token, outcome: Persisted) {
        let Some((after, keys)) = self.after_persist.remove(&token) else { return };
        let done = outcome == Persisted::Done;
        if !done {
            self.uncertain.extend(keys);
            self.flush_due = Some(self.now.after(RETRY_MILLIS));
        }
        match after {
            AfterPersist::Nothing => (),
            AfterPersist::Assign { request, address, answer } => {
                if !done {
                    self.unassign(address, &answer);
                }
                let result = self.still_assigned(address, answer, done);
                self.answer(request, result);
            }
            AfterPersist::Bind { request, address, answer } => {
                if !done {
                    self.unbind(address, &answer);
                }
                let result = self.still_assigned(address, answer, done);
                self.answer(request, result);
            }
            AfterPersist::Again { request, address, answer } => {
                let result = self.still_assigned(address, answer, done);
                self.answer(request, result);
            }
            AfterPersist::Answer { request, answer } => self.answer(request, Ok(answer)),
            AfterPersist::Register => self.register_persisted(done),
            AfterPersist::Operation(id) => self.operation_persisted(id, done),
            AfterPersist::Published { id, request, fresh } => {
                self.published_persisted(id, request, fresh, done);
            }
        }
    }

    /// An answer may have been overtaken: by a release, or by an eviction.
    fn still_assigned(&self, address: IpAddr, answer: Answer, done: bool) -> Result<Answer, Refusal> {
        let Answer::Assigned(assignment) = &answer else { return Ok(answer) };
        let epoch = assignment.epoch;
        if !done {
            return Err(Refusal::JournalFailed);
        }
        match self.held.get(&address).map(|held| &held.holding.state) {
            Some(Life::Assigned { epoch: now, .. }) if *now == epoch => Ok(answer),
            _ => Err(Refusal::Superseded { address, epoch }),
        }
    }

    /// Nobody heard of the assignment, so nobody uses the address: it need not cool.
    fn unassign(&mut self, address: IpAddr, answer: &Answer) {
        let Answer::Assigned(assignment) = answer else { return };
        let turn = self.next_turn();
        self.change(address, |state| match state {
            Life::Assigned { epoch, .. } if *epoch == assignment.epoch => Some(Life::Free { turn }),
            _ => None,
        });
    }

    fn unbind(&mut self, address: IpAddr, answer: &Answer) {
        let Answer::Assigned(assignment) = answer else { return };
        self.change(address, |state| match state {
            Life::Assigned { epoch, exact, published, .. } if *epoch == assignment.epoch => {
                Some(Life::Assigned {
                    epoch: *epoch,
                    usage: Usage::Unbound,
                    exact: *exact,
                    published: *published,
                })
            }
            _ => None,
        });
    }

    /// Writes again what could not be written, once the disk had time to recover.
    pub(super) fn look_at_journal(&mut self) {
        if self.uncertain.is_empty() {
            self.flush_due = None;
        } else if self.flush_due.is_some_and(|due| due <= self.now) {
            self.flush_due = None;
            self.persist(Vec::new(), Durability::Synced, AfterPersist::Nothing);
        }
    }
}

impl RecordKey {
    fn of(record: &Record) -> Self {
        match record {
            Record::Boot { .. } => Self::Boot,
            Record::Cluster { .. } => Self::Cluster,
            Record::Counter(_) => Self::Counter,
            Record::Block { id, .. } => Self::Block(*id),
            Record::Address { address, .. } => Self::Address(*address),
            Record::Pool(pool) => Self::Pool(pool.name.clone()),
            Record::Subnet(subnet) => Self::Subnet(subnet.cidr),
        }
    }
}
