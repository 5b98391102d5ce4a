//! The store is lost for good, and made anew: as `berth store rebuild` does it.

use std::collections::BTreeMap;

use ipam::{Block, ClusterRecord, ClusterState, HostId, Rebuild, next_generation};

use crate::coverage::Sometimes;
use crate::fleet::{Event, Fleet};
use crate::machine::Power;
use crate::provider::MachineState;
use crate::script::zone;
use crate::store::Transaction;
use crate::subnets::opening;
use crate::words::{Key, Store, Value};

impl Fleet {
    /// Everything in the store is gone, and every connection to it with what was on its way. An operator makes it
    /// anew after a while.
    pub(crate) fn wipe_store(&mut self, millis: u64) {
        if self.oracle.store_is_wrong {
            return;
        }
        self.coverage.reached(Sometimes::StoreWiped);
        self.oracle.store_is_wrong = true;
        self.begin_with(Store::default());
        self.after(millis, Event::Rebuild);
    }

    /// The store is put back to what it was once, as an operator restores a snapshot. Until it is made anew, it says
    /// what is not true any more.
    #[cfg(test)]
    pub(crate) fn put_store_back(&mut self, snapshot: Store) {
        self.oracle.store_is_wrong = true;
        self.begin_with(snapshot);
    }

    /// Another store in the place of the one that was: every connection breaks, and what was on its way is lost.
    fn begin_with(&mut self, store: Store) {
        self.store = store;
        self.under_way.clear();
        self.held_back.clear();
        for machine in 0..self.machines.len() {
            if let Some(agent) = &mut self.machines[machine].agent {
                agent.session = None;
            }
            self.watches_break(machine);
        }
    }

    /// `berth store rebuild`: what the provider has delivered is opened anew, every address in quarantine of nobody.
    pub(crate) fn rebuild_store(&mut self) {
        if !self.oracle.store_is_wrong {
            return;
        }
        let now = self.now;
        self.story.say(now, || "the store is made anew".to_owned());
        self.coverage.reached(Sometimes::Rebuilt);
        // Two machines of one id would both be the first to say who that is.
        for machine in 0..self.machines.len() {
            if self.machines[machine].is_clone {
                self.power_off(machine, 0, MachineState::Deleted);
                self.machines[machine].power = Power::Gone;
            }
        }
        let generation = next_generation([self.generation], 0, self.generation.number);
        self.generation = generation;
        let everything: Vec<_> = self.store.entries().map(|(key, _)| (key.clone(), None)).collect();
        self.write(&Transaction { compares: Vec::new(), writes: everything });
        self.put_pool();
        for site in self.script.sites.clone() {
            if self.provider.delivered.contains(&site.cidr) {
                self.write(&anew(opening(site, 0)));
            }
        }
        let awaited = self.machines.iter().map(|at| (at.identity.host.clone(), None));
        let awaited: BTreeMap<HostId, Option<String>> = awaited.collect();
        self.rebuild = Some(Rebuild {
            generation,
            by: HostId::from("h1"),
            at: String::new(),
            awaited,
            no_others: Some("root".to_owned()),
            zones: (0..self.script.zones).map(zone).collect(),
        });
        let record = ClusterRecord { id: "c".into(), generation, state: ClusterState::Open };
        self.oracle.store_is_wrong = false;
        self.put(Key::Ipam(ipam::Key::Cluster), Value::Ipam(ipam::Value::Cluster(record)));
        for machine in 0..self.machines.len() {
            self.reconcile_soon(machine);
        }
    }

    /// The operator's word that machines which are deleted use nothing any more.
    pub(crate) fn tell_who_is_gone(&mut self) {
        let there = |host: &HostId| {
            self.machines
                .iter()
                .any(|at| at.identity.host == *host && at.power != Power::Gone && !at.is_clone)
        };
        let Some(rebuild) = &self.rebuild else { return };
        let mut rebuild = rebuild.clone();
        for (host, gone) in &mut rebuild.awaited {
            if !there(host) {
                *gone = Some("root: deleted".to_owned());
            }
        }
        self.rebuild = Some(rebuild);
    }
}

/// A subnet's opening, with blocks of which nobody knows who uses what.
fn anew(mut opening: crate::words::FleetTransaction) -> crate::words::FleetTransaction {
    for (_, value) in &mut opening.writes {
        if let Some(Value::Ipam(ipam::Value::Block(block))) = value {
            *block = Block::rebuilt(block.id(), 0, block.set_aside(), "the store was made anew");
        }
    }
    opening
}
