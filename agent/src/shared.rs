//! The store that the configuration names, and how it is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::api::Source;
use store::{
    BoxFuture, Commit, EmbeddedStore, EtcdStore, Key, Prefix, Read, Revision, Session, Snapshot, Store,
    StoreError, Transaction, Watch,
};

use crate::config::{Config, StoreKind};
use crate::troubles::{Trouble, Troubles, with_causes};

/// Opens the store. One on etcd need not be there yet: it is asked for with every call.
pub(crate) async fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match &config.store {
        StoreKind::Embedded => Arc::new(EmbeddedStore::open(config.rim.host.store_file()).await?),
        StoreKind::Etcd(options) => Arc::new(EtcdStore::new(options.clone())),
    })
}

/// The same store; how its last call went is on the status page.
pub(crate) fn noted(store: Arc<dyn Store>, troubles: Troubles) -> Arc<dyn Store> {
    Arc::new(Noted { store, troubles, good: AtomicBool::new(false) })
}

struct Noted {
    store: Arc<dyn Store>,
    troubles: Troubles,
    /// Whether it was said to be good last. Said once: who misses something in a store that answers has
    /// the word then.
    good: AtomicBool,
}

impl Noted {
    fn note<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match &answer {
            Ok(_) => {
                if !self.good.swap(true, Ordering::Relaxed) {
                    self.troubles.over(Source::Store);
                }
            }
            // The store answered, and is well.
            Err(
                StoreError::SessionLapsed { .. }
                | StoreError::TooLarge { .. }
                | StoreError::TooManyOperations { .. }
                | StoreError::TransactionTooLarge { .. }
                | StoreError::WrittenTwice { .. },
            ) => {}
            Err(error) => {
                self.good.store(false, Ordering::Relaxed);
                let trouble = Trouble { problem: with_causes(error), hint: None, after: None };
                self.troubles.note(Source::Store, trouble);
            }
        }
        answer
    }
}

impl Store for Noted {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        Box::pin(async move { self.note(self.store.get(key).await) })
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move { self.note(self.store.range(prefix).await) })
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        Box::pin(async move { self.note(self.store.commit(transaction).await) })
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        Box::pin(async move { self.note(self.store.watch(prefix, after).await) })
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        Box::pin(async move { self.note(self.store.begin_session(key, value, ttl).await) })
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.note(self.store.keep_alive(session).await) })
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.note(self.store.end_session(session).await) })
    }
}
