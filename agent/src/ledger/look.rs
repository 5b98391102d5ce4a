//! Look-ups: the store's word, this host's disk, and what this host's journal has not handed over yet.

use super::record::{self, Indexed, unpack};
use super::{Ledger, LedgerError, in_time};
use crate::allocator::Allocator;
use crate::troubles::with_causes;
use ::ledger::{Interval, Query, Segment, Summary, merged};
use ipam::{BlockId, HostId};
use std::collections::BTreeSet;
use store::layout::{Item, Under};

/// What was found, and what could not be seen.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order of addresses and epochs, each once.
    pub intervals: Vec<Interval>,
    /// Segments that may have more, and are neither in the store nor on this host's disk.
    pub unseen: Vec<Unseen>,
    /// Why something could not be read.
    pub trouble: Vec<String>,
}

/// A segment that only other hosts have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// What it has.
    pub summary: Summary,
    /// Who has it.
    pub keepers: BTreeSet<HostId>,
}

impl Ledger {
    /// Everything that is asked for, as far as it can be seen from here. `blocks` are those that may have
    /// the address asked for; without any, every block is looked at.
    pub async fn look(&self, query: &Query, blocks: &[BlockId], allocator: Option<&Allocator>) -> Found {
        let mut found = match self.look_in_store(query, blocks).await {
            Ok(found) => found,
            Err(error) => Found { trouble: vec![with_causes(&error)], ..Found::default() },
        };
        let asked = query.clone();
        match self.with_shelf(move |shelf| Ok(shelf.find(&asked))).await {
            Ok((intervals, unread)) => {
                found.intervals.extend(intervals);
                found.trouble.extend(unread.iter().map(|error| with_causes(error)));
            }
            Err(error) => found.trouble.push(with_causes(&error)),
        }
        if let Some(allocator) = allocator {
            match allocator.intervals().await {
                Ok(entries) => found.intervals.extend(
                    entries.into_iter().map(|entry| entry.interval).filter(|interval| query.wants(interval)),
                ),
                Err(error) => found.trouble.push(with_causes(&error)),
            }
        }
        // What ended elsewhere may still stand here as running: merged first, then asked for.
        found.intervals = merged(found.intervals).into_iter().filter(|it| query.wants(it)).collect();
        found
    }

    async fn look_in_store(&self, query: &Query, blocks: &[BlockId]) -> Result<Found, LedgerError> {
        let (mut running, mut segments) = (Vec::new(), Vec::new());
        if blocks.is_empty() {
            running.push(Under::Running);
            segments.push(Under::Segments);
        }
        for BlockId { subnet, index } in blocks.iter().copied() {
            running.push(Under::RunningIn { subnet, index });
            segments.push(Under::SegmentsIn { subnet, index });
        }
        let mut found = Found::default();
        for under in running {
            let values = in_time(self.0.store.range(&under.prefix())).await?;
            for entry in values.entries {
                found.intervals.extend(unpack(&entry.value)?);
            }
        }
        for under in segments {
            for indexed in self.all_indexed(under).await? {
                self.look_in(indexed, query, &mut found).await?;
            }
        }
        Ok(found)
    }

    /// What the closed intervals of one block in the store and on this disk say.
    pub(super) async fn find_in(&self, block: BlockId, query: &Query) -> Result<Found, LedgerError> {
        let mut found = Found::default();
        let BlockId { subnet, index } = block;
        for indexed in self.all_indexed(Under::SegmentsIn { subnet, index }).await? {
            self.look_in(indexed, query, &mut found).await?;
        }
        let asked = query.clone();
        let on_disk = self.with_shelf(move |shelf| Ok(shelf.find(&asked).0)).await?;
        found.intervals.extend(on_disk.into_iter().filter(|interval| block.contains(interval.address)));
        Ok(found)
    }

    async fn look_in(&self, indexed: Indexed, query: &Query, found: &mut Found) -> Result<(), LedgerError> {
        let Indexed { summary, keepers, .. } = indexed;
        if !summary.may_have(query) {
            return Ok(());
        }
        let (block, period, writer) = (summary.block, summary.period, summary.writer.clone());
        if keepers.contains(&self.0.host)
            && self.with_shelf(move |shelf| Ok(shelf.has(block, period, &writer))).await?
        {
            // Read from the disk, with all the others there.
            return Ok(());
        }
        let key = Item::Ledger(record::name(block, period, &summary.writer)).key();
        match self.get(&key).await?.entry {
            Some(entry) => {
                let value = entry.value.as_slice();
                found.intervals.extend(Segment::check(value)?.find(&value, query)?);
            }
            None => found.unseen.push(Unseen { summary, keepers }),
        }
        Ok(())
    }
}
