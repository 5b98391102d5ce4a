//! The store as a value: an ordered map with revisions, compares, a history that is forgotten in time, and
//! sessions. No I/O, no clock, and no faults: what goes wrong on the way to it is the wire's affair.
//!
//! It keeps the promises that every store of Berth keeps: `tests/conformance.rs` holds it to the same suite as
//! etcd.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

use crate::Moment;

/// What keys, prefixes and values are.
pub trait Words {
    /// Names an entry.
    type Key: Clone + Debug + Ord;
    /// Names a family of entries.
    type Prefix: Clone + Debug;
    /// What is stored.
    type Value: Clone + Debug + PartialEq;

    /// Whether `key` belongs to the family.
    fn covers(prefix: &Self::Prefix, key: &Self::Key) -> bool;
}

/// What must hold for a transaction to commit.
#[derive(Clone, Debug)]
pub enum Compare<W: Words> {
    /// The entry was last written at this revision.
    At(W::Key, u64),
    /// It has this very value, whenever that was written.
    Holds(W::Key, W::Value),
    /// There is none.
    Absent(W::Key),
    /// There is none of this family.
    Empty(W::Prefix),
}

/// Compares, and writes that are made if all of them hold. A write of nothing removes.
#[derive(Clone, Debug)]
pub struct Transaction<W: Words> {
    /// What must hold.
    pub compares: Vec<Compare<W>>,
    /// What is written then; no key twice.
    pub writes: Vec<(W::Key, Option<W::Value>)>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Every compare held. The revision of what it wrote, or at which it compared.
    Done(u64),
    /// One did not, and nothing was written.
    Conflict,
}

/// What one commit changed.
#[derive(Clone, Debug)]
pub struct Change<W: Words> {
    /// The commit.
    pub revision: u64,
    /// What became of each key that it wrote or removed.
    pub events: Vec<(W::Key, Option<W::Value>)>,
}

/// A watch asked for changes that are forgotten: it must read everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The oldest commit still remembered.
    pub oldest: u64,
}

/// The store.
#[derive(Clone, Debug)]
pub struct StoreModel<W: Words> {
    revision: u64,
    entries: BTreeMap<W::Key, (W::Value, u64)>,
    changes: VecDeque<Change<W>>,
    /// The last commit that is forgotten.
    forgotten: u64,
    sessions: BTreeMap<W::Key, Life>,
}

/// A session: what keeps its key, and until when.
#[derive(Clone, Copy, Debug)]
struct Life {
    number: u64,
    ttl: u64,
    lapses: Moment,
}

impl<W: Words> Default for StoreModel<W> {
    fn default() -> Self {
        Self {
            revision: 0,
            entries: BTreeMap::new(),
            changes: VecDeque::new(),
            forgotten: 0,
            sessions: BTreeMap::new(),
        }
    }
}

impl<W: Words> StoreModel<W> {
    /// The revision of the last commit that wrote.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What stands under a key, and when it was written.
    pub fn get(&self, key: &W::Key) -> Option<(&W::Value, u64)> {
        self.entries.get(key).map(|(value, revision)| (value, *revision))
    }

    /// Everything of a family, in the order of the keys.
    pub fn range<'a>(
        &'a self,
        prefix: &'a W::Prefix,
    ) -> impl Iterator<Item = (&'a W::Key, &'a W::Value, u64)> {
        self.entries
            .iter()
            .filter(|(key, _)| W::covers(prefix, key))
            .map(|(key, (value, revision))| (key, value, *revision))
    }

    /// Everything there is.
    pub fn entries(&self) -> impl Iterator<Item = (&W::Key, &W::Value)> {
        self.entries.iter().map(|(key, (value, _))| (key, value))
    }

    /// Makes all writes at one new revision if every compare holds, otherwise none.
    pub fn commit(&mut self, transaction: &Transaction<W>) -> Commit {
        if !transaction.compares.iter().all(|compare| self.holds(compare)) {
            return Commit::Conflict;
        }
        self.write(transaction.writes.iter().cloned());
        Commit::Done(self.revision)
    }

    fn holds(&self, compare: &Compare<W>) -> bool {
        match compare {
            Compare::At(key, revision) => self.entries.get(key).is_some_and(|(_, at)| at == revision),
            Compare::Holds(key, value) => self.entries.get(key).is_some_and(|(stands, _)| stands == value),
            Compare::Absent(key) => !self.entries.contains_key(key),
            Compare::Empty(prefix) => self.range(prefix).next().is_none(),
        }
    }

    /// Writes at the next revision. Removing what is not there is no change.
    fn write(&mut self, writes: impl Iterator<Item = (W::Key, Option<W::Value>)>) {
        let revision = self.revision + 1;
        let mut events = Vec::new();
        for (key, value) in writes {
            self.sessions.remove(&key);
            match &value {
                Some(value) => {
                    self.entries.insert(key.clone(), (value.clone(), revision));
                }
                None if self.entries.remove(&key).is_none() => continue,
                None => (),
            }
            events.push((key, value));
        }
        if !events.is_empty() {
            self.revision = revision;
            self.changes.push_back(Change { revision, events });
        }
    }

    /// The first change of a family after a revision, whole, if there is one.
    pub fn change_after(&self, prefix: &W::Prefix, after: u64) -> Result<Option<Change<W>>, Forgotten> {
        if after < self.forgotten {
            return Err(Forgotten { oldest: self.forgotten + 1 });
        }
        let from = self.changes.partition_point(|change| change.revision <= after);
        let shown = self.changes.range(from..).find_map(|change| {
            let of_family = change.events.iter().filter(|(key, _)| W::covers(prefix, key));
            let events: Vec<_> = of_family.cloned().collect();
            (!events.is_empty()).then_some(Change { revision: change.revision, events })
        });
        Ok(shown)
    }

    /// What the last commit changed.
    pub fn last_change(&self) -> Option<&Change<W>> {
        self.changes.back()
    }

    /// How many changes are remembered.
    pub fn remembered(&self) -> usize {
        self.changes.len()
    }

    /// Forgets every change up to now.
    pub fn compact(&mut self) {
        self.changes.clear();
        self.forgotten = self.revision;
    }

    /// Puts `value` under `key` until no sign of life came for `ttl`; answers the session's number.
    pub fn begin_session(&mut self, key: W::Key, value: W::Value, ttl: u64, now: Moment) -> u64 {
        self.write([(key.clone(), Some(value))].into_iter());
        self.sessions.insert(key, Life { number: self.revision, ttl, lapses: now + ttl });
        self.revision
    }

    /// A sign of life; false when it came too late, or the key is another's.
    pub fn keep_alive(&mut self, key: &W::Key, number: u64, now: Moment) -> bool {
        match self.sessions.get_mut(key) {
            Some(life) if life.number == number && life.lapses > now => {
                life.lapses = now + life.ttl;
                true
            }
            _ => false,
        }
    }

    /// Removes the session's key now, if it is still this session's.
    pub fn end_session(&mut self, key: &W::Key, number: u64) {
        if self.sessions.get(key).is_some_and(|life| life.number == number) {
            self.write([(key.clone(), None)].into_iter());
        }
    }

    /// Removes the keys of sessions that gave no sign of life in time.
    pub fn lapse(&mut self, now: Moment) {
        let lapsed: Vec<W::Key> =
            self.sessions.iter().filter(|(_, life)| life.lapses <= now).map(|(key, _)| key.clone()).collect();
        for key in lapsed {
            self.write([(key, None)].into_iter());
        }
    }

    /// After a time without a leader every session has its whole time again.
    pub fn renew_sessions(&mut self, now: Moment) {
        for life in self.sessions.values_mut() {
            life.lapses = now + life.ttl;
        }
    }
}
