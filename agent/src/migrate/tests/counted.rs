//! A store that goes away for good after so many commits.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use store::{
    BoxFuture, Commit, Key, MemoryStore, Prefix, Read, Revision, Session, Snapshot, Store, StoreError,
    Transaction, Watch,
};

pub(crate) struct Counted {
    store: MemoryStore,
    left: AtomicU32,
}

impl Counted {
    pub(crate) fn new(store: MemoryStore, commits: u32) -> Counted {
        Counted { store, left: commits.into() }
    }
}

impl Store for Counted {
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.store.commit(transaction),
            Err(_) => Box::pin(async { Err(StoreError::Closed) }),
        }
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        self.store.get(key)
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        self.store.range(prefix)
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        self.store.watch(prefix, after)
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        self.store.begin_session(key, value, ttl)
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.keep_alive(session)
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.end_session(session)
    }
}
