//! What the capacity role, owners of cloud objects and operators do: each one transaction, composed
//! from what stands in the store and comparing it, so that to look and to write is one step.
//!
//! The capacity role is the production one, [`ipam::role`], with a shell of a few lines. The times it
//! waits for (D, L, R, the rest of a quarantine) pass outside of the model: it may act at once, and
//! also much later.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::role::*;
use ipam::*;

use super::mutation::Mutation;
use super::normal::base;
use super::reached::Event;
use super::stage::Stage;
use super::world::{World, ZONE, block_key};

const PATIENCE: Patience = Patience { staleness_millis: 0, pause_millis: 0 };

/// The role's clock stands still.
const NOW: Timestamp = Timestamp(0);

/// The role's agent, which is none of the machines.
const ROLE: &str = "elsewhere";

impl World {
    /// Whether a block still shows something that an evicted host held.
    pub(crate) fn is_stale(&self, m: usize, block: &Block) -> bool {
        let below = self.host_record(m).map(|(record, _)| record.incarnation);
        below.is_some_and(|below| lost_to(block, self.machines[m].host(), below).next().is_some())
    }

    /// What the role has to do about a host whose session lapsed, also one that lives: a session is
    /// no witness.
    pub(crate) fn about(&self, m: usize) -> (Evictions, Vec<EvictionStep>) {
        let seen = self.host_seen(m).map(|(host, seen)| (host, HostSeen { alive: false, ..seen }));
        let followed = self.machines[m].suspected.clone();
        let mut followed = followed.unwrap_or_else(|| Evictions::new(PATIENCE));
        let steps = followed.look(NOW, &ROLE.into(), &seen.into_iter().collect(), &self.blocks_seen());
        (followed, steps)
    }

    /// How the quarantine of an address ends, if it can: the wire is asked whether anybody uses it.
    pub(crate) fn ending(&self, address: IpAddr, mutation: Option<Mutation>) -> Option<Transaction> {
        let used = self.machines.iter().any(|machine| machine.in_use.contains_key(&address));
        let (hosts, blocks) = (self.hosts_seen(), self.blocks_seen());
        let mut quarantines = Quarantines::new(0);
        let due = quarantines.look(NOW, &blocks, &hosts);
        if used || !due.values().any(|due| due.contains(&address)) {
            return None;
        }
        quarantines.heard(NOW, address, UseWord::Nobody);
        let ending = quarantines.endings(NOW, &blocks).into_iter().next()?;
        let transaction = match mutation {
            Some(mutation) => mutation.ends(ending.transaction),
            None => ending.transaction,
        };
        self.store.takes(&transaction).then_some(transaction)
    }

    fn host_seen(&self, m: usize) -> Option<(HostId, HostSeen)> {
        let (record, revision) = self.host_record(m)?;
        let host = self.machines[m].host().clone();
        let witnessed = match self.store.value(&Key::Eviction(host.clone())) {
            Some(Value::Eviction(eviction)) => Some(eviction.incarnation),
            _ => None,
        };
        let alive = self.machines[m].agent.is_some();
        Some((host, HostSeen { record: record.clone(), revision, alive, witnessed }))
    }

    fn hosts_seen(&self) -> HostsSeen {
        (0..self.machines.len()).filter_map(|m| self.host_seen(m)).collect()
    }

    fn blocks_seen(&self) -> Vec<BlockSeen> {
        let blocks = self.store.entries.values().filter_map(|(value, revision)| match value {
            Value::Block(block) => {
                Some(BlockSeen { zone: ZONE.into(), block: block.clone(), revision: *revision })
            }
            _ => None,
        });
        blocks.collect()
    }
}

impl Stage<'_> {
    /// The provider is asked about a host, and tells the truth of this moment.
    pub(crate) fn question(&mut self, m: usize) {
        let (mut followed, _) = self.world.about(m);
        let machine = &self.world.machines[m];
        let (off, first) = (!machine.powered, machine.suspected.is_none());
        followed.heard(NOW, machine.host(), ProviderWord::Off);
        if first {
            self.world.left.evictions -= 1;
        }
        // Any other word, and the role forgets what it heard before.
        self.machine(m).suspected = off.then_some(followed);
    }

    /// Raises the incarnation of a host that was twice said to be off.
    pub(crate) fn evict(&mut self, m: usize) {
        let Some((host, seen)) = self.world.host_seen(m) else { return };
        let word = EvictionWord::Provider { said: String::new() };
        let incarnation = Incarnation(base::INCARNATION);
        let eviction = Eviction { incarnation, by: ROLE.into(), at: String::new(), word };
        self.machine(m).evicted_from = Some(seen.revision);
        self.story.reached.note(Event::Evicted);
        self.write(raise(&host, &seen, eviction, false));
        self.sweep_is_done(m);
    }

    /// What the host held in the block goes to quarantine, and its endpoints there are closed.
    pub(crate) fn sweep(&mut self, m: usize, id: BlockId) {
        let Some((host, HostSeen { record, .. })) = self.world.host_seen(m) else { return };
        let blocks = self.world.blocks_seen();
        let Some(seen) = blocks.iter().find(|seen| seen.block.id() == id) else { return };
        let published = match self.world.store.get(&Key::Published { host: host.clone(), block: id }) {
            Seen { value: Some(Value::Published(published)), revision, .. } => Some((published, revision)),
            _ => None,
        };
        let below = record.incarnation;
        let swept = sweep(seen, published.as_ref(), &host, below, "it is off");
        if let Some(transaction) = swept {
            self.write(transaction);
        }
        self.sweep_is_done(m);
    }

    fn sweep_is_done(&mut self, m: usize) {
        let stale = self.world.blocks().any(|block| self.world.is_stale(m, block));
        let below = self.world.host_record(m).map(|(record, _)| record.incarnation);
        if !stale {
            self.machine(m).swept_below = below;
        }
    }

    pub(crate) fn end_quarantine(&mut self, address: IpAddr) {
        if let Some(transaction) = self.world.ending(address, self.story.mutation) {
            self.write(transaction);
        }
    }

    /// An owner writes a dependent, comparing that the endpoint is open under that epoch.
    pub(crate) fn name(&mut self, address: IpAddr) {
        let Some(Value::Endpoint(record)) = self.world.store.value(&Key::Endpoint(address)) else { return };
        let key = Key::Dependent { address, epoch: record.epoch, object: "member".into() };
        let writers = [record.host.clone()].into();
        self.story.reached.note(Event::Named);
        self.put(key, Value::Dependent(Dependent { writers }));
    }

    pub(crate) fn unname(&mut self, address: IpAddr) {
        let named = self.world.store.list(&Prefix::Dependents(address));
        let writes = named.into_iter().map(|seen| Write::Delete(seen.key)).collect();
        self.write(Transaction { compares: vec![], writes });
    }

    /// Freezes the cluster, and reads what every journal holds and every kernel uses.
    pub(crate) fn begin_rebuild(&mut self) {
        self.world.left.rebuilds -= 1;
        let Some(cluster) = self.world.cluster().cloned() else { return };
        self.put(Key::Cluster, Value::Cluster(ClusterRecord { state: ClusterState::Frozen, ..cluster }));
        let mut known = BTreeMap::new();
        for machine in &self.world.machines {
            for record in machine.disk.records() {
                if let Record::Address { address, holding: Some(holding), .. } = record {
                    let by = Holder { host: machine.host().clone(), incarnation: holding.incarnation };
                    known.insert(*address, Held { by: by.into(), take: holding.take });
                }
            }
        }
        self.world.rebuild = Some(known);
    }

    /// Writes blocks from what was read: what a journal held is quarantined, the rest is free. Then
    /// the new generation.
    pub(crate) fn end_rebuild(&mut self) {
        let Some(known) = self.world.rebuild.clone() else { return };
        let blocks: Vec<Block> = self.world.blocks().cloned().collect();
        for before in blocks {
            let id = before.id();
            let mut block = Block::open(id, before.take_number(), before.set_aside());
            for (number, machine) in self.world.machines.iter().enumerate() {
                let operation = base::OPERATION + 100_000 * number as u64 + 50_000;
                let host = machine.host().clone();
                block = applied(&block, BlockCommand::Settle { host: host.clone(), operation });
                let addresses = known.iter().filter(|(a, held)| id.contains(**a) && held.by.host == host);
                let addresses: std::collections::BTreeSet<IpAddr> = addresses.map(|(a, _)| *a).collect();
                if addresses.is_empty() {
                    continue;
                }
                let incarnation = known.values().find(|held| held.by.host == host).map(|h| h.by.incarnation);
                let incarnation = incarnation.unwrap_or(Incarnation(base::INCARNATION));
                let holder = Holder { host: host.clone(), incarnation };
                block = applied(&block, BlockCommand::Take { holder, addresses, operation: operation + 1 });
                let below = Incarnation(u64::MAX);
                block = applied(&block, BlockCommand::Sweep { host, below, why: "rebuilt".into() });
            }
            self.put(block_key(id), Value::Block(block));
        }
        let Some(cluster) = self.world.cluster().cloned() else { return };
        let generation = Generation { number: cluster.generation.number + 1, id: cluster.generation.id + 1 };
        self.world.rebuild = None;
        self.story.reached.note(Event::Rebuilt);
        let open = ClusterRecord { generation, state: ClusterState::Open, ..cluster };
        self.put(Key::Cluster, Value::Cluster(open));
    }
}

fn applied(block: &Block, command: BlockCommand) -> Block {
    block.apply(command).unwrap().block
}
