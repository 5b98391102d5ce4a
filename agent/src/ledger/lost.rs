//! What an evicted host can no longer say: closed, or told as unknown, by one living host of the block.

use super::record::{running_key, unless_changed, unpack};
use super::{Keeper, LedgerError};
use ::ledger::{End, Interval, Moment, Query, Why};
use ipam::{
    AddressState, Block, BlockId, Epoch, EvictedView, Generation, HostId, Incarnation, Quarantined,
    Timestamp, View,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use store::Transaction;
use store::layout::{self, Item};

/// A host's life until it is evicted for the first time.
const FIRST_LIFE: Incarnation = Incarnation(1);

/// Before it is looked again whether the host to which it falls did it.
const AFTER_OTHERS_MILLIS: u64 = 60_000;

/// Done: until something else is in quarantine.
const NEVER: Timestamp = Timestamp(u64::MAX);

impl Keeper {
    /// Whether there may be something to close, or to forget: in a fleet in which nobody was evicted the whole view
    /// of it, which is large, is not asked for.
    pub(super) fn concerns(&self, evicted: &EvictedView) -> bool {
        let is_new = |(host, life): (&HostId, &Incarnation)| {
            *host != self.ledger.0.host && self.lives.get(host) != Some(life)
        };
        evicted.in_quarantine || !self.lost.is_empty() || evicted.again.iter().any(is_new)
    }

    /// Closes what hosts had whose holdings are in quarantine now.
    pub(super) async fn close_lost(&mut self, view: &View) -> Result<(), LedgerError> {
        let Some((generation, _)) = view.cluster else { return Ok(()) };
        let mut lost = lost_in(view);
        // What this host had it tells itself.
        lost.retain(|(_, host), _| *host != self.ledger.0.host);
        self.lost.retain(|at, _| lost.contains_key(at));
        let now = self.ledger.0.clock.now();
        let seen_to = |at: &(BlockId, HostId), addresses: &BTreeSet<IpAddr>| {
            self.lost.get(at).is_some_and(|(seen, again)| seen == addresses && now < *again)
        };
        lost.retain(|at, addresses| !seen_to(at, addresses));
        if lost.is_empty() {
            return Ok(());
        }
        let fleet = self.fleet().await?;
        for ((block, host), addresses) in lost {
            let mut again = now.after(AFTER_OTHERS_MILLIS);
            if fleet.first_for(&block.to_string(), &BTreeSet::new()) == Some(&self.ledger.0.host) {
                self.close_lost_in(view, block, &host, generation).await?;
                again = NEVER;
            }
            self.lost.insert((block, host), (addresses, again));
        }
        Ok(())
    }

    /// Closes what an evicted host left as running and does not hold any more: its quarantine may have been over
    /// before anybody looked.
    pub(super) async fn close_what_evicted_hosts_left(&mut self, view: &View) -> Result<(), LedgerError> {
        let Some((generation, _)) = view.cluster else { return Ok(()) };
        let is_swept = |host: &HostId| view.lost.values().all(|by| by.host != *host);
        let is_new = |host: &HostId, life: &Incarnation| self.lives.get(host) != Some(life);
        let raised = view.hosts.iter().filter(|(host, life)| {
            **host != self.ledger.0.host && **life > FIRST_LIFE && is_new(host, life) && is_swept(host)
        });
        let raised: Vec<(HostId, Incarnation)> = raised.map(|(host, life)| (host.clone(), *life)).collect();
        if raised.is_empty() {
            return Ok(());
        }
        let fleet = self.fleet().await?;
        for (host, life) in raised {
            // One that lives tells what it left itself.
            let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks).map(|block| block.id);
            for block in blocks.filter(|_| !fleet.alive.contains(&host)) {
                let first = fleet.first_for(&block.to_string(), &BTreeSet::new());
                if first == Some(&self.ledger.0.host) {
                    self.close_lost_in(view, block, &host, generation).await?;
                }
            }
            self.lives.insert(host, life);
        }
        Ok(())
    }

    async fn close_lost_in(
        &mut self,
        view: &View,
        block: BlockId,
        host: &HostId,
        generation: Generation,
    ) -> Result<(), LedgerError> {
        let Some(zone) = view.zone_of(block) else { return Ok(()) };
        let ledger = self.ledger.clone();
        let key = Item::Block { zone: zone.0.clone(), subnet: block.subnet, index: block.index }.key();
        let Some(entry) = ledger.get(&key).await?.entry else { return Ok(()) };
        let stored: Block = layout::decode(&key, &entry.value)?;
        let quarantined = stored.quarantined().iter().filter(|(_, it)| it.was_of(host));
        let take = |(address, it): (&IpAddr, &Quarantined)| Some((*address, it.was.as_ref()?.take));
        let takes: BTreeMap<IpAddr, u64> = quarantined.filter_map(take).collect();
        let running_key = running_key(block, host);
        let read = ledger.get(&running_key).await?;
        let published =
            read.entry.as_ref().map(|entry| unpack(&entry.value)).transpose()?.unwrap_or_default();
        let (gone, stays): (Vec<Interval>, Vec<Interval>) =
            published.into_iter().partition(|interval| !is_held_under(&stored, host, interval));
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

/// Whether a host still holds an address as it did when this began.
fn is_held_under(block: &Block, host: &HostId, interval: &Interval) -> bool {
    let held = block.held().get(&interval.address);
    held.is_some_and(|held| held.by.host == *host && held.take == interval.epoch.take)
}

/// What is in quarantine: in which block, and who held it.
fn lost_in(view: &View) -> BTreeMap<(BlockId, HostId), BTreeSet<IpAddr>> {
    let mut lost: BTreeMap<(BlockId, HostId), BTreeSet<IpAddr>> = BTreeMap::new();
    for block in view.subnets.iter().flat_map(|subnet| &subnet.blocks) {
        for address in &block.addresses {
            if let AddressState::Quarantined { was: Some(was), .. } = &address.state {
                lost.entry((block.id, was.clone())).or_default().insert(address.address);
            }
        }
    }
    lost
}
