//! Look-ups: the store's word, this host's disk, what this host's journal has not handed over yet, and then what
//! other hosts have on theirs.

use super::record::{self, Indexed, unpack};
use super::{Ledger, LedgerError, in_time};
use crate::allocator::Allocator;
use crate::troubles::with_causes;
use ::ledger::{Interval, Query, Segment, Summary, merged};
use ipam::{BlockId, HostId, Subnet};
use std::collections::{BTreeMap, BTreeSet};
use store::layout::{self, Item, Under};

/// Intervals that one answer has at most, at some 600 bytes each.
pub(super) const FOUND_MAX: usize = 50_000;

/// What was found, and what could not be seen.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order of addresses and epochs, each once.
    pub intervals: Vec<Interval>,
    /// Segments that may have more, and could not be seen.
    pub unseen: Vec<Unseen>,
    /// Why something could not be read.
    pub trouble: Vec<String>,
    /// Whether there is more than one answer has room for.
    pub cut: bool,
    /// How far the clocks of other hosts are ahead of this one's now, in milliseconds, as far as they were asked.
    pub clocks: BTreeMap<HostId, i64>,
}

/// A segment that only other hosts have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// What it has.
    pub summary: Summary,
    /// Who has it.
    pub keepers: BTreeSet<HostId>,
    /// Why each of those did not tell.
    pub why: BTreeMap<HostId, String>,
}

impl Found {
    /// Takes these in, as long as there is room.
    pub(super) fn add(&mut self, intervals: impl IntoIterator<Item = Interval>) {
        for interval in intervals {
            if self.intervals.len() >= FOUND_MAX {
                self.cut = true;
                return;
            }
            self.intervals.push(interval);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.cut
    }
}

impl Ledger {
    /// Everything that is asked for. `blocks` are those that may have the address asked for; without any, they are
    /// looked for in the store.
    pub async fn look(&self, query: &Query, blocks: &[BlockId], allocator: Option<&Allocator>) -> Found {
        let mut found = Found::default();
        if let Err(error) = self.look_in_store(query, blocks, &mut found).await {
            found.trouble.push(with_causes(&error));
        }
        let (asked, room) = (query.clone(), FOUND_MAX.saturating_sub(found.intervals.len()));
        match self.with_shelf(move |shelf| Ok(shelf.find_some(&asked, room))).await {
            Ok((intervals, unread, more)) => {
                found.add(intervals);
                found.cut |= more;
                found.trouble.extend(unread.iter().map(|error| with_causes(error)));
            }
            Err(error) => found.trouble.push(with_causes(&error)),
        }
        if let Some(allocator) = allocator {
            match allocator.intervals().await {
                Ok(entries) => {
                    let any_time = query.of_any_time();
                    let own = entries.into_iter().map(|entry| entry.interval);
                    found.add(own.filter(|interval| any_time.wants(interval)));
                }
                Err(error) => found.trouble.push(with_causes(&error)),
            }
        }
        if let Err(error) = self.look_elsewhere(query, &mut found).await {
            found.trouble.push(with_causes(&error));
        }
        // What ended elsewhere may still stand here as running: merged first, then asked for.
        let intervals = std::mem::take(&mut found.intervals);
        found.intervals = merged(intervals).into_iter().filter(|it| query.wants(it)).collect();
        // Nothing is missing without it.
        let _ = self.look_at_clocks(&mut found).await;
        found.clocks.retain(|_, ahead| *ahead != 0);
        found
    }

    async fn look_in_store(
        &self,
        query: &Query,
        blocks: &[BlockId],
        found: &mut Found,
    ) -> Result<(), LedgerError> {
        let (running, segments) = self.where_to_look(query, blocks).await?;
        let any_time = query.of_any_time();
        for under in running {
            let values = in_time(self.0.store.range(&under.prefix())).await?;
            for entry in values.entries {
                found.add(unpack(&entry.value)?.into_iter().filter(|interval| any_time.wants(interval)));
            }
        }
        for under in segments {
            for indexed in self.all_indexed(under).await? {
                if found.is_full() {
                    return Ok(());
                }
                self.look_in(indexed, query, found).await?;
            }
        }
        Ok(())
    }

    /// Under which keys of the store it may stand. Read subnet by subnet: never all that runs at once.
    async fn where_to_look(
        &self,
        query: &Query,
        blocks: &[BlockId],
    ) -> Result<(Vec<Under>, Vec<Under>), LedgerError> {
        let in_blocks = |blocks: &[BlockId]| {
            let running = blocks.iter().map(|id| Under::RunningIn { subnet: id.subnet, index: id.index });
            let segments = blocks.iter().map(|id| Under::SegmentsIn { subnet: id.subnet, index: id.index });
            (running.collect(), segments.collect())
        };
        if !blocks.is_empty() {
            return Ok(in_blocks(blocks));
        }
        let mut subnets = Vec::new();
        for entry in in_time(self.0.store.range(&Under::Subnets.prefix())).await?.entries {
            subnets.push(layout::decode::<Subnet>(&entry.key, &entry.value)?.cidr);
        }
        match query.address {
            None => Ok((subnets.into_iter().map(Under::RunningOf).collect(), vec![Under::Segments])),
            // Of another zone than this host's; or of a subnet that was returned, of which nothing runs.
            Some(address) => match subnets.iter().find_map(|cidr| BlockId::of(*cidr, address)) {
                Some(block) => Ok(in_blocks(&[block])),
                None => Ok((Vec::new(), vec![Under::Segments])),
            },
        }
    }

    /// What the closed intervals of one block in the store and on this disk say.
    pub(super) async fn find_in(&self, block: BlockId, query: &Query) -> Result<Found, LedgerError> {
        let mut found = Found::default();
        let BlockId { subnet, index } = block;
        for indexed in self.all_indexed(Under::SegmentsIn { subnet, index }).await? {
            self.look_in(indexed, query, &mut found).await?;
        }
        let asked = query.clone();
        let on_disk = self.with_shelf(move |shelf| Ok(shelf.find_some(&asked, FOUND_MAX).0)).await?;
        found.add(on_disk.into_iter().filter(|interval| block.contains(interval.address)));
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
                found.add(Segment::check(value)?.find(&value, query)?);
            }
            None => found.unseen.push(Unseen { summary, keepers, why: BTreeMap::new() }),
        }
        Ok(())
    }
}
