//! What a store over a table knows: its entries, and who gives signs of life.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Stored, Table};
use crate::{Compare, Entry, Key, Snapshot, StoreError};

/// Entries and sessions.
pub(super) struct State<T> {
    pub(super) table: T,
    pub(super) sessions: BTreeMap<Key, Life>,
}

/// A value to be written, and its session's `ttl` if it has one.
pub(super) type Wanted = (Vec<u8>, Option<Duration>);

/// A session that has not lapsed.
pub(super) struct Life {
    pub(super) number: u64,
    pub(super) ttl: Duration,
    pub(super) lapses: Instant,
}

impl<T: Table> State<T> {
    /// Whether every compare holds.
    pub(super) fn holds(&mut self, compares: &[Compare]) -> Result<bool, StoreError> {
        for compare in compares {
            let holds = match compare {
                Compare::Unchanged { key, revision } => {
                    self.table.get(key)?.is_some_and(|stored| stored.revision == *revision)
                }
                Compare::Holds { key, value } => {
                    self.table.get(key)?.is_some_and(|stored| stored.value == *value)
                }
                Compare::Absent(key) => self.table.get(key)?.is_none(),
                Compare::Empty(prefix) => self.table.range(prefix)?.is_empty(),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everything that is stored under what was compared.
    pub(super) fn compared(&mut self, compares: &[Compare]) -> Result<Snapshot, StoreError> {
        let mut found = BTreeMap::new();
        for compare in compares {
            match compare {
                Compare::Unchanged { key, .. } | Compare::Holds { key, .. } | Compare::Absent(key) => {
                    found.extend(self.table.get(key)?.map(|stored| (key.clone(), stored)));
                }
                Compare::Empty(prefix) => found.extend(self.table.range(prefix)?),
            }
        }
        let entries = found.into_iter().map(|(key, stored)| entry(key, stored)).collect();
        Ok(Snapshot { revision: self.table.revision()?, entries })
    }
}

/// A stored value with its key.
pub(super) fn entry(key: Key, stored: Stored) -> Entry {
    Entry { key, value: stored.value, revision: stored.revision }
}
