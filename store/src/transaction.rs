//! Compare and commit: what is asked, and what is answered.

use std::collections::BTreeSet;

use crate::{Key, OPERATIONS_MAX, Prefix, Revision, StoreError, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX};

/// Writes that are all made at one revision, if every compare holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// What must hold. A transaction without compares always commits.
    pub compares: Vec<Compare>,
    /// What is written then. No key twice.
    pub writes: Vec<Write>,
}

/// One thing that must hold for a transaction to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `key` exists and was last written at `revision`.
    Unchanged {
        /// The entry.
        key: Key,
        /// Its revision when it was read.
        revision: Revision,
    },
    /// `key` exists and has this very value, whenever it was written. Holds in a store that was lost and made
    /// anew only if somebody wrote that value there again.
    Holds {
        /// The entry.
        key: Key,
        /// Its bytes.
        value: Vec<u8>,
    },
    /// Nothing is stored under this key.
    Absent(Key),
    /// No key begins with this prefix.
    Empty(Prefix),
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stores `value` under `key`, whether or not something was there.
    Put {
        /// Where.
        key: Key,
        /// What; at most [`VALUE_BYTES_MAX`] bytes.
        value: Vec<u8>,
    },
    /// Removes what is stored under this key; nothing being there is no error.
    Delete(Key),
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Every compare held; the writes are durable.
    Done {
        /// The revision of every key written.
        revision: Revision,
    },
    /// A compare did not hold, and nothing was written.
    Conflict {
        /// What is stored now under every key and prefix that was compared, at one revision.
        /// A compared key without an entry here is absent.
        now: Snapshot,
    },
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is called.
    pub key: Key,
    /// Its bytes.
    pub value: Vec<u8>,
    /// The commit that last wrote it.
    pub revision: Revision,
}

/// One key, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The store's revision when it was looked at.
    pub revision: Revision,
    /// What was there.
    pub entry: Option<Entry>,
}

/// Several entries, all as they were at one revision, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The store's revision when they were looked at.
    pub revision: Revision,
    /// What was there.
    pub entries: Vec<Entry>,
}

impl Transaction {
    /// Nothing yet: always commits, writes nothing.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// Adds the compare that `key` was last written at `revision`.
    pub fn unchanged(mut self, key: Key, revision: Revision) -> Transaction {
        self.compares.push(Compare::Unchanged { key, revision });
        self
    }

    /// Adds the compare that `key` has this very value.
    pub fn holds(mut self, key: Key, value: Vec<u8>) -> Transaction {
        self.compares.push(Compare::Holds { key, value });
        self
    }

    /// Adds the compare that nothing is stored under `key`.
    pub fn absent(mut self, key: Key) -> Transaction {
        self.compares.push(Compare::Absent(key));
        self
    }

    /// Adds the compare that no key begins with `prefix`.
    pub fn empty(mut self, prefix: Prefix) -> Transaction {
        self.compares.push(Compare::Empty(prefix));
        self
    }

    /// Adds the write of `value` under `key`.
    pub fn put(mut self, key: Key, value: Vec<u8>) -> Transaction {
        self.writes.push(Write::Put { key, value });
        self
    }

    /// Adds the removal of `key`.
    pub fn delete(mut self, key: Key) -> Transaction {
        self.writes.push(Write::Delete(key));
        self
    }

    /// Refuses what no store would take, before anything is sent; for implementations of [`crate::Store`].
    pub fn check(&self) -> Result<(), StoreError> {
        let operations = self.compares.len() + self.writes.len();
        if operations > OPERATIONS_MAX {
            return Err(StoreError::TooManyOperations { operations });
        }
        let mut written = BTreeSet::new();
        let mut bytes = 0;
        for write in &self.writes {
            if !written.insert(write.key()) {
                return Err(StoreError::WrittenTwice { key: write.key().clone() });
            }
            if let Write::Put { key, value } = write {
                check_size(key, value)?;
                bytes += value.len();
            }
        }
        if bytes > TRANSACTION_BYTES_MAX {
            return Err(StoreError::TransactionTooLarge { bytes });
        }
        Ok(())
    }
}

/// Refuses a value that is too large to be stored.
pub(crate) fn check_size(key: &Key, value: &[u8]) -> Result<(), StoreError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(StoreError::TooLarge { key: key.clone(), bytes: value.len() });
    }
    Ok(())
}

impl Write {
    /// The key that is written or removed.
    pub fn key(&self) -> &Key {
        match self {
            Write::Put { key, .. } | Write::Delete(key) => key,
        }
    }
}

impl Snapshot {
    /// The entry under `key`, if it was there.
    pub fn find(&self, key: &Key) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == *key)
    }
}
