//! What the world shows, and what must hold after every act.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::*;

use super::{World, block_key};

impl World {
    pub(crate) fn view(&self, machine: usize) -> View {
        self.machines[machine].agent.as_ref().expect("the agent is down").view(self.now)
    }

    pub(crate) fn state(&self, machine: usize, address: IpAddr) -> AddressState {
        let view = self.view(machine);
        let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
        let mut addresses = blocks.flat_map(|block| &block.addresses);
        addresses.find(|shown| shown.address == address).expect("not in the view").state.clone()
    }

    /// What must hold after every act.
    pub(crate) fn check(&self) {
        if self.store.get(&block_key(self.block_id())).value.is_none() {
            let used = self.machines.iter().any(|machine| !machine.in_use.is_empty());
            return assert!(!used, "S3: an address of a returned subnet is used");
        }
        let block = self.block();
        assert_eq!(ipam::check::block_broken(&block), Vec::<String>::new());
        let mut users: BTreeMap<IpAddr, &HostId> = BTreeMap::new();
        for machine in &self.machines {
            let host = &machine.identity.host;
            for (address, epoch) in &machine.in_use {
                if let Some(other) = users.insert(*address, host) {
                    panic!("S1: {address} is used on {other} and on {host}");
                }
                assert!(!block.set_aside().contains_key(address), "S3: {address} is set aside and used");
                let holder = block.held().get(address).map(|held| &held.by.host);
                let unclaimed = block.quarantined().get(address).is_some_and(|it| it.was.is_none());
                assert!(holder == Some(host) || unclaimed, "S7: {address} is used and held by {holder:?}");
                self.check_dependents(*address, *epoch);
            }
        }
    }

    /// What must hold of the machine that acted.
    pub(super) fn check_machine(&self, machine: usize) {
        let at = &self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let view = agent.view(self.now);
        assert_eq!(ipam::check::view_broken(&view), Vec::<String>::new());
        assert_eq!(ipam::check::host_broken(agent), Vec::<String>::new());
        let assigned = ipam::check::assigned_in(&view);
        // A revoked address is about to fall silent.
        let kept = at.in_use.iter().filter(|(address, _)| !view.revoked.contains(address));
        for (address, epoch) in kept {
            let shown = assigned.get(address);
            assert_eq!(shown, Some(epoch), "S7, S8: {address} is used under {epoch}, and not shown so");
        }
    }

    fn check_dependents(&self, address: IpAddr, epoch: Epoch) {
        for key in self.store.entries.keys() {
            if let Key::Dependent { address: of, epoch: named, .. } = key {
                assert!(
                    *of != address || *named >= epoch,
                    "S4: {address} is used again while {key:?} is there"
                );
            }
        }
    }

    /// Who holds an address, as the store shows it.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<HostId> {
        self.block().held().get(&address).map(|held| held.by.host.clone())
    }

    /// An address that a host holds.
    pub(crate) fn held_by(&self, host: &str) -> IpAddr {
        let block = self.block();
        let held = block.held().iter().find(|(_, held)| held.by.host.0 == host);
        *held.expect("it holds nothing").0
    }

    pub(crate) fn has_a_want(&self) -> bool {
        self.store.entries.keys().any(|key| matches!(key, Key::Want { .. }))
    }

    /// A want that nobody waits for any more was not served, and is not left over.
    pub(crate) fn was_not_granted(&mut self, address: IpAddr, asker: &str) {
        assert_ne!(self.holder(address), Some(asker.into()));
        self.settle();
        assert!(!self.has_a_want());
    }
}
