//! The reconciler: what Docker and the kernel, at two looks, do not know is closed; what the kernel uses and
//! this host has lost is claimed back, or falls silent.

use std::net::IpAddr;

use ipam::{AddressState, EndpointId, Epoch, Input, Usage, View};

use crate::coverage::Sometimes;
use crate::docker::Phase;
use crate::fleet::{Event, Fleet};
use crate::machine::Power;

/// Between two looks, in milliseconds.
const LOOK_MILLIS: u64 = 15_000;

impl Fleet {
    /// Something may be left over.
    pub(crate) fn reconcile_soon(&mut self, machine: usize) {
        let docker = &mut self.machines[machine].docker;
        if !docker.look_due {
            docker.look_due = true;
            let wait = LOOK_MILLIS + self.machines[machine].chance.below(1_000);
            self.after(wait, Event::Reconcile { machine });
        }
    }

    pub(crate) fn reconcile(&mut self, machine: usize) {
        let now = self.now;
        let at = &mut self.machines[machine];
        at.docker.look_due = false;
        if at.power == Power::Gone {
            return;
        }
        let clock = at.clock.at(now);
        let Some(agent) = at.awake().filter(|agent| agent.unsynced == 0) else {
            return self.reconcile_soon(machine);
        };
        let view = agent.host.view(clock);
        self.bind_what_runs(machine, &view);
        let lost = self.look_at_lost(machine, &view);
        if !lost {
            self.feed(machine, Input::Accounted);
        }
        let suspects = self.unused(machine, &view);
        let at = &mut self.machines[machine];
        let before = std::mem::replace(&mut at.docker.suspects, suspects.clone());
        for (address, epoch) in &suspects {
            if before.contains(&(*address, *epoch)) {
                self.coverage.reached(Sometimes::Reaped);
                let (address, epoch) = (*address, *epoch);
                self.tell(machine, |request| Input::Reap { request, address, epoch });
            }
        }
        // A clone stays what it is: its agent waits for an operator.
        if !suspects.is_empty() || lost || (view.not_ready.is_some() && !self.machines[machine].is_clone) {
            self.reconcile_soon(machine);
        }
    }

    /// What is assigned and belongs to no container that Docker knows.
    fn unused(&self, machine: usize, view: &View) -> Vec<(IpAddr, Epoch)> {
        let at = &self.machines[machine];
        let known: Vec<(IpAddr, Epoch)> =
            at.docker.containers.values().filter_map(|container| container.assignment).collect();
        // A call under way may be about anything.
        if at.docker.containers.values().any(|container| container.phase == Phase::Asking) {
            return Vec::new();
        }
        let assigned = ipam::check::assigned_in(view);
        assigned
            .into_iter()
            .filter(|(address, epoch)| {
                !known.contains(&(*address, *epoch)) && at.kernel.get(address) != Some(epoch)
            })
            .collect()
    }

    /// Where no endpoint calls arrive, an assignment is bound once its container is seen.
    fn bind_what_runs(&mut self, machine: usize, view: &View) {
        let running: Vec<(IpAddr, EndpointId)> = self.machines[machine]
            .docker
            .containers
            .values()
            .filter(|container| container.phase == Phase::Running)
            .filter_map(|container| Some((container.assignment?.0, container.endpoint.clone())))
            .collect();
        for (address, endpoint) in running {
            if matches!(state_in(view, address), Some(AddressState::Assigned { usage: Usage::Unbound, .. })) {
                self.coverage.reached(Sometimes::BoundOnSight);
                self.tell(machine, |request| Input::Bind { request, address, endpoint });
            }
        }
    }

    /// Running containers whose address this host has lost: claimed from quarantine, or silenced. Whether there
    /// are any.
    fn look_at_lost(&mut self, machine: usize, view: &View) -> bool {
        let assigned = ipam::check::assigned_in(view);
        let at = &self.machines[machine];
        let running: Vec<(IpAddr, Epoch, EndpointId)> = at
            .docker
            .containers
            .values()
            .filter(|container| container.phase == Phase::Running)
            .filter_map(|c| c.assignment.map(|(address, epoch)| (address, epoch, c.endpoint.clone())))
            .filter(|(address, epoch, _)| assigned.get(address) != Some(epoch))
            .collect();
        let any = !running.is_empty();
        for (address, _, endpoint) in running {
            if let Some(epoch) = assigned.get(&address) {
                // Claimed back under a new epoch.
                self.renew(machine, address, *epoch);
                continue;
            }
            match state_in(view, address) {
                Some(AddressState::Quarantined { was, .. })
                    if was.as_ref().is_none_or(|was| *was == view.host) =>
                {
                    self.tell(machine, |request| Input::Claim { request, address, endpoint });
                }
                Some(AddressState::NotRetaken) => (),
                _ if view.not_ready.is_some() => (),
                _ => self.silence(machine, address),
            }
        }
        any
    }

    fn renew(&mut self, machine: usize, address: IpAddr, epoch: Epoch) {
        let at = &mut self.machines[machine];
        for container in at.docker.containers.values_mut() {
            if let Some((of, old)) = &mut container.assignment
                && *of == address
                && container.phase == Phase::Running
            {
                *old = epoch;
                at.kernel.insert(address, epoch);
            }
        }
        self.look_at_use(machine, address);
    }

    /// A container loses its address.
    pub(crate) fn silence(&mut self, machine: usize, address: IpAddr) {
        let at = &mut self.machines[machine];
        if at.kernel.remove(&address).is_none() {
            return;
        }
        at.docker.containers.retain(|_, container| {
            container.phase != Phase::Running || container.assignment.is_none_or(|(of, _)| of != address)
        });
        let (host, forsaken) = (at.identity.host.clone(), at.forsaken);
        self.oracle.stopped(machine, address);
        if !forsaken {
            self.fail(format!("S7: a container of {host} lost {address}, and {host} was never given up"));
        }
    }
}

pub(crate) fn state_in(view: &View, address: IpAddr) -> Option<AddressState> {
    let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    let mut addresses = blocks.flat_map(|block| &block.addresses);
    addresses.find(|shown| shown.address == address).map(|shown| shown.state.clone())
}
