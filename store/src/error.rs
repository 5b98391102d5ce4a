//! What can go wrong with a store, each with what to do.

use std::error::Error;
use std::path::PathBuf;

use crate::{Key, OPERATIONS_MAX, VALUE_BYTES_MAX};

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
        "the store file {} is damaged or not a store; move it away and run `berth store rebuild`, \
         it is made again from journals, kernel and Docker",
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
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
