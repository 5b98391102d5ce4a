//! A store that counts what is asked of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::{
    BoxFuture, Commit, EtcdStore, Key, Prefix, Read, Revision, Session, Snapshot, Store, StoreError,
    Transaction, Watch,
};

/// What was asked of all stores that share it.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    commits: AtomicU64,
}

impl Counts {
    /// Transactions, those that failed their compare included.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

/// Production's store on etcd, counted.
pub(crate) struct Counted {
    pub(crate) store: EtcdStore,
    pub(crate) counts: Arc<Counts>,
}

impl Store for Counted {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        self.store.get(key)
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        self.store.range(prefix)
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.store.commit(transaction)
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
