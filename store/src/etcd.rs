//! A store of many hosts, in etcd v3 (3.4 and later).
//!
//! Of etcd we use linearizable reads, transactions, watches, and leases for sessions; never its locks, which
//! do not exclude. Its words are translated in this folder and nowhere else.

mod commit;
mod fault;
mod links;
mod options;
mod read;
mod session;
mod watch;
mod words;

pub use options::{EtcdOptions, EtcdTls, EtcdUser};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::{Commit, Key, Prefix, Read, Revision, Session, Snapshot, Store, StoreError, Transaction, Watch};
use links::Links;
use words::Space;

/// How long one call may take, whatever it has to try. Below the five seconds for which agents wait: so what
/// they hear is what happened, not that nobody said anything.
const CALL_TIME_MAX: Duration = Duration::from_millis(4500);

/// A store in etcd. Clones are handles of the same store.
///
/// One member is asked at a time: the one that answered first when somebody was last looked for. A member
/// that fails is left for another that shows that it serves, before anything more is sent.
#[derive(Clone)]
pub struct EtcdStore {
    links: Arc<Links>,
    space: Space,
}

impl EtcdStore {
    /// The store that `options` name. Asks nobody and reads no file yet: what is wrong with either is the
    /// answer of the first call, and is looked at again with every further one.
    pub fn new(options: EtcdOptions) -> EtcdStore {
        let space = Space::new(&options.prefix);
        EtcdStore { links: Arc::new(Links::new(options, space.clone())), space }
    }

    /// What its keys begin with, in etcd.
    pub fn prefix(&self) -> &str {
        self.space.prefix()
    }
}

impl Store for EtcdStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        read::get(self, key).boxed()
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        read::range(self, prefix).boxed()
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        commit::commit(self, transaction).boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        watch::watch(self, prefix, after).boxed()
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        session::begin(self, key, value, ttl).boxed()
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        session::keep_alive(self, session).boxed()
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        session::end(self, session).boxed()
    }
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EtcdStore({})", self.space.prefix())
    }
}
