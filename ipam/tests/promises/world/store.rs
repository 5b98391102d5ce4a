//! A store with revisions and a history, in memory: enough of one to be a fair opponent.

use std::collections::BTreeMap;

use ipam::{Compare, Key, Prefix, Revision, Seen, Sent, Transaction, Value, Write};

/// The store, and everything that was ever written, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) revision: u64,
    pub(crate) entries: BTreeMap<Key, (Value, Revision)>,
    pub(crate) history: Vec<Seen>,
}

impl Store {
    pub(crate) fn get(&self, key: &Key) -> Seen {
        match self.entries.get(key) {
            Some((value, revision)) => {
                Seen { key: key.clone(), value: Some(value.clone()), revision: *revision }
            }
            None => Seen { key: key.clone(), value: None, revision: Revision(self.revision) },
        }
    }

    pub(crate) fn list(&self, prefix: &Prefix) -> Vec<Seen> {
        self.entries.keys().filter(|key| prefix.contains(key)).map(|key| self.get(key)).collect()
    }

    pub(crate) fn put(&mut self, key: Key, value: Value) {
        let transaction = Transaction { compares: vec![], writes: vec![Write::Put { key, value }] };
        self.commit(&transaction);
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.commit(&Transaction { compares: vec![], writes: vec![Write::Delete(key)] });
    }

    pub(crate) fn commit(&mut self, transaction: &Transaction) -> Sent {
        // etcd's own limit, `--max-txn-ops`.
        assert!(transaction.writes.len() <= 128, "{} writes at once", transaction.writes.len());
        let holds = |compare: &Compare| match compare {
            Compare::At { key, revision } => self.entries.get(key).is_some_and(|(_, at)| at == revision),
            Compare::Holds { key, value } => self.entries.get(key).is_some_and(|(stands, _)| stands == value),
            Compare::Absent(key) => !self.entries.contains_key(key),
            Compare::Empty(prefix) => self.list(prefix).is_empty(),
        };
        if !transaction.compares.iter().all(holds) {
            let now = transaction.compares.iter().flat_map(|compare| match compare {
                Compare::At { key, .. } | Compare::Holds { key, .. } | Compare::Absent(key) => {
                    vec![self.get(key)]
                }
                Compare::Empty(prefix) => self.list(prefix),
            });
            return Sent::Conflict { now: now.collect() };
        }
        if !transaction.writes.is_empty() {
            self.revision += 1;
        }
        let revision = Revision(self.revision);
        for write in &transaction.writes {
            match write {
                Write::Put { key, value } => {
                    if let (Some((Value::Block(before), _)), Value::Block(after)) =
                        (self.entries.get(key), value)
                    {
                        assert_eq!(ipam::check::step_broken(before, after), Vec::<String>::new());
                    }
                    self.entries.insert(key.clone(), (value.clone(), revision));
                    self.history.push(Seen { key: key.clone(), value: Some(value.clone()), revision });
                }
                Write::Delete(key) => {
                    if self.entries.remove(key).is_some() {
                        self.history.push(Seen { key: key.clone(), value: None, revision });
                    }
                }
            }
        }
        Sent::Committed { revision }
    }
}
