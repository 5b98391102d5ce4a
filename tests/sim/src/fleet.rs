//! The fleet: hosts, store, provider and Docker in one process, and the queue of what happens next.
//!
//! Nothing in it reads a clock, spawns or waits: time is the next event's. Each concern is in a file of its
//! own: the shell round `ipam::Host` in `shell.rs`, the ways to the store in `wire.rs` and `follow.rs`, and so
//! on. What must always hold is looked at after every step, in `oracle.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipam::{
    Block, BlockId, BootId, ClusterRecord, ClusterState, Family, Generation, HostId, Identity, Input,
    InstanceId, Pool, PoolName, Prefix, Rebuild, Seen, Token, Wish, Zone,
};

use crate::Moment;
use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::fault::Fault;
use crate::machine::{Agent, Clock, Machine, Path, Power};
use crate::oracle::Oracle;
use crate::provider::Provider;
use crate::role::{Role, block_key};
use crate::script::{Act, Script};
use crate::store::{Commit, Transaction};
use crate::story::Story;
use crate::subnets::opening;
use crate::wire::Flight;
use crate::words::{FleetTransaction, Key, Store, Value};

/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// The next act of the story.
    Act(usize),
    /// A fault ends by itself.
    End(Fault),
    /// A request arrives at the store.
    Arrive(u64),
    /// An outcome arrives at an agent.
    Hear { machine: usize, life: u64, input: Box<Input> },
    /// An agent set itself an alarm.
    Wake { machine: usize, life: u64 },
    /// A listing is asked of the store.
    List { machine: usize, life: u64, prefix: Prefix },
    /// A listing arrives.
    Listed { machine: usize, life: u64, prefix: Prefix, revision: u64, entries: Vec<Seen> },
    /// A watch shows its next change.
    Show { machine: usize, life: u64, prefix: Prefix },
    /// An fsync returns.
    Synced { machine: usize, life: u64, token: Token },
    /// The kernel has stopped what was revoked.
    Silent { machine: usize, life: u64, address: IpAddr },
    /// dockerd goes on with a container.
    Docker { machine: usize, container: u64 },
    /// The reconciler looks.
    Reconcile { machine: usize },
    /// The machine, or its agent, starts.
    Start { machine: usize },
    /// A clone's Docker starts a container.
    Clone { machine: usize },
    /// The operator makes the lost store anew.
    Rebuild,
    /// Another machine takes the place of one that is gone.
    Replace { machine: usize },
    /// The capacity role of a zone looks.
    Role { zone: usize },
}

/// Hosts and everything round them.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) now: Moment,
    queue: BTreeMap<(Moment, u64), Event>,
    events: u64,
    pub(crate) store: Store,
    /// How many faults keep the store away now.
    pub(crate) store_away: u32,
    pub(crate) machines: Vec<Machine>,
    pub(crate) under_way: BTreeMap<u64, Flight>,
    pub(crate) held_back: Vec<u64>,
    pub(crate) flights: u64,
    pub(crate) provider: Provider,
    /// Each zone's capacity role.
    pub(crate) roles: Vec<Role>,
    /// The life of the cluster that was begun last, and how its rebuild stands if it began with one.
    pub(crate) generation: Generation,
    pub(crate) rebuild: Option<Rebuild>,
    pub(crate) script: Script,
    /// The faults that stand, to be ended when everything heals.
    pub(crate) standing: Vec<Fault>,
    pub(crate) oracle: Oracle,
    pub(crate) coverage: Coverage,
    pub(crate) story: Story,
    pub(crate) chance: Chance,
    /// What went wrong first.
    pub(crate) broken: Option<String>,
    /// How many inputs the hosts took.
    pub(crate) steps: u64,
    /// How many acts there were, and how many of them were faults.
    pub(crate) acts: usize,
    pub(crate) faults: u64,
}

/// How long a machine may have been up when the story begins: no two boot-time clocks agree.
const UPTIME_HOURS_MAX: u64 = 1_000;

/// How many of the store's changes are remembered.
const REMEMBERED_MAX: usize = 2_000;

pub(crate) fn pool() -> PoolName {
    PoolName::from("default")
}

impl Fleet {
    /// A cluster that was just made, with hosts that have never started.
    pub(crate) fn new(script: Script, story: Story) -> Self {
        let seed = script.seed;
        let machines: Vec<Machine> = script
            .hosts
            .iter()
            .enumerate()
            .map(|(number, zones)| machine(seed, number, zones.clone()))
            .collect();
        let mut fleet = Self {
            now: 0,
            queue: BTreeMap::new(),
            events: 0,
            store: Store::default(),
            store_away: 0,
            machines,
            under_way: BTreeMap::new(),
            held_back: Vec::new(),
            flights: 0,
            provider: Provider::default(),
            roles: (0..script.zones).map(|_| Role::default()).collect(),
            generation: Generation { number: 1, id: 7 },
            rebuild: None,
            standing: Vec::new(),
            oracle: Oracle::default(),
            coverage: Coverage::default(),
            story,
            chance: Chance::new(seed, "fleet"),
            broken: None,
            steps: 0,
            acts: 0,
            faults: 0,
            script,
        };
        fleet.found();
        fleet
    }

    fn found(&mut self) {
        let cluster =
            ClusterRecord { id: "c".into(), generation: self.generation, state: ClusterState::Open };
        self.put(Key::Ipam(ipam::Key::Cluster), Value::Ipam(ipam::Value::Cluster(cluster)));
        self.put_pool();
        for site in self.script.sites.clone() {
            self.provider.delivered.insert(site.cidr);
            self.write(&opening(site, 0));
        }
        for machine in 0..self.machines.len() {
            self.provider.started(0, &self.machines[machine].identity.instance);
            let wait = self.chance.below(500);
            self.after(wait, Event::Start { machine });
        }
        let moments: Vec<Moment> = self.script.acts.iter().map(|(at, _)| *at).collect();
        for (number, at) in moments.into_iter().enumerate() {
            self.after(at, Event::Act(number));
        }
        for zone in 0..self.script.zones {
            self.after(5_000, Event::Role { zone });
        }
    }

    pub(crate) fn put_pool(&mut self) {
        let policy = Pool { name: pool(), cooling_millis: self.script.cooling };
        self.put(Key::Ipam(ipam::Key::Pool(pool())), Value::Ipam(ipam::Value::Pool(policy)));
    }

    /// Carries out everything up to `end`, or until something is broken.
    pub(crate) fn run_until(&mut self, end: Moment) {
        while self.broken.is_none() {
            let Some(next) = self.queue.first_entry().filter(|next| next.key().0 <= end) else { break };
            let ((at, _), event) = next.remove_entry();
            self.now = at;
            self.happen(event);
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(number) => self.act(number),
            Event::End(fault) => self.end(fault),
            Event::Arrive(number) => self.arrive(number),
            Event::Hear { machine, life, input } => self.hear(machine, life, *input),
            Event::Wake { machine, life } => self.wake(machine, life),
            Event::List { machine, life, prefix } => self.list(machine, life, prefix),
            Event::Listed { machine, life, prefix, revision, entries } => {
                self.listed((machine, life), prefix, revision, entries);
            }
            Event::Show { machine, life, prefix } => self.show(machine, life, prefix),
            Event::Synced { machine, life, token } => self.synced(machine, life, token),
            Event::Silent { machine, life, address } => self.silent(machine, life, address),
            Event::Docker { machine, container } => self.docker_goes_on(machine, container),
            Event::Reconcile { machine } => self.reconcile(machine),
            Event::Start { machine } => self.start(machine),
            Event::Clone { machine } => self.run_container(machine, Wish::Any(Family::V4), false),
            Event::Rebuild => self.rebuild_store(),
            Event::Replace { machine } => self.replace(machine),
            Event::Role { zone } => self.role_looks(zone),
        }
    }

    fn act(&mut self, number: usize) {
        self.acts = self.acts.max(number + 1);
        let Some((_, Some(act))) = self.script.acts.get(number).cloned() else { return };
        self.story.say(self.now, || format!("[{number}] {act}"));
        match act {
            Act::Run { machine, wish, plain } => self.run_container(machine, wish, plain),
            Act::Stop { machine, nth } => self.stop_container(machine, nth),
            Act::LateRelease { machine, nth } => self.release_late(machine, nth),
            Act::LateReap { machine, nth } => self.reap_late(machine, nth),
            Act::Publish { machine, nth } => self.publish(machine, nth),
            Act::Name { machine, nth } => self.name(machine, nth),
            Act::Unname => self.unname(),
            Act::Reserve { machine, name, address } => self.reserve(machine, name, address),
            Act::Unreserve { machine, name } => self.unreserve(machine, name),
            Act::Drain { nth } => self.drain(nth),
            Act::Undrain { nth } => self.undrain(nth),
            Act::Fault(fault) => self.begin(fault),
        }
    }

    pub(crate) fn after(&mut self, millis: u64, event: Event) {
        self.events += 1;
        self.queue.insert((self.now + millis, self.events), event);
    }

    /// The agent, if it is still this process.
    pub(crate) fn agent(&self, machine: usize, life: u64) -> Option<&Agent> {
        self.machines[machine].agent.as_ref().filter(|agent| agent.life == life)
    }

    pub(crate) fn agent_mut(&mut self, machine: usize, life: u64) -> Option<&mut Agent> {
        self.machines[machine].agent.as_mut().filter(|agent| agent.life == life)
    }

    pub(crate) fn put(&mut self, key: Key, value: Value) {
        self.write(&Transaction { compares: Vec::new(), writes: vec![(key, Some(value))] });
    }

    /// Commits, looks whether what was written may be, and shows it to who watches.
    pub(crate) fn write(&mut self, transaction: &FleetTransaction) -> Commit {
        let before = self.store.revision();
        let blocks: Vec<(BlockId, Option<Block>)> = transaction
            .writes
            .iter()
            .filter_map(|(key, _)| match key {
                Key::Ipam(ipam::Key::Block { block, .. }) => Some((*block, self.block(*block).cloned())),
                _ => None,
            })
            .collect();
        let commit = self.store.commit(transaction);
        if self.store.revision() > before {
            for (id, block) in blocks {
                self.look_at_block(id, block.as_ref());
            }
            self.changed();
        }
        if self.store.remembered() > REMEMBERED_MAX {
            self.store.compact();
        }
        commit
    }

    pub(crate) fn block(&self, id: BlockId) -> Option<&Block> {
        let site = self.script.sites.iter().find(|site| site.cidr == id.subnet)?;
        match self.store.get(&block_key(site.zone, id)) {
            Some((Value::Ipam(ipam::Value::Block(block)), _)) => Some(block),
            _ => None,
        }
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        (0..self.script.zones).flat_map(|zone| self.blocks_in(zone)).map(|(block, _)| block)
    }

    /// The blocks of a zone, and when each was written.
    pub(crate) fn blocks_in(&self, zone: usize) -> impl Iterator<Item = (&Block, u64)> {
        let sites = self.script.sites.iter().filter(move |site| site.zone == zone);
        sites.flat_map(|site| BlockId::all_of(site.cidr)).filter_map(move |id| {
            match self.store.get(&block_key(zone, id)) {
                Some((Value::Ipam(ipam::Value::Block(block)), revision)) => Some((block, revision)),
                _ => None,
            }
        })
    }

    /// The block of the store in which an address lies.
    pub(crate) fn block_of(&self, address: IpAddr) -> Option<&Block> {
        let site = self.script.sites.iter().find(|site| site.cidr.contains(address))?;
        self.block(BlockId::of(site.cidr, address)?)
    }

    /// What no fault of the world explains.
    pub(crate) fn fail(&mut self, what: String) {
        if self.broken.is_none() {
            let now = self.now;
            self.story.say(now, || format!("BROKEN: {what}"));
            self.broken = Some(what);
        }
    }
}

pub(crate) fn machine(seed: u64, number: usize, zones: BTreeSet<Zone>) -> Machine {
    let host = HostId(format!("h{}", number + 1));
    let mut chance = Chance::new(seed, &host.0);
    let identity = Identity {
        instance: InstanceId(format!("i-{}", number + 1)),
        boot: BootId(format!("{host}-boot-1")),
        zones,
        host: host.clone(),
    };
    Machine {
        identity,
        power: Power::On,
        agent: None,
        disk: Default::default(),
        docker: Default::default(),
        kernel: BTreeMap::new(),
        path: Path::default(),
        clock: Clock { booted: 0, ahead: chance.hours(UPTIME_HOURS_MAX) },
        boots: 1,
        lives: 0,
        fsync: 0,
        trip: None,
        forsaken: false,
        is_clone: false,
        old_disk: Default::default(),
        chance,
    }
}
