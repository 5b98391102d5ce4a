//! The capacity role of a zone: one owner with a term, which every write compares. What it decides about hosts
//! and quarantines is `ipam::role`, the production code; here are its look, its memory, and its way to the store.

use std::collections::{BTreeMap, BTreeSet};

use ipam::role::{
    BlockSeen, Ending, EvictionStep, Evictions, HostSeen, HostsSeen, Patience, ProviderWord, Quarantines,
    UseWord, WantSeen, raise, sweep, sweep_wants,
};
use ipam::{
    Block, BlockId, Eviction, EvictionWord, HostId, HostRecord, Incarnation, Key as IpamKey, Prefix,
    Revision, Sent, Timestamp,
};
use ipnetwork::IpNetwork;

use crate::Moment;
use crate::coverage::Sometimes;
use crate::fleet::{Event, Fleet};
use crate::provider::{MachineState, STALENESS_MAX};
use crate::script::{Site, zone};
use crate::store::{Compare, Transaction};
use crate::wire::Ask;
use crate::words::{self, FleetTransaction, Fleets, Key, Owner, Value};

/// Between two looks, in milliseconds.
const LOOK_MILLIS: u64 = 3_000;

/// The same while nothing is to be done, or nothing has come of looking for long.
const IDLE_MILLIS: u64 = 25_000;

/// How long there must have been something to be done until it is looked at seldom, in milliseconds.
const LONG_MILLIS: u64 = 300_000;

/// How long an owner's session must have been absent before another host follows it: L + D.
const FOLLOW_MILLIS: u64 = 40_000;

/// Between the two questions about a host.
const PAUSE_MILLIS: u64 = 15_000;

/// How long an address rests in quarantine. Agents let it rest ten times as long; promises must not depend on it.
const REST_MILLIS: u64 = 60_000;

/// What the present owner remembers. A new owner begins with nothing.
#[derive(Debug)]
pub(crate) struct Role {
    /// Whose memory this is.
    of: Option<(usize, u64)>,
    evictions: Evictions,
    quarantines: Quarantines,
    /// Since when each host sees the owner of a term silent.
    silent: BTreeMap<usize, (u64, Moment)>,
    /// When each subnet was returned.
    pub(crate) returned: BTreeMap<IpNetwork, Moment>,
    /// Since when there is something to be done.
    pub(crate) needed_since: Option<Moment>,
}

impl Default for Role {
    fn default() -> Self {
        let patience = Patience { staleness_millis: STALENESS_MAX, pause_millis: PAUSE_MILLIS };
        Self {
            of: None,
            evictions: Evictions::new(patience),
            quarantines: Quarantines::new(REST_MILLIS),
            silent: BTreeMap::new(),
            returned: BTreeMap::new(),
            needed_since: None,
        }
    }
}

/// What an owner of the role sees of its zone.
struct Look {
    zone: usize,
    hosts: HostsSeen,
    blocks: Vec<BlockSeen>,
}

impl Fleet {
    /// Every host of the zone with an agent that reaches the store looks whether the role is its own.
    pub(crate) fn role_looks(&mut self, of: usize) {
        self.keep_sessions();
        let needed = self.role_is_needed(of);
        let wait = self.until_next_look(of, needed);
        self.after(wait, Event::Role { zone: of });
        if !needed {
            return;
        }
        let zone = zone(of);
        for machine in 0..self.machines.len() {
            let reaches = self.answers(machine) && self.hears(machine);
            let at = &self.machines[machine];
            let takes_part = reaches && !at.is_clone && at.identity.zones.contains(&zone);
            let Some(agent) = at.awake().filter(|_| takes_part) else { continue };
            let life = agent.life;
            let owner = match self.store.get(&Key::Owner(zone.clone())) {
                Some((Value::Owner(owner), revision)) => Some((owner.clone(), revision)),
                _ => None,
            };
            match owner {
                Some((owner, revision)) if owner.host == at.identity.host && owner.life == life => {
                    self.work(of, (machine, life), revision);
                }
                Some((owner, revision)) => self.perhaps_follow(of, machine, &owner, revision),
                None => self.claim_role(of, machine, 1, Compare::Absent(Key::Owner(zone.clone()))),
            }
        }
    }

    fn until_next_look(&mut self, of: usize, needed: bool) -> u64 {
        let now = self.now;
        let role = &mut self.roles[of];
        role.needed_since = role.needed_since.filter(|_| needed).or(needed.then_some(now));
        match role.needed_since {
            Some(since) if now - since < LONG_MILLIS => LOOK_MILLIS,
            _ => IDLE_MILLIS,
        }
    }

    /// Whether there is anything to wait for: idle hours are left idle.
    fn role_is_needed(&self, of: usize) -> bool {
        let zone = zone(of);
        let mut holders = BTreeSet::new();
        for (block, _) in self.blocks_in(of) {
            if block.state() != ipam::BlockState::Open || !block.quarantined().is_empty() {
                return true;
            }
            holders.extend(block.held().values().map(|held| &held.by.host));
        }
        let owned = match self.store.get(&Key::Owner(zone)) {
            Some((Value::Owner(owner), _)) => self.is_there(&owner.host, of),
            _ => false,
        };
        let opened = |site: &Site| self.block_of(site.cidr.ip()).is_some();
        let want = |key: &Key| matches!(key, Key::Ipam(IpamKey::Want { .. }));
        !owned
            || self.store.entries().any(|(key, _)| want(key))
            || holders.iter().any(|host| self.store.get(&session_key(host)).is_none())
            || !self.script.sites.iter().filter(|site| site.zone == of).all(opened)
    }

    /// Whether a host's session stands, and the host is in the zone.
    fn is_there(&self, host: &HostId, of: usize) -> bool {
        let record = self.store.get(&Key::Ipam(IpamKey::Host(host.clone())));
        let in_zone = matches!(record, Some((Value::Ipam(ipam::Value::Host(record)), _))
            if record.zones.contains(&zone(of)));
        in_zone && self.store.get(&session_key(host)).is_some()
    }

    /// Another host has the role, or a former process of this one.
    fn perhaps_follow(&mut self, of: usize, machine: usize, owner: &Owner, revision: u64) {
        let at_that = Compare::At(Key::Owner(zone(of)), revision);
        if owner.host == self.machines[machine].identity.host {
            return self.claim_role(of, machine, owner.term + 1, at_that);
        }
        if self.is_there(&owner.host, of) {
            self.roles[of].silent.remove(&machine);
            return;
        }
        let now = self.now;
        let (term, since) = *self.roles[of].silent.entry(machine).or_insert((owner.term, now));
        if term != owner.term {
            self.roles[of].silent.insert(machine, (owner.term, now));
        } else if now - since >= FOLLOW_MILLIS {
            self.coverage.reached(Sometimes::RoleMoved);
            self.claim_role(of, machine, owner.term + 1, at_that);
        }
    }

    fn claim_role(&mut self, of: usize, machine: usize, term: u64, compare: Compare<Fleets>) {
        let at = &self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let host = at.identity.host.clone();
        let Some((Value::Ipam(ipam::Value::Host(record)), _)) =
            self.store.get(&Key::Ipam(IpamKey::Host(host.clone())))
        else {
            return;
        };
        let owner = Owner { host, incarnation: record.incarnation, life: agent.life, term };
        let writes = vec![(Key::Owner(zone(of)), Some(Value::Owner(owner)))];
        self.write(&Transaction { compares: vec![compare], writes });
    }

    /// The owner's look: each thing it does is one transaction, on its way like any other.
    fn work(&mut self, of: usize, (machine, life): (usize, u64), owner: u64) {
        if self.roles[of].of != Some((machine, life)) {
            let Role { silent, returned, needed_since, .. } = std::mem::take(&mut self.roles[of]);
            self.roles[of] =
                Role { of: Some((machine, life)), silent, returned, needed_since, ..Role::default() };
        }
        let Some((Value::Ipam(ipam::Value::Cluster(cluster)), at)) =
            self.store.get(&Key::Ipam(IpamKey::Cluster))
        else {
            return;
        };
        if cluster.state != ipam::ClusterState::Open {
            return;
        }
        let footing =
            [Compare::At(Key::Owner(zone(of)), owner), Compare::At(Key::Ipam(IpamKey::Cluster), at)];
        let clock = self.machines[machine].clock.at(self.now);
        let look = Look { zone: of, hosts: self.hosts_seen(), blocks: self.blocks_seen(of) };
        let over = self.rebuild.as_ref().is_none_or(|rebuild| rebuild.is_over(&look.hosts));
        self.roles[of].quarantines.rebuild_is_over(over);
        for ending in self.end_quarantines(clock, &look) {
            let mut transaction = words::of_a_host(ending.transaction.clone());
            transaction.compares.extend(footing.iter().cloned());
            self.transmit(machine, Ask::Ending(of, Box::new(ending), transaction));
        }
        let mut transactions = self.care_for_hosts(machine, clock, &look);
        transactions.extend(self.left_wants(&look));
        transactions.extend(self.subnet_steps(of));
        for mut transaction in transactions {
            transaction.compares.extend(footing.iter().cloned());
            self.transmit(machine, Ask::Role(transaction));
        }
    }

    fn care_for_hosts(&mut self, machine: usize, clock: Timestamp, look: &Look) -> Vec<FleetTransaction> {
        let me = self.machines[machine].identity.host.clone();
        let (of, hosts, blocks) = (look.zone, &look.hosts, &look.blocks);
        let mut transactions = Vec::new();
        for step in self.roles[of].evictions.look(clock, &me, hosts, blocks) {
            match step {
                EvictionStep::Ask { host, instance } => {
                    let word = self.provider_says(machine, &instance);
                    self.roles[of].evictions.heard(clock, &host, word);
                }
                EvictionStep::Raise { host, why } => {
                    let now = self.now;
                    self.story.say(now, || format!("the role evicts {host}: {why}"));
                    self.coverage.reached(Sometimes::Evicted);
                    let word = EvictionWord::Provider { said: why };
                    let eviction =
                        Eviction { incarnation: Incarnation(0), by: me.clone(), at: String::new(), word };
                    let Some(seen) = hosts.get(&host) else { continue };
                    transactions.push(words::of_a_host(raise(&host, seen, eviction, false)));
                }
                EvictionStep::Sweep { host, below, block } => {
                    let Some(seen) = blocks.iter().find(|seen| seen.block.id() == block) else { continue };
                    let key = Key::Ipam(IpamKey::Published { host: host.clone(), block });
                    let published = match self.store.get(&key) {
                        Some((Value::Ipam(ipam::Value::Published(published)), revision)) => {
                            Some((published.clone(), Revision(revision)))
                        }
                        _ => None,
                    };
                    let why = "the provider says so";
                    let swept = sweep(seen, published.as_ref(), &host, below, why);
                    transactions.extend(swept.map(words::of_a_host));
                }
            }
        }
        transactions
    }

    fn provider_says(&mut self, asker: usize, instance: &ipam::InstanceId) -> ProviderWord {
        let now = self.now;
        let stale = self.provider.stale > 0;
        let age = if stale { self.machines[asker].chance.below(STALENESS_MAX) } else { 0 };
        let said = self.provider.state(now, instance, age);
        if said != self.provider.state(now, instance, 0) {
            self.coverage.reached(Sometimes::StaleRead);
        }
        match said {
            MachineState::Deleted => ProviderWord::Deleted,
            MachineState::Off => ProviderWord::Off,
            MachineState::Running => ProviderWord::NoWitness("running".into()),
            MachineState::Suspended => ProviderWord::NoWitness("suspended".into()),
        }
    }

    fn end_quarantines(&mut self, clock: Timestamp, look: &Look) -> Vec<Ending> {
        let quarantines = &mut self.roles[look.zone].quarantines;
        for address in quarantines.look(clock, &look.blocks, &look.hosts).into_values().flatten() {
            // Who stands still does not answer on the wire.
            let used = self.machines.iter().any(|at| at.is_up() && at.kernel.contains_key(&address));
            let word = if used { UseWord::Used("the wire".into()) } else { UseWord::Nobody };
            quarantines.heard(clock, address, word);
        }
        let endings = quarantines.endings(clock, &look.blocks);
        if !endings.is_empty() {
            self.coverage.reached(Sometimes::QuarantineEnded);
        }
        endings
    }

    /// What became of an ending is told to the owner that sent it.
    pub(crate) fn quarantines_ended(
        &mut self,
        of: usize,
        (machine, life): (usize, u64),
        ending: &Ending,
        outcome: &Sent,
    ) {
        let clock = self.machines[machine].clock.at(self.now);
        let role = &mut self.roles[of];
        if role.of == Some((machine, life)) {
            role.quarantines.ended(clock, ending, outcome);
        }
    }

    /// What nobody will answer, or nobody waits for.
    fn left_wants(&self, look: &Look) -> Option<FleetTransaction> {
        let zone_here = zone(look.zone);
        let wants = self.store.entries().filter_map(|(key, value)| match (key, value) {
            (Key::Ipam(IpamKey::Want { zone, holder, asker }), Value::Ipam(ipam::Value::Want(want)))
                if *zone == zone_here =>
            {
                let (_, revision) = self.store.get(key)?;
                let (holder, asker) = (holder.clone(), asker.clone());
                Some(WantSeen { holder, asker, want: want.clone(), revision: Revision(revision) })
            }
            _ => None,
        });
        let wants: Vec<WantSeen> = wants.collect();
        sweep_wants(&zone_here, &look.hosts, &wants).map(words::of_a_host)
    }

    /// The compare that a key stands as it does now.
    pub(crate) fn compare(&self, key: &Key) -> Compare<Fleets> {
        match self.store.get(key) {
            Some((_, revision)) => Compare::At(key.clone(), revision),
            None => Compare::Absent(key.clone()),
        }
    }

    fn blocks_seen(&self, of: usize) -> Vec<BlockSeen> {
        let seen = |(block, revision): (&Block, u64)| {
            let (block, revision) = (block.clone(), Revision(revision));
            BlockSeen { zone: zone(of), block, revision }
        };
        self.blocks_in(of).map(seen).collect()
    }

    pub(crate) fn hosts_seen(&self) -> HostsSeen {
        let hosts =
            self.store.range(&Prefix::Hosts).filter_map(|(key, value, revision)| match (key, value) {
                (Key::Ipam(IpamKey::Host(host)), Value::Ipam(ipam::Value::Host(record))) => {
                    Some((host.clone(), self.host_seen(host, record, revision)))
                }
                _ => None,
            });
        hosts.collect()
    }

    fn host_seen(&self, host: &HostId, record: &HostRecord, revision: u64) -> HostSeen {
        let witnessed = match self.store.get(&Key::Ipam(IpamKey::Eviction(host.clone()))) {
            Some((Value::Ipam(ipam::Value::Eviction(eviction)), _)) => Some(eviction.incarnation),
            _ => None,
        };
        let alive = self.store.get(&session_key(host)).is_some();
        HostSeen { record: record.clone(), revision: Revision(revision), alive, witnessed }
    }
}

fn session_key(host: &HostId) -> Key {
    Key::Ipam(IpamKey::Session(host.clone()))
}

pub(crate) fn block_key(of: usize, block: BlockId) -> Key {
    Key::Ipam(IpamKey::Block { zone: zone(of), block })
}
