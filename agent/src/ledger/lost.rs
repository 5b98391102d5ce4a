//! What an evicted host can no longer say: closed, or told as unknown, by one living host of the block.

use super::record::{running_key, unless_changed, unpack};
use super::{Keeper, LedgerError};
use ::ledger::{End, Interval, Moment, Query, Why};
use ipam::{AddressState, Block, BlockId, BlockView, Epoch, Generation, HostId, Quarantined, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use store::Transaction;
use store::layout::{self, Item};

impl Keeper {
    /// Closes what hosts had whose holdings are in quarantine now.
    pub(super) async fn close_lost(&mut self, view: &View) -> Result<(), LedgerError> {
        let Some((generation, _)) = view.cluster else { return Ok(()) };
        let fleet = self.fleet().await?;
        for block in view.subnets.iter().flat_map(|subnet| &subnet.blocks) {
            let mut lost = lost_in(block);
            // What this host had it tells itself.
            lost.remove(&self.ledger.0.host);
            let first = fleet.first_for(&block.id.to_string(), &BTreeSet::new());
            if !lost.is_empty() && first == Some(&self.ledger.0.host) {
                for host in &lost {
                    self.close_lost_in(block.id, host, generation).await?;
                }
            }
        }
        Ok(())
    }

    async fn close_lost_in(
        &mut self,
        block: BlockId,
        host: &HostId,
        generation: Generation,
    ) -> Result<(), LedgerError> {
        let ledger = self.ledger.clone();
        let key = Item::Block { subnet: block.subnet, index: block.index }.key();
        let Some(entry) = ledger.get(&key).await?.entry else { return Ok(()) };
        let stored: Block = layout::decode(&key, &entry.value)?;
        let quarantined = stored.quarantined().iter().filter(|(_, it)| it.was_of(host));
        let take = |(address, it): (&IpAddr, &Quarantined)| Some((*address, it.was.as_ref()?.take));
        let takes: BTreeMap<IpAddr, u64> = quarantined.filter_map(take).collect();
        if takes.is_empty() {
            return Ok(());
        }
        let running_key = running_key(block, host);
        let read = ledger.get(&running_key).await?;
        let published =
            read.entry.as_ref().map(|entry| unpack(&entry.value)).transpose()?.unwrap_or_default();
        let (gone, stays): (Vec<Interval>, Vec<Interval>) =
            published.into_iter().partition(|interval| takes.contains_key(&interval.address));
        let end = End { at: ledger.now(), offset: 0, why: Why::Evicted };
        let mut closed: Vec<Interval> =
            gone.into_iter().map(|interval| Interval { end: Some(end), ..interval }).collect();
        closed.extend(self.unknown(block, host, generation, &takes, &closed, end).await?);
        if closed.is_empty() {
            return Ok(());
        }
        let transaction = unless_changed(Transaction::new(), running_key.clone(), &read);
        let transaction = if stays.is_empty() {
            transaction.delete(running_key)
        } else {
            let packed = super::record::pack_running(block, host, stays)?;
            transaction.put(running_key, packed)
        };
        let (transaction, indexed) = self.add(transaction, block, closed).await?;
        ledger.commit(transaction).await?;
        let period = indexed.summary.period;
        self.parts.insert(block, period);
        self.mine().await?.insert((block, period), super::record::Mine::of(&indexed));
        Ok(())
    }

    /// For each address that nothing was said of at the end: the host held it, and its use is unknown.
    /// What was told of it already is not told again.
    async fn unknown(
        &self,
        block: BlockId,
        host: &HostId,
        generation: Generation,
        takes: &BTreeMap<IpAddr, u64>,
        closed: &[Interval],
        end: End,
    ) -> Result<Vec<Interval>, LedgerError> {
        let query = Query { host: Some(host.clone()), ..Query::default() };
        let found = self.ledger.find_in(block, &query).await?.intervals;
        let mut unknown = Vec::new();
        for (address, take) in takes {
            let epoch = Epoch { generation, take: *take, counter: u64::MAX };
            let of_it = || found.iter().chain(closed).filter(|it| it.address == *address);
            let of_this_holding =
                |it: &&Interval| it.epoch.generation == generation && it.epoch.take == *take;
            let is_told =
                of_it().filter(of_this_holding).filter_map(|it| it.end).any(|end| end.why == Why::Evicted);
            if is_told || closed.iter().any(|it| it.address == *address) {
                continue;
            }
            let from = of_it().filter_map(Interval::until).max().unwrap_or(Moment(0));
            unknown.push(Interval {
                address: *address,
                epoch,
                host: host.clone(),
                endpoint: None,
                container: None,
                from: from.min(end.at),
                from_offset: 0,
                earlier: from == Moment(0),
                unknown: true,
                end: Some(end),
            });
        }
        Ok(unknown)
    }
}

/// The hosts whose holdings of a block are in quarantine.
fn lost_in(block: &BlockView) -> BTreeSet<HostId> {
    let quarantined = block.addresses.iter().filter_map(|address| match &address.state {
        AddressState::Quarantined { was, .. } => was.clone(),
        _ => None,
    });
    quarantined.collect()
}
