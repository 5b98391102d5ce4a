//! Operations on blocks: one in flight per block, numbered, journalled before it is sent, and
//! settled even where nobody knows what became of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::journal::AfterPersist;
use super::{AfterSend, Durability, Host, RETRY_MILLIS};
use crate::block::{Block, BlockCommand};
use crate::epoch::Generation;
use crate::names::{BlockId, BootId, Holder, Revision, Timestamp};
use crate::record::{Deed, Life, Operation, Record};
use crate::refusal::{NotReady, Refusal};
use crate::transaction::{Compare, Key, Prefix, Seen, Sent, Transaction, Value, Write};

/// What is known of a block, and what this host does with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct BlockFacts {
    /// The newest value seen, and when it was written.
    pub(super) seen: Option<(Block, Revision)>,
    /// Whether it was seen to be gone, and what that means is not known before this boot is registered.
    pub(super) gone: bool,
    /// The boot under which the holding is usable, as journalled.
    pub(super) boot: Option<BootId>,
    /// The life of the cluster in which the holding is usable, as journalled.
    pub(super) generation: Option<Generation>,
    /// The newest revision acted upon, as journalled.
    pub(super) acted: Revision,
    /// The take number of the value acted upon, as journalled.
    pub(super) take: u64,
    /// The last operation number known to be committed, as journalled.
    pub(super) committed: u64,
    /// The operation under way.
    pub(super) flight: Option<Flight>,
    /// How often in a row it did not come through.
    pub(super) attempts: u32,
    /// When to try again.
    pub(super) not_before: Option<Timestamp>,
}

/// An operation under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) operation: Operation,
    pub(super) phase: Phase,
    /// What else its transaction compares and writes. Not journalled: an operation found in the
    /// journal is settled, never sent again.
    pub(super) also: Transaction,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// On its way to the journal.
    Persisting,
    /// On its way to the store, to leave this block behind.
    Sent(Box<Block>),
    /// It may have landed, may land later, or never.
    Unsettled,
    /// A no-op is on its way that makes it fail if it has not landed.
    Settling(Box<Block>),
}

impl Flight {
    pub(super) fn new(operation: Operation, phase: Phase) -> Self {
        Self { operation, phase, also: Transaction::default() }
    }
}

impl BlockFacts {
    /// What the journal should say; nothing for a block this host never acted in.
    pub(super) fn record(&self, id: BlockId) -> Option<Record> {
        Some(Record::Block {
            id,
            boot: self.boot.clone()?,
            generation: self.generation?,
            acted: self.acted,
            take: self.take,
            committed: self.committed,
            operation: self.flight.as_ref().map(|flight| flight.operation.clone()),
        })
    }
}

impl Host {
    /// Starts what each block is missing.
    pub(super) fn look_at_blocks(&mut self) {
        let ids: Vec<BlockId> = self.blocks.keys().copied().collect();
        for id in ids {
            let Some(facts) = self.blocks.get_mut(&id) else { continue };
            if facts.not_before.is_some_and(|due| due > self.now) {
                continue;
            }
            facts.not_before = None;
            match &facts.flight {
                Some(Flight { phase: Phase::Unsettled, .. }) => self.settle(id),
                Some(_) => (),
                None => self.look_at_block(id),
            }
        }
    }

    fn look_at_block(&mut self, id: BlockId) {
        let Some(me) = self.me() else { return };
        if self.not_ready().is_some() {
            return;
        }
        let Some((block, _)) = self.blocks.get(&id).and_then(|facts| facts.seen.as_ref()) else { return };
        let stale =
            block.held().values().any(|held| held.by.host == me.host && held.by.incarnation < me.incarnation);
        if stale {
            self.begin(id, Deed::SweepOwn, Transaction::default()).ok();
            return;
        }
        if !self.retaken(id) {
            // Published openings are compared too: what is open there must cool.
            if block.held_by(&me).next().is_some() && self.listed.contains(&Prefix::Published(me.host)) {
                let also = Transaction { compares: vec![self.published_compare(id)], writes: Vec::new() };
                self.begin(id, Deed::Retake, also).ok();
            }
            return;
        }
        let claims = self.to_claim(block);
        if !claims.is_empty() {
            self.begin(id, Deed::Claim(claims), Transaction::default()).ok();
            return;
        }
        self.let_go_of_unwanted(id);
        if let Some((addresses, to, also)) = self.next_leaving(id) {
            self.begin(id, Deed::GiveBack { addresses, to }, also).ok();
        }
    }

    /// Starts an operation: journalled now, sent when the journal has it.
    ///
    /// # Errors
    ///
    /// Why the block, as last seen, does not allow it, or why this host may not.
    pub(super) fn begin(&mut self, id: BlockId, deed: Deed, also: Transaction) -> Result<(), Refusal> {
        self.footing().map_err(Refusal::NotReady)?;
        let me = self.me().ok_or(Refusal::NotReady(NotReady::BootNotRegistered))?;
        let Some(facts) = self.blocks.get_mut(&id) else {
            return Err(Refusal::NotReady(NotReady::StoreNotRead));
        };
        let Some((block, revision)) = &facts.seen else {
            return Err(Refusal::NotReady(NotReady::StoreNotRead));
        };
        let number = facts.committed.max(block.operation_of(&me.host)) + 1;
        if !block.apply(command(&deed, &me, number))?.changed {
            return Ok(());
        }
        let operation = Operation { number, boot: self.identity.boot.clone(), compared: *revision, deed };
        facts.flight = Some(Flight { operation, phase: Phase::Persisting, also });
        let mut records: Vec<Record> = self.block_record(id).into_iter().collect();
        // The holding's pool and gateway must be known after a restart without the store.
        records.extend(self.subnets.get(&id.subnet).cloned().map(Record::Subnet));
        records.extend(self.leaving_in(id).into_iter().map(|address| self.address_record(address)));
        self.persist(records, Durability::Synced, AfterPersist::Operation(id));
        Ok(())
    }

    pub(super) fn operation_persisted(&mut self, id: BlockId, done: bool) {
        let footing = self.footing();
        let me = self.me();
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        let Some(flight) = facts.flight.as_mut().filter(|flight| flight.phase == Phase::Persisting) else {
            return;
        };
        let operation = flight.operation.clone();
        let step = facts
            .seen
            .as_ref()
            .zip(me)
            // A newer value was seen meanwhile: the compare would fail.
            .filter(|((_, revision), _)| done && *revision == operation.compared)
            .and_then(|((block, _), me)| block.apply(command(&operation.deed, &me, operation.number)).ok());
        let (Ok(mut compares), Some(step)) = (footing, step) else {
            // Never sent, so it never happens.
            return self.drop_operation(id, if done { 0 } else { RETRY_MILLIS });
        };
        flight.phase = Phase::Sent(Box::new(step.block.clone()));
        compares.push(Compare::At { key: Key::Block(id), revision: operation.compared });
        compares.extend(flight.also.compares.clone());
        let mut writes = vec![Write::Put { key: Key::Block(id), value: Value::Block(step.block) }];
        writes.extend(flight.also.writes.clone());
        self.send(Transaction { compares, writes }, AfterSend::Operation(id));
    }

    pub(super) fn operation_sent(&mut self, id: BlockId, outcome: Sent) {
        let backoff = self.backoff(id);
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        let Some(flight) = &mut facts.flight else { return };
        match (&flight.phase, outcome) {
            (Phase::Sent(block), Sent::Committed { revision }) => {
                let block = (**block).clone();
                self.block_seen(id, Some(block), revision);
                self.operation_committed(id);
            }
            (Phase::Sent(_), Sent::Conflict { now }) => {
                // Somebody was faster; nothing of it happened. Jitter keeps two hosts from meeting
                // again and again.
                let compared = flight.operation.compared;
                let jitter = self.scatter(&format!("{id}{}", self.token)) % 20;
                self.drop_operation(id, jitter);
                let before = |seen: &Seen| {
                    seen.key == Key::Block(id) && seen.value.is_some() && seen.revision < compared
                };
                let (set_back, life) = (now.iter().any(before), self.life());
                self.seen(now);
                // What was compared had been seen. Unless all began anew, only a backup shows less.
                if set_back && self.life() == life {
                    self.freeze(format!("block {id} stands below the revision that was compared"));
                }
            }
            (Phase::Sent(_), Sent::Failed) => self.drop_operation(id, backoff),
            (Phase::Sent(_) | Phase::Settling(_), Sent::Unknown) | (Phase::Settling(_), Sent::Failed) => {
                flight.phase = Phase::Unsettled;
                facts.attempts += 1;
                facts.not_before = Some(self.now.after(backoff));
            }
            (Phase::Settling(block), Sent::Committed { revision }) => {
                let block = (**block).clone();
                flight.phase = Phase::Unsettled;
                self.block_seen(id, Some(block), revision);
            }
            (Phase::Settling(_), Sent::Conflict { now }) => {
                flight.phase = Phase::Unsettled;
                self.seen(now);
            }
            (Phase::Persisting | Phase::Unsettled, _) => (),
        }
    }

    /// Sends a no-op on the revision that the unsettled operation compared: of the two only one can
    /// land, and then the block stands above that revision and shows which.
    fn settle(&mut self, id: BlockId) {
        let Some(Holder { host, .. }) = self.me() else { return };
        let Some(cluster) = self.same_life_compare() else { return };
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        let (Some(flight), Some((block, revision))) = (&mut facts.flight, &facts.seen) else { return };
        if *revision != flight.operation.compared {
            return self.settle_by_sight(id);
        }
        let command = BlockCommand::Settle { host, operation: flight.operation.number + 1 };
        let Ok(step) = block.apply(command) else { return };
        flight.phase = Phase::Settling(Box::new(step.block.clone()));
        let transaction = Transaction {
            compares: vec![cluster, Compare::At { key: Key::Block(id), revision: *revision }],
            writes: vec![Write::Put { key: Key::Block(id), value: Value::Block(step.block) }],
        };
        self.send(transaction, AfterSend::Operation(id));
    }

    /// Takes note of a block's value, unless it is older than what is known.
    pub(super) fn block_seen(&mut self, id: BlockId, block: Option<Block>, revision: Revision) {
        let Some(block) = block else {
            return self.block_gone(id, revision);
        };
        let host = self.identity.host.clone();
        let facts = self.blocks.entry(id).or_default();
        let newest = facts.seen.as_ref().map_or(facts.acted, |(_, revision)| *revision);
        if revision < newest {
            return;
        }
        let shown = block.operation_of(&host);
        if block.opened() > facts.take {
            // The subnet was returned and ordered again: its operation numbers start anew, its take
            // numbers above all the old ones.
            facts.committed = 0;
        }
        if shown < facts.committed || block.take_number() < facts.take {
            return self.freeze(format!("block {id} shows less than this host's journal knows committed"));
        }
        facts.seen = Some((block, revision));
        facts.gone = false;
        self.published.entry(id).or_default();
        self.settle_by_sight(id);
        self.reconcile(id);
    }

    fn block_gone(&mut self, id: BlockId, revision: Revision) {
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        if facts.seen.as_ref().is_some_and(|(_, newest)| revision < *newest) {
            return;
        }
        facts.seen = None;
        facts.gone = true;
        self.judge_gone(id);
    }

    /// A block is gone with its subnet, which is returned only once nothing in it is held: or the store
    /// lost its memory. What was leaving may have left, and what an earlier incarnation held was
    /// swept: both may still stand in the journal, so nothing is said before this boot is registered.
    pub(super) fn judge_gone(&mut self, id: BlockId) {
        let Some(me) = self.me() else { return };
        if !self.blocks.get(&id).is_some_and(|facts| facts.gone) {
            return;
        }
        let of_block = self.held.iter().filter(|(_, held)| held.block == id);
        let kept = |life: &Life| !matches!(life, Life::Leaving { .. });
        let life = self.life();
        let kept = of_block
            .clone()
            .filter(|(_, held)| held.holding.incarnation == me.incarnation && kept(&held.holding.state));
        let (here, before): (Vec<_>, Vec<_>) =
            kept.partition(|(_, held)| Some(held.holding.generation) == life);
        if !here.is_empty() {
            return self.freeze(format!("block {id} is gone, and this host holds addresses of it"));
        }
        if !before.is_empty() {
            // The store was made anew, and this zone's part of it is not yet.
            return;
        }
        let left: Vec<IpAddr> = of_block.map(|(address, _)| *address).collect();
        let mut records = Vec::new();
        for address in left {
            self.lose(address);
            records.push(self.address_record(address));
        }
        self.persist(records, Durability::Written, AfterPersist::Nothing);
        // A new one of the same CIDR starts with numbers above.
        self.blocks.remove(&id);
        self.published.remove(&id);
    }

    /// An unsettled operation is settled once the block shows its number, or stands above the
    /// revision that it compared: then it can never land any more.
    fn settle_by_sight(&mut self, id: BlockId) {
        if self.me().is_none() {
            // What it gained is this host's only under the incarnation and boot yet to be registered.
            return;
        }
        let Some(facts) = self.blocks.get(&id) else { return };
        let (Some(flight), Some((block, revision))) = (&facts.flight, &facts.seen) else { return };
        if flight.phase != Phase::Unsettled || *revision <= flight.operation.compared {
            return;
        }
        if block.operation_of(&self.identity.host) == flight.operation.number {
            self.operation_committed(id);
        } else {
            self.drop_operation(id, 0);
        }
    }

    fn operation_committed(&mut self, id: BlockId) {
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        let Some(Flight { operation, also, .. }) = facts.flight.take() else { return };
        let Some((block, revision)) = facts.seen.clone() else { return };
        facts.attempts = 0;
        let before: BTreeSet<IpAddr> = self.held_in(id);
        // A re-take of an earlier boot, found in the journal, gained nothing for this one: its epochs
        // may have been used up, and the counter lost with the power.
        let regains = operation.deed == Deed::Retake && operation.boot == self.identity.boot;
        if let Some(me) = self.me() {
            match &operation.deed {
                Deed::Retake if regains => {
                    self.regained(&block, &me);
                    self.usable_from_now(id);
                }
                Deed::Claim(_) => self.claimed(&block, &me, &operation.deed),
                _ => (),
            }
        }
        self.acted_upon(id, &block, revision);
        let touched: BTreeSet<IpAddr> = before.union(&self.held_in(id)).copied().collect();
        if regains || matches!(operation.deed, Deed::Claim(_)) {
            for address in &touched {
                self.index(*address);
            }
            self.persist_block(id, touched);
        } else {
            self.persist_block(id, []);
        }
        self.reconcile(id);
        let written = also.writes.into_iter().map(|write| match write {
            Write::Put { key, value } => Seen { key, value: Some(value), revision },
            Write::Delete(key) => Seen { key, value: None, revision },
        });
        self.seen(written.collect());
    }

    /// Forgets an operation that certainly did not and will not happen. What it was for shows by
    /// itself, and is started again.
    fn drop_operation(&mut self, id: BlockId, wait_millis: u64) {
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        facts.flight = None;
        if wait_millis > 0 {
            facts.attempts += 1;
            facts.not_before = Some(self.now.after(wait_millis));
        }
        // Not written for its own sake: found in the journal, it would be settled, which is right.
        self.uncertain.insert(super::RecordKey::Block(id));
        self.flush_due.get_or_insert(self.now.after(RETRY_MILLIS));
        self.reconcile(id);
    }

    pub(super) fn acted_upon(&mut self, id: BlockId, block: &Block, revision: Revision) {
        let none_held = self.me().is_some_and(|me| block.held_by(&me).next().is_none());
        let shown = block.operation_of(&self.identity.host);
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        facts.acted = facts.acted.max(revision);
        facts.take = facts.take.max(block.take_number());
        facts.committed = facts.committed.max(shown);
        if none_held {
            // Nothing to re-take: what is gained here from now on is gained in this boot.
            self.usable_from_now(id);
        }
    }

    fn usable_from_now(&mut self, id: BlockId) {
        let boot = self.identity.boot.clone();
        let generation = self.cluster.journalled.as_ref().map(|(_, generation, _)| *generation);
        if let Some(facts) = self.blocks.get_mut(&id) {
            facts.boot = Some(boot);
            facts.generation = generation;
        }
    }

    pub(super) fn persist_block(&mut self, id: BlockId, touched: impl IntoIterator<Item = IpAddr>) {
        let mut records: Vec<Record> = self.block_record(id).into_iter().collect();
        records.extend(touched.into_iter().map(|address| self.address_record(address)));
        self.persist(records, Durability::Written, AfterPersist::Nothing);
    }

    /// A new life of the cluster: its revisions and numbers start anew.
    pub(super) fn forget_history(&mut self) -> Vec<Record> {
        for facts in self.blocks.values_mut() {
            let (boot, generation) = (facts.boot.take(), facts.generation);
            *facts = BlockFacts { boot, generation, ..BlockFacts::default() };
        }
        self.blocks.keys().filter_map(|id| self.block_record(*id)).collect()
    }

    fn held_in(&self, id: BlockId) -> BTreeSet<IpAddr> {
        self.held.iter().filter(|(_, held)| held.block == id).map(|(address, _)| *address).collect()
    }

    pub(super) fn leaving_in(&self, id: BlockId) -> Vec<IpAddr> {
        self.held
            .iter()
            .filter(|(_, held)| held.block == id && matches!(held.holding.state, Life::Leaving { .. }))
            .map(|(address, _)| *address)
            .collect()
    }

    /// 100 ms doubling to 6.4 s, and up to half as much again.
    fn backoff(&self, id: BlockId) -> u64 {
        let attempts = self.blocks.get(&id).map_or(0, |facts| facts.attempts).min(6);
        let base = 100u64 << attempts;
        base + self.scatter(&format!("{id}{}", self.token)) % (base / 2)
    }
}

fn command(deed: &Deed, me: &Holder, operation: u64) -> BlockCommand {
    let holder = me.clone();
    match deed.clone() {
        Deed::Take(addresses) => BlockCommand::Take { holder, addresses, operation },
        Deed::GiveBack { addresses, to: None } => BlockCommand::GiveBack { holder, addresses, operation },
        Deed::GiveBack { addresses, to: Some(asker) } => {
            BlockCommand::Grant { giver: holder, asker, addresses, operation }
        }
        Deed::Retake => BlockCommand::Retake { holder, operation },
        Deed::Claim(endpoints) => {
            BlockCommand::Claim { holder, addresses: endpoints.into_keys().collect(), operation }
        }
        Deed::SweepOwn => {
            BlockCommand::Sweep { host: holder.host, below: holder.incarnation, why: SELF_EVICTED.to_owned() }
        }
        Deed::Reserve { name, address } => BlockCommand::Reserve { holder, name, address, operation },
        Deed::Unreserve(name) => BlockCommand::Unreserve { holder, name, operation },
        Deed::Settle => BlockCommand::Settle { host: holder.host, operation },
    }
}

/// Why a host quarantines what it held itself.
const SELF_EVICTED: &str = "the host evicted itself: its journal did not know its last boot";
