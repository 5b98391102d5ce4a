//! The store model keeps the promises that every store keeps: the same suite as etcd, embedded and memory.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use simulation::store::{Commit as Committed, Compare, StoreModel, Transaction, Words};
use store::{
    BoxFuture, Change, Commit, Entry, Event, Key, Prefix, Read, Revision, Session, Snapshot, Store,
    StoreError, Watch, WatchError, Write,
};
use tokio::sync::watch;
use tokio::time::Instant;

/// The words that the stores of Berth have in common.
#[derive(Clone, Debug)]
struct Bytes;

impl Words for Bytes {
    type Key = Key;
    type Prefix = Prefix;
    type Value = Vec<u8>;

    fn covers(prefix: &Prefix, key: &Key) -> bool {
        prefix.covers(key)
    }
}

/// The model behind the trait, with tokio's clock.
#[derive(Clone)]
struct Modelled {
    model: Arc<Mutex<StoreModel<Bytes>>>,
    news: watch::Sender<()>,
    began: Instant,
}

async fn fresh() -> (Modelled, ()) {
    let store = Modelled { model: Arc::default(), news: watch::Sender::new(()), began: Instant::now() };
    (store, ())
}

store::conformance!(fresh);

impl Modelled {
    /// The model, with the sessions lapsed whose time is over.
    fn now(&self) -> (MutexGuard<'_, StoreModel<Bytes>>, u64) {
        let now = self.began.elapsed().as_millis() as u64;
        let mut model = self.model.lock().expect("no test panicked with it");
        let before = model.revision();
        model.lapse(now);
        if model.revision() > before {
            self.news.send_replace(());
        }
        (model, now)
    }

    fn done(&self, transaction: store::Transaction) -> Result<Commit, StoreError> {
        transaction.check()?;
        let compares = transaction.compares.iter().map(|compare| match compare {
            store::Compare::Unchanged { key, revision } => Compare::At(key.clone(), revision.0),
            store::Compare::Holds { key, value } => Compare::Holds(key.clone(), value.clone()),
            store::Compare::Absent(key) => Compare::Absent(key.clone()),
            store::Compare::Empty(prefix) => Compare::Empty(prefix.clone()),
        });
        let writes = transaction.writes.iter().map(|write| match write {
            Write::Put { key, value } => (key.clone(), Some(value.clone())),
            Write::Delete(key) => (key.clone(), None),
        });
        let asked = Transaction { compares: compares.collect(), writes: writes.collect() };
        let (mut model, _) = self.now();
        let committed = model.commit(&asked);
        self.news.send_replace(());
        match committed {
            Committed::Done(revision) => Ok(Commit::Done { revision: Revision(revision) }),
            Committed::Conflict => Ok(Commit::Conflict { now: compared(&model, &asked.compares) }),
        }
    }
}

fn compared(model: &StoreModel<Bytes>, compares: &[Compare<Bytes>]) -> Snapshot {
    let mut entries: Vec<Entry> = Vec::new();
    for compare in compares {
        match compare {
            Compare::At(key, _) | Compare::Holds(key, _) | Compare::Absent(key) => {
                entries.extend(entry(model, key));
            }
            Compare::Empty(prefix) => entries.extend(under(model, prefix)),
        }
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries.dedup_by(|a, b| a.key == b.key);
    Snapshot { revision: Revision(model.revision()), entries }
}

fn entry(model: &StoreModel<Bytes>, key: &Key) -> Option<Entry> {
    let (value, revision) = model.get(key)?;
    Some(Entry { key: key.clone(), value: value.clone(), revision: Revision(revision) })
}

fn under(model: &StoreModel<Bytes>, prefix: &Prefix) -> Vec<Entry> {
    let entries = model.range(prefix).map(|(key, value, revision)| Entry {
        key: key.clone(),
        value: value.clone(),
        revision: Revision(revision),
    });
    entries.collect()
}

impl Store for Modelled {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        let (model, _) = self.now();
        let read = Read { revision: Revision(model.revision()), entry: entry(&model, key) };
        async { Ok(read) }.boxed()
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        let (model, _) = self.now();
        let found = Snapshot { revision: Revision(model.revision()), entries: under(&model, prefix) };
        async { Ok(found) }.boxed()
    }

    fn commit(&self, transaction: store::Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        async { self.done(transaction) }.boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        let start = (self.clone(), self.news.subscribe(), prefix.clone(), after);
        let changes = stream::unfold(start, |(store, mut news, prefix, after)| async move {
            loop {
                news.mark_unchanged();
                let found = store.now().0.change_after(&prefix, after.0);
                match found {
                    Ok(Some(change)) => {
                        let shown = shown(change);
                        let seen = shown.revision;
                        return Some((Ok(shown), (store, news, prefix, seen)));
                    }
                    // A session may lapse with nobody there to say so.
                    Ok(None) => {
                        let _ = tokio::time::timeout(Duration::from_millis(20), news.changed()).await;
                    }
                    Err(forgotten) => {
                        let oldest = Revision(forgotten.oldest);
                        let lost = WatchError::Compacted { prefix: prefix.clone(), after, oldest };
                        return Some((Err(lost), (store, news, prefix, after)));
                    }
                }
            }
        });
        async { Ok(Watch::new(changes.boxed())) }.boxed()
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        let (mut model, now) = self.now();
        let number = model.begin_session(key.clone(), value, ttl.as_millis() as u64, now);
        self.news.send_replace(());
        async move { Ok(Session::new(key.clone(), number, ttl)) }.boxed()
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        let (mut model, now) = self.now();
        let kept = model.keep_alive(session.key(), session.number(), now);
        let lapsed = StoreError::SessionLapsed { key: session.key().clone() };
        async move { if kept { Ok(()) } else { Err(lapsed) } }.boxed()
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        let (mut model, _) = self.now();
        model.end_session(session.key(), session.number());
        self.news.send_replace(());
        async { Ok(()) }.boxed()
    }
}

fn shown(change: simulation::store::Change<Bytes>) -> Change {
    let events = change.events.into_iter().map(|(key, value)| match value {
        Some(value) => Event::Put { key, value },
        None => Event::Deleted(key),
    });
    Change { revision: Revision(change.revision), events: events.collect() }
}
