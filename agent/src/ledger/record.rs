//! What the ledger has in the store, and under which keys.

use super::{Ledger, LedgerError, in_time};
use ::ledger::{Interval, Moment, Query, Segment, Summary};
use ipam::{BlockId, HostId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::layout::{self, Item, SegmentName, Under};
use store::{Commit, Key, Read, StoreError, Transaction};

/// What stands in the index about a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Indexed {
    /// What it has.
    pub(super) summary: Summary,
    /// Its size.
    pub(super) bytes: u64,
    /// Nothing is added to it any more.
    pub(super) sealed: bool,
    /// Who has it on disk.
    pub(super) keepers: BTreeSet<HostId>,
}

/// What this host remembers of a segment that it has in the store.
#[derive(Clone, Debug)]
pub(super) struct Mine {
    pub(super) bytes: u64,
    pub(super) sealed: bool,
    pub(super) keepers: BTreeSet<HostId>,
    pub(super) to: Moment,
    /// Who was asked to keep a copy.
    pub(super) asked: Option<HostId>,
}

impl Mine {
    pub(super) fn of(indexed: &Indexed) -> Self {
        let Indexed { summary, bytes, sealed, keepers } = indexed;
        Self { bytes: *bytes, sealed: *sealed, keepers: keepers.clone(), to: summary.to, asked: None }
    }
}

/// The name of a segment in keys.
pub(super) fn name(block: BlockId, period: u64, writer: &HostId) -> SegmentName {
    SegmentName { subnet: block.subnet, index: block.index, period, writer: writer.0.clone() }
}

/// The block and period of a segment's name.
pub(super) fn place(name: &SegmentName) -> (BlockId, u64) {
    (BlockId { subnet: name.subnet, index: name.index }, name.period)
}

pub(super) fn running_key(block: BlockId, host: &HostId) -> Key {
    Item::Running { subnet: block.subnet, index: block.index, host: host.0.clone() }.key()
}

/// What runs in a block is packed like what ended.
pub(super) fn pack_running(
    block: BlockId,
    host: &HostId,
    running: Vec<Interval>,
) -> Result<Vec<u8>, LedgerError> {
    Ok(Segment::pack(block, 0, host, running)?.1)
}

/// Every interval of a packed value.
pub(super) fn unpack(bytes: &[u8]) -> Result<Vec<Interval>, LedgerError> {
    Ok(Segment::check(bytes)?.find(&bytes, &Query::default())?)
}

/// The compare that what was read is still so.
pub(super) fn unless_changed(transaction: Transaction, key: Key, read: &Read) -> Transaction {
    match &read.entry {
        Some(entry) => transaction.unchanged(key, entry.revision),
        None => transaction.absent(key),
    }
}

impl Ledger {
    pub(super) async fn get(&self, key: &Key) -> Result<Read, LedgerError> {
        in_time(self.0.store.get(key)).await
    }

    /// Commits; [`LedgerError::Again`] if somebody was faster or nobody knows.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<(), LedgerError> {
        match in_time(self.0.store.commit(transaction)).await {
            Ok(Commit::Done { .. }) => Ok(()),
            Ok(Commit::Conflict { .. })
            | Err(LedgerError::Late | LedgerError::Store(StoreError::UnknownOutcome(_))) => {
                Err(LedgerError::Again)
            }
            Err(error) => Err(error),
        }
    }

    /// What the index says about a segment, and as it was read.
    pub(super) async fn indexed(
        &self,
        segment: &SegmentName,
    ) -> Result<(Option<Indexed>, Read), LedgerError> {
        let key = Item::Segment(segment.clone()).key();
        let read = self.get(&key).await?;
        let indexed = read.entry.as_ref().map(|entry| layout::decode(&key, &entry.value)).transpose()?;
        Ok((indexed, read))
    }

    /// What the index says about the segments under a prefix.
    pub(super) async fn all_indexed(&self, under: Under) -> Result<Vec<Indexed>, LedgerError> {
        let found = in_time(self.0.store.range(&under.prefix())).await?;
        let indexed = found.entries.iter().map(|entry| layout::decode(&entry.key, &entry.value));
        Ok(indexed.collect::<Result<_, _>>()?)
    }
}
