//! The model that is searched: which steps a world can take, and what must hold in each.

use std::sync::{Arc, OnceLock};

use ipam::{BlockState, ClusterState, Family, Key, Prefix, Value};
use stateright::{Model, Property};

use super::act::{Act, Fate, Unsynced, Written};
use super::machine::{Asked, Machine};
use super::mix::Mix;
use super::mutation::Mutation;
use super::reached::{Event, Reached};
use super::stage::Stage;
use super::world::{Promise, World};

/// A mix to be searched, with all safeguards or one taken away.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) mix: Mix,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) reached: Arc<Reached>,
    /// The first world in which a promise is broken: the nearest.
    broken: Arc<OnceLock<(u64, u64)>>,
}

impl Story {
    pub(crate) fn new(mix: Mix, mutation: Option<Mutation>) -> Self {
        Self { mix, mutation, reached: Arc::default(), broken: Arc::default() }
    }

    /// The acts that a machine's agent and containers can take.
    fn acts_of(&self, world: &World, m: usize, acts: &mut Vec<Act>) {
        let machine = &*world.machines[m];
        let left = &world.left;
        acts.extend(machine.in_use.keys().map(|address| Act::Stop(m, *address)));
        for at in 0..machine.late.len() {
            acts.push(Act::Land(m, at));
        }
        if left.power_cuts > 0 && machine.powered {
            acts.push(Act::CutPower(m, Unsynced::Kept));
            if machine.disk.has_unsynced() || !machine.unwritten.is_empty() {
                acts.push(Act::CutPower(m, Unsynced::Lost));
            }
        }
        match &machine.agent {
            None => {
                acts.push(Act::Start(m));
                if left.lost_journals > 0 {
                    acts.push(Act::LoseJournal(m));
                }
            }
            Some(agent) => {
                if machine.asked.is_empty() && m < self.mix.asking && machine.calls.len() <= 1 {
                    acts.push(Act::Ask(m, None));
                    if self.mix.exact {
                        let all = world.blocks().flat_map(|block| block.id().addresses());
                        acts.extend(all.map(|address| Act::Ask(m, Some(address))));
                    }
                }
                for (at, call) in machine.calls.iter().enumerate() {
                    acts.push(Act::Arrive(m, at, Fate::Known));
                    let commit = matches!(call.what, Asked::Commit(_));
                    if commit && left.unknown > 0 {
                        acts.push(Act::Arrive(m, at, Fate::Unknown));
                    }
                    if left.unreached > 0 {
                        acts.push(Act::Arrive(m, at, Fate::Unreached));
                    }
                    if left.slow > 0 {
                        acts.push(Act::Arrive(m, at, Fate::Slow));
                    }
                }
                if !machine.answers.is_empty() {
                    acts.push(Act::Hear(m));
                }
                acts.extend(machine.unseen.keys().map(|prefix| Act::Watch(m, prefix.clone())));
                // The shell gives a call up before this much time has passed.
                if machine.calls.is_empty() && machine.answers.is_empty() && agent.next_deadline().is_some() {
                    acts.push(Act::Pass(m));
                }
                if !machine.listed {
                    acts.push(Act::List(m));
                } else if left.compactions > 0 && !machine.unseen.is_empty() {
                    acts.push(Act::Compacted(m));
                }
                if left.kills > 0 {
                    acts.push(Act::Kill(m));
                }
                if left.disk > 0 && machine.disk_fails.is_none() {
                    acts.push(Act::DiskFails(m, Written::There));
                    acts.push(Act::DiskFails(m, Written::NotThere));
                }
                self.acts_on_assigned(world, m, machine, acts);
            }
        }
    }

    fn acts_on_assigned(&self, world: &World, m: usize, machine: &Machine, acts: &mut Vec<Act>) {
        if machine.asked.is_empty() {
            for (address, epoch) in machine.assigned() {
                if machine.in_use.get(&address) != Some(&epoch) {
                    acts.push(Act::Reap(m, address));
                }
            }
        }
        if world.left.late_releases > 0 {
            acts.extend(machine.over.keys().map(|address| Act::LateRelease(m, *address)));
        }
        if self.mix.services {
            let published = |address| world.store.value(&Key::Endpoint(address)).is_some();
            let here = machine.in_use.keys().filter(|address| !published(**address));
            acts.extend(here.map(|address| Act::Open(m, *address)));
        }
        if self.mix.faults.lost_journals > 0 && machine.asked.is_empty() {
            for address in machine.in_use.keys() {
                let quarantined = world.block_of(*address).and_then(|b| b.quarantined().get(address));
                if quarantined.is_some_and(|q| q.was_of(machine.host())) {
                    acts.push(Act::Claim(m, *address));
                }
            }
        }
    }

    /// The acts of operators, of the provider and of the capacity role.
    fn acts_of_roles(&self, world: &World, acts: &mut Vec<Act>) {
        let open = world.cluster().is_some_and(|cluster| cluster.state == ClusterState::Open);
        for (m, machine) in world.machines.iter().enumerate() {
            if !machine.powered && machine.witnessed.is_none() && world.left.evictions > 0 {
                acts.push(Act::Witness(m));
            }
            if machine.witnessed.is_some_and(|at| world.host_record(m).is_some_and(|(_, now)| now == at)) {
                acts.push(Act::Evict(m));
            }
            if machine.to_sweep && open {
                let stale = world.blocks().filter(|block| world.is_stale(m, block));
                acts.extend(stale.map(|block| Act::Sweep(m, block.id())));
            }
        }
        for block in world.blocks() {
            for address in block.quarantined().keys().filter(|_| open) {
                let used = world.machines.iter().any(|machine| machine.in_use.contains_key(address));
                let endpoint = world.store.value(&Key::Endpoint(*address)).is_some();
                let named = !world.store.list(&Prefix::Dependents(*address)).is_empty();
                // A host that lost its journal claims what its containers use in good time.
                let closed = !endpoint || self.mutation == Some(Mutation::QuarantineEndsOpen);
                if !used && !named && closed {
                    acts.push(Act::EndQuarantine(*address));
                }
            }
            if self.mix.faults.drains > 0 {
                match block.state() {
                    BlockState::Open if world.left.drains > 0 => acts.push(Act::Drain(block.id())),
                    BlockState::Draining => acts.push(Act::Undrain(block.id())),
                    _ => (),
                }
            }
        }
        if world.left.rebuilds > 0 && world.rebuild.is_none() {
            acts.push(Act::BeginRebuild);
        }
        if world.rebuild.is_some() {
            acts.push(Act::EndRebuild);
        }
        if self.mix.services {
            for (key, (value, _)) in &world.store.entries {
                match (key, value) {
                    (Key::Endpoint(address), Value::Endpoint(_))
                        if world.store.list(&Prefix::Dependents(*address)).is_empty() =>
                    {
                        acts.push(Act::Name(*address));
                    }
                    (Key::Dependent { address, .. }, _) => acts.push(Act::Unname(*address)),
                    _ => (),
                }
            }
        }
    }
}

pub(crate) const ANY: ipam::Wish = ipam::Wish::Any(Family::V4);

impl Model for Story {
    type State = World;
    type Action = Act;

    /// All agents have started, read the store, and sent what they want first.
    fn init_states(&self) -> Vec<World> {
        let mut stage = Stage::new(World::new(&self.mix), self, false);
        for machine in 0..self.mix.hosts {
            stage.start(machine);
            stage.list(machine);
        }
        vec![stage.end()]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if world.broken.is_some() {
            return;
        }
        for machine in 0..world.machines.len() {
            self.acts_of(world, machine, acts);
        }
        self.acts_of_roles(world, acts);
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        let mut stage = Stage::new(world.clone(), self, false);
        stage.act(&act);
        Some(stage.end())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("S1: no two endpoints use one address", |story, world| {
                kept(story, world, Promise::S1)
            }),
            Property::always("S2: epochs only grow", |story, world| kept(story, world, Promise::S2)),
            Property::always("S4: nothing of an older epoch names an address in use", |story, world| {
                kept(story, world, Promise::S4)
            }),
            Property::always("S5: every address is in exactly one state", |story, world| {
                kept(story, world, Promise::S5)
            }),
            Property::always("S7: no running container loses its address", |story, world| {
                kept(story, world, Promise::S7)
            }),
            Property::always("S8: a late message never changes a newer epoch", |story, world| {
                kept(story, world, Promise::S8)
            }),
            // What more must have happened each mix says for itself.
            Property::sometimes("an address is assigned", |story, _| story.has(Event::Assigned)),
            Property::sometimes("an address is taken", |story, _| story.has(Event::Taken)),
        ]
    }
}

impl Story {
    pub(crate) fn has(&self, event: Event) -> bool {
        self.reached.count(event) > 0
    }
}

/// Whether a promise holds. Of all worlds in which one is broken only the first counts.
fn kept(story: &Story, world: &World, promise: Promise) -> bool {
    let Some(broken) = world.broken.as_ref().filter(|broken| broken.promise == promise) else { return true };
    let here = world.normal_form();
    let first = *story.broken.get_or_init(|| here);
    broken.promise != promise || here != first
}
