//! Our words in etcd's, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use etcd_client::{
    Compare as EtcdCompare, CompareOp, GetOptions, KeyValue, ResponseHeader, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};

use super::fault::Fault;
use crate::{Commit, Compare, Entry, Key, Prefix, Revision, Snapshot, Transaction, Write};

/// The part of etcd that is ours: the keys that begin with our prefix.
#[derive(Clone, Debug)]
pub(super) struct Space {
    prefix: Arc<str>,
}

impl Space {
    pub(super) fn new(prefix: &str) -> Space {
        Space { prefix: prefix.into() }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A key as etcd has it.
    pub(super) fn key(&self, key: &Key) -> Vec<u8> {
        self.spell(key.as_str())
    }

    /// A prefix as etcd has it: the first key that may be under it, and the first one after them.
    pub(super) fn range(&self, prefix: &Prefix) -> (Vec<u8>, Vec<u8>) {
        let first = self.spell(prefix.as_str());
        let end = end_of(&first);
        (first, end)
    }

    /// A key of ours. None for one that is not: etcd never answers with such a key.
    pub(super) fn ours(&self, key: &[u8]) -> Option<Key> {
        let key = std::str::from_utf8(key).ok()?;
        key.strip_prefix(&*self.prefix).map(|ours| Key::new(ours.to_owned()))
    }

    pub(super) fn entry(&self, found: KeyValue) -> Option<Entry> {
        let revision = revision(found.mod_revision());
        let (key, value) = found.into_key_value();
        Some(Entry { key: self.ours(&key)?, value, revision })
    }

    /// A transaction: all compares, then either all writes or a look at everything compared.
    pub(super) fn transaction(&self, transaction: &Transaction) -> Txn {
        let compares: Vec<_> = transaction.compares.iter().map(|compare| self.compare(compare)).collect();
        let writes: Vec<_> = transaction.writes.iter().map(|write| self.write(write)).collect();
        let looks: Vec<_> = transaction.compares.iter().map(|compare| self.look(compare)).collect();
        Txn::new().when(compares).and_then(writes).or_else(looks)
    }

    fn compare(&self, compare: &Compare) -> EtcdCompare {
        match compare {
            Compare::Unchanged { key, revision } => {
                EtcdCompare::mod_revision(self.key(key), CompareOp::Equal, number(*revision))
            }
            // False where there is no such key. (applyCompare in etcd's apply.go)
            Compare::Holds { key, value } => {
                EtcdCompare::value(self.key(key), CompareOp::Equal, value.clone())
            }
            Compare::Absent(key) => EtcdCompare::create_revision(self.key(key), CompareOp::Equal, 0),
            Compare::Empty(prefix) => {
                // A range compare holds for every key of the range, and an empty range reads like one key
                // that was never created. (applyCompare in etcd's apply.go)
                let (first, end) = self.range(prefix);
                EtcdCompare::create_revision(first, CompareOp::Equal, 0).with_range(end)
            }
        }
    }

    fn write(&self, write: &Write) -> TxnOp {
        match write {
            Write::Put { key, value } => TxnOp::put(self.key(key), value.clone(), None),
            Write::Delete(key) => TxnOp::delete(self.key(key), None),
        }
    }

    fn look(&self, compare: &Compare) -> TxnOp {
        match compare {
            Compare::Unchanged { key, .. } | Compare::Holds { key, .. } | Compare::Absent(key) => {
                TxnOp::get(self.key(key), None)
            }
            Compare::Empty(prefix) => {
                let (first, end) = self.range(prefix);
                TxnOp::get(first, Some(GetOptions::new().with_range(end)))
            }
        }
    }

    /// How a transaction ended.
    pub(super) fn ended(&self, answer: &TxnResponse) -> Result<Commit, Fault> {
        let revision = header_revision(answer.header())?;
        if answer.succeeded() {
            return Ok(Commit::Done { revision });
        }
        let mut found = BTreeMap::new();
        for look in answer.op_responses() {
            let TxnOpResponse::Get(mut look) = look else { continue };
            let entries = look.take_kvs().into_iter().filter_map(|found| self.entry(found));
            found.extend(entries.map(|entry| (entry.key.clone(), entry)));
        }
        Ok(Commit::Conflict { now: Snapshot { revision, entries: found.into_values().collect() } })
    }

    fn spell(&self, ours: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), ours.as_bytes()].concat()
    }
}

/// The first key after all that begin with `prefix`, which is never empty and is UTF-8: so its last byte can
/// be raised.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The revision that an answer was made at.
pub(super) fn header_revision(header: Option<&ResponseHeader>) -> Result<Revision, Fault> {
    header.map(|header| revision(header.revision())).ok_or_else(Fault::headless)
}

/// etcd's revisions begin at 1 and are never negative.
pub(super) fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or(0))
}

pub(super) fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}
