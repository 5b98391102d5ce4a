//! What ended while the store is away goes to this host's disk, before there is too much of it in memory and in the
//! journal; and from there to the store when that is back.

use super::record::{self, Indexed, Mine, unless_changed, unpack};
use super::write::Name;
use super::{Keeper, LedgerError};
use ::ledger::{Entry, Interval, Segment};
use ipam::BlockId;
use std::collections::{BTreeMap, BTreeSet};
use store::Transaction;
use store::layout::{self, Item};

/// So many ended intervals wait in memory and in the journal, at some 600 bytes each, before they go to the disk.
pub(super) const SPILL_AT: usize = 4_096;

/// Intervals in one segment of these: it must fit into the store as one value.
const SPILLED_TOGETHER: usize = 1_000;

impl Keeper {
    /// Puts what ended onto the disk, if it is too much to wait for the store. Answers what the journal need not
    /// remember any more.
    pub(super) async fn spill(&mut self, entries: &[Entry]) -> Result<Vec<Name>, LedgerError> {
        let mut ended: BTreeMap<BlockId, Vec<Interval>> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.interval.end.is_some()) {
            ended.entry(entry.block).or_default().push(entry.interval.clone());
        }
        let mut spilled = Vec::new();
        if ended.values().map(Vec::len).sum::<usize>() < SPILL_AT {
            return Ok(spilled);
        }
        for (block, intervals) in ended {
            for together in intervals.chunks(SPILLED_TOGETHER) {
                let period = self.period_on_disk(block).await?;
                let packed = Segment::pack(block, period, &self.ledger.0.host, together.to_vec())?.1;
                self.ledger.with_shelf(move |shelf| shelf.put(&packed)).await?;
                self.spilled.insert((block, period));
                spilled.extend(together.iter().map(Interval::order));
            }
        }
        let segments = self.spilled.len();
        self.ledger.0.report.send_modify(|report| report.spilled = segments);
        tracing::info!(intervals = spilled.len(), "the ledger waits for the store on this host's disk");
        Ok(spilled)
    }

    /// A begin that no segment of this host has.
    async fn period_on_disk(&self, block: BlockId) -> Result<u64, LedgerError> {
        let host = self.ledger.0.host.clone();
        let mine = self.mine.iter().flatten().map(|(place, _)| *place);
        let taken: BTreeSet<(BlockId, u64)> =
            mine.chain(self.parts.iter().map(|(block, period)| (*block, *period))).collect();
        let now = self.ledger.now().0 / 1000;
        let free = move |shelf: &mut ::ledger::Shelf| {
            let is_free = |at: &u64| !taken.contains(&(block, *at)) && !shelf.has(block, *at, &host);
            Ok((now..).find(is_free).unwrap_or(now))
        };
        self.ledger.with_shelf(free).await
    }

    /// Tells the store what is on this host's disk alone. After a start all of it is compared once.
    pub(super) async fn hand_over(&mut self) -> Result<(), LedgerError> {
        if !self.compared {
            let host = self.ledger.0.host.clone();
            let own = self.ledger.with_shelf(move |shelf| {
                let own = shelf.all().filter(|(summary, _)| summary.writer == host);
                Ok(own.map(|(summary, _)| summary.clone()).collect::<Vec<_>>())
            });
            for summary in own.await? {
                let (block, period) = (summary.block, summary.period);
                let segment = record::name(block, period, &self.ledger.0.host);
                // Another one may have been begun in the store in the same second.
                if self.ledger.indexed(&segment).await?.0.is_none_or(|indexed| indexed.summary != summary) {
                    self.spilled.insert((block, period));
                }
            }
            self.compared = true;
        }
        while let Some((block, period)) = self.spilled.first().copied() {
            self.hand_over_one(block, period).await?;
            self.spilled.remove(&(block, period));
        }
        Ok(())
    }

    async fn hand_over_one(&mut self, block: BlockId, period: u64) -> Result<(), LedgerError> {
        let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
        let writer = host.clone();
        let bytes = ledger.with_shelf(move |shelf| {
            shelf.has(block, period, &writer).then(|| shelf.bytes_of(block, period, &writer)).transpose()
        });
        // The disk's limits may have taken it meanwhile.
        let Some(bytes) = bytes.await? else { return Ok(()) };
        let summary = Segment::check(&bytes)?.summary().clone();
        let segment = record::name(block, period, &host);
        let (key, index_key) = (Item::Ledger(segment.clone()).key(), Item::Segment(segment.clone()).key());
        let (before, index_read) = ledger.indexed(&segment).await?;
        match before {
            Some(before) if before.summary == summary => return Ok(()),
            // Begun in the same second as another, which this process had forgotten of.
            Some(_) => return self.rename(block, period, unpack(&bytes)?).await,
            None => {}
        }
        let keepers = BTreeSet::from([host]);
        let indexed = Indexed { summary, bytes: bytes.len() as u64, sealed: true, keepers };
        let value = layout::encode(&index_key, &indexed)?;
        let mut transaction =
            unless_changed(Transaction::new(), index_key.clone(), &index_read).put(index_key, value);
        // What is older than the window does not come back into the store: it is asked for where it lies.
        let window = u64::try_from(ledger.0.limits.window.as_millis()).unwrap_or(u64::MAX);
        let is_recent = indexed.summary.to.0 >= ledger.now().0.saturating_sub(window);
        if is_recent {
            let read = ledger.get(&key).await?;
            transaction = unless_changed(transaction, key.clone(), &read).put(key, bytes);
        }
        ledger.commit(transaction).await?;
        if is_recent {
            self.mine().await?.insert((block, period), Mine::of(&indexed));
        }
        Ok(())
    }

    async fn rename(
        &mut self,
        block: BlockId,
        period: u64,
        intervals: Vec<Interval>,
    ) -> Result<(), LedgerError> {
        let host = self.ledger.0.host.clone();
        let another = self.period_on_disk(block).await?.max(period + 1);
        let packed = Segment::pack(block, another, &host, intervals)?.1;
        let swap = move |shelf: &mut ::ledger::Shelf| {
            shelf.put(&packed)?;
            shelf.remove(block, period, &host)
        };
        self.ledger.with_shelf(swap).await?;
        self.spilled.insert((block, another));
        Ok(())
    }
}
