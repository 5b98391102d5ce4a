//! After the chaos: every fault ends, everything must come back by itself, and what must be true then.

use std::net::IpAddr;

use ipam::{AddressState, Block, Family, HostId, Key as IpamKey, Prefix, Wish, Zone};

use crate::docker::Phase;
use crate::fleet::{Event, Fleet};
use crate::machine::{Machine, Power};
use crate::provider::MachineState;
use crate::script::zone;
use crate::words::Key;

/// How long everything has to come back, in milliseconds: an eviction with its two questions, a role that moves
/// first, a quarantine.
const BACK_MILLIS: u64 = 600_000;

/// How long one request may take when nothing is wrong.
const REACH_MILLIS: u64 = 1_000;

impl Fleet {
    /// Ends every fault, waits, and looks.
    pub(crate) fn heal(&mut self) {
        let now = self.now;
        self.story.say(now, || "everything heals".to_owned());
        for fault in self.standing.clone() {
            self.end(fault);
        }
        self.rebuild_store();
        self.tell_who_is_gone();
        for zone in 0..self.script.zones {
            self.roles[zone].needed_since = None;
            self.after(1, Event::Role { zone });
        }
        for nth in 0..self.script.sites.len() {
            self.undrain(nth);
        }
        for machine in 0..self.machines.len() {
            if self.machines[machine].is_clone {
                self.power_off(machine, 0, MachineState::Deleted);
                self.machines[machine].power = Power::Gone;
                continue;
            }
            self.machines[machine].trip = None;
            self.machines[machine].docker.deaf = false;
            self.after(1, Event::Start { machine });
            self.after(1, Event::Replace { machine });
            self.reconcile_soon(machine);
        }
        self.run_until(self.now + BACK_MILLIS);
        self.look_at_who_is_back();
        self.stop_everything();
        self.run_until(self.now + 120_000);
        self.look_at_what_is_left();
        self.reach_everything();
    }

    fn look_at_who_is_back(&mut self) {
        for machine in 0..self.machines.len() {
            let at = &self.machines[machine];
            let (host, now) = (at.identity.host.clone(), self.now);
            let Some(agent) = at.awake() else { continue };
            let view = agent.host.view(at.clock.at(now));
            let busy: Vec<String> = view
                .subnets
                .iter()
                .flat_map(|subnet| &subnet.blocks)
                .filter(|block| block.operation.is_some())
                .map(|block| format!("{:?}", block.operation))
                .collect();
            if let Some(not_ready) = &view.not_ready {
                let why = not_ready.to_string();
                self.fail(format!("L4: {host} did not come back: {why}"));
            } else if !busy.is_empty() {
                self.fail(format!("L4: an operation of {host} never ends: {}", busy.join(", ")));
            } else if !view.waiting.is_empty() {
                self.fail(format!("L2: {host} never answers {:?}", view.waiting));
            }
        }
    }

    fn stop_everything(&mut self) {
        for machine in 0..self.machines.len() {
            let running: Vec<u64> = self.machines[machine]
                .docker
                .containers
                .iter()
                .filter(|(_, container)| container.phase == Phase::Running)
                .map(|(number, _)| *number)
                .collect();
            for number in running {
                self.stop(machine, number);
            }
            self.reconcile_soon(machine);
        }
        // What was written late, and what services keep, ends with the containers.
        for name in 0..3 {
            // A host ends what lies in its own zones.
            let awake = (0..self.machines.len()).filter(|machine| self.machines[*machine].awake().is_some());
            for machine in awake.collect::<Vec<_>>() {
                self.unreserve(machine, name);
            }
        }
        self.run_until(self.now + 150_000);
        self.look_at_what_is_kept();
        self.unname();
    }

    /// What is neither used nor free is kept for a reason that somebody can tell: services may still know it.
    fn look_at_what_is_kept(&mut self) {
        let named = |address: IpAddr| {
            self.store.range(&Prefix::Dependents(address)).next().is_some()
                || self.store.get(&Key::Ipam(IpamKey::Endpoint(address))).is_some()
        };
        let mut unexplained = Vec::new();
        for block in self.inhabited_blocks() {
            let quarantined = block.quarantined().keys().filter(|address| !named(**address));
            unexplained.extend(quarantined.map(|address| format!("{address} is quarantined")));
        }
        for at in &self.machines {
            let Some(agent) = at.awake() else { continue };
            let view = agent.host.view(at.clock.at(self.now));
            let addresses =
                view.subnets.iter().flat_map(|subnet| &subnet.blocks).flat_map(|it| &it.addresses);
            for shown in addresses {
                let kept = match &shown.state {
                    AddressState::Cooling { .. } => !named(shown.address),
                    AddressState::Leaving { .. } | AddressState::NotRetaken => true,
                    _ => false,
                };
                if kept {
                    let (address, state, host) = (shown.address, &shown.state, &at.identity.host);
                    unexplained.push(format!("{address} {state}, on {host}"));
                }
            }
        }
        if !unexplained.is_empty() {
            self.fail(format!("L4: kept for no reason: {}", unexplained.join("; ")));
        }
    }

    /// The blocks of zones that have a host: elsewhere nobody has the role, and what was held by the dead or
    /// quarantined stays so.
    fn inhabited_blocks(&self) -> impl Iterator<Item = &Block> {
        let inhabited = |number: &usize| self.is_inhabited(&zone(*number));
        (0..self.script.zones).filter(inhabited).flat_map(|zone| self.blocks_in(zone)).map(|(block, _)| block)
    }

    /// Whether a host of the zone lives.
    pub(crate) fn is_inhabited(&self, zone: &Zone) -> bool {
        self.machines.iter().any(|at| at.awake().is_some() && at.identity.zones.contains(zone))
    }

    /// L1, L4: nothing of a dead host, and nothing that nobody uses.
    fn look_at_what_is_left(&mut self) {
        let mut left = self.left_over();
        for block in self.blocks() {
            for (address, held) in block.held() {
                if self.is_elsewhere(block, &held.by.host) {
                    left.push(format!("{address} is held by {}, which is in another zone", held.by));
                }
            }
        }
        for block in self.inhabited_blocks() {
            for (address, held) in block.held() {
                let alive = self.machines.iter().any(|at| {
                    at.identity.host == held.by.host && at.power == Power::On && at.agent.is_some()
                });
                if !alive {
                    left.push(format!("{address} is held by {}, which is gone", held.by));
                }
            }
            left.extend(block.quarantined().keys().map(|address| format!("{address} is quarantined")));
        }
        for at in &self.machines {
            let Some(agent) = &at.agent else { continue };
            let view = agent.host.view(at.clock.at(self.now));
            for (address, epoch) in ipam::check::assigned_in(&view) {
                left.push(format!("{address} is assigned under {epoch} on {}, to nobody", at.identity.host));
            }
        }
        if !left.is_empty() {
            self.fail(format!("L1, L4: left over: {}", left.join("; ")));
        }
    }

    /// Whether a host has no network in the block's zone.
    fn is_elsewhere(&self, block: &Block, host: &HostId) -> bool {
        let site = self.script.sites.iter().find(|site| site.cidr == block.id().subnet);
        let at = self.machines.iter().find(|at| at.identity.host == *host && !at.is_clone);
        site.zip(at).is_some_and(|(site, at)| !at.identity.zones.contains(&zone(site.zone)))
    }

    /// L2: one host of each zone can have every address of its zones that is free, each within a second.
    fn reach_everything(&mut self) {
        for number in 0..self.script.zones {
            let zone = zone(number);
            let is_there = |at: &Machine| at.awake().is_some() && at.identity.zones.contains(&zone);
            let Some(machine) = self.machines.iter().position(is_there) else { continue };
            for nth in 0..self.unused_in_reach(machine) {
                if self.broken.is_some() {
                    return;
                }
                let before = self.machines[machine].kernel.len();
                self.run_container(machine, Wish::Any(Family::V4), false);
                self.run_until(self.now + REACH_MILLIS);
                if self.machines[machine].kernel.len() == before && self.broken.is_none() {
                    let blocks = self.in_short();
                    self.fail(format!("L2: only {nth} free addresses of {zone} are within reach: {blocks}"));
                }
            }
        }
    }

    /// How many addresses of a machine's zones nobody uses.
    fn unused_in_reach(&self, machine: usize) -> usize {
        let zones = &self.machines[machine].identity.zones;
        let here = (0..self.script.zones).filter(|number| zones.contains(&zone(*number)));
        let free = |block: &Block| {
            let used = self.machines.iter().flat_map(|at| at.kernel.keys());
            let used = used.filter(|address| block.id().contains(**address)).count();
            (block.counts().total - block.counts().set_aside) as usize - used
        };
        here.flat_map(|number| self.blocks_in(number)).map(|(block, _)| free(block)).sum()
    }

    /// The blocks, for a reader.
    fn in_short(&self) -> String {
        let states = self.blocks().flat_map(|block| {
            block
                .id()
                .addresses()
                .map(|address| format!("{address} is {}", block.state_of(address)))
                .collect::<Vec<_>>()
        });
        states.collect::<Vec<_>>().join("; ")
    }
}
