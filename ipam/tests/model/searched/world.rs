//! The world as a value: a store, machines, what the oracle remembers, and the faults still to come.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ipam::*;

use super::machine::Machine;
use super::mix::{Clock, Faults, Mix};
use super::normal::{NormalForm, base};
use super::store::Store;

pub(crate) const ZONE: &str = "dal10-900";

/// Longer than two ticks of time, shorter than patience would notice.
const COOLING_MILLIS: u64 = 14_000;

/// Everything there is, and everything the oracle needs to remember of what was.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) store: Arc<Store>,
    pub(crate) machines: Vec<Arc<Machine>>,
    /// The newest epoch under which each address was ever answered.
    pub(crate) epochs: BTreeMap<IpAddr, Epoch>,
    /// The faults that may still strike.
    pub(crate) left: Faults,
    /// A rebuild under way: what the journals said when they were read.
    pub(crate) rebuild: Option<BTreeMap<IpAddr, Held>>,
    /// The first promise that was broken, and how.
    pub(crate) broken: Option<Broken>,
    pub(crate) clock: Clock,
    /// How many addresses there are.
    pub(crate) addresses: usize,
}

/// A promise that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) promise: Promise,
    pub(crate) how: String,
}

/// What must always hold, as the protocol numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// No two endpoints use one address at the same time.
    S1,
    /// Epochs only grow.
    S2,
    /// No reuse while something of an older epoch may still name the address.
    S4,
    /// Conservation.
    S5,
    /// No running container loses its address.
    S7,
    /// A late or repeated message never changes a newer epoch.
    S8,
}

pub(crate) fn pool() -> PoolName {
    PoolName::from("default")
}

impl World {
    /// A store with the mix's subnets, and its hosts registered and held to have been running, with
    /// their agents down.
    pub(crate) fn new(mix: &Mix) -> Self {
        let mut store = Store::empty();
        let generation = Generation { number: base::GENERATION, id: base::GENERATION + 7 };
        let cluster = ClusterRecord { id: "c".into(), generation, state: ClusterState::Open };
        store.put(Key::Cluster, Value::Cluster(cluster));
        let policy = Pool { name: pool(), cooling_millis: COOLING_MILLIS };
        store.put(Key::Pool(pool()), Value::Pool(policy));
        for (number, subnet) in mix.subnets.iter().enumerate() {
            open_subnet(&mut store, number, subnet, mix.hosts);
        }
        let blocks = store.entries.values().filter_map(|(value, _)| match value {
            Value::Block(block) => Some(block.counts().total as usize),
            _ => None,
        });
        let addresses = blocks.sum();
        let mut machines = Vec::new();
        for number in 0..mix.hosts {
            let incarnation = Incarnation(base::INCARNATION);
            let mut machine = Machine::new(number, ZONE.into(), Vec::new());
            let boot = machine.identity.boot.clone();
            let revision = Revision(store.revision);
            for record in [
                Record::Boot { boot: boot.clone(), incarnation },
                Record::Cluster { id: "c".into(), generation, revision },
                Record::Counter(base::COUNTER + 100_000 * number as u64),
            ] {
                machine.disk.append(&[record], Durability::Synced);
            }
            let Identity { instance, zones, host, .. } = machine.identity.clone();
            let record =
                HostRecord { instance, incarnation, boot, zones, left: BTreeSet::new(), answered: None };
            store.put(Key::Host(host), Value::Host(record));
            machines.push(Arc::new(machine));
        }
        Self {
            store: Arc::new(store),
            machines,
            epochs: BTreeMap::new(),
            left: mix.faults.clone(),
            rebuild: None,
            broken: None,
            clock: mix.clock,
            addresses,
        }
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.store.entries.values().filter_map(|(value, _)| match value {
            Value::Block(block) => Some(block),
            _ => None,
        })
    }

    pub(crate) fn block_of(&self, address: IpAddr) -> Option<&Block> {
        self.blocks().find(|block| block.id().contains(address))
    }

    pub(crate) fn host_record(&self, machine: usize) -> Option<(&HostRecord, Revision)> {
        match self.store.entries.get(&Key::Host(self.machines[machine].host().clone())) {
            Some((Value::Host(record), revision)) => Some((record, *revision)),
            _ => None,
        }
    }

    pub(crate) fn cluster(&self) -> Option<&ClusterRecord> {
        match self.store.value(&Key::Cluster) {
            Some(Value::Cluster(cluster)) => Some(cluster),
            _ => None,
        }
    }

    pub(crate) fn normal_form(&self) -> (u64, u64) {
        let mut form = NormalForm::new(self.clock, self.addresses);
        self.store.hash(&mut form);
        self.epochs.hash(&mut form);
        self.left.hash(&mut form);
        self.rebuild.hash(&mut form);
        self.broken.is_some().hash(&mut form);
        for (number, machine) in self.machines.iter().enumerate() {
            machine.normal(number, &self.left, &mut form);
        }
        form.digest()
    }
}

/// Where a block stands in the store.
pub(crate) fn block_key(block: BlockId) -> Key {
    Key::Block { zone: ZONE.into(), block }
}

fn open_subnet(store: &mut Store, number: usize, subnet: &str, hosts: usize) {
    let cidr: ipnetwork::IpNetwork = subnet.parse().unwrap();
    let record = Subnet { cidr, pool: pool(), zone: ZONE.into(), gateway: None };
    store.put(Key::Subnet(cidr), Value::Subnet(record));
    let id = BlockId { subnet: cidr, index: 0 };
    let mut block = Block::open(id, base::TAKE + 100_000 * number as u64, &BTreeMap::new());
    for host in 0..hosts {
        // Every host has acted here before, so that its numbers begin where the normal form knows them.
        let operation = base::OPERATION + 100_000 * host as u64 + 10_000 * number as u64;
        let host = HostId(format!("h{}", host + 1));
        block = block.apply(BlockCommand::Settle { host, operation }).unwrap().block;
    }
    store.put(block_key(id), Value::Block(block));
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal_form().hash(state);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.normal_form() == other.normal_form()
    }
}
