//! What this host knows of each block, and what it does with it: the newest value seen, what the
//! journal says of the holding there, and what that calls for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::journal::AfterPersist;
use super::operation::{Flight, Phase};
use super::standing::Standing;
use super::{Durability, Host, PublishedFacts};
use crate::block::Block;
use crate::epoch::Generation;
use crate::names::{BlockId, BootId, HostId, Incarnation, Revision, Timestamp, Zone};
use crate::record::{Deed, Life, Record};
use crate::transaction::{Key, Prefix, Transaction};

/// What is known of a block, and what this host does with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BlockFacts {
    /// The zone of its subnet, in which it was seen last.
    pub(super) zone: Zone,
    /// The newest value seen, and when it was written.
    pub(super) seen: Option<(Block, Revision)>,
    /// The earliest incarnation of this host under which that value shows something as held.
    pub(super) oldest_own: Option<Incarnation>,
    /// Whether it was seen to be gone, and what that means is not known before this boot is registered.
    pub(super) gone: bool,
    /// The boot under which the holding is usable, as journalled.
    pub(super) boot: Option<BootId>,
    /// The life of the cluster in which the holding is usable, as journalled.
    pub(super) generation: Option<Generation>,
    /// The newest revision acted upon, as journalled.
    pub(super) acted: Revision,
    /// The take number of the value acted upon, as journalled.
    pub(super) take: u64,
    /// The last operation number known to be committed, as journalled.
    pub(super) committed: u64,
    /// The operation under way.
    pub(super) flight: Option<Flight>,
    /// How often in a row it did not come through.
    pub(super) attempts: u32,
    /// When to try again.
    pub(super) not_before: Option<Timestamp>,
}

impl BlockFacts {
    /// A block of which nothing is known but where it is.
    pub(super) fn unknown(zone: Zone) -> Self {
        Self {
            zone,
            seen: None,
            oldest_own: None,
            gone: false,
            boot: None,
            generation: None,
            acted: Revision::default(),
            take: 0,
            committed: 0,
            flight: None,
            attempts: 0,
            not_before: None,
        }
    }

    /// Where it stands in the store.
    pub(super) fn key(&self, id: BlockId) -> Key {
        Key::Block { zone: self.zone.clone(), block: id }
    }

    /// What the journal should say; nothing for a block this host never acted in.
    pub(super) fn record(&self, id: BlockId) -> Option<Record> {
        Some(Record::Block {
            id,
            zone: self.zone.clone(),
            boot: self.boot.clone()?,
            generation: self.generation?,
            acted: self.acted,
            take: self.take,
            committed: self.committed,
            operation: self.flight.as_ref().map(|flight| flight.operation.clone()),
        })
    }
}

impl Host {
    /// Starts what each of these blocks is missing.
    pub(super) fn look_at_blocks(&mut self, ids: impl Iterator<Item = BlockId>) {
        for id in ids {
            let Some(facts) = self.blocks.get_mut(&id) else { continue };
            if facts.not_before.is_some_and(|due| due > self.now) {
                continue;
            }
            facts.not_before = None;
            match &facts.flight {
                Some(Flight { phase: Phase::Unsettled, .. }) => self.settle(id),
                Some(_) => (),
                None => self.look_at_block(id),
            }
        }
    }

    fn look_at_block(&mut self, id: BlockId) {
        let Standing::Registered { incarnation, .. } = self.standing else { return };
        if self.not_ready().is_some() {
            return;
        }
        let Some(facts) = self.blocks.get(&id) else { return };
        let Some((block, _)) = &facts.seen else { return };
        if facts.oldest_own.is_some_and(|oldest| oldest < incarnation) {
            self.begin(id, Deed::SweepOwn, Transaction::default()).ok();
            return;
        }
        if !self.retaken(id) {
            let Some(me) = self.me() else { return };
            // Published openings are compared too: what is open there must cool.
            if block.held_by(&me).next().is_some() && self.listed.contains(&Prefix::Published(me.host)) {
                let also = Transaction { compares: vec![self.published_compare(id)], writes: Vec::new() };
                self.begin(id, Deed::Retake, also).ok();
            }
            return;
        }
        let claims = self.to_claim(block);
        if !claims.is_empty() {
            self.begin(id, Deed::Claim(claims), Transaction::default()).ok();
            return;
        }
        self.let_go_of_unwanted(id);
        if let Some((addresses, to, also)) = self.next_leaving(id) {
            self.begin(id, Deed::GiveBack { addresses, to }, also).ok();
        }
    }

    /// The soonest that a block, or what is published of one, is due.
    pub(super) fn soonest_due(&self) -> Option<Timestamp> {
        let blocks = self.blocks.values().filter_map(|facts| facts.not_before);
        blocks.chain(self.published.values().filter_map(PublishedFacts::due)).min()
    }

    /// Takes note of a block's value, unless it is older than what is known.
    pub(super) fn block_seen(&mut self, zone: Zone, id: BlockId, block: Option<Block>, revision: Revision) {
        let Some(block) = block else {
            return self.block_gone(&zone, id, revision);
        };
        let host = self.identity.host.clone();
        let facts = self.blocks.entry(id).or_insert_with(|| BlockFacts::unknown(zone.clone()));
        let newest = facts.seen.as_ref().map_or(facts.acted, |(_, revision)| *revision);
        if revision < newest {
            return;
        }
        let shown = block.operation_of(&host);
        if block.opened() > facts.take {
            // The subnet was returned and ordered again: its operation numbers start anew, its take
            // numbers above all the old ones.
            facts.committed = 0;
        }
        if shown < facts.committed || block.take_number() < facts.take {
            return self.freeze(format!("block {id} shows less than this host's journal knows committed"));
        }
        facts.zone = zone;
        facts.oldest_own = oldest_own(&block, &host);
        facts.seen = Some((block, revision));
        facts.gone = false;
        self.stirred.insert(id);
        self.drawn.insert(id.subnet);
        self.published.entry(id).or_default();
        self.settle_by_sight(id);
        self.reconcile(id);
    }

    fn block_gone(&mut self, zone: &Zone, id: BlockId, revision: Revision) {
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        // A subnet that was ordered again for another zone stands there.
        if facts.zone != *zone {
            return;
        }
        if facts.seen.as_ref().is_some_and(|(_, newest)| revision < *newest) {
            return;
        }
        facts.seen = None;
        facts.oldest_own = None;
        facts.gone = true;
        self.judge_gone(id);
    }

    /// A block is gone with its subnet, which is returned only once nothing in it is held: or the store
    /// lost its memory. What was leaving may have left, and what an earlier incarnation held was
    /// swept: both may still stand in the journal, so nothing is said before this boot is registered.
    pub(super) fn judge_gone(&mut self, id: BlockId) {
        let Some(me) = self.me() else { return };
        if !self.blocks.get(&id).is_some_and(|facts| facts.gone) {
            return;
        }
        let kept = |life: &Life| !matches!(life, Life::Leaving { .. });
        let life = self.life();
        let kept = self
            .held_of(id)
            .filter(|(_, held)| held.holding.incarnation == me.incarnation && kept(&held.holding.state));
        let (here, before): (Vec<_>, Vec<_>) =
            kept.partition(|(_, held)| Some(held.holding.generation) == life);
        if !here.is_empty() {
            return self.freeze(format!("block {id} is gone, and this host holds addresses of it"));
        }
        if !before.is_empty() {
            // The store was made anew, and this zone's part of it is not yet.
            return;
        }
        let left: Vec<IpAddr> = self.held_of(id).map(|(address, _)| address).collect();
        let mut records = Vec::new();
        for address in left {
            self.lose(address);
            records.push(self.address_record(address));
        }
        self.persist(records, Durability::Written, AfterPersist::Nothing);
        // A new one of the same CIDR starts with numbers above.
        self.blocks.remove(&id);
        self.published.remove(&id);
    }

    pub(super) fn acted_upon(&mut self, id: BlockId, block: &Block, revision: Revision) {
        let none_held = self.me().is_some_and(|me| block.held_by(&me).next().is_none());
        let shown = block.operation_of(&self.identity.host);
        let Some(facts) = self.blocks.get_mut(&id) else { return };
        facts.acted = facts.acted.max(revision);
        facts.take = facts.take.max(block.take_number());
        facts.committed = facts.committed.max(shown);
        if none_held {
            // Nothing to re-take: what is gained here from now on is gained in this boot.
            self.usable_from_now(id);
        }
    }

    pub(super) fn usable_from_now(&mut self, id: BlockId) {
        let boot = self.identity.boot.clone();
        let generation = self.cluster.journalled.as_ref().map(|(_, generation, _)| *generation);
        if let Some(facts) = self.blocks.get_mut(&id) {
            facts.boot = Some(boot);
            facts.generation = generation;
        }
    }

    pub(super) fn persist_block(&mut self, id: BlockId, touched: impl IntoIterator<Item = IpAddr>) {
        let mut records: Vec<Record> = self.block_record(id).into_iter().collect();
        records.extend(touched.into_iter().map(|address| self.address_record(address)));
        self.persist(records, Durability::Written, AfterPersist::Nothing);
    }

    /// A new life of the cluster: its revisions and numbers start anew.
    pub(super) fn forget_history(&mut self) -> Vec<Record> {
        for facts in self.blocks.values_mut() {
            let (boot, generation) = (facts.boot.take(), facts.generation);
            *facts = BlockFacts { boot, generation, ..BlockFacts::unknown(facts.zone.clone()) };
        }
        self.blocks.keys().filter_map(|id| self.block_record(*id)).collect()
    }

    pub(super) fn held_in(&self, id: BlockId) -> BTreeSet<IpAddr> {
        self.held_of(id).map(|(address, _)| address).collect()
    }

    pub(super) fn leaving_in(&self, id: BlockId) -> Vec<IpAddr> {
        let leaving = self.leaving.range(id.range()).copied();
        leaving.filter(|address| self.block_of(*address) == Some(id)).collect()
    }
}

/// The earliest incarnation of a host under which a block shows something as held.
pub(super) fn oldest_own(block: &Block, host: &HostId) -> Option<Incarnation> {
    block.held().values().filter(|held| held.by.host == *host).map(|held| held.by.incarnation).min()
}
