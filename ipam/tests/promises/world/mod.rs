//! A small world round the pure machines: hosts with journals and containers, one store, and every
//! fault that can be had without a kernel. What must always hold is checked after every act.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::*;

mod docker;
mod machine;
mod oracle;
mod passing;
mod role;
mod store;

pub(crate) use machine::Machine;
pub(crate) use role::{PAUSE, REST, Role, STALENESS};
pub(crate) use store::Store;

pub(crate) const SUBNET: &str = "10.50.0.0/29";
pub(crate) const ZONE: &str = "dal10-900";
pub(crate) const COOLING: u64 = 1_000;

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is committed, or conflicts, and the outcome comes back.
    Known,
    /// It is committed, or conflicts, but nobody hears of it.
    LandedUnheard,
    /// It never arrives, and nobody knows that.
    Lost,
    /// It arrives when [`World::land`] says so.
    Late,
    /// The store was not reached at all, and that is known.
    Unreached,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) machines: Vec<Machine>,
    pub(crate) now: Timestamp,
    pub(crate) requests: u64,
    /// The newest epoch under which each address was ever answered.
    pub(crate) epochs: BTreeMap<IpAddr, Epoch>,
    pub(crate) subnet: ipnetwork::IpNetwork,
}

pub(crate) fn pool() -> PoolName {
    PoolName::from("default")
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Where a block stands in the store.
pub(crate) fn block_key(block: BlockId) -> Key {
    Key::Block { zone: ZONE.into(), block }
}

impl World {
    /// A store with one open subnet, and that many machines, not started.
    pub(crate) fn new(machines: usize, subnet: &str) -> Self {
        let mut store = Store::default();
        let subnet: ipnetwork::IpNetwork = subnet.parse().unwrap();
        let generation = Generation { number: 1, id: 7 };
        let cluster = ClusterRecord { id: "c".into(), generation, state: ClusterState::Open };
        store.put(Key::Cluster, Value::Cluster(cluster));
        let policy = Pool { name: pool(), cooling_millis: COOLING };
        store.put(Key::Pool(pool()), Value::Pool(policy));
        let gateway = subnet.iter().nth(1);
        let record = Subnet { cidr: subnet, pool: pool(), zone: ZONE.into(), gateway };
        store.put(Key::Subnet(subnet), Value::Subnet(record));
        for id in BlockId::all_of(subnet) {
            let aside = gateway.map(|gateway| (gateway, SetAside::Gateway)).into_iter().collect();
            store.put(block_key(id), Value::Block(Block::open(id, 0, &aside)));
        }
        let machines = (0..machines).map(Machine::new).collect();
        let now = Timestamp(1);
        Self { store, machines, now, requests: 0, epochs: BTreeMap::new(), subnet }
    }

    /// The same, with every machine started and nothing under way.
    pub(crate) fn running(machines: usize, subnet: &str) -> Self {
        let mut world = Self::new(machines, subnet);
        for machine in 0..machines {
            world.start(machine);
        }
        world.settle();
        world
    }

    pub(crate) fn block_id(&self) -> BlockId {
        BlockId { subnet: self.subnet, index: 0 }
    }

    pub(crate) fn block(&self) -> Block {
        match self.store.get(&block_key(self.block_id())).value {
            Some(Value::Block(block)) => block,
            other => panic!("no block: {other:?}"),
        }
    }

    pub(crate) fn apply(&mut self, command: BlockCommand) {
        let step = self.block().apply(command).unwrap();
        if step.changed {
            self.store.put(block_key(self.block_id()), Value::Block(step.block));
        }
    }

    /// Starts the agent: recovers from the journal, and lists what it watches.
    pub(crate) fn start(&mut self, machine: usize) {
        let now = self.now;
        let at = &mut self.machines[machine];
        if at.agent.is_some() {
            return;
        }
        if !at.powered {
            at.powered = true;
            at.boots += 1;
            at.identity.boot = BootId(format!("{}-boot-{}", at.identity.host, at.boots));
        }
        let records = at.synced.iter().chain(&at.written).cloned();
        let host = Host::recover(at.identity.clone(), now, records);
        // A compacted journal is as good as the whole one.
        let again = Host::recover(at.identity.clone(), now, host.snapshot());
        assert_eq!(again.snapshot(), host.snapshot());
        at.agent = Some(host);
        self.sign(machine);
    }

    /// Lists everything the agent watches, as after a start or a compacted watch.
    pub(crate) fn list(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let prefixes = agent.watches();
        at.watched = self.store.history.len();
        let revision = Revision(self.store.revision);
        for prefix in prefixes {
            let entries = self.store.list(&prefix);
            self.feed(machine, Input::Listed { prefix, revision, entries });
        }
    }

    /// The agent dies; its containers live on, and what it wrote is on the disk.
    pub(crate) fn kill(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        at.agent = None;
        at.effects.clear();
        at.outcomes.clear();
        at.users.clear();
    }

    /// The machine dies. `kept` of the records not synced survive.
    pub(crate) fn power_loss(&mut self, machine: usize, kept: usize) {
        self.kill(machine);
        let at = &mut self.machines[machine];
        at.powered = false;
        at.in_use.clear();
        at.written.truncate(kept);
        let written = std::mem::take(&mut at.written);
        at.synced.extend(written);
        self.lapse(machine);
    }

    /// The agent dies, and its journal is lost while its containers run on. The oracle would call the time until
    /// they are claimed a loss, so it forgets them.
    pub(crate) fn lose_journal(&mut self, machine: usize) {
        self.kill(machine);
        let at = &mut self.machines[machine];
        at.synced.clear();
        at.written.clear();
        at.in_use.clear();
    }
}
