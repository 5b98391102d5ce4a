//! What the capacity role, owners of cloud objects and operators do: each one transaction, composed
//! from what stands in the store and comparing it, so that to look and to write is one step.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::*;

use super::normal::base;
use super::reached::Event;
use super::stage::Stage;
use super::world::World;

impl World {
    /// Whether a block still shows something that an evicted host held.
    pub(crate) fn is_stale(&self, m: usize, block: &Block) -> bool {
        let Some((record, _)) = self.host_record(m) else { return false };
        let host = self.machines[m].host();
        block.held().values().any(|held| held.by.host == *host && held.by.incarnation < record.incarnation)
    }
}

impl Stage<'_> {
    /// Raises the incarnation, comparing that the record is what it was when the host was seen off.
    pub(crate) fn evict(&mut self, m: usize) {
        let witnessed = self.machine(m).witnessed.take();
        let Some((record, revision)) = self.world.host_record(m) else { return };
        if witnessed != Some(revision) {
            return;
        }
        let incarnation = Incarnation(record.incarnation.0 + 1);
        let value = Value::Host(HostRecord { incarnation, ..record.clone() });
        let key = Key::Host(self.world.machines[m].host().clone());
        let machine = self.machine(m);
        machine.evicted_from = Some(revision);
        machine.to_sweep = true;
        self.story.reached.note(Event::Evicted);
        self.put(key, value);
        self.sweep_is_done(m);
    }

    /// What the host held in the block goes to quarantine, and its endpoints there are closed.
    pub(crate) fn sweep(&mut self, m: usize, id: BlockId) {
        let Some((record, _)) = self.world.host_record(m) else { return };
        let below = record.incarnation;
        let host = self.world.machines[m].host().clone();
        let Some(Value::Block(block)) = self.world.store.value(&Key::Block(id)) else { return };
        let command = BlockCommand::Sweep { host: host.clone(), below, why: "it is off".into() };
        let Ok(Step { block: swept, changed: true }) = block.apply(command) else { return };
        let mut writes = vec![Write::Put { key: Key::Block(id), value: Value::Block(swept.clone()) }];
        let key = Key::Published { host, block: id };
        if let Some(Value::Published(published)) = self.world.store.value(&key) {
            let (closed, open): (BTreeMap<_, _>, BTreeMap<_, _>) = published
                .open
                .clone()
                .into_iter()
                .partition(|(address, _)| swept.quarantined().contains_key(address));
            writes.extend(closed.into_keys().map(|address| Write::Delete(Key::Endpoint(address))));
            writes.push(Write::Put { key, value: Value::Published(Published { open }) });
        }
        self.write(Transaction { compares: vec![], writes });
        self.sweep_is_done(m);
    }

    fn sweep_is_done(&mut self, m: usize) {
        let stale = self.world.blocks().any(|block| self.world.is_stale(m, block));
        let below = self.world.host_record(m).map(|(record, _)| record.incarnation);
        if !stale {
            let machine = self.machine(m);
            machine.to_sweep = false;
            machine.swept_below = below;
        }
    }

    pub(crate) fn end_quarantine(&mut self, address: IpAddr) {
        let Some(id) = self.world.block_of(address).map(Block::id) else { return };
        self.apply(id, BlockCommand::EndQuarantine { address });
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
                    known.insert(*address, Held { by, take: holding.take });
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
            self.put(Key::Block(id), Value::Block(block));
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
