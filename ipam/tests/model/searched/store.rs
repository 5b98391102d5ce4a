//! A store with revisions, as etcd is one: compares and writes, all or nothing.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use ipam::{BlockId, Compare, HostId, Key, Prefix, Revision, Seen, Sent, Transaction, Value, Write};

use super::normal::base;

/// What stands in the store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// Above every revision that is anywhere, so it makes no difference to the normal form.
    pub(crate) revision: u64,
    pub(crate) entries: BTreeMap<Key, (Value, Revision)>,
}

/// What a commit did: its outcome, and the events that watches will show.
pub(crate) struct Committed {
    pub(crate) outcome: Sent,
    pub(crate) events: Vec<Seen>,
}

impl Store {
    pub(crate) fn empty() -> Self {
        Self { revision: base::REVISION, entries: BTreeMap::new() }
    }

    pub(crate) fn value(&self, key: &Key) -> Option<&Value> {
        self.entries.get(key).map(|(value, _)| value)
    }

    pub(crate) fn get(&self, key: &Key) -> Seen {
        match self.entries.get(key) {
            Some((value, at)) => Seen { key: key.clone(), value: Some(value.clone()), revision: *at },
            None => Seen { key: key.clone(), value: None, revision: Revision(self.revision) },
        }
    }

    pub(crate) fn list(&self, prefix: &Prefix) -> Vec<Seen> {
        self.entries.keys().filter(|key| prefix.contains(key)).map(|key| self.get(key)).collect()
    }

    /// Writes without a compare: what was there before the story begins, and operators' words.
    pub(crate) fn put(&mut self, key: Key, value: Value) -> Vec<Seen> {
        self.commit(&Transaction { compares: vec![], writes: vec![Write::Put { key, value }] }).events
    }

    pub(crate) fn commit(&mut self, transaction: &Transaction) -> Committed {
        if !self.takes(transaction) {
            let now = transaction.compares.iter().flat_map(|compare| match compare {
                Compare::At { key, .. } | Compare::Holds { key, .. } | Compare::Absent(key) => {
                    vec![self.get(key)]
                }
                Compare::Empty(prefix) => self.list(prefix),
            });
            return Committed { outcome: Sent::Conflict { now: now.collect() }, events: Vec::new() };
        }
        if !transaction.writes.is_empty() {
            let keys = transaction.writes.iter().map(|write| match write {
                Write::Put { key, .. } | Write::Delete(key) => key_bit(key),
            });
            let after = (self.revision >> base::REVISION_SHIFT) + 1;
            self.revision = (after << base::REVISION_SHIFT) | keys.fold(0, |all, bit| all | bit);
        }
        let revision = Revision(self.revision);
        let mut events = Vec::new();
        for write in &transaction.writes {
            match write {
                Write::Put { key, value } => {
                    self.entries.insert(key.clone(), (value.clone(), revision));
                    events.push(Seen { key: key.clone(), value: Some(value.clone()), revision });
                }
                Write::Delete(key) => {
                    if self.entries.remove(key).is_some() {
                        events.push(Seen { key: key.clone(), value: None, revision });
                    }
                }
            }
        }
        Committed { outcome: Sent::Committed { revision }, events }
    }

    /// Whether a transaction would be taken now.
    pub(crate) fn takes(&self, transaction: &Transaction) -> bool {
        transaction.compares.iter().all(|compare| self.holds(compare))
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::At { key, revision } => self.entries.get(key).is_some_and(|(_, at)| at == revision),
            Compare::Holds { key, value } => self.value(key) == Some(value),
            Compare::Absent(key) => !self.entries.contains_key(key),
            Compare::Empty(prefix) => self.entries.keys().all(|key| !prefix.contains(key)),
        }
    }

    /// Whether a transaction that is still about can ever take effect: a value once rewritten never
    /// again stands at the revision that was compared.
    pub(crate) fn may_land(&self, transaction: &Transaction) -> bool {
        !transaction.writes.is_empty()
            && transaction.compares.iter().all(|compare| match compare {
                // No generation comes back, and nothing here opens a frozen cluster in the same one.
                Compare::At { .. } | Compare::Holds { .. } => self.holds(compare),
                Compare::Absent(_) | Compare::Empty(_) => true,
            })
    }
}

impl Hash for Store {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries.hash(state);
    }
}

/// The bit that names a key in the revisions at which it was written; none where no host remembers
/// the revision of such a key.
pub(crate) fn key_bit(key: &Key) -> u64 {
    match key {
        Key::Cluster => 1,
        Key::Host(host) => 1 << (1 + number_of(host)),
        Key::Block { block, .. } => 1 << (4 + place_of(block)),
        Key::Want { holder, asker, .. } => 1 << (8 + 3 * number_of(holder) + number_of(asker)),
        Key::Published { host, block } => 1 << (17 + 2 * number_of(host) + place_of(block)),
        _ => 0,
    }
}

/// The host's number, from 0: at most three hosts.
fn number_of(host: &HostId) -> u32 {
    host.0.trim_start_matches('h').parse::<u32>().unwrap_or(1) - 1
}

/// The block's number, from 0: its subnet's third octet.
fn place_of(block: &BlockId) -> u32 {
    match block.subnet.network() {
        std::net::IpAddr::V4(address) => u32::from(address.octets()[2]),
        std::net::IpAddr::V6(_) => 0,
    }
}
