//! What the fleet keeps in its store: the words of `ipam`, and those of the roles beside it.

use ipam::{HostId, Incarnation, Seen, Zone};

use crate::store::{Change, Compare, StoreModel, Transaction, Words};

/// The words of a fleet's store.
#[derive(Clone, Debug)]
pub(crate) struct Fleets;

pub(crate) type Store = StoreModel<Fleets>;
pub(crate) type FleetTransaction = Transaction<Fleets>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// What hosts read and write.
    Ipam(ipam::Key),
    /// `owners/capacity-<zone>`: who has the capacity role.
    Owner(Zone),
    /// `takes/<zone>`: every take number of a block that is gone is at most this.
    Takes(Zone),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Ipam(ipam::Value),
    Owner(Owner),
    Takes(u64),
}

/// Who has a role, and for which time in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) host: HostId,
    pub(crate) incarnation: Incarnation,
    /// Which process of it.
    pub(crate) life: u64,
    pub(crate) term: u64,
}

impl Words for Fleets {
    type Key = Key;
    type Prefix = ipam::Prefix;
    type Value = Value;

    fn covers(prefix: &ipam::Prefix, key: &Key) -> bool {
        matches!(key, Key::Ipam(key) if prefix.contains(key))
    }
}

/// A host's transaction in the words of the store.
pub(crate) fn of_a_host(transaction: ipam::Transaction) -> FleetTransaction {
    let compares = transaction.compares.into_iter().map(|compare| match compare {
        ipam::Compare::At { key, revision } => Compare::At(Key::Ipam(key), revision.0),
        ipam::Compare::Holds { key, value } => Compare::Holds(Key::Ipam(key), Value::Ipam(value)),
        ipam::Compare::Absent(key) => Compare::Absent(Key::Ipam(key)),
        ipam::Compare::Empty(prefix) => Compare::Empty(prefix),
    });
    let writes = transaction.writes.into_iter().map(|write| match write {
        ipam::Write::Put { key, value } => (Key::Ipam(key), Some(Value::Ipam(value))),
        ipam::Write::Delete(key) => (Key::Ipam(key), None),
    });
    Transaction { compares: compares.collect(), writes: writes.collect() }
}

/// What a host is shown of a conflict: the present value of everything compared.
pub(crate) fn conflict(store: &Store, transaction: &FleetTransaction) -> Vec<Seen> {
    let mut now = Vec::new();
    for compare in &transaction.compares {
        match compare {
            Compare::At(Key::Ipam(key), _)
            | Compare::Holds(Key::Ipam(key), _)
            | Compare::Absent(Key::Ipam(key)) => now.push(look(store, key)),
            Compare::Empty(prefix) => now.extend(list(store, prefix)),
            Compare::At(..) | Compare::Holds(..) | Compare::Absent(_) => (),
        }
    }
    now
}

/// What a read of one key shows.
pub(crate) fn look(store: &Store, key: &ipam::Key) -> Seen {
    match store.get(&Key::Ipam(key.clone())) {
        Some((Value::Ipam(value), revision)) => {
            Seen { key: key.clone(), value: Some(value.clone()), revision: ipam::Revision(revision) }
        }
        _ => Seen { key: key.clone(), value: None, revision: ipam::Revision(store.revision()) },
    }
}

/// What a listing shows.
pub(crate) fn list(store: &Store, prefix: &ipam::Prefix) -> Vec<Seen> {
    let entries = store.range(prefix).filter_map(|(key, value, revision)| match (key, value) {
        (Key::Ipam(key), Value::Ipam(value)) => {
            Some(Seen { key: key.clone(), value: Some(value.clone()), revision: ipam::Revision(revision) })
        }
        _ => None,
    });
    entries.collect()
}

/// What a watch shows of a change.
pub(crate) fn events(change: Change<Fleets>) -> Vec<Seen> {
    let revision = ipam::Revision(change.revision);
    let events = change.events.into_iter().filter_map(|(key, value)| match (key, value) {
        (Key::Ipam(key), Some(Value::Ipam(value))) => Some(Seen { key, value: Some(value), revision }),
        (Key::Ipam(key), None) => Some(Seen { key, value: None, revision }),
        _ => None,
    });
    events.collect()
}
