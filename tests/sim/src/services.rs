//! What services do to addresses: open endpoints, name them in the cloud, keep some under a name.

use std::net::IpAddr;

use ipam::{Dependent, Input, Key as IpamKey, ReservationName};

use crate::coverage::Sometimes;
use crate::docker::Phase;
use crate::fleet::{Fleet, pool};
use crate::store::{Compare, Transaction};
use crate::wire::Ask;
use crate::words::{Key, Value};

impl Fleet {
    /// A running container's endpoint is opened in the store.
    pub(crate) fn publish(&mut self, machine: usize, nth: usize) {
        let containers = self.machines[machine].docker.containers.values();
        let running: Vec<_> = containers
            .filter(|container| container.phase == Phase::Running && !container.plain)
            .filter_map(|container| container.assignment)
            .collect();
        if let Some((address, epoch)) = running.get(nth % running.len().max(1)).copied() {
            self.tell(machine, |request| Input::Publish { request, address, epoch });
        }
    }

    /// An owner writes that it is about to name an endpoint in the cloud: the endpoint must be open.
    pub(crate) fn name(&mut self, machine: usize, nth: usize) {
        let open: Vec<(Key, u64, IpAddr, ipam::EndpointRecord)> = self
            .store
            .entries()
            .filter_map(|(key, value)| match (key, value) {
                (Key::Ipam(IpamKey::Endpoint(address)), Value::Ipam(ipam::Value::Endpoint(record))) => {
                    let (_, revision) = self.store.get(key)?;
                    Some((key.clone(), revision, *address, record.clone()))
                }
                _ => None,
            })
            .collect();
        let Some((key, revision, address, record)) = open.get(nth % open.len().max(1)).cloned() else {
            return;
        };
        let object = format!("member-{}", nth % 2);
        let dependent = Key::Ipam(IpamKey::Dependent { address, epoch: record.epoch, object });
        let writers = [self.machines[machine].identity.host.clone()].into();
        let value = Value::Ipam(ipam::Value::Dependent(Dependent { writers }));
        self.coverage.reached(Sometimes::Named);
        let transaction = Transaction {
            compares: vec![Compare::At(key, revision)],
            writes: vec![(dependent, Some(value))],
        };
        self.transmit(machine, Ask::Role(transaction));
    }

    /// Every owner has read back that nothing in the cloud names an endpoint that is closed, or is to be.
    pub(crate) fn unname(&mut self) {
        let named =
            self.store.entries().filter(|(key, _)| matches!(key, Key::Ipam(IpamKey::Dependent { .. })));
        let writes: Vec<_> = named.map(|(key, _)| (key.clone(), None)).collect();
        self.write(&Transaction { compares: Vec::new(), writes });
    }

    pub(crate) fn reserve(&mut self, machine: usize, name: u64, address: Option<IpAddr>) {
        let name = ReservationName(format!("r{name}"));
        self.tell(machine, |request| Input::Reserve { request, name, pool: pool(), address });
    }

    pub(crate) fn unreserve(&mut self, machine: usize, name: u64) {
        let name = ReservationName(format!("r{name}"));
        self.tell(machine, |request| Input::Unreserve { request, name });
    }
}
