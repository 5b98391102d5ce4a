//! Operations on blocks: one in flight per block, numbered, journalled before it is sent, and
//! settled even where nobody knows what became of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::journal::AfterPersist;
use super::{AfterSend, Durability, Host, RETRY_MILLIS};
use crate::block::{Block, BlockCommand};
use crate::names::{BlockId, Holder};
use crate::record::{Deed, Operation, Record};
use crate::refusal::{NotReady, Refusal};
use crate::transaction::{Compare, Seen, Sent, Transaction, Value, Write};

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

impl Host {
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
        let key = facts.key(id);
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
        compares.push(Compare::At { key: key.clone(), revision: operation.compared });
        compares.extend(flight.also.compares.clone());
        let mut writes = vec![Write::Put { key, value: Value::Block(step.block) }];
        writes.extend(flight.also.writes.clone());
        self.send(Transaction { compares, writes }, AfterSend::Operation(id));
    }

    pub(super) fn operation_sent(&mut self, id: BlockId, outcome: Sent) {
        let backoff = self.backoff(id);
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        let Some(flight) = &mut facts.flight else { return };
        match (&flight.phase, outcome) {
            (Phase::Sent(block), Sent::Committed { revision }) => {
                let (zone, block) = (facts.zone.clone(), (**block).clone());
                self.block_seen(zone, id, Some(block), revision);
                self.operation_committed(id);
            }
            (Phase::Sent(_), Sent::Conflict { now }) => {
                // Somebody was faster; nothing of it happened. Jitter keeps two hosts from meeting
                // again and again.
                let (compared, key) = (flight.operation.compared, facts.key(id));
                let jitter = self.scatter(&format!("{id}{}", self.token)) % 20;
                self.drop_operation(id, jitter);
                let before =
                    |seen: &Seen| seen.key == key && seen.value.is_some() && seen.revision < compared;
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
                let (zone, block) = (facts.zone.clone(), (**block).clone());
                flight.phase = Phase::Unsettled;
                self.block_seen(zone, id, Some(block), revision);
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
    pub(super) fn settle(&mut self, id: BlockId) {
        let Some(Holder { host, .. }) = self.me() else { return };
        let Some(cluster) = self.same_life_compare() else { return };
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        let key = facts.key(id);
        let (Some(flight), Some((block, revision))) = (&mut facts.flight, &facts.seen) else { return };
        if *revision != flight.operation.compared {
            return self.settle_by_sight(id);
        }
        let command = BlockCommand::Settle { host, operation: flight.operation.number + 1 };
        let Ok(step) = block.apply(command) else { return };
        flight.phase = Phase::Settling(Box::new(step.block.clone()));
        let transaction = Transaction {
            compares: vec![cluster, Compare::At { key: key.clone(), revision: *revision }],
            writes: vec![Write::Put { key, value: Value::Block(step.block) }],
        };
        self.send(transaction, AfterSend::Operation(id));
    }

    /// An unsettled operation is settled once the block shows its number, or stands above the
    /// revision that it compared: then it can never land any more.
    pub(super) fn settle_by_sight(&mut self, id: BlockId) {
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
