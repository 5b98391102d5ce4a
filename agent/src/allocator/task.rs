//! The one task: feeds the host what happened, and carries out what it says, in order.

mod hearing;
mod scribe;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use ipam::{
    Answer, BlockId, BootId, Durability, Effect, Epoch, Host, Input, Key, Life, Persisted, Record, Refusal,
    RequestId, Seen, Sent, Timestamp, Token, Transaction, Zone,
};
use ledger::{Note, Tally};
use store::{Commit, Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::follow::{Near, Shown, follow};
use super::line::{notes, records, together};
use super::newest::Newest;
use super::{Call, Parts, Told, words};
use crate::clock::Clock;
use hearing::Ear;
use scribe::Scribe;

/// Room for what the store shows while a transaction's fsync is waited for. Little: what waits before it is put
/// together, the newest of each key.
const SHOWN_MAX: usize = 8;

/// How long the store may take to answer before the host is told that nobody knows.
const PATIENCE: Duration = Duration::from_secs(5);

/// The host, and everything that carries out what it says.
pub(super) struct Task {
    host: Host,
    boot: BootId,
    zones: BTreeSet<Zone>,
    scribe: Scribe,
    /// The intervals of this host, as the journal has them.
    tally: Tally,
    ear: Ear,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Who waits for the answer to which request.
    waiting: HashMap<RequestId, oneshot::Sender<Result<Answer, Refusal>>>,
    requests: u64,
    /// What was asked of the store, each of which ends in an outcome for the host.
    asked: FuturesUnordered<BoxFuture<'static, Input>>,
    newest: Newest,
    changed: watch::Sender<u64>,
}

impl Task {
    pub(super) fn new(parts: Parts, changed: watch::Sender<u64>) -> Task {
        let Parts { identity, store, journal, records: lines, clock } = parts;
        Task {
            boot: identity.boot.clone(),
            zones: identity.zones.clone(),
            tally: Tally::replay(identity.host.clone(), notes(&lines)),
            ear: Ear::new(Arc::clone(&clock)),
            host: Host::recover(identity, clock.now(), records(&lines)),
            scribe: Scribe::new(journal),
            store,
            clock,
            waiting: HashMap::new(),
            requests: 0,
            asked: FuturesUnordered::new(),
            newest: Newest::default(),
            changed,
        }
    }

    /// Runs until `stop` is cancelled and every request that was taken is answered.
    pub(super) async fn run(mut self, mut calls: mpsc::Receiver<Call>, stop: CancellationToken) {
        let (showing, mut shown) = mpsc::channel(SHOWN_MAX);
        for prefix in self.host.watches() {
            let (store, near) = (Arc::clone(&self.store), self.near());
            tokio::spawn(follow(store, prefix, near, self.newest.clone(), showing.clone()));
        }
        drop(showing);
        self.note_start().await;
        self.step(Input::Tick).await;
        loop {
            let idle = self.waiting.is_empty() && self.asked.is_empty();
            if calls.is_closed() && calls.is_empty() && idle {
                return self.scribe.close().await;
            }
            // Each arm finishes its work before the next is chosen, so that stopping never cuts a step in half.
            tokio::select! {
                biased;
                () = stop.cancelled(), if !calls.is_closed() => calls.close(),
                Some(outcome) = self.asked.next() => self.step(outcome).await,
                Some(shown) = shown.recv() => self.look_at(shown).await,
                Some(call) = calls.recv() => self.serve_with_others(call, &mut calls).await,
                () = until(&*self.clock, self.host.next_deadline()) => self.step(Input::Tick).await,
            }
        }
    }

    /// Tells the host what the store showed, in an order that could have been.
    async fn look_at(&mut self, shown: Shown) {
        match shown {
            Shown::Listed { prefix, revision, entries, told } => {
                // A commit of ours may be answered between a listing and its arrival here. Told afterwards, the
                // listing would look as if the store had gone back. If the store did, a listing that was asked
                // for after what it lacks says so again.
                let overtaken = self.newest.overtook(&prefix, revision);
                // The follower may be gone with the task's end.
                let _ = told.send(!overtaken);
                if !overtaken {
                    self.step(Input::Listed { prefix, revision, entries }).await;
                }
            }
            Shown::Changed(seen) => self.step(Input::Seen(seen)).await,
        }
    }

    /// Serves a call, and with it what else was asked for in this moment: a burst of requests is one take.
    async fn serve_with_others(&mut self, call: Call, calls: &mut mpsc::Receiver<Call>) {
        let (mut burst, mut next) = (Vec::new(), Some(call));
        while let Some(call) = next {
            let input = match call {
                Call::Ask { input, answer } => self.named(input, answer),
                other => {
                    self.step_all(std::mem::take(&mut burst)).await;
                    return self.serve(other).await;
                }
            };
            if !matches!(input, Input::Assign { .. }) {
                self.step_all(std::mem::take(&mut burst)).await;
                return self.step(input).await;
            }
            burst.push(input);
            next = calls.try_recv().ok();
        }
        self.step_all(burst).await;
    }

    /// Gives a request its name, under which it is answered.
    fn named(
        &mut self,
        input: Box<dyn FnOnce(RequestId) -> Input + Send>,
        answer: oneshot::Sender<Result<Answer, Refusal>>,
    ) -> Input {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.waiting.insert(request, answer);
        input(request)
    }

    async fn serve(&mut self, call: Call) {
        match call {
            Call::Ask { input, answer } => {
                let input = self.named(input, answer);
                self.step(input).await;
            }
            Call::Tell(input) => self.step(input).await,
            Call::Assigned(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(assigned(&self.host.snapshot(), &self.boot));
            }
            Call::View(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.host.view(self.clock.now()));
            }
            Call::Evicted(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.host.evicted());
            }
            Call::Intervals(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.tally.ended().chain(self.tally.running()).cloned().collect());
            }
            Call::Told(told) => self.be_told(told).await,
        }
    }

    /// Feeds one input, and carries out everything that follows from it at once.
    async fn step(&mut self, input: Input) {
        self.step_all(vec![input]).await;
    }

    /// The same with inputs that came in one moment, and for one cause.
    async fn step_all(&mut self, inputs: Vec<Input>) {
        let Some(first) = inputs.first() else { return };
        self.ear.because(first);
        inputs.iter().for_each(|input| self.newest.note(input));
        let mut effects = VecDeque::from(self.host.step_all(self.clock.now(), inputs));
        while let Some(effect) = effects.pop_front() {
            if let Some(outcome) = self.carry_out(effect).await {
                effects.extend(self.host.step(self.clock.now(), outcome));
            }
        }
        self.scribe.compact_if_grown(|| together(self.host.snapshot(), self.tally.snapshot())).await;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Carries out one effect. What was asked of the store comes back later.
    async fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Persist { token, records, durability } => {
                let noted = self.tally.consider(&records, &self.ear.hearing());
                let outcome = self.append(records, noted, durability).await;
                return Some(Input::Persisted { token, outcome });
            }
            Effect::Send { token, transaction } => {
                self.asked.push(Box::pin(send(Arc::clone(&self.store), token, transaction)));
            }
            Effect::Read { token, keys } => {
                self.asked.push(Box::pin(read(Arc::clone(&self.store), token, keys)));
            }
            Effect::Answer { request, result } => {
                if let Some(answer) = self.waiting.remove(&request) {
                    // Whoever asked may have gone: what is assigned to nobody is reaped.
                    let _ = answer.send(result);
                }
            }
            Effect::Silence { address, epoch } => {
                tracing::error!(
                    %address, %epoch,
                    "this host was evicted while it used this address: the address falls silent now"
                );
            }
        }
        None
    }
}

impl Task {
    /// Appends records with what the ledger notes of them: both are in the journal, or neither.
    async fn append(&mut self, records: Vec<Record>, noted: Vec<Note>, durability: Durability) -> Persisted {
        let outcome = self.scribe.append(together(records, noted.clone()), durability).await;
        if outcome == Persisted::Done {
            noted.iter().for_each(|note| self.tally.learn(note));
        }
        outcome
    }

    /// Whose blocks are this host's business.
    fn near(&self) -> Near {
        let held = self.host.snapshot().into_iter().filter_map(|record| match record {
            Record::Block { id, .. } | Record::Address { block: id, .. } => Some(id.subnet),
            _ => None,
        });
        Near { zones: self.zones.clone(), held: held.collect() }
    }

    /// Notes what the ledger makes of this start. If the disk refuses, the next records bring it up again.
    async fn note_start(&mut self) {
        let records = self.host.snapshot();
        let noted = self.tally.consider_start(&records, &assigned(&records, &self.boot), &self.ear.hearing());
        if !noted.is_empty() {
            self.append(Vec::new(), noted, Durability::Written).await;
        }
    }

    /// Notes what the ledger says. If the disk refuses, it says so again.
    async fn be_told(&mut self, told: Told) {
        let noted: Vec<Note> = match told {
            Told::Names(names) => names
                .iter()
                .filter_map(|(address, epoch, container)| {
                    self.tally.consider_name(*address, *epoch, container)
                })
                .collect(),
            Told::Written(intervals) => {
                intervals.into_iter().map(|(address, epoch)| Note::Written { address, epoch }).collect()
            }
        };
        if !noted.is_empty() {
            self.append(Vec::new(), noted, Durability::Written).await;
            self.scribe.compact_if_grown(|| together(self.host.snapshot(), self.tally.snapshot())).await;
            self.changed.send_modify(|count| *count += 1);
        }
    }
}

/// The assignments among `records` that are of this boot: the containers of an earlier one are gone.
pub(crate) fn assigned(records: &[Record], this: &BootId) -> BTreeMap<IpAddr, Epoch> {
    let of_this_boot: BTreeSet<BlockId> = records
        .iter()
        .filter_map(|record| match record {
            Record::Block { id, boot, .. } if boot == this => Some(*id),
            _ => None,
        })
        .collect();
    let assigned = records.iter().filter_map(|record| match record {
        Record::Address { block, address, holding: Some(holding) } if of_this_boot.contains(block) => {
            match holding.state {
                Life::Assigned { epoch, .. } => Some((*address, epoch)),
                _ => None,
            }
        }
        _ => None,
    });
    assigned.collect()
}

async fn until(clock: &dyn Clock, deadline: Option<Timestamp>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Commits, and says what became of it.
async fn send(store: Arc<dyn Store>, token: Token, transaction: Transaction) -> Input {
    let outcome = match words::transaction(&transaction) {
        Ok(spelled) => match tokio::time::timeout(PATIENCE, store.commit(spelled)).await {
            Ok(answer) => sent(&transaction, answer),
            Err(_) => Sent::Unknown,
        },
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a transaction cannot be written");
            Sent::Failed
        }
    };
    Input::Sent { token, outcome }
}

fn sent(transaction: &Transaction, answer: Result<Commit, StoreError>) -> Sent {
    match answer {
        Ok(Commit::Done { revision }) => Sent::Committed { revision: ipam::Revision(revision.0) },
        Ok(Commit::Conflict { now }) => match words::conflict(transaction, &now) {
            Ok(now) => Sent::Conflict { now },
            Err(error) => {
                // Nothing was written; what stands there instead is for a newer Berth to understand.
                tracing::error!(error = &error as &dyn std::error::Error, "a conflict cannot be understood");
                Sent::Failed
            }
        },
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a transaction was not answered");
            match error {
                StoreError::UnknownOutcome(_) => Sent::Unknown,
                _ => Sent::Failed,
            }
        }
    }
}

/// Reads keys from the store itself.
async fn read(store: Arc<dyn Store>, token: Token, keys: Vec<Key>) -> Input {
    let found = match tokio::time::timeout(PATIENCE, read_all(&*store, &keys)).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!(error = &*error, "the store was not read");
            None
        }
        Err(_) => None,
    };
    Input::Read { token, found }
}

async fn read_all(
    store: &dyn Store,
    keys: &[Key],
) -> Result<Vec<Seen>, Box<dyn std::error::Error + Send + Sync>> {
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        found.push(words::read(key, &store.get(&words::item(key).key()).await?)?);
    }
    Ok(found)
}
