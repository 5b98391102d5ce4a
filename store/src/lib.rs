//! Where shared state lives: one trait, several implementations.
//!
//! A [`Store`] is a small map from [`Key`] to bytes with one [`Revision`] that grows with every
//! commit, as etcd v3 has it. All writes are compare-and-commit; there are no locks. What the keys
//! are called and how the bytes read is [`layout`]'s business alone; what the values mean is not
//! this crate's business at all.

pub mod backup;
mod embedded;
mod error;
mod etcd;
mod key;
pub mod layout;
mod local;
mod memory;
mod session;
pub mod testing;
mod transaction;
mod watch;

pub use embedded::EmbeddedStore;
pub use error::{OutOfRoom, StoreError};
pub use etcd::{EtcdOptions, EtcdStore, EtcdTls, EtcdUser};
pub use futures::future::BoxFuture;
pub use key::{Key, Prefix, Revision};
pub use memory::{Fault, MemoryStore};
pub use session::Session;
pub use transaction::{Commit, Compare, Entry, Read, Snapshot, Transaction, Write};
pub use watch::{Change, Event, Watch, WatchError};

use std::time::Duration;

/// Operations (compares and writes together) that one transaction may have: etcd's default limit.
pub const OPERATIONS_MAX: usize = 128;

/// Bytes that one value may have. etcd refuses requests above 1.5 MiB; a tenth of that leaves
/// room for several large values in one transaction.
pub const VALUE_BYTES_MAX: usize = 150 * 1024;

/// Bytes that all values of one transaction may have together: etcd's 1.5 MiB, with room for keys.
pub const TRANSACTION_BYTES_MAX: usize = 1280 * 1024;

/// A map with revisions that all agents of a cluster share.
///
/// Every read is linearizable: it shows at least everything that was committed before it was asked.
/// Dropping a returned future does not undo what it began.
pub trait Store: Send + Sync + 'static {
    /// The entry under `key`, and the store's revision at which it was looked at.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>>;

    /// Every entry under `prefix`, in the order of their keys, all at one revision.
    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>>;

    /// Makes all writes at one new revision if every compare holds, otherwise none.
    ///
    /// A transaction that writes nothing only compares: its answer is the revision it was compared at.
    /// [`StoreError::UnknownOutcome`] means that the commit may have happened, or may still happen later.
    /// Every other error means that nothing happened and nothing will.
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>>;

    /// Every change under `prefix` at a revision above `after`, in order, none left out.
    ///
    /// `range` and then `watch` from the snapshot's revision misses nothing.
    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>>;

    /// Puts `value` under `key` for as long as [`Store::keep_alive`] is called at least every `ttl`.
    ///
    /// A session begun under the key of another takes the key over: the earlier one can no longer
    /// be kept alive, and its end does not remove the key.
    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>>;

    /// A sign of life: the session's key stays for another `ttl`.
    ///
    /// [`StoreError::SessionLapsed`] when it came too late, or another session took the key.
    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Removes the session's key now. Ending a session that has lapsed is not an error.
    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>>;
}
