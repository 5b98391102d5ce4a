//! The one task: feeds the host what happened, and carries out what it says, in order.

mod hearing;
mod page;
mod scribe;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use ipam::{
    Answer, BlockId, BootId, Durability, Effect, Epoch, Host, Input, Key, Life, Persisted, Prefix, Record,
    Refusal, RequestId, Seen, Sent, Timestamp, Token, Transaction,
};
use ledger::{Note, Tally};
use store::{Commit, Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::follow::{Shown, follow};
use super::line::{notes, records, together};
use super::newest::Newest;
use super::{CALLS_MAX, Call, Look, Parts, Told, words};
use crate::clock::Clock;
use hearing::Ear;
use page::{Page, Said};
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
        let mut followed = BTreeSet::new();
        self.follow_all(&mut followed, &showing);
        self.note_start().await;
        self.step(vec![Input::Tick]).await;
        let mut ready = Vec::with_capacity(CALLS_MAX);
        loop {
            let idle = self.waiting.is_empty() && self.asked.is_empty();
            if calls.is_closed() && calls.is_empty() && idle {
                return self.scribe.close().await;
            }
            // Each arm finishes its work before the next is chosen, so that stopping never cuts a step in half.
            tokio::select! {
                biased;
                () = stop.cancelled(), if !calls.is_closed() => calls.close(),
                Some(outcome) = self.asked.next() => {
                    // Of a host that is ready no outcome is its registration, which may name zones to look into.
                    let was_ready = self.host.is_ready();
                    self.step(vec![outcome]).await;
                    if !was_ready {
                        self.follow_all(&mut followed, &showing);
                    }
                }
                Some(shown) = shown.recv() => {
                    let listed = matches!(shown, Shown::Listed { .. });
                    self.look_at(shown).await;
                    if listed {
                        self.follow_all(&mut followed, &showing);
                    }
                }
                1.. = calls.recv_many(&mut ready, CALLS_MAX) => self.serve(ready.drain(..)).await,
                () = until(&*self.clock, self.host.next_deadline()) => self.step(vec![Input::Tick]).await,
            }
        }
    }

    /// Begins to follow what the host watches and is not followed yet.
    fn follow_all(&self, followed: &mut BTreeSet<Prefix>, showing: &mpsc::Sender<Shown>) {
        for prefix in self.host.watches() {
            if followed.insert(prefix.clone()) {
                let store = Arc::clone(&self.store);
                tokio::spawn(follow(store, prefix, self.newest.clone(), showing.clone()));
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
                    self.step(vec![Input::Listed { prefix, revision, entries }]).await;
                }
            }
            Shown::Changed(seen) => self.step(vec![Input::Seen(seen)]).await,
        }
    }

    /// Serves calls in their order. Those that lie between two looks at how things stand are one step: however
    /// many containers start at the same time, they wait for one write.
    async fn serve(&mut self, calls: impl Iterator<Item = Call>) {
        let mut inputs = Vec::new();
        for call in calls {
            match call {
                Call::Ask { input, answer } => {
                    self.requests += 1;
                    let request = RequestId(self.requests);
                    self.waiting.insert(request, answer);
                    inputs.push(input(request));
                }
                Call::Tell(input) => inputs.push(input),
                Call::Look(look) => {
                    self.step(std::mem::take(&mut inputs)).await;
                    self.show(look);
                }
                Call::Told(told) => {
                    self.step(std::mem::take(&mut inputs)).await;
                    self.be_told(told).await;
                }
            }
        }
        self.step(inputs).await;
    }

    /// Whoever asked may have gone, each time.
    fn show(&self, look: Look) {
        match look {
            Look::Reserved(name, answer) => {
                let _ = answer.send(self.host.reserved_as(&name));
            }
            Look::Assigned(answer) => {
                let _ = answer.send(assigned(&self.host.snapshot(), &self.boot));
            }
            Look::View(answer) => {
                let _ = answer.send(self.host.view(self.clock.now()));
            }
            Look::Revoked(answer) => {
                let _ = answer.send(self.host.has_revoked());
            }
            Look::Evicted(answer) => {
                let _ = answer.send(self.host.evicted());
            }
            Look::Intervals(answer) => {
                let _ = answer.send(self.tally.ended().chain(self.tally.running()).cloned().collect());
            }
        }
    }

    /// Feeds inputs, and carries out everything that follows from them at once. What all of them have to say to
    /// the journal is written together, and the host hears of it before it hears of anything else.
    async fn step(&mut self, mut inputs: Vec<Input>) {
        if inputs.is_empty() {
            return;
        }
        while !inputs.is_empty() {
            let (mut page, mut later) = (Page::default(), Vec::new());
            let mut inputs_left = inputs.into_iter().peekable();
            while let Some(input) = inputs_left.next() {
                self.newest.note(&input);
                self.ear.because(&input);
                // Requests that wait for an address in the same moment are one take.
                let alike = is_request(&input);
                let burst = iter::from_fn(|| inputs_left.next_if(|next| alike && is_request(next)));
                let burst: Vec<Input> = iter::once(input).chain(burst).collect();
                for effect in self.host.step_all(self.clock.now(), burst) {
                    // In their order: what comes after a write waits for the page.
                    if page.is_empty() || matches!(effect, Effect::Persist { .. }) {
                        page.extend(self.carry_out(effect));
                    } else {
                        later.push(effect);
                    }
                }
            }
            inputs = self.write(page).await;
            for effect in later {
                self.carry_out(effect);
            }
        }
        self.scribe.compact_if_grown(|| together(self.host.snapshot(), self.tally.snapshot())).await;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Carries out one effect. What is for the journal comes back; what was asked of the store does so later.
    fn carry_out(&mut self, effect: Effect) -> Option<Said> {
        match effect {
            Effect::Persist { token, records, durability } => {
                return Some(Said { token, records, durability, hearing: self.ear.hearing() });
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
    /// Writes a page, and tells what became of all that is said on it.
    async fn write(&mut self, page: Page) -> Vec<Input> {
        if page.is_empty() {
            return Vec::new();
        }
        let (noted, durability, tokens) = (page.notes(&self.tally), page.durability(), page.tokens());
        let outcome = self.append(page.records(), noted, durability).await;
        tokens.into_iter().map(|token| Input::Persisted { token, outcome }).collect()
    }

    /// Appends records with what the ledger notes of them: both are in the journal, or neither.
    async fn append(&mut self, records: Vec<Record>, noted: Vec<Note>, durability: Durability) -> Persisted {
        let outcome = self.scribe.append(together(records, noted.clone()), durability).await;
        if outcome == Persisted::Done {
            noted.iter().for_each(|note| self.tally.learn(note));
        }
        outcome
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

fn is_request(input: &Input) -> bool {
    matches!(input, Input::Assign { .. })
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
