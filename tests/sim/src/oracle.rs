//! What must always hold, looked at after every step: S1 to S5, S7 and S8 of the protocol. S6 is the ledger's.
//!
//! Only what a step touched is looked at again: the machine that acted, the block that was written, the address
//! that came into use.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::{Answer, Block, BlockId, Epoch, Key as IpamKey, Refusal};

use crate::coverage::Sometimes;
use crate::fleet::Fleet;
use crate::words::{Key, Value};

/// What is known of the past, to compare with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    /// The newest epoch under which each address was answered.
    epochs: BTreeMap<IpAddr, Epoch>,
    /// Who uses each address now.
    users: BTreeMap<IpAddr, usize>,
    /// Who used it last.
    last_users: BTreeMap<IpAddr, usize>,
    /// Whether the store has lost its memory and was not rebuilt yet: it says nothing about who uses what.
    pub(crate) store_is_wrong: bool,
}

impl Oracle {
    /// A container lets go of an address.
    pub(crate) fn stopped(&mut self, machine: usize, address: IpAddr) {
        if self.users.get(&address) == Some(&machine) {
            self.users.remove(&address);
        }
    }
}

impl Fleet {
    /// A container begins to use an address, or goes on under another epoch (S1, S3).
    pub(crate) fn look_at_use(&mut self, machine: usize, address: IpAddr) {
        let name = |fleet: &Self, machine: usize| fleet.machines[machine].identity.host.clone();
        if let Some(other) = self.oracle.users.insert(address, machine)
            && other != machine
        {
            self.fail(format!(
                "S1: {address} is used on {} and on {}",
                name(self, other),
                name(self, machine)
            ));
        }
        if self.oracle.last_users.insert(address, machine).is_some_and(|last| last != machine) {
            self.coverage.reached(Sometimes::Moved);
        }
        if !self.provider.delivered.iter().any(|cidr| cidr.contains(address)) {
            self.fail(format!("S3: {address} is used, and its subnet is not this account's"));
        }
        if self.block_of(address).is_some_and(|block| block.set_aside().contains_key(&address)) {
            self.fail(format!("S3: {address} is used, and set aside"));
        }
    }

    /// A container that was not there before begins to use an address (S4).
    pub(crate) fn look_at_reuse(&mut self, address: IpAddr, epoch: Epoch) {
        let older = self.store.range(&ipam::Prefix::Dependents(address)).find_map(|(key, _, _)| match key {
            Key::Ipam(IpamKey::Dependent { epoch: named, object, .. }) if *named < epoch => {
                Some(format!("{object} under {named}"))
            }
            _ => None,
        });
        if let Some(older) = older {
            self.fail(format!("S4: {address} is used under {epoch}, and the cloud still names it: {older}"));
        }
    }

    /// A host answered (S2).
    pub(crate) fn look_at_answer(&mut self, machine: usize, result: &Result<Answer, Refusal>) {
        match result {
            Ok(Answer::Assigned(assignment)) => {
                let (address, epoch) = (assignment.address, assignment.epoch);
                let before = self.oracle.epochs.get(&address).copied();
                match before {
                    Some(before) if before > epoch => {
                        let host = self.machines[machine].identity.host.clone();
                        self.fail(format!("S2: {host} answers {address} under {epoch}, after {before}"));
                    }
                    _ => {
                        self.oracle.epochs.insert(address, epoch);
                    }
                }
            }
            Ok(_) => (),
            Err(_) => self.coverage.reached(Sometimes::Refused),
        }
    }

    /// A block was written (S2, S3, S5, S7).
    pub(crate) fn look_at_block(&mut self, id: BlockId, before: Option<&Block>) {
        let Some(after) = self.block(id).cloned() else { return };
        let broken = match before {
            Some(before) => ipam::check::step_broken(before, &after),
            None => ipam::check::block_broken(&after),
        };
        if !broken.is_empty() {
            self.fail(broken.join("; "));
        }
        let used: Vec<(IpAddr, usize)> = self
            .oracle
            .users
            .iter()
            .filter(|(address, _)| id.contains(**address))
            .map(|(address, machine)| (*address, *machine))
            .collect();
        for (address, machine) in used {
            self.look_at_holder(&after, address, machine);
        }
    }

    /// What is used is held by its user.
    fn look_at_holder(&mut self, block: &Block, address: IpAddr, machine: usize) {
        let at = &self.machines[machine];
        let holder = block.held().get(&address).map(|held| &held.by.host);
        // In a store that was made anew it waits for whoever uses it.
        if block.quarantined().get(&address).is_some_and(|quarantined| quarantined.was.is_none()) {
            return;
        }
        if holder != Some(&at.identity.host) && !at.forsaken && !self.oracle.store_is_wrong {
            let (host, shown) = (at.identity.host.clone(), block.state_of(address));
            self.fail(format!("S7: {address} is used on {host}, and the store shows it {shown}"));
        }
    }

    /// A host took a step (S5, S7, S8).
    pub(crate) fn look_at_machine(&mut self, machine: usize) {
        let at = &self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let mut broken = ipam::check::host_broken(&agent.host);
        if at.forsaken {
            self.look_whether_it_is_whole(machine);
        } else if !self.oracle.store_is_wrong {
            let lost =
                at.kernel.iter().filter(|(address, epoch)| agent.host.assigned(**address) != Some(**epoch));
            broken.extend(lost.map(|(address, epoch)| {
                let shown = crate::reconcile::state_in(&agent.host.view(at.clock.at(self.now)), *address);
                format!("S7, S8: {address} is used under {epoch}, and shown as {shown:?}")
            }));
        }
        if !broken.is_empty() {
            let host = self.machines[machine].identity.host.clone();
            self.fail(format!("{host}: {}", broken.join("; ")));
        }
    }

    /// A machine that had lost what it knew has claimed what its containers use: it is to be believed again.
    fn look_whether_it_is_whole(&mut self, machine: usize) {
        let at = &self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let host = &at.identity.host;
        let claimed = |address: IpAddr, epoch: Epoch| {
            let held = self.block_of(address).and_then(|block| block.held().get(&address));
            agent.host.assigned(address) == Some(epoch) && held.is_some_and(|held| held.by.host == *host)
        };
        let registered = self.store.get(&Key::Ipam(IpamKey::Host(host.clone()))).is_some_and(|(value, _)| {
            matches!(value, Value::Ipam(ipam::Value::Host(record)) if record.boot == at.identity.boot)
        });
        let whole = registered && agent.host.is_ready();
        if whole && at.kernel.iter().all(|(address, epoch)| claimed(*address, *epoch)) {
            self.machines[machine].forsaken = false;
        }
    }

    /// Whether the store knows a host by this machine.
    pub(crate) fn is_registered(&self, machine: usize) -> bool {
        let identity = &self.machines[machine].identity;
        self.store.get(&Key::Ipam(IpamKey::Host(identity.host.clone()))).is_some_and(|(value, _)| {
            matches!(value, Value::Ipam(ipam::Value::Host(record)) if record.instance == identity.instance)
        })
    }

    /// Keys of a kind, for the end of a story: what is left over must not be.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let orphan = |key: &Key, value: &Value| match (key, value) {
            // In a zone without hosts nobody has the role that would sweep it.
            (Key::Ipam(IpamKey::Want { zone, holder, asker }), _) if self.is_inhabited(zone) => {
                Some(format!("a want of {asker}, addressed to {holder}"))
            }
            (Key::Ipam(IpamKey::Endpoint(address)), _) => Some(format!("an endpoint of {address}")),
            (Key::Ipam(IpamKey::Dependent { address, .. }), _) => Some(format!("a dependent of {address}")),
            (
                Key::Ipam(IpamKey::Published { host, block }),
                Value::Ipam(ipam::Value::Published(published)),
            ) if !published.open.is_empty() => {
                Some(format!("{} open endpoints of {host} in {block}", published.open.len()))
            }
            _ => None,
        };
        self.store.entries().filter_map(|(key, value)| orphan(key, value)).collect()
    }
}
