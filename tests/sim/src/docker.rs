//! dockerd and its containers: which calls it makes, which it repeats, and which it never makes again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::{Answer, Assignment, EndpointId, Epoch, Family, Input, Refusal, RequestId, Wish};

use crate::coverage::Sometimes;
use crate::fleet::{Event, Fleet, pool};
use crate::machine::Power;

/// How long dockerd takes from one call to the next at most, in milliseconds.
const PAUSE_MAX: u64 = 60;

/// The containers of a host.
#[derive(Debug, Default)]
pub(crate) struct Docker {
    pub(crate) containers: BTreeMap<u64, Container>,
    made: u64,
    /// What was released lately, to be released again by mistake.
    released: Vec<(IpAddr, Epoch)>,
    /// Whether the next answer breaks on its way to dockerd.
    pub(crate) deaf: bool,
    /// What the reconciler saw unused at its last look.
    pub(crate) suspects: Vec<(IpAddr, Epoch)>,
    pub(crate) look_due: bool,
}

/// A container, and how far dockerd is with it.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) endpoint: EndpointId,
    /// Attached by Docker's built-in bridge driver: no endpoint calls arrive.
    pub(crate) plain: bool,
    pub(crate) phase: Phase,
    pub(crate) assignment: Option<(IpAddr, Epoch)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// RequestAddress is out.
    Asking,
    /// It was answered.
    Assigned,
    /// CreateEndpoint is out.
    Binding,
    /// It was answered.
    Bound,
    Running,
    /// Its process ended: DeleteEndpoint is next, then its answer.
    Stopped,
    Deleting,
    /// ReleaseAddress is next, then its answer.
    Deleted,
    Releasing,
}

/// Who waits for an answer of the agent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Container(u64),
    /// A reservation, an opening: what became of it shows by itself.
    Nobody,
}

impl Fleet {
    /// `docker run`.
    pub(crate) fn run_container(&mut self, machine: usize, wish: Wish, plain: bool) {
        if !self.machines[machine].is_up() {
            return;
        }
        let docker = &mut self.machines[machine].docker;
        docker.made += 1;
        let number = docker.made;
        let endpoint = EndpointId(format!("m{machine}-c{number}"));
        let container = Container { endpoint, plain, phase: Phase::Asking, assignment: None };
        docker.containers.insert(number, container);
        let asked = self.call(machine, Call::Container(number), |request| Input::Assign {
            request,
            pool: pool(),
            wish,
            endpoint: None,
        });
        if !asked {
            self.machines[machine].docker.containers.remove(&number);
        }
    }

    /// `docker stop` of one of the running containers.
    pub(crate) fn stop_container(&mut self, machine: usize, nth: usize) {
        let docker = &self.machines[machine].docker;
        let running: Vec<u64> = docker
            .containers
            .iter()
            .filter(|(_, container)| container.phase == Phase::Running)
            .map(|(number, _)| *number)
            .collect();
        if !self.machines[machine].is_up() || running.is_empty() {
            return;
        }
        self.stop(machine, running[nth % running.len()]);
    }

    pub(crate) fn stop(&mut self, machine: usize, number: u64) {
        let at = &mut self.machines[machine];
        let Some(container) = at.docker.containers.get_mut(&number) else { return };
        container.phase = if container.plain { Phase::Deleted } else { Phase::Stopped };
        if let Some((address, epoch)) = container.assignment {
            at.kernel.remove(&address);
            at.docker.released.push((address, epoch));
            self.oracle.stopped(machine, address);
        }
        self.docker_soon(machine, number);
    }

    /// A call of dockerd to the agent. False if nobody takes it.
    fn call(&mut self, machine: usize, call: Call, input: impl FnOnce(RequestId) -> Input) -> bool {
        let at = &mut self.machines[machine];
        let Some(agent) = at.agent.as_mut().filter(|_| at.power == Power::On) else {
            self.reconcile_soon(machine);
            return false;
        };
        agent.requests += 1;
        let request = RequestId(agent.requests);
        agent.calls.insert(request, call);
        self.feed(machine, input(request));
        true
    }

    /// A request of somebody who does not wait.
    pub(crate) fn tell(&mut self, machine: usize, input: impl FnOnce(RequestId) -> Input) {
        self.call(machine, Call::Nobody, input);
    }

    fn docker_soon(&mut self, machine: usize, container: u64) {
        let wait = self.machines[machine].chance.skewed(PAUSE_MAX);
        self.after(wait, Event::Docker { machine, container });
    }

    /// The next call about a container.
    pub(crate) fn docker_goes_on(&mut self, machine: usize, number: u64) {
        if self.machines[machine].power == Power::Suspended {
            return self.after(1_000, Event::Docker { machine, container: number });
        }
        let Some(container) = self.machines[machine].docker.containers.get(&number).cloned() else { return };
        let address = container.assignment.map(|(address, _)| address);
        let endpoint = container.endpoint.clone();
        let (next, done) = match (container.phase, address) {
            (Phase::Assigned, Some(_)) if container.plain => return self.join(machine, number),
            (Phase::Assigned, Some(address)) => {
                self.phase(machine, number, Phase::Binding);
                let bind = |request| Input::Bind { request, address, endpoint };
                (Phase::Binding, self.call(machine, Call::Container(number), bind))
            }
            (Phase::Bound, _) => return self.join(machine, number),
            (Phase::Stopped, _) => {
                self.phase(machine, number, Phase::Deleting);
                let gone = |request| Input::EndpointGone { request, endpoint };
                (Phase::Deleting, self.call(machine, Call::Container(number), gone))
            }
            (Phase::Deleted, Some(address)) => {
                if container.plain {
                    // Its end was seen in Docker's events before the release.
                    self.tell(machine, |request| Input::EndpointGone { request, endpoint });
                }
                self.phase(machine, number, Phase::Releasing);
                let release = |request| Input::Release { request, address };
                (Phase::Releasing, self.call(machine, Call::Container(number), release))
            }
            _ => return,
        };
        if !done {
            self.call_failed(machine, number, next);
        }
    }

    fn phase(&mut self, machine: usize, number: u64, phase: Phase) {
        if let Some(container) = self.machines[machine].docker.containers.get_mut(&number) {
            container.phase = phase;
        }
    }

    /// The container's process starts, and uses the address from now on.
    fn join(&mut self, machine: usize, number: u64) {
        let now = self.now;
        let at = &mut self.machines[machine];
        let Some(container) = at.docker.containers.get_mut(&number) else { return };
        let Some((address, epoch)) = container.assignment else { return };
        // The agent attaches only what is assigned; and without an agent nothing is attached.
        let attached = at.awake().is_some_and(|agent| agent.host.assigned(address) == Some(epoch));
        let Some(container) = at.docker.containers.get_mut(&number) else { return };
        if !attached {
            container.phase = if container.plain { Phase::Deleted } else { Phase::Stopped };
            return self.docker_soon(machine, number);
        }
        container.phase = Phase::Running;
        let plain = container.plain;
        at.kernel.insert(address, epoch);
        let host = at.identity.host.clone();
        self.story.say(now, || format!("{host} uses {address} under {epoch}"));
        self.look_at_use(machine, address);
        self.look_at_reuse(address, epoch);
        if plain {
            self.reconcile_soon(machine);
        }
    }

    /// The agent answered a request.
    pub(crate) fn answered(&mut self, machine: usize, request: RequestId, result: Result<Answer, Refusal>) {
        let Some(agent) = &mut self.machines[machine].agent else { return };
        let Some(call) = agent.calls.remove(&request) else { return };
        if matches!(result, Ok(Answer::Published)) {
            self.coverage.reached(Sometimes::Opened);
        }
        self.look_at_answer(machine, &result);
        let Call::Container(number) = call else { return };
        let docker = &mut self.machines[machine].docker;
        let Some(container) = docker.containers.get(&number).cloned() else { return };
        if docker.deaf {
            docker.deaf = false;
            docker.containers.remove(&number);
            self.reconcile_soon(machine);
            return self.retry_with_nothing(machine);
        }
        let next = match (container.phase, result) {
            (Phase::Asking, Ok(Answer::Assigned(Assignment { address, epoch, .. }))) => {
                if let Some(container) = docker.containers.get_mut(&number) {
                    container.assignment = Some((address, epoch));
                }
                Phase::Assigned
            }
            (Phase::Asking, _) => {
                docker.containers.remove(&number);
                return;
            }
            (Phase::Binding, Ok(_)) => Phase::Bound,
            // dockerd releases what it could not use.
            (Phase::Binding, Err(_)) => Phase::Deleted,
            (Phase::Deleting, _) => Phase::Deleted,
            (Phase::Releasing, _) => {
                docker.containers.remove(&number);
                // A hint that was taken as one: the reconciler looks.
                return self.reconcile_soon(machine);
            }
            (phase, _) => phase,
        };
        self.phase(machine, number, next);
        self.docker_soon(machine, number);
    }

    /// dockerd repeats a call whose connection broke, with an empty body.
    fn retry_with_nothing(&mut self, machine: usize) {
        self.coverage.reached(Sometimes::EmptyRetry);
        let nothing = ipam::PoolName::from("");
        self.tell(machine, |request| Input::Assign {
            request,
            pool: nothing,
            wish: Wish::Any(Family::V4),
            endpoint: None,
        });
    }

    /// Calls that the agent took and will not answer.
    pub(crate) fn calls_fail(&mut self, machine: usize) {
        let out: Vec<(u64, Phase)> = self.machines[machine]
            .docker
            .containers
            .iter()
            .filter(|(_, container)| {
                matches!(container.phase, Phase::Asking | Phase::Binding | Phase::Deleting | Phase::Releasing)
            })
            .map(|(number, container)| (*number, container.phase))
            .collect();
        for (number, phase) in out {
            self.call_failed(machine, number, phase);
        }
    }

    /// dockerd never repeats a release: what it could not say is left to the reconciler.
    fn call_failed(&mut self, machine: usize, number: u64, phase: Phase) {
        match phase {
            Phase::Binding | Phase::Deleting => {
                self.phase(machine, number, Phase::Deleted);
                self.docker_soon(machine, number);
            }
            _ => {
                self.machines[machine].docker.containers.remove(&number);
            }
        }
        self.reconcile_soon(machine);
    }

    /// dockerd dies, and its containers with it: nothing is released.
    pub(crate) fn docker_dies(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        at.docker.containers.clear();
        for address in std::mem::take(&mut at.kernel).into_keys() {
            self.oracle.stopped(machine, address);
        }
        self.reconcile_soon(machine);
    }

    /// A release that comes late, or for the second time.
    pub(crate) fn release_late(&mut self, machine: usize, nth: usize) {
        let at = &self.machines[machine];
        let released = &at.docker.released;
        if released.is_empty() {
            return;
        }
        let (address, _) = released[nth % released.len()];
        // Where no endpoint calls arrive, a release closes only what the kernel does not show.
        let plain = at.docker.containers.values().any(|container| {
            container.plain && container.assignment.is_some_and(|(used, _)| used == address)
        });
        if !plain {
            if at.kernel.contains_key(&address) {
                self.coverage.reached(Sometimes::LateReleaseOfUsed);
            }
            self.tell(machine, |request| Input::Release { request, address });
            self.reconcile_soon(machine);
        }
    }

    /// Word of the end of an assignment that is long over.
    pub(crate) fn reap_late(&mut self, machine: usize, nth: usize) {
        let released = &self.machines[machine].docker.released;
        if let Some((address, epoch)) = released.get(nth % released.len().max(1)).copied() {
            self.tell(machine, |request| Input::Reap { request, address, epoch });
        }
    }
}
