//! Entries in memory.

use std::collections::BTreeMap;

use crate::local::{Stored, Table};
use crate::{Key, Prefix, Revision, StoreError};

/// Keeps entries for as long as the process lives.
#[derive(Default)]
pub(super) struct MemoryTable {
    revision: Revision,
    entries: BTreeMap<Key, Stored>,
}

impl Table for MemoryTable {
    const WAITS_FOR_DISK: bool = false;

    fn revision(&mut self) -> Result<Revision, StoreError> {
        Ok(self.revision)
    }

    fn get(&mut self, key: &Key) -> Result<Option<Stored>, StoreError> {
        Ok(self.entries.get(key).cloned())
    }

    fn range(&mut self, prefix: &Prefix) -> Result<Vec<(Key, Stored)>, StoreError> {
        let from = Key::new(prefix.as_str().to_owned());
        let covered = self.entries.range(from..).take_while(|(key, _)| prefix.covers(key));
        Ok(covered.map(|(key, stored)| (key.clone(), stored.clone())).collect())
    }

    fn apply(&mut self, revision: Revision, writes: &[(Key, Option<Stored>)]) -> Result<(), StoreError> {
        for (key, stored) in writes {
            match stored {
                Some(stored) => self.entries.insert(key.clone(), stored.clone()),
                None => self.entries.remove(key),
            };
        }
        self.revision = revision;
        Ok(())
    }
}
