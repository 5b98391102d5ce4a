//! A store in memory, for tests and simulation, with faults on demand.

mod table;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream;
use tokio::sync::watch;

use crate::local::Local;
use crate::{Commit, Key, Prefix, Read, Revision, Session, Snapshot, Store, StoreError, Transaction, Watch};
use table::MemoryTable;

/// A store in memory. Clones are handles of the same store, as several agents have them.
#[derive(Clone)]
pub struct MemoryStore {
    local: Local<MemoryTable>,
    faults: Arc<Mutex<Faults>>,
    gates: Arc<Gates>,
}

/// What goes wrong with one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered with [`StoreError::Unavailable`]; nothing is written.
    Fails,
    /// Answered with [`StoreError::UnknownOutcome`]; nothing is written, ever.
    Vanishes,
    /// Answered with [`StoreError::UnknownOutcome`]; it was committed, if its compares held.
    LosesAnswer,
    /// Answered with [`StoreError::UnknownOutcome`]; it is committed, if its compares hold then, when
    /// [`MemoryStore::land_late_commits`] is called.
    LandsLate,
}

/// What is let through.
struct Gates {
    away: watch::Sender<bool>,
    silent: watch::Sender<bool>,
}

#[derive(Default)]
struct Faults {
    /// Each for the next commit that writes under its prefix.
    coming: VecDeque<(Prefix, Fault)>,
    late: Vec<Transaction>,
}

impl MemoryStore {
    /// An empty store. Its sessions must begin inside a tokio runtime, which lets them lapse.
    pub fn new() -> MemoryStore {
        let local = match Local::open(MemoryTable::default()) {
            Ok(local) => local,
            Err(impossible) => unreachable!("a table in memory cannot fail: {impossible}"),
        };
        MemoryStore { local, faults: Arc::default(), gates: Arc::default() }
    }

    /// Lets the next commit that writes under `prefix` go wrong. Faults for one prefix happen in the order
    /// they were asked for, one a commit.
    pub fn fault_next(&self, prefix: impl Into<Prefix>, fault: Fault) {
        self.faults().coming.push_back((prefix.into(), fault));
    }

    /// Commits, in the order they were sent, what [`Fault::LandsLate`] kept back. Answers how each ended.
    pub fn land_late_commits(&self) -> Vec<Commit> {
        let late = std::mem::take(&mut self.faults().late);
        // What a store refuses (too large, a key twice) it refused when it was sent.
        late.into_iter().filter_map(|transaction| self.local.commit(transaction).ok()).collect()
    }

    /// Makes the store unavailable: everything but watches is answered with [`StoreError::Unavailable`],
    /// watches are silent until it is back.
    pub fn go_away(&self) {
        self.gates.away.send_replace(true);
    }

    /// Makes the store available again.
    pub fn come_back(&self) {
        self.gates.away.send_replace(false);
    }

    /// Lets watches lag: they show nothing until [`MemoryStore::show_changes`], and then go on where they
    /// were, or say that it was compacted.
    pub fn hold_changes(&self) {
        self.gates.silent.send_replace(true);
    }

    /// Ends what [`MemoryStore::hold_changes`] began.
    pub fn show_changes(&self) {
        self.gates.silent.send_replace(false);
    }

    /// Forgets every change made so far: a watch from before now is compacted.
    pub fn compact(&self) {
        if let Err(impossible) = self.local.compact() {
            unreachable!("a table in memory cannot fail: {impossible}");
        }
    }

    fn reachable(&self) -> Result<(), StoreError> {
        if *self.gates.away.borrow() {
            return Err(unavailable());
        }
        Ok(())
    }

    fn commit_with_faults(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        self.reachable()?;
        transaction.check()?;
        let fault = self.faults().take(&transaction);
        match fault {
            None => self.local.commit(transaction),
            Some(Fault::Fails) => Err(unavailable()),
            Some(Fault::Vanishes) => Err(unknown()),
            Some(Fault::LosesAnswer) => {
                self.local.commit(transaction)?;
                Err(unknown())
            }
            Some(Fault::LandsLate) => {
                self.faults().late.push(transaction);
                Err(unknown())
            }
        }
    }

    /// A watch that is silent while the store is away, or while changes are held.
    fn watch_with_faults(&self, prefix: &Prefix, after: Revision) -> Watch {
        let (away, silent) = (self.gates.away.subscribe(), self.gates.silent.subscribe());
        let start = (self.local.watch(prefix, after), away, silent);
        Watch::new(Box::pin(stream::unfold(start, |(mut watch, mut away, mut silent)| async move {
            let change = watch.next().await;
            // An error means that every handle is gone, which the next change says.
            let _ = silent.wait_for(|silent| !silent).await;
            let _ = away.wait_for(|away| !away).await;
            Some((change, (watch, away, silent)))
        })))
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Gates {
    fn default() -> Gates {
        Gates { away: watch::Sender::new(false), silent: watch::Sender::new(false) }
    }
}

impl Faults {
    /// The fault that this transaction meets.
    fn take(&mut self, transaction: &Transaction) -> Option<Fault> {
        let meets =
            |(prefix, _): &(Prefix, Fault)| transaction.writes.iter().any(|write| prefix.covers(write.key()));
        let at = self.coming.iter().position(meets)?;
        self.coming.remove(at).map(|(_, fault)| fault)
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        async { self.reachable().and_then(|()| self.local.get(key)) }.boxed()
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        async { self.reachable().and_then(|()| self.local.range(prefix)) }.boxed()
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        async { self.commit_with_faults(transaction) }.boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        async move { self.reachable().map(|()| self.watch_with_faults(prefix, after)) }.boxed()
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        async move { self.reachable().and_then(|()| self.local.begin_session(key, value, ttl)) }.boxed()
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        async { self.reachable().and_then(|()| self.local.keep_alive(session)) }.boxed()
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        async { self.reachable().and_then(|()| self.local.end_session(session)) }.boxed()
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("made unavailable for a test".into())
}

fn unknown() -> StoreError {
    StoreError::UnknownOutcome("the answer was lost for a test".into())
}
