//! Many commits, and what was answered to each, held against what is in the store.

use store::layout::{Item, Under};
use store::{Commit, Key, Store, StoreError, Transaction};

/// Commits by number. Each writes a key of its own, so that it can be seen what became of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    next: usize,
    done: Vec<usize>,
    not_written: Vec<usize>,
    unknown: Vec<usize>,
}

impl Tally {
    /// Commits the next one, and takes note of the answer.
    pub(crate) async fn commit(&mut self, store: &impl Store) {
        let number = self.next;
        self.next += 1;
        match store.commit(numbered(number)).await {
            Ok(Commit::Done { .. }) => self.done.push(number),
            Ok(Commit::Conflict { now }) => panic!("nobody else writes {number}: {now:?}"),
            Err(StoreError::UnknownOutcome(_)) => self.unknown.push(number),
            Err(StoreError::Unavailable(_)) => self.not_written.push(number),
            Err(other) => panic!("commit {number}: {other}"),
        }
    }

    pub(crate) fn count_done(&self) -> usize {
        self.done.len()
    }

    pub(crate) fn count_unknown(&self) -> usize {
        self.unknown.len()
    }

    /// Holds every answer against the store, and answers how many of the unknown ones had landed.
    pub(crate) async fn hold_against(&self, store: &impl Store) -> usize {
        let all = store.range(&Under::Pools.prefix()).await.expect("the store reads");
        let there = |number: &usize| all.find(&key(*number)).is_some();
        let lost: Vec<_> = self.done.iter().filter(|number| !there(number)).collect();
        assert!(lost.is_empty(), "answered as done and not there: {lost:?}");
        let written: Vec<_> = self.not_written.iter().filter(|number| there(number)).collect();
        assert!(written.is_empty(), "answered as not written and there: {written:?}");
        self.unknown.iter().filter(|number| there(number)).count()
    }
}

fn key(number: usize) -> Key {
    Item::Pool(format!("{number:06}")).key()
}

fn numbered(number: usize) -> Transaction {
    Transaction::new().absent(key(number)).put(key(number), number.to_string().into_bytes())
}
