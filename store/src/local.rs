//! What the stores of one process have in common: revisions, compares, watches and sessions over a
//! [`Table`] that keeps the entries.

mod history;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream;
use tokio::time::Instant;

use crate::transaction::check_size;
use crate::{
    Change, Commit, Event, Key, Prefix, Read, Revision, Session, Snapshot, StoreError, Transaction, Watch,
    WatchError, Write,
};
use history::History;
use state::{Life, State, Wanted, entry};

/// Where the entries are kept.
pub(crate) trait Table: Send + 'static {
    /// Whether its methods may wait for a disk.
    const WAITS_FOR_DISK: bool;

    /// The revision of the last commit.
    fn revision(&mut self) -> Result<Revision, StoreError>;
    /// What is stored under `key`.
    fn get(&mut self, key: &Key) -> Result<Option<Stored>, StoreError>;
    /// What is stored under every key that begins with `prefix`, in their order.
    fn range(&mut self, prefix: &Prefix) -> Result<Vec<(Key, Stored)>, StoreError>;
    /// Makes all writes and remembers `revision`, durably, or nothing. None removes.
    fn apply(&mut self, revision: Revision, writes: &[(Key, Option<Stored>)]) -> Result<(), StoreError>;
}

/// A value as a table keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The commit that wrote it.
    pub(crate) revision: Revision,
    /// How long it outlives its session's last sign of life. None for an entry without a session.
    pub(crate) ttl: Option<Duration>,
    /// Its bytes.
    pub(crate) value: Vec<u8>,
}

/// A store over a table. Clones are handles of the same store.
pub(crate) struct Local<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    history: History,
}

impl<T: Table> Local<T> {
    /// A store over what `table` has. Must be called inside a tokio runtime, which lets sessions lapse.
    ///
    /// Sessions of a former process get one more `ttl`: their holders may only have been slower to start.
    pub(crate) fn open(mut table: T) -> Result<Local<T>, StoreError> {
        let history = History::starting_at(table.revision()?);
        let mut sessions = BTreeMap::new();
        for (key, stored) in table.range(&Prefix::new(String::new()))? {
            if let Some(ttl) = stored.ttl {
                sessions.insert(key, Life { number: stored.revision.0, ttl, lapses: Instant::now() + ttl });
            }
        }
        let lapsing: Vec<Session> =
            sessions.iter().map(|(key, life)| Session::new(key.clone(), life.number, life.ttl)).collect();
        let local =
            Local { shared: Arc::new(Shared { state: Mutex::new(State { table, sessions }), history }) };
        for session in lapsing {
            local.let_lapse(session);
        }
        Ok(local)
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Read, StoreError> {
        let mut state = self.state()?;
        let revision = state.table.revision()?;
        let entry = state.table.get(key)?.map(|stored| entry(key.clone(), stored));
        Ok(Read { revision, entry })
    }

    pub(crate) fn range(&self, prefix: &Prefix) -> Result<Snapshot, StoreError> {
        let mut state = self.state()?;
        let revision = state.table.revision()?;
        let found = state.table.range(prefix)?;
        Ok(Snapshot {
            revision,
            entries: found.into_iter().map(|(key, stored)| entry(key, stored)).collect(),
        })
    }

    pub(crate) fn commit(&self, transaction: Transaction) -> Result<Commit, StoreError> {
        transaction.check()?;
        let mut state = self.state()?;
        if !state.holds(&transaction.compares)? {
            return Ok(Commit::Conflict { now: state.compared(&transaction.compares)? });
        }
        let writes = transaction.writes.into_iter().map(|write| match write {
            Write::Put { key, value } => (key, Some((value, None))),
            Write::Delete(key) => (key, None),
        });
        let revision = self.write(&mut state, writes.collect())?;
        Ok(Commit::Done { revision })
    }

    pub(crate) fn watch(&self, prefix: &Prefix, after: Revision) -> Watch {
        let news = self.shared.history.news();
        let shared = Arc::downgrade(&self.shared);
        let start = Some((shared, news, prefix.clone(), after));
        Watch::new(Box::pin(stream::unfold(start, |watching| async move {
            let (shared, mut news, prefix, after) = watching?;
            loop {
                news.mark_unchanged();
                let Some(store) = shared.upgrade() else {
                    return Some((Err(WatchError::Lost(StoreError::Closed)), None));
                };
                match store.history.after(&prefix, after) {
                    Ok(Some(change)) => {
                        let seen = change.revision;
                        return Some((Ok(change), Some((shared, news, prefix, seen))));
                    }
                    Ok(None) => drop(store),
                    Err(compacted) => return Some((Err(compacted), None)),
                }
                // An error means that the store is gone; the next round says so.
                let _ = news.changed().await;
            }
        })))
    }

    pub(crate) fn begin_session(
        &self,
        key: &Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<Session, StoreError> {
        check_size(key, &value)?;
        let mut state = self.state()?;
        let revision = self.write(&mut state, vec![(key.clone(), Some((value, Some(ttl))))])?;
        let life = Life { number: revision.0, ttl, lapses: Instant::now() + ttl };
        state.sessions.insert(key.clone(), life);
        drop(state);
        let session = Session::new(key.clone(), revision.0, ttl);
        self.let_lapse(session.clone());
        Ok(session)
    }

    pub(crate) fn keep_alive(&self, session: &Session) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let now = Instant::now();
        match state.sessions.get_mut(session.key()) {
            Some(life) if life.number == session.number() && life.lapses > now => {
                life.lapses = now + life.ttl;
                Ok(())
            }
            _ => Err(StoreError::SessionLapsed { key: session.key().clone() }),
        }
    }

    pub(crate) fn end_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut state = self.state()?;
        match state.sessions.get(session.key()) {
            Some(life) if life.number == session.number() => {
                self.write(&mut state, vec![(session.key().clone(), None)]).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Forgets every change, as a store does that was compacted.
    pub(crate) fn compact(&self) -> Result<(), StoreError> {
        let revision = self.state()?.table.revision()?;
        self.shared.history.forget_up_to(revision);
        Ok(())
    }

    /// Runs `work`, on a thread of its own if the table waits for a disk.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Local<T>) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        if !T::WAITS_FOR_DISK {
            return work(self);
        }
        let local = self.clone();
        match tokio::task::spawn_blocking(move || work(&local)).await {
            Ok(answer) => answer,
            Err(stopped) => Err(StoreError::UnknownOutcome(stopped.into())),
        }
    }

    /// The state, with watches told of what is known only now.
    fn state(&self) -> Result<MutexGuard<'_, State<T>>, StoreError> {
        let mut state = self.shared.lock();
        // A commit that the table finished although it reported an error is seen only now, and watches
        // cannot be told what it was.
        let revision = state.table.revision()?;
        self.shared.history.forget_unless_at(revision);
        Ok(state)
    }

    /// Writes at the next revision and tells the watches. Nothing to write is no commit.
    fn write(
        &self,
        state: &mut State<T>,
        writes: Vec<(Key, Option<Wanted>)>,
    ) -> Result<Revision, StoreError> {
        let newest = state.table.revision()?;
        let revision = newest.next();
        let mut events = Vec::with_capacity(writes.len());
        let mut rows = Vec::with_capacity(writes.len());
        for (key, value) in writes {
            match value {
                Some((value, ttl)) => {
                    events.push(Event::Put { key: key.clone(), value: value.clone() });
                    rows.push((key, Some(Stored { revision, ttl, value })));
                }
                None if state.table.get(&key)?.is_some() => {
                    events.push(Event::Deleted(key.clone()));
                    rows.push((key, None));
                }
                None => (),
            }
        }
        if rows.is_empty() {
            return Ok(newest);
        }
        state.table.apply(revision, &rows)?;
        for (key, _) in &rows {
            state.sessions.remove(key);
        }
        self.shared.history.record(Change { revision, events });
        Ok(revision)
    }

    /// Removes the session's key once its last sign of life is too old.
    fn let_lapse(&self, session: Session) {
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            while let Some(lapses) = shared.upgrade().and_then(|shared| shared.lapses(&session)) {
                tokio::time::sleep_until(lapses).await;
                let Some(shared) = shared.upgrade() else { return };
                let (local, lapsing) = (Local { shared }, session.clone());
                if let Err(error) = local.run(move |local| local.lapse(&lapsing)).await {
                    tracing::warn!(session = %session.key(), %error, "a lapsed session's key stays for now");
                    drop(local);
                    tokio::time::sleep(session.ttl()).await;
                }
            }
        });
    }

    fn lapse(&self, session: &Session) -> Result<(), StoreError> {
        let mut state = self.state()?;
        match state.sessions.get(session.key()) {
            Some(life) if life.number == session.number() && life.lapses <= Instant::now() => {
                self.write(&mut state, vec![(session.key().clone(), None)]).map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl<T> Shared<T> {
    /// When the session lapses, unless a sign of life comes. None if it has ended.
    fn lapses(&self, session: &Session) -> Option<Instant> {
        let state = self.lock();
        let life = state.sessions.get(session.key())?;
        (life.number == session.number()).then_some(life.lapses)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Every change is made to the table first and whole, so a panic elsewhere leaves no half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Local<T> {
    fn clone(&self) -> Local<T> {
        Local { shared: Arc::clone(&self.shared) }
    }
}
