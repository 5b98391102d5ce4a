//! Following what changes.

use std::fmt;

use futures::StreamExt;
use futures::stream::BoxStream;

use crate::{Key, Prefix, Revision, StoreError};

/// The changes under one prefix, as they are committed.
pub struct Watch {
    changes: BoxStream<'static, Result<Change, WatchError>>,
}

/// Everything that one commit changed under the prefix that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub revision: Revision,
    /// What it did, in the order of the transaction; never empty.
    pub events: Vec<Event>,
}

/// What a commit did to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `value` is stored under `key` now.
    Put {
        /// Where.
        key: Key,
        /// What.
        value: Vec<u8>,
    },
    /// Something was stored under this key, and is no longer.
    Deleted(Key),
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The store no longer remembers what was committed right after the revision asked for: read the
    /// range again and watch from there.
    #[error(
        "changes of {prefix} after revision {after} are forgotten (the store remembers from {oldest} on)"
    )]
    Compacted {
        /// What was watched.
        prefix: Prefix,
        /// The last revision that was seen.
        after: Revision,
        /// The oldest commit still remembered.
        oldest: Revision,
    },
    /// The store went away; watch again from the last revision seen.
    #[error("the watch was lost")]
    Lost(#[source] StoreError),
}

impl Watch {
    /// A watch that shows these changes; for implementations of [`crate::Store`].
    pub fn new(changes: BoxStream<'static, Result<Change, WatchError>>) -> Watch {
        Watch { changes }
    }

    /// Waits for the next change. Dropping the future loses no change. After an error, the watch is over.
    pub async fn next(&mut self) -> Result<Change, WatchError> {
        match self.changes.next().await {
            Some(change) => change,
            None => Err(WatchError::Lost(StoreError::Closed)),
        }
    }
}

impl Event {
    /// The key that changed.
    pub fn key(&self) -> &Key {
        match self {
            Event::Put { key, .. } | Event::Deleted(key) => key,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
