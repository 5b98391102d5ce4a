//! Whether this host may act: the cluster's life, this boot's registration, eviction, freezing.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::blocks::BlockFacts;
use super::journal::AfterPersist;
use super::{AfterSend, Durability, Host, RETRY_MILLIS};
use crate::cluster::{ClusterRecord, ClusterState, HostRecord};
use crate::epoch::Generation;
use crate::names::{BootId, Incarnation, InstanceId, Revision, Timestamp, Zone};
use crate::record::Record;
use crate::transaction::{Compare, Key, Prefix, Seen, Sent, Transaction, Value, Write};

/// How this host stands in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// Not registered in this boot; to be tried not before a time.
    Unregistered { not_before: Option<Timestamp> },
    /// A registration is on its way: first to the journal, then to the store.
    Registering { record: HostRecord, compare: Box<Compare> },
    /// The host's record shows this boot.
    Registered { incarnation: Incarnation, revision: Revision },
    /// The record is another machine's: this is a clone.
    OtherInstance { recorded: InstanceId },
    /// Another boot registered while this one ran: there are two of us.
    Superseded { by: BootId },
}

impl Standing {
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Unregistered { not_before } => *not_before,
            _ => None,
        }
    }
}

/// What is known of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ClusterFacts {
    /// The life the journal belongs to, and the newest revision seen in it.
    pub(super) journalled: Option<(String, Generation, Revision)>,
    /// The record, and when it was written.
    pub(super) seen: Option<(ClusterRecord, Revision)>,
    /// What this host saw that shows the store lost its memory.
    pub(super) frozen_why: Option<String>,
    /// Whether the record is being frozen.
    pub(super) freezing: bool,
    /// What is to be read again: it was seen before this life of the cluster was met, perhaps already in it.
    unread: BTreeSet<Key>,
}

impl Host {
    pub(super) fn look_at_standing(&mut self) {
        self.look_at_freezing();
        if self.standing.due().is_some_and(|due| due <= self.now) && !self.listed.contains(&Prefix::Hosts) {
            self.read_again();
        }
        if self.cluster.frozen_why.is_some()
            || !self.listed.contains(&Prefix::Hosts)
            || !matches!(&self.cluster.seen, Some((cluster, _)) if cluster.state == ClusterState::Open)
        {
            return;
        }
        match &self.standing {
            Standing::Registering { .. } | Standing::Superseded { .. } => return,
            Standing::Unregistered { not_before: Some(due) } if *due > self.now => return,
            _ => (),
        }
        let key = Key::Host(self.identity.host.clone());
        let Some((own, revision)) = self.hosts.get(&self.identity.host).cloned() else {
            return self.register_first(key);
        };
        if own.instance != self.identity.instance {
            self.standing = Standing::OtherInstance { recorded: own.instance };
            return;
        }
        let known = self.known_boots.contains(&own.boot);
        // An incarnation is journalled before it is registered, so knowing a newer one proves nothing;
        // having gained something in it does.
        let ours = self.incarnation.unwrap_or_default();
        let gained = || self.held.values().any(|held| held.holding.incarnation == ours);
        if known && own.incarnation < ours && gained() {
            return self.freeze("the record of this host shows an earlier incarnation than its journal");
        }
        let current = self.incarnation == Some(own.incarnation);
        let all_told = own.zones == self.identity.zones
            && own.left == self.left_after(&own)
            && !self.has_an_answer(&own);
        if own.boot == self.identity.boot && known && current && all_told {
            self.stand(own.incarnation, revision);
            return;
        }
        if !known && matches!(self.standing, Standing::Registered { .. }) {
            // One machine cannot be in two boots at once: somebody else runs under this id.
            self.revoke_all();
            self.standing = Standing::Superseded { by: own.boot };
            return;
        }
        // A journal that does not know the record's boot was lost or rolled back, so what it says of
        // holdings is worth nothing: this host evicts itself.
        let incarnation = if known { own.incarnation } else { Incarnation(own.incarnation.0 + 1) }.max(ours);
        if !known || !current {
            self.revoke_all();
        }
        self.register(incarnation, Compare::At { key, revision });
    }

    fn register_first(&mut self, key: Key) {
        // What was held in an earlier life of the cluster is no evidence: a store made anew knows no hosts.
        let life = self.life();
        let mut held = self.held.values();
        if held.any(|held| Some(held.holding.generation) == life)
            || self.blocks.values().any(|facts| facts.committed > 0)
        {
            return self.freeze("the store has no record of this host, and the journal has holdings");
        }
        let incarnation = self.incarnation.unwrap_or(Incarnation(1));
        self.register(incarnation, Compare::Absent(key));
    }

    /// Journals the boot and then registers it, so that the journal knows every boot that the record
    /// may ever show.
    fn register(&mut self, incarnation: Incarnation, compare: Compare) {
        let boot = self.identity.boot.clone();
        // Once all is claimed in a life of the cluster, it stays so.
        let own = self.hosts.get(&self.identity.host).map(|(own, _)| own);
        let before = own.and_then(|own| own.answered);
        let left = own.map(|own| self.left_after(own)).unwrap_or_default();
        let record = HostRecord {
            instance: self.identity.instance.clone(),
            incarnation,
            boot: boot.clone(),
            zones: self.identity.zones.clone(),
            left,
            answered: self.accounted_in().max(before),
        };
        self.known_boots.insert(boot.clone());
        self.incarnation = Some(incarnation);
        self.standing = Standing::Registering { record, compare: Box::new(compare) };
        self.persist(vec![Record::Boot { boot, incarnation }], Durability::Synced, AfterPersist::Register);
    }

    /// The zones in which this host may still have something, although it is not in them any more.
    fn left_after(&self, own: &HostRecord) -> BTreeSet<Zone> {
        let former = own.zones.union(&own.left).filter(|zone| !self.identity.zones.contains(zone));
        former.filter(|zone| !self.has_nothing_in(zone)).cloned().collect()
    }

    fn has_nothing_in(&self, zone: &Zone) -> bool {
        let host = &self.identity.host;
        let is_its = |facts: &BlockFacts| {
            let shown =
                facts.seen.iter().any(|(block, _)| block.held().values().any(|held| held.by.host == *host));
            shown || facts.flight.is_some()
        };
        let mut blocks = self.blocks.iter().filter(|(_, facts)| facts.zone == *zone);
        self.listed.contains(&Prefix::Blocks(zone.clone()))
            && blocks.all(|(id, facts)| !is_its(facts) && self.held_of(*id).next().is_none())
    }

    /// Whether this host can say what its record does not: that it has accounted for the lives before.
    fn has_an_answer(&self, own: &HostRecord) -> bool {
        self.accounted_in().is_some_and(|answer| own.answered < Some(answer))
    }

    /// The life of the cluster in which nothing is left with this host that it held in an earlier one, if
    /// its journal tells all that its containers use.
    fn accounted_in(&self) -> Option<Generation> {
        let life = self.life().filter(|_| self.accounted)?;
        let mut held = self.held.values();
        let mut blocks = self.blocks.values();
        let all_claimed = held.all(|held| held.holding.generation == life);
        (all_claimed && blocks.all(|facts| facts.flight.is_none())).then_some(life)
    }

    pub(super) fn register_persisted(&mut self, done: bool) {
        let Standing::Registering { record, compare } = self.standing.clone() else { return };
        let Some(cluster) = self.same_life_compare().filter(|_| done) else {
            self.standing = Standing::Unregistered { not_before: Some(self.now.after(RETRY_MILLIS)) };
            return;
        };
        let host = self.identity.host.clone();
        let before = self.hosts.get(&host).map(|(before, _)| before.zones.clone()).unwrap_or_default();
        // Nothing is to be had from this host any more in a zone that it left.
        let left = before.difference(&record.zones);
        let hints = left.map(|zone| Write::Delete(Key::Surplus { zone: zone.clone(), host: host.clone() }));
        let mut writes: Vec<Write> = hints.collect();
        writes.push(Write::Put { key: Key::Host(host), value: Value::Host(record) });
        let transaction = Transaction { compares: vec![cluster, *compare], writes };
        self.send(transaction, AfterSend::Register);
    }

    pub(super) fn register_sent(&mut self, outcome: Sent) {
        let Standing::Registering { record, .. } = self.standing.clone() else { return };
        self.standing = Standing::Unregistered { not_before: None };
        match outcome {
            Sent::Committed { revision } => {
                let key = Key::Host(self.identity.host.clone());
                self.seen(vec![Seen { key, value: Some(Value::Host(record)), revision }]);
            }
            Sent::Conflict { now } => self.seen(now),
            // Landed or not, the record will show it: a second registration compares the same
            // revision, so only one of them takes effect.
            Sent::Failed | Sent::Unknown => {
                self.standing = Standing::Unregistered { not_before: Some(self.now.after(RETRY_MILLIS)) };
                self.read(vec![Key::Cluster, Key::Host(self.identity.host.clone())]);
            }
        }
    }

    /// This boot is registered: what was held under it is usable, what an earlier incarnation held
    /// is not ours any more.
    fn stand(&mut self, incarnation: Incarnation, revision: Revision) {
        let standing = Standing::Registered { incarnation, revision };
        if self.standing != standing {
            self.standing = standing;
            self.revoke_below(incarnation);
            self.reconcile_all();
        }
    }

    /// The store lost its memory: nothing is taken, given or adopted until it is rebuilt.
    pub(super) fn freeze(&mut self, why: impl Into<String>) {
        self.cluster.frozen_why.get_or_insert(why.into());
    }

    fn look_at_freezing(&mut self) {
        let Some((record, _)) = &self.cluster.seen else { return };
        if self.cluster.frozen_why.is_none() || self.cluster.freezing || record.state == ClusterState::Frozen
        {
            return;
        }
        let frozen = ClusterRecord { state: ClusterState::Frozen, ..record.clone() };
        let transaction = Transaction {
            compares: vec![Compare::Holds { key: Key::Cluster, value: Value::Cluster(record.clone()) }],
            writes: vec![Write::Put { key: Key::Cluster, value: Value::Cluster(frozen) }],
        };
        self.cluster.freezing = true;
        self.send(transaction, AfterSend::Freeze);
    }

    pub(super) fn freeze_sent(&mut self, outcome: Sent) {
        if let Sent::Conflict { now } = outcome {
            self.cluster.freezing = false;
            self.seen(now);
        }
        // Failed or unknown: this host stays frozen by itself, and the next to notice writes it.
    }

    /// Takes note of the cluster record, and of a new life of the cluster.
    pub(super) fn cluster_seen(&mut self, record: Option<ClusterRecord>, revision: Revision) {
        let Some(record) = record else {
            if self.cluster.journalled.is_some() {
                self.freeze("the cluster record is missing");
            }
            self.cluster.seen = None;
            return;
        };
        match &self.cluster.journalled {
            Some((id, _, _)) if *id != record.id => {
                self.cluster.seen = Some((record, revision));
                return self.freeze("the store belongs to another cluster");
            }
            Some((_, generation, _)) if record.generation < *generation => {
                self.cluster.seen = Some((record, revision));
                return self.freeze("the cluster record is of an earlier generation");
            }
            Some((_, generation, _)) if record.generation == *generation => (),
            _ => self.meet_generation(&record, revision),
        }
        self.cluster.seen = Some((record, revision));
    }

    /// A new life of the cluster: its revisions and operation numbers have nothing to do with the
    /// old ones. Running assignments stay, and are claimed from quarantine.
    fn meet_generation(&mut self, record: &ClusterRecord, revision: Revision) {
        let renewed = self.cluster.journalled.is_some();
        let held: Vec<IpAddr> = self.held.keys().copied().collect();
        for address in &held {
            self.unindex(*address);
        }
        self.cluster.journalled = Some((record.id.clone(), record.generation, revision));
        self.cluster.frozen_why = None;
        self.cluster.freezing = false;
        let noted = Record::Cluster { id: record.id.clone(), generation: record.generation, revision };
        // A write that is torn keeps the first records: the new life last, or its blocks would be judged by the
        // numbers of the old one.
        let mut records = Vec::new();
        if renewed {
            records.extend(self.forget_history());
            self.cluster.unread = self.known_keys().collect();
            self.hosts.clear();
            self.forget_words();
            self.listed.remove(&Prefix::Hosts);
            self.read_again();
        }
        records.push(noted);
        // What was free is usable again only once it was re-taken.
        for address in held {
            self.index(address);
        }
        self.persist(records, Durability::Synced, AfterPersist::Nothing);
    }

    /// What hosts said to each other, and what is open, may stand otherwise now, at revisions that have
    /// nothing to do with the old ones.
    fn forget_words(&mut self) {
        self.asked.clear();
        self.wants.clear();
        self.hints.forget();
        self.published.values_mut().for_each(super::PublishedFacts::forget);
    }

    /// What was known is of an earlier life: no watch need show what did not change since.
    fn read_again(&mut self) {
        self.standing = Standing::Unregistered { not_before: Some(self.now.after(RETRY_MILLIS)) };
        let mut keys = self.cluster.unread.clone();
        keys.extend(self.blocks.iter().map(|(id, facts)| facts.key(*id)));
        keys.insert(Key::Host(self.identity.host.clone()));
        self.read(keys.into_iter().collect());
    }

    pub(super) fn read_found(&mut self, found: Vec<Seen>) {
        let own = Key::Host(self.identity.host.clone());
        let whole = found.iter().any(|seen| seen.key == own);
        self.seen(found);
        if whole && self.listed.insert(Prefix::Hosts) {
            self.cluster.unread.clear();
            self.standing = Standing::Unregistered { not_before: None };
        }
    }
}
