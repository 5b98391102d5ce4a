//! A segment that is large or old enough is put on this host's disk and takes no more.

use super::record::{self, unless_changed};
use super::write::SEGMENT_BYTES;
use super::{Keeper, LedgerError, in_time};
use ipam::{BlockId, HostId};
use std::collections::BTreeSet;
use store::Transaction;
use store::layout::{self, Item, Under};

/// A segment that was begun so long ago is sealed, in seconds: what a lost disk may cost is this and no
/// more once a second host has it.
const SEAL_AFTER_SECS: u64 = 3_600;

/// Who there is: the hosts that give a sign of life.
pub(super) struct Fleet {
    pub(super) alive: BTreeSet<HostId>,
}

impl Fleet {
    /// The living host that something falls to: the same one whoever asks, another one for other things.
    pub(super) fn first_for(&self, what: &str, but: &BTreeSet<HostId>) -> Option<&HostId> {
        let rank = |host: &&HostId| crc32c::crc32c(format!("{what} {host}").as_bytes());
        self.alive.iter().filter(|host| !but.contains(host)).max_by_key(rank)
    }
}

impl Keeper {
    /// Whether nobody but this host could keep a copy, now or later.
    pub(super) async fn is_only(&mut self) -> Result<bool, LedgerError> {
        if self.is_only {
            let hosts = in_time(self.ledger.0.store.range(&Under::Hosts.prefix())).await?;
            let own = Item::Host(self.ledger.0.host.0.clone()).key();
            self.is_only = hosts.entries.iter().all(|entry| entry.key == own);
        }
        Ok(self.is_only)
    }

    pub(super) async fn fleet(&self) -> Result<Fleet, LedgerError> {
        let alive = in_time(self.ledger.0.store.range(&Under::Sessions.prefix())).await?;
        let items = alive.entries.iter().filter_map(|entry| Item::of(&entry.key));
        let alive = items.filter_map(|item| match item {
            Item::Session(host) => Some(HostId(host)),
            _ => None,
        });
        Ok(Fleet { alive: alive.collect() })
    }

    /// Seals what is due.
    pub(super) async fn seal(&mut self) -> Result<(), LedgerError> {
        let now = self.ledger.now().0 / 1000;
        let due = self.mine().await?.iter().filter(|((_, period), mine)| {
            !mine.sealed && (mine.bytes >= SEGMENT_BYTES || now.saturating_sub(*period) >= SEAL_AFTER_SECS)
        });
        let due: Vec<(BlockId, u64)> = due.map(|(place, _)| *place).collect();
        if due.is_empty() {
            return Ok(());
        }
        let fleet = self.fleet().await?;
        for (block, period) in due {
            self.seal_one(block, period, &fleet).await?;
        }
        Ok(())
    }

    async fn seal_one(&mut self, block: BlockId, period: u64, fleet: &Fleet) -> Result<(), LedgerError> {
        let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
        let segment = record::name(block, period, &host);
        let (key, index_key) = (Item::Ledger(segment.clone()).key(), Item::Segment(segment.clone()).key());
        let (read, (indexed, index_read)) = (ledger.get(&key).await?, ledger.indexed(&segment).await?);
        let (Some(entry), Some(mut indexed)) = (read.entry.clone(), indexed) else {
            // Somebody took it away: nothing is left to seal.
            self.mine().await?.remove(&(block, period));
            return Ok(());
        };
        // On the disk first: the index names only what is there.
        ledger.with_shelf(move |shelf| shelf.put(&entry.value)).await?;
        indexed.sealed = true;
        indexed.keepers.insert(host);
        let transaction = unless_changed(Transaction::new(), key.clone(), &read);
        let mut transaction = unless_changed(transaction, index_key.clone(), &index_read)
            .put(index_key.clone(), layout::encode(&index_key, &indexed)?);
        let asked = fleet.first_for(key.as_str(), &indexed.keepers).cloned();
        if let Some(keeper) = &asked {
            let ask = Item::Keep { keeper: keeper.0.clone(), segment }.key();
            transaction = transaction.put(ask.clone(), layout::encode(&ask, &())?);
        }
        ledger.commit(transaction).await?;
        if self.parts.get(&block) == Some(&period) {
            self.parts.remove(&block);
        }
        if let Some(mine) = self.mine().await?.get_mut(&(block, period)) {
            (mine.sealed, mine.keepers, mine.asked) = (true, indexed.keepers, asked);
        }
        Ok(())
    }
}
