//! The window in the store, and the room on the disk.

use super::keep::COPIES;
use super::record::{self, unless_changed};
use super::{Keeper, LedgerError};
use ipam::BlockId;
use store::Transaction;
use store::layout::{self, Item};

impl Keeper {
    /// Takes away what is beyond the limits, and reports how full it is.
    pub(super) async fn keep_limits(&mut self) -> Result<(), LedgerError> {
        let only_host = self.is_only().await?;
        self.keep_window(only_host).await?;
        self.keep_disk().await?;
        let window = u64::try_from(self.ledger.0.limits.window.as_millis()).unwrap_or(u64::MAX);
        let over = self.ledger.now().0.saturating_sub(window);
        let mine = self.mine().await?;
        let store_bytes = mine.values().map(|mine| mine.bytes).sum();
        let late = mine.values().filter(|it| it.sealed && it.keepers.len() < COPIES && it.to.0 < over);
        let alone = late.count();
        let (disk_bytes, segments, intervals) = self
            .ledger
            .with_shelf(|shelf| {
                let intervals = shelf.all().map(|(summary, _)| summary.intervals).sum();
                Ok((shelf.bytes(), shelf.all().count(), intervals))
            })
            .await?;
        let spilled = self.spilled.len();
        self.ledger.0.report.send_modify(|report| {
            report.spilled = spilled;
            (report.store_bytes, report.alone, report.only_host) = (store_bytes, alone, only_host);
            (report.disk_bytes, report.segments, report.intervals) = (disk_bytes, segments, intervals);
        });
        Ok(())
    }

    /// A sealed value leaves the store after the window, or before it where there is no room, once enough
    /// disks have it.
    async fn keep_window(&mut self, only_host: bool) -> Result<(), LedgerError> {
        let limits = self.ledger.0.limits.clone();
        let copies = if only_host { 1 } else { COPIES };
        let window = u64::try_from(limits.window.as_millis()).unwrap_or(u64::MAX);
        let over = self.ledger.now().0.saturating_sub(window);
        let mine = self.mine().await?;
        let mut bytes: u64 = mine.values().map(|mine| mine.bytes).sum();
        let mut kept: Vec<_> = mine
            .iter()
            .filter(|(_, it)| it.sealed && it.keepers.len() >= copies)
            .map(|(at, it)| (it.to, *at, it.bytes))
            .collect();
        kept.sort();
        for (to, (block, period), size) in kept {
            if to.0 < over || bytes > limits.store_bytes_max {
                self.leave_store(block, period).await?;
                bytes -= size;
            }
        }
        Ok(())
    }

    async fn leave_store(&mut self, block: BlockId, period: u64) -> Result<(), LedgerError> {
        let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
        let segment = record::name(block, period, &host);
        let (_, index_read) = ledger.indexed(&segment).await?;
        let index_key = Item::Segment(segment.clone()).key();
        let transaction = unless_changed(Transaction::new(), index_key, &index_read);
        ledger.commit(transaction.delete(Item::Ledger(segment).key())).await?;
        self.mine().await?.remove(&(block, period));
        Ok(())
    }

    /// The oldest segments leave the disk where there are too many or they are too old: the index first.
    async fn keep_disk(&mut self) -> Result<(), LedgerError> {
        let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
        let limits = ledger.limits().clone();
        let keep = u64::try_from(limits.keep.as_millis()).unwrap_or(u64::MAX);
        let too_old = ledger.now().0.saturating_sub(keep);
        loop {
            let oldest = ledger.with_shelf(|shelf| Ok((shelf.oldest().cloned(), shelf.bytes()))).await?;
            let (Some(oldest), bytes) = oldest else { return Ok(()) };
            if bytes <= limits.disk_bytes_max && oldest.to.0 >= too_old {
                return Ok(());
            }
            let segment = record::name(oldest.block, oldest.period, &oldest.writer);
            let (indexed, index_read) = ledger.indexed(&segment).await?;
            if let Some(mut indexed) = indexed {
                let key = Item::Segment(segment).key();
                let transaction = unless_changed(Transaction::new(), key.clone(), &index_read);
                indexed.keepers.remove(&host);
                let transaction = if indexed.keepers.is_empty() {
                    // Its value leaves the store with it: nothing points to it any more.
                    let name = record::name(oldest.block, oldest.period, &oldest.writer);
                    transaction.delete(key).delete(Item::Ledger(name).key())
                } else {
                    transaction.put(key.clone(), layout::encode(&key, &indexed)?)
                };
                ledger.commit(transaction).await?;
            }
            if oldest.writer == host {
                self.mine().await?.remove(&(oldest.block, oldest.period));
            }
            let (block, period, writer) = (oldest.block, oldest.period, oldest.writer);
            ledger.with_shelf(move |shelf| shelf.remove(block, period, &writer)).await?;
        }
    }
}
