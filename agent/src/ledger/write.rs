//! From the journal into the store: block by block, each in one transaction.

use super::record::{self, Indexed, Mine, pack_running, running_key, unless_changed, unpack};
use super::{Keeper, LedgerError, in_time};
use ::ledger::{End, Entry, Interval, Segment, Why, merged};
use ipam::{BlockId, Epoch};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use store::Transaction;
use store::layout::{self, Item, Under};

/// A segment of this size takes no more: it is sealed. With one more batch it is far under what the store
/// takes as one value.
pub(super) const SEGMENT_BYTES: u64 = 64 * 1024;

/// Intervals that one transaction adds.
const BATCH_MAX: usize = 500;

/// An address and an epoch name an interval.
pub(super) type Name = (IpAddr, Epoch);

impl Keeper {
    /// Writes what runs and what ended: answers what ended and is in the ledger now, and what went wrong.
    pub(super) async fn write(&mut self, entries: Vec<Entry>) -> (Vec<Name>, Result<(), LedgerError>) {
        let mut blocks: BTreeMap<BlockId, (Vec<Interval>, Vec<Interval>)> = BTreeMap::new();
        // What ran in a block until now may be all that there was.
        blocks.extend(self.published.keys().map(|block| (*block, Default::default())));
        for Entry { block, interval, .. } in entries {
            let (running, ended) = blocks.entry(block).or_default();
            if interval.end.is_none() { running.push(interval) } else { ended.push(interval) }
        }
        let waiting = blocks.values().map(|(_, ended)| ended.len()).sum();
        self.ledger.0.report.send_modify(|report| report.waiting = waiting);
        let (mut written, mut done) = (Vec::new(), Ok(()));
        for (block, (running, mut ended)) in blocks {
            while done.is_ok() {
                let batch: Vec<Interval> = ended.drain(..ended.len().min(BATCH_MAX)).collect();
                let names: Vec<Name> = batch.iter().map(Interval::order).collect();
                match self.write_block(block, &running, batch, &ended).await {
                    Ok(()) => written.extend(names),
                    Err(error) => done = Err(error),
                }
                if ended.is_empty() {
                    break;
                }
            }
        }
        let left = waiting.saturating_sub(written.len());
        self.ledger.0.report.send_modify(|report| report.waiting = left);
        (written, done)
    }

    /// Looks in these blocks for what an earlier life of this host left as running.
    pub(super) async fn look_for_remains(&mut self, blocks: Vec<BlockId>) -> Result<(), LedgerError> {
        for block in blocks {
            let left = self.ledger.get(&running_key(block, &self.ledger.0.host)).await?.entry;
            if let Some(left) = left {
                self.published.insert(block, unpack(&left.value)?);
            }
        }
        Ok(())
    }

    /// Writes what runs in a block and adds what ended to the segment in the making. `later` ended too and
    /// is written next.
    async fn write_block(
        &mut self,
        block: BlockId,
        running: &[Interval],
        mut ended: Vec<Interval>,
        later: &[Interval],
    ) -> Result<(), LedgerError> {
        if ended.is_empty() && self.published.get(&block).map(Vec::as_slice).unwrap_or_default() == running {
            return Ok(());
        }
        let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
        let key = running_key(block, &host);
        let read = ledger.get(&key).await?;
        let published =
            read.entry.as_ref().map(|entry| unpack(&entry.value)).transpose()?.unwrap_or_default();
        let heard: BTreeSet<Name> = running.iter().chain(&ended).chain(later).map(Interval::order).collect();
        let forgotten = published.into_iter().filter(|interval| !heard.contains(&interval.order()));
        // The journal that knew of these is gone.
        let end = End { at: ledger.now(), offset: 0, why: Why::MemoryLost };
        ended.extend(forgotten.map(|interval| Interval { end: Some(end), ..interval }));

        let mut transaction = unless_changed(Transaction::new(), key.clone(), &read);
        transaction = if running.is_empty() {
            transaction.delete(key)
        } else {
            transaction.put(key, pack_running(block, &host, running.to_vec())?)
        };
        let mut grown = None;
        if !ended.is_empty() {
            let (with, indexed) = self.add(transaction, block, ended).await?;
            (transaction, grown) = (with, Some(indexed));
        }
        ledger.commit(transaction).await?;
        if let Some(indexed) = grown {
            let period = indexed.summary.period;
            self.parts.insert(block, period);
            self.mine().await?.insert((block, period), Mine::of(&indexed));
        }
        if running.is_empty() {
            self.published.remove(&block);
        } else {
            self.published.insert(block, running.to_vec());
        }
        Ok(())
    }

    /// Adds closed intervals to the segment in the making of a block, or to a new one.
    pub(super) async fn add(
        &mut self,
        transaction: Transaction,
        block: BlockId,
        ended: Vec<Interval>,
    ) -> Result<(Transaction, Indexed), LedgerError> {
        let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
        let mut period = self.part(block).await?;
        loop {
            let segment = record::name(block, period, &host);
            let key = Item::Ledger(segment.clone()).key();
            let (index_key, (indexed, index_read)) =
                (Item::Segment(segment.clone()).key(), ledger.indexed(&segment).await?);
            let read = ledger.get(&key).await?;
            let full = indexed.as_ref().is_some_and(|it| it.sealed || it.bytes >= SEGMENT_BYTES);
            if full || (indexed.is_some() && read.entry.is_none()) {
                period = (period + 1).max(ledger.now().0 / 1000);
                continue;
            }
            let before = read.entry.as_ref().map(|entry| unpack(&entry.value)).transpose()?;
            let intervals = merged(before.unwrap_or_default().into_iter().chain(ended));
            let (summary, bytes) = Segment::pack(block, period, &host, intervals)?;
            let indexed =
                Indexed { summary, bytes: bytes.len() as u64, sealed: false, keepers: BTreeSet::new() };
            let value = layout::encode(&index_key, &indexed)?;
            let transaction = unless_changed(transaction, key.clone(), &read);
            let transaction = unless_changed(transaction, index_key.clone(), &index_read);
            return Ok((transaction.put(key, bytes).put(index_key, value), indexed));
        }
    }

    /// When the segment in the making of a block was begun; now, if there is none.
    async fn part(&mut self, block: BlockId) -> Result<u64, LedgerError> {
        if let Some(period) = self.parts.get(&block) {
            return Ok(*period);
        }
        let open = self.mine().await?.iter().rev().find(|((of, _), mine)| *of == block && !mine.sealed);
        let open = open.map(|((_, period), _)| *period);
        Ok(open.unwrap_or(self.ledger.now().0 / 1000))
    }

    /// What this host has in the store, looked up once.
    pub(super) async fn mine(&mut self) -> Result<&mut BTreeMap<(BlockId, u64), Mine>, LedgerError> {
        if self.mine.is_none() {
            let ledger = &self.ledger;
            let writer = ledger.0.host.0.clone();
            let found = in_time(ledger.0.store.range(&Under::LedgerOf { writer }.prefix())).await?;
            let mut mine = BTreeMap::new();
            for entry in &found.entries {
                let Some(Item::Ledger(segment)) = Item::of(&entry.key) else { continue };
                if let (Some(indexed), _) = ledger.indexed(&segment).await? {
                    mine.insert(record::place(&segment), Mine::of(&indexed));
                }
            }
            self.mine = Some(mine);
        }
        Ok(self.mine.get_or_insert_default())
    }
}
