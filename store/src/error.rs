//! What can go wrong with a store, each with what to do.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::{Key, OPERATIONS_MAX, Revision, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX};

/// A store did not do what it was asked.
///
/// Only [`StoreError::UnknownOutcome`] leaves open whether something was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached; nothing was written. Try again later.
    #[error("the store is not answering, and nothing was written; it will be asked again")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The commit may have happened, or may still happen: look before acting on either.
    #[error("the store did not say whether it committed; look before trying again")]
    UnknownOutcome(#[source] Box<dyn Error + Send + Sync>),
    /// No room on the disk; nothing was written.
    #[error("no room to write to the store file {}; free some space, nothing is lost", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file is not a store, or is damaged.
    #[error(
        "the store file {} is damaged or not a store; move it away, then put a backup in its place with \
         `berthd --restore-store FILE`",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file was written by a newer Berth.
    #[error("the store file {} has format {found}, this Berth reads {known}; install the newer Berth again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format that this build reads and writes.
        known: u64,
    },
    /// Another process, or another store of this process, has the file open.
    #[error("the store file {} is open already; only one berthd may use it, stop the other one", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened at all.
    #[error("cannot open the store file {}; check that the directory exists and its rights", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A value is larger than any store takes.
    #[error("the value for {key} has {bytes} bytes, at most {VALUE_BYTES_MAX} can be stored")]
    TooLarge {
        /// Where it was to be written.
        key: Key,
        /// Its size.
        bytes: usize,
    },
    /// A transaction is larger than any store takes.
    #[error("the transaction has {operations} operations, at most {OPERATIONS_MAX} are possible")]
    TooManyOperations {
        /// Compares and writes.
        operations: usize,
    },
    /// A transaction writes a key more than once.
    #[error("the transaction writes {key} twice")]
    WrittenTwice {
        /// The key.
        key: Key,
    },
    /// The session's last sign of life is too long ago, or another session took its key.
    #[error("the session {key} has lapsed; begin a new one")]
    SessionLapsed {
        /// The session's key.
        key: Key,
    },
    /// The values of a transaction are larger together than any store takes.
    #[error("the values of the transaction have {bytes} bytes, at most {TRANSACTION_BYTES_MAX} are possible")]
    TransactionTooLarge {
        /// All values together.
        bytes: usize,
    },
    /// etcd has used up its room; nothing was written.
    #[error(
        "etcd has no room left (its quota is used up), and nothing was written; compact and defragment it, or \
         raise `--quota-backend-bytes`, then run `etcdctl alarm disarm` (docs/operating.md, \"etcd is full\")"
    )]
    NoRoom(#[source] Box<dyn Error + Send + Sync>),
    /// etcd does not let us in, or not do this; nothing was written.
    #[error(
        "etcd does not accept the user of [store], or does not let it use the prefix; check `username` and \
         `password_file`, and the user's role with `etcdctl user get` and `etcdctl role get`"
    )]
    Denied(#[source] Box<dyn Error + Send + Sync>),
    /// One side does not accept the other's certificate; nothing was written.
    #[error(
        "etcd and this host do not accept each other's certificates; check both with \
         `openssl x509 -noout -dates -ext subjectAltName -in FILE`, and this host's clock; a renewed file \
         is read by itself"
    )]
    Certificate(#[source] Box<dyn Error + Send + Sync>),
    /// A file with a certificate, key or password cannot be used; nothing was written.
    #[error("the file {} {problem}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: &'static str,
        /// What the system said.
        #[source]
        source: Option<io::Error>,
    },
    /// etcd turned a request away that it should take; nothing was written.
    #[error(
        "etcd turned a request away, and nothing was written; its limits may be below the defaults: check \
         `--max-request-bytes` and `--max-txn-ops`"
    )]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// One of the endpoints belongs to another etcd; nothing was written.
    #[error(
        "the etcd at {endpoint} is not the one asked before: the `endpoints` of [store] must all be members of \
         one etcd; if etcd was restored or made anew on purpose, restart berthd"
    )]
    AnotherEtcd {
        /// Where it was met.
        endpoint: String,
    },
    /// The store stands below a revision that was seen already.
    #[error("the store was set back: it stands at revision {found} and was seen at {seen}")]
    SetBack {
        /// The newest revision that was seen.
        seen: Revision,
        /// The newest that it has now.
        found: Revision,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Behind a [`StoreError::UnknownOutcome`]: etcd has used up its room, and may have executed the very request that used
/// it up.
#[derive(Debug, thiserror::Error)]
#[error("etcd has no room left (its quota is used up)")]
pub struct OutOfRoom(#[source] pub Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Whether the store has no room, whatever became of the request.
    pub fn is_out_of_room(&self) -> bool {
        match self {
            Self::NoRoom(_) => true,
            Self::UnknownOutcome(cause) => cause.is::<OutOfRoom>(),
            _ => false,
        }
    }
}
