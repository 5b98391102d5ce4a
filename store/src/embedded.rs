//! A store in one file of one machine, through redb.
//!
//! One process has the file open; agents of that process share it by cloning the handle. A commit is on
//! the disk before it is answered. Watches are remembered in memory only: a watch from before this process
//! is compacted.

mod table;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::local::Local;
use crate::{Commit, Key, Prefix, Read, Revision, Session, Snapshot, Store, StoreError, Transaction, Watch};
use table::FileTable;

/// A store in one file. Clones are handles of the same store.
#[derive(Clone)]
pub struct EmbeddedStore {
    local: Local<FileTable>,
    path: PathBuf,
}

impl EmbeddedStore {
    /// Opens the store in the file at `path`, or makes an empty one if there is no file.
    ///
    /// Reads the whole file once to check it: a damaged file is refused with [`StoreError::Corrupt`], one
    /// that is open elsewhere with [`StoreError::InUse`], one of a newer Berth with [`StoreError::Format`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<EmbeddedStore, StoreError> {
        let path = path.into();
        let opening = path.clone();
        let table = match tokio::task::spawn_blocking(move || FileTable::open(&opening)).await {
            Ok(table) => table?,
            // redb may panic on what it did not expect in a file.
            Err(panic) => return Err(StoreError::Corrupt { path, source: panic.into() }),
        };
        let local = Local::open(table)?;
        Ok(EmbeddedStore { local, path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        let key = key.clone();
        self.local.run(move |local| local.get(&key)).boxed()
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        let prefix = prefix.clone();
        self.local.run(move |local| local.range(&prefix)).boxed()
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        self.local.run(move |local| local.commit(transaction)).boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        async move { Ok(self.local.watch(prefix, after)) }.boxed()
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        let key = key.clone();
        self.local.run(move |local| local.begin_session(&key, value, ttl)).boxed()
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        let session = session.clone();
        self.local.run(move |local| local.keep_alive(&session)).boxed()
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        let session = session.clone();
        self.local.run(move |local| local.end_session(&session)).boxed()
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedStore({})", self.path.display())
    }
}
