//! The capacity role of the zone: evicts with a witness, sweeps, ends quarantines. One owner with a term, which
//! every write compares.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::{
    Block, BlockCommand, BlockId, Holder, HostId, HostRecord, Incarnation, Key as IpamKey, Prefix, Published,
    Zone,
};

use ipnetwork::IpNetwork;

use crate::Moment;
use crate::coverage::Sometimes;
use crate::fleet::{Event, Fleet, ZONE};
use crate::provider::{MachineState, STALENESS_MAX};
use crate::store::{Compare, Transaction};
use crate::wire::Ask;
use crate::words::{FleetTransaction, Key, Owner, Value};

/// Between two looks, in milliseconds.
const LOOK_MILLIS: u64 = 3_000;

/// The same while nothing is to be done.
const IDLE_MILLIS: u64 = 30_000;

/// How long an owner's session must have been absent before another host follows it: L + D.
const FOLLOW_MILLIS: u64 = 40_000;

/// Between the two questions about a host.
const PAUSE_MILLIS: u64 = 5_000;

/// How long a quarantine lasts.
const QUARANTINE_MILLIS: u64 = 60_000;

/// What the present owner has seen. A new owner begins with nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Role {
    /// Whose memory this is.
    of: Option<(usize, u64)>,
    absent: BTreeMap<HostId, Absence>,
    quarantined: BTreeMap<(IpAddr, Holder, u64), Moment>,
    /// Since when each host sees the owner of a term silent.
    silent: BTreeMap<usize, (u64, Moment)>,
    /// When each subnet was returned.
    pub(crate) returned: BTreeMap<IpNetwork, Moment>,
}

/// A host whose session is absent.
#[derive(Clone, Copy, Debug)]
struct Absence {
    since: Moment,
    /// The record that stood then.
    record: u64,
    /// When the provider first said that it is gone.
    witnessed: Option<Moment>,
}

impl Fleet {
    /// Every host with an agent that reaches the store looks whether the role is its own.
    pub(crate) fn role_looks(&mut self) {
        self.keep_sessions();
        let wait = if self.role_is_needed() { LOOK_MILLIS } else { IDLE_MILLIS };
        self.after(wait, Event::Role);
        for machine in 0..self.machines.len() {
            let reaches = self.answers(machine) && self.hears(machine);
            let at = &self.machines[machine];
            let Some(agent) = at.awake().filter(|_| reaches && !at.is_clone) else { continue };
            let life = agent.life;
            let host = self.machines[machine].identity.host.clone();
            let owner = match self.store.get(&owner_key()) {
                Some((Value::Owner(owner), revision)) => Some((owner.clone(), revision)),
                _ => None,
            };
            match owner {
                Some((owner, revision)) if owner.host == host && owner.life == life => {
                    self.work(machine, life, revision);
                }
                Some((owner, revision)) => self.perhaps_follow(machine, &owner, revision),
                None => self.claim_role(machine, 1, Compare::Absent(owner_key())),
            }
        }
    }

    /// Whether there is anything to wait for: idle hours are left idle.
    fn role_is_needed(&self) -> bool {
        let silent = |host: &HostId| self.store.get(&Key::Session(host.clone())).is_none();
        let busy = |block: &Block| block.state() != ipam::BlockState::Open || !block.quarantined().is_empty();
        self.store.get(&owner_key()).is_none()
            || self.blocks().count() < self.script.subnets.len()
            || self.blocks().any(busy)
            || self.records().iter().any(|(host, ..)| silent(host))
    }

    /// Another host has the role, or a former process of this one.
    fn perhaps_follow(&mut self, machine: usize, owner: &Owner, revision: u64) {
        let at_that = Compare::At(owner_key(), revision);
        if owner.host == self.machines[machine].identity.host {
            return self.claim_role(machine, owner.term + 1, at_that);
        }
        if self.store.get(&Key::Session(owner.host.clone())).is_some() {
            self.role.silent.remove(&machine);
            return;
        }
        let now = self.now;
        let (term, since) = *self.role.silent.entry(machine).or_insert((owner.term, now));
        if term != owner.term {
            self.role.silent.insert(machine, (owner.term, now));
        } else if now - since >= FOLLOW_MILLIS {
            self.coverage.reached(Sometimes::RoleMoved);
            self.claim_role(machine, owner.term + 1, at_that);
        }
    }

    fn claim_role(&mut self, machine: usize, term: u64, compare: Compare<crate::words::Fleets>) {
        let at = &self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let Some(record) = self.record(&at.identity.host) else { return };
        let owner = Owner {
            host: at.identity.host.clone(),
            incarnation: record.0.incarnation,
            life: agent.life,
            term,
        };
        let transaction =
            Transaction { compares: vec![compare], writes: vec![(owner_key(), Some(Value::Owner(owner)))] };
        self.write(&transaction);
    }

    /// The owner's look: each thing it does is one transaction, on the way like any other.
    fn work(&mut self, machine: usize, life: u64, owner: u64) {
        if self.role.of != Some((machine, life)) {
            let silent = std::mem::take(&mut self.role.silent);
            self.role = Role { of: Some((machine, life)), silent, ..Role::default() };
        }
        let frozen = !matches!(
            self.store.get(&Key::Ipam(IpamKey::Cluster)),
            Some((Value::Ipam(ipam::Value::Cluster(cluster)), _)) if cluster.state == ipam::ClusterState::Open
        );
        if frozen {
            return;
        }
        let mut transactions = self.evictions(machine);
        transactions.extend(self.sweeps());
        transactions.extend(self.quarantine_ends());
        transactions.extend(self.unanswerable_wants());
        transactions.extend(self.subnet_steps());
        let cluster = self.store.get(&Key::Ipam(IpamKey::Cluster)).map_or(0, |(_, revision)| revision);
        for mut transaction in transactions {
            transaction.compares.push(Compare::At(owner_key(), owner));
            transaction.compares.push(Compare::At(Key::Ipam(IpamKey::Cluster), cluster));
            self.transmit(machine, Ask::Role(transaction));
        }
    }

    /// Hosts whose session was absent and whose record was unchanged for longer than the provider's answers are
    /// old, and of which it says twice, with a pause, that they are gone: their incarnation is raised.
    fn evictions(&mut self, asker: usize) -> Vec<FleetTransaction> {
        let now = self.now;
        let mut evictions = Vec::new();
        for (host, record, revision) in self.records() {
            let holds = |block: &Block| block.held().values().any(|held| held.by.host == host);
            if self.store.get(&Key::Session(host.clone())).is_some() || !self.blocks().any(holds) {
                self.role.absent.remove(&host);
                continue;
            }
            let anew = Absence { since: now, record: revision, witnessed: None };
            let absence = self.role.absent.entry(host.clone()).or_insert(anew);
            if absence.record != revision {
                *absence = anew;
            }
            if now - absence.since < STALENESS_MAX {
                continue;
            }
            let age =
                if self.provider.stale > 0 { self.machines[asker].chance.below(STALENESS_MAX) } else { 0 };
            let said = self.provider.state(now, &record.instance, age);
            if said != self.provider.state(now, &record.instance, 0) {
                self.coverage.reached(Sometimes::StaleRead);
            }
            if !matches!(said, MachineState::Off | MachineState::Deleted) {
                absence.witnessed = None;
                continue;
            }
            let first = *absence.witnessed.get_or_insert(now);
            if now - first < PAUSE_MILLIS {
                continue;
            }
            // Off and forgiven: only what stays off, or is gone, is worth an eviction.
            if said == MachineState::Off && now - absence.since < 3 * STALENESS_MAX {
                continue;
            }
            self.coverage.reached(Sometimes::Evicted);
            self.story.say(now, || format!("the role evicts {host}: the provider says {said:?} twice"));
            let key = Key::Ipam(IpamKey::Host(host.clone()));
            let evicted = HostRecord { incarnation: Incarnation(record.incarnation.0 + 1), ..record };
            evictions.push(Transaction {
                compares: vec![Compare::At(key.clone(), revision), Compare::Absent(Key::Session(host))],
                writes: vec![(key, Some(Value::Ipam(ipam::Value::Host(evicted))))],
            });
        }
        evictions
    }

    /// What hosts held in earlier incarnations goes to quarantine, and its endpoints are closed.
    pub(crate) fn sweeps(&self) -> Vec<FleetTransaction> {
        let mut sweeps = Vec::new();
        for (host, record, _) in self.records() {
            for block in self.blocks() {
                let stale: Vec<IpAddr> = block
                    .held()
                    .iter()
                    .filter(|(_, held)| held.by.host == host && held.by.incarnation < record.incarnation)
                    .map(|(address, _)| *address)
                    .collect();
                if !stale.is_empty() {
                    sweeps.extend(self.sweep(&host, record.incarnation, block, &stale));
                }
            }
        }
        sweeps
    }

    fn sweep(
        &self,
        host: &HostId,
        below: Incarnation,
        block: &Block,
        stale: &[IpAddr],
    ) -> Option<FleetTransaction> {
        let id = block.id();
        let why = "it is gone: the provider says so".to_owned();
        let step = block.apply(BlockCommand::Sweep { host: host.clone(), below, why }).ok()?;
        let mut compares = vec![self.compare(&block_key(id))];
        let mut writes = vec![(block_key(id), Some(Value::Ipam(ipam::Value::Block(step.block))))];
        let published_key = Key::Ipam(IpamKey::Published { host: host.clone(), block: id });
        compares.push(self.compare(&published_key));
        if let Some((Value::Ipam(ipam::Value::Published(published)), _)) = self.store.get(&published_key) {
            let mut open = published.open.clone();
            for address in stale {
                if open.remove(address).is_some() {
                    writes.push((Key::Ipam(IpamKey::Endpoint(*address)), None));
                }
            }
            writes.push((published_key, Some(Value::Ipam(ipam::Value::Published(Published { open })))));
        }
        Some(Transaction { compares, writes })
    }

    /// Quarantines that this owner has seen for long enough, of addresses that nothing names any more.
    fn quarantine_ends(&mut self) -> Vec<FleetTransaction> {
        let now = self.now;
        let mut ends = Vec::new();
        let mut standing = BTreeMap::new();
        let blocks: Vec<Block> = self.blocks().cloned().collect();
        for block in blocks {
            let mut ended = block.clone();
            let mut compares = vec![self.compare(&block_key(block.id()))];
            for (address, quarantined) in block.quarantined() {
                let key = (*address, quarantined.was.by.clone(), quarantined.was.take);
                let since = self.role.quarantined.get(&key).copied().unwrap_or(now);
                standing.insert(key, since);
                let end = BlockCommand::EndQuarantine { address: *address, to: None };
                if now - since >= QUARANTINE_MILLIS
                    && let Ok(step) = ended.apply(end)
                {
                    ended = step.block;
                    compares.push(Compare::Absent(Key::Ipam(IpamKey::Endpoint(*address))));
                    compares.push(Compare::Empty(Prefix::Dependents(*address)));
                }
            }
            if ended != block {
                self.coverage.reached(Sometimes::QuarantineEnded);
                let writes = vec![(block_key(block.id()), Some(Value::Ipam(ipam::Value::Block(ended))))];
                ends.push(Transaction { compares, writes });
            }
        }
        self.role.quarantined = standing;
        ends
    }

    /// What is asked of a host that is silent: nobody will answer it, or remove it.
    fn unanswerable_wants(&self) -> Vec<FleetTransaction> {
        let wants = self.store.entries().filter_map(|(key, _)| match key {
            Key::Ipam(IpamKey::Want { holder, .. }) => {
                let silent = self.store.get(&Key::Session(holder.clone())).is_none();
                silent.then(|| Transaction {
                    compares: vec![self.compare(key)],
                    writes: vec![(key.clone(), None)],
                })
            }
            _ => None,
        });
        wants.collect()
    }

    /// The compare that a key stands as it does now.
    pub(crate) fn compare(&self, key: &Key) -> Compare<crate::words::Fleets> {
        match self.store.get(key) {
            Some((_, revision)) => Compare::At(key.clone(), revision),
            None => Compare::Absent(key.clone()),
        }
    }

    pub(crate) fn records(&self) -> Vec<(HostId, HostRecord, u64)> {
        let hosts =
            self.store.range(&Prefix::Hosts).filter_map(|(key, value, revision)| match (key, value) {
                (Key::Ipam(IpamKey::Host(host)), Value::Ipam(ipam::Value::Host(record))) => {
                    Some((host.clone(), record.clone(), revision))
                }
                _ => None,
            });
        hosts.collect()
    }

    pub(crate) fn record(&self, host: &HostId) -> Option<(HostRecord, u64)> {
        match self.store.get(&Key::Ipam(IpamKey::Host(host.clone()))) {
            Some((Value::Ipam(ipam::Value::Host(record)), revision)) => Some((record.clone(), revision)),
            _ => None,
        }
    }
}

pub(crate) fn owner_key() -> Key {
    Key::Owner(Zone::from(ZONE))
}

pub(crate) fn block_key(id: BlockId) -> Key {
    Key::Ipam(IpamKey::Block(id))
}
