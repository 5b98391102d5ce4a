//! The zone's capacity role in the world: the production machines, and a shell of a few lines.

use ipam::role::*;
use ipam::*;

use super::{World, ZONE, block_key};

/// R of this world, in milliseconds.
pub(crate) const STALENESS: u64 = 60_000;
pub(crate) const PAUSE: u64 = 15_000;
pub(crate) const REST: u64 = 600_000;

/// One owner of the role. It runs on a host that is not one of the machines.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) evictions: Evictions,
    pub(crate) quarantines: Quarantines,
}

impl Role {
    pub(crate) fn new() -> Self {
        let patience = Patience { staleness_millis: STALENESS, pause_millis: PAUSE };
        Self { evictions: Evictions::new(patience), quarantines: Quarantines::new(REST) }
    }
}

impl World {
    /// The machine's session begins.
    pub(crate) fn sign(&mut self, machine: usize) {
        let identity = &self.machines[machine].identity;
        let (key, boot) = (Key::Session(identity.host.clone()), identity.boot.clone());
        self.store.put(key, Value::Session(SignOfLife { boot }));
    }

    /// The machine's session lapses.
    pub(crate) fn lapse(&mut self, machine: usize) {
        self.store.delete(Key::Session(self.machines[machine].identity.host.clone()));
    }

    pub(crate) fn hosts_seen(&self) -> HostsSeen {
        let hosts = self.store.entries.iter().filter_map(|(key, (value, revision))| {
            let (Key::Host(host), Value::Host(record)) = (key, value) else { return None };
            let witnessed = match self.store.get(&Key::Eviction(host.clone())).value {
                Some(Value::Eviction(eviction)) => Some(eviction.incarnation),
                _ => None,
            };
            let alive = self.store.entries.contains_key(&Key::Session(host.clone()));
            Some((host.clone(), HostSeen { record: record.clone(), revision: *revision, alive, witnessed }))
        });
        hosts.collect()
    }

    fn block_seen(&self) -> BlockSeen {
        BlockSeen {
            zone: ZONE.into(),
            block: self.block(),
            revision: self.store.get(&block_key(self.block_id())).revision,
        }
    }

    /// Looks once, asks the cloud and the wire whatever is to be asked, and does what follows.
    pub(crate) fn role_pass(&mut self, role: &mut Role, cloud: impl Fn(&HostId) -> ProviderWord) {
        let me = HostId::from("elsewhere");
        loop {
            let (hosts, blocks) = (self.hosts_seen(), [self.block_seen()]);
            let steps = role.evictions.look(self.now, &me, &hosts, &blocks);
            if steps.is_empty() {
                break;
            }
            for step in steps {
                match step {
                    EvictionStep::Ask { host, .. } => role.evictions.heard(self.now, &host, cloud(&host)),
                    EvictionStep::Raise { host, why } => {
                        let transaction = raise(&host, &hosts[&host], eviction(&why), false);
                        self.store.commit(&transaction);
                    }
                    EvictionStep::Sweep { host, below, .. } => self.sweep_up(&host, below),
                }
            }
        }
        self.end_quarantines(&mut role.quarantines);
        self.check();
    }

    /// The role looks every ten seconds for so long.
    pub(crate) fn role_watches(
        &mut self,
        role: &mut Role,
        millis: u64,
        cloud: impl Fn(&HostId) -> ProviderWord,
    ) {
        let end = self.now.after(millis);
        while self.now < end {
            self.role_pass(role, &cloud);
            self.pass(10_000);
            self.run();
        }
    }

    fn sweep_up(&mut self, host: &HostId, below: Incarnation) {
        loop {
            let seen = self.block_seen();
            let published = self.store.get(&Key::Published { host: host.clone(), block: self.block_id() });
            let published = match published {
                Seen { value: Some(Value::Published(published)), revision, .. } => {
                    Some((published, revision))
                }
                _ => None,
            };
            let sweep = sweep(&seen, published.as_ref(), host, below, "it is off");
            let Some(transaction) = sweep else { return };
            assert!(matches!(self.store.commit(&transaction), Sent::Committed { .. }));
        }
    }

    fn end_quarantines(&mut self, quarantines: &mut Quarantines) {
        loop {
            let (hosts, blocks) = (self.hosts_seen(), [self.block_seen()]);
            for address in quarantines.look(self.now, &blocks, &hosts).into_values().flatten() {
                let used = self.machines.iter().any(|machine| machine.in_use.contains_key(&address));
                let word = if used { UseWord::Used("a container".into()) } else { UseWord::Nobody };
                quarantines.heard(self.now, address, word);
            }
            let endings = quarantines.endings(self.now, &blocks);
            if endings.is_empty() {
                return;
            }
            for ending in endings {
                let outcome = self.store.commit(&ending.transaction);
                quarantines.ended(self.now, &ending, &outcome);
            }
        }
    }

    /// Eviction of a machine that is witnessed to be off.
    pub(crate) fn evict(&mut self, machine: usize) {
        let at = &self.machines[machine];
        let host = at.identity.host.clone();
        if at.powered {
            return;
        }
        if let Some(seen) = self.hosts_seen().get(&host) {
            self.store.commit(&raise(&host, seen, eviction("it is off"), false));
        }
        self.check();
    }

    /// The sweep that follows an eviction.
    pub(crate) fn sweep(&mut self, machine: usize) {
        let host = self.machines[machine].identity.host.clone();
        if let Some(seen) = self.hosts_seen().get(&host) {
            self.sweep_up(&host, seen.record.incarnation);
        }
        self.check();
    }

    /// The rest of every quarantine is over.
    pub(crate) fn end_quarantine(&mut self) {
        self.end_quarantines(&mut Quarantines::new(0));
        self.check();
    }
}

fn eviction(why: &str) -> Eviction {
    let word = EvictionWord::Provider { said: why.to_owned() };
    Eviction { incarnation: Incarnation(0), by: "elsewhere".into(), at: String::new(), word }
}
