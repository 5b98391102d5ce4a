//! Two copies: this host keeps what others ask it to, and asks others to keep what it sealed.

use super::record::{self, unless_changed};
use super::{Keeper, LedgerError, in_time};
use ::ledger::Segment;
use ipam::{BlockId, HostId};
use store::Transaction;
use store::layout::{self, Item, SegmentName, Under};

/// So many hosts have a segment on disk before its value leaves the store.
pub(super) const COPIES: usize = 2;

impl Keeper {
    /// Keeps what this host is asked to keep.
    pub(super) async fn keep_copies(&mut self) -> Result<(), LedgerError> {
        let keeper = self.ledger.0.host.0.clone();
        let asked = in_time(self.ledger.0.store.range(&Under::KeepOf { keeper }.prefix())).await?;
        for entry in asked.entries {
            let Some(Item::Keep { segment, .. }) = Item::of(&entry.key) else { continue };
            let done = Transaction::new().unchanged(entry.key.clone(), entry.revision).delete(entry.key);
            match self.keep_copy(segment, done).await {
                // Whoever asked asks again where it still matters.
                Err(LedgerError::Again) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn keep_copy(&mut self, segment: SegmentName, done: Transaction) -> Result<(), LedgerError> {
        let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
        let (indexed, index_read) = ledger.indexed(&segment).await?;
        let value = ledger.get(&Item::Ledger(segment.clone()).key()).await?.entry;
        let (Some(mut indexed), Some(value)) = (indexed, value) else {
            // It is gone from the store: there is nothing left to keep.
            return ledger.commit(done).await;
        };
        let found = Segment::check(&value.value)?;
        if *found.summary() != indexed.summary {
            return Err(LedgerError::Again);
        }
        // On the disk first: the index names only what is there.
        ledger.with_shelf(move |shelf| shelf.put(&value.value)).await?;
        indexed.keepers.insert(host);
        let key = Item::Segment(segment).key();
        let transaction = unless_changed(done, key.clone(), &index_read);
        ledger.commit(transaction.put(key.clone(), layout::encode(&key, &indexed)?)).await
    }

    /// Looks who keeps what this host sealed, and asks another where the asked one is gone.
    pub(super) async fn ask_for_copies(&mut self) -> Result<(), LedgerError> {
        let wanting =
            self.mine().await?.iter().filter(|(_, mine)| mine.sealed && mine.keepers.len() < COPIES);
        let wanting: Vec<((BlockId, u64), Option<HostId>)> =
            wanting.map(|(place, mine)| (*place, mine.asked.clone())).collect();
        if wanting.is_empty() || self.is_only().await? {
            return Ok(());
        }
        let fleet = self.fleet().await?;
        for ((block, period), asked) in wanting {
            let (ledger, host) = (self.ledger.clone(), self.ledger.0.host.clone());
            let segment = record::name(block, period, &host);
            let (indexed, index_read) = ledger.indexed(&segment).await?;
            let keepers = indexed.map(|indexed| indexed.keepers).unwrap_or_default();
            let waits = asked.as_ref().is_some_and(|asked| fleet.alive.contains(asked));
            let mut next = asked.clone();
            if keepers.len() < COPIES && !waits {
                let key = Item::Ledger(segment.clone()).key();
                next = fleet.first_for(key.as_str(), &keepers).cloned();
                let index_key = Item::Segment(segment.clone()).key();
                let mut transaction = unless_changed(Transaction::new(), index_key, &index_read);
                for (before, put) in [(&asked, false), (&next, true)] {
                    let Some(keeper) = before else { continue };
                    let ask = Item::Keep { keeper: keeper.0.clone(), segment: segment.clone() }.key();
                    transaction = if put {
                        transaction.put(ask.clone(), layout::encode(&ask, &())?)
                    } else {
                        transaction.delete(ask)
                    };
                }
                if next.is_some() {
                    ledger.commit(transaction).await?;
                }
            }
            if let Some(mine) = self.mine().await?.get_mut(&(block, period)) {
                (mine.keepers, mine.asked) = (keepers, next);
            }
        }
        Ok(())
    }
}
