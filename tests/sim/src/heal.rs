//! After the chaos: every fault ends, everything must come back by itself, and what must be true then.

use ipam::{Family, Wish};

use crate::docker::Phase;
use crate::fleet::{Event, Fleet};
use crate::machine::Power;
use crate::provider::MachineState;

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
        self.after(1, Event::Role);
        for nth in 0..self.script.subnets.len() {
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
            if let Some(machine) = self.machines.iter().position(|at| at.awake().is_some()) {
                self.unreserve(machine, name);
            }
        }
        self.run_until(self.now + 30_000);
        self.unname();
    }

    /// L1, L4: nothing of a dead host, and nothing that nobody uses.
    fn look_at_what_is_left(&mut self) {
        let mut left = self.left_over();
        for block in self.blocks() {
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

    /// L2: one host can have every address, each within a second.
    fn reach_everything(&mut self) {
        let Some(machine) = self.machines.iter().position(|at| at.awake().is_some()) else { return };
        let usable: u32 = self.blocks().map(|block| block.counts().total - block.counts().set_aside).sum();
        for nth in 0..usable {
            if self.broken.is_some() {
                return;
            }
            self.run_container(machine, Wish::Any(Family::V4), false);
            self.run_until(self.now + REACH_MILLIS);
            let used = self.machines[machine].kernel.len();
            if used != nth as usize + 1 && self.broken.is_none() {
                let blocks = self.in_short();
                self.fail(format!("L2: {used} of {usable} addresses are within reach: {blocks}"));
            }
        }
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
