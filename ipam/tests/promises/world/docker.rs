//! What Docker, the reconciler and services ask of a host, and what becomes of it.

use std::net::IpAddr;

use ipam::*;

use super::{World, pool};

impl World {
    pub(crate) fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Asks for an address, to be used by a container once it is there.
    pub(crate) fn ask(&mut self, machine: usize, wish: Wish) -> RequestId {
        let request = self.request();
        if self.machines[machine].agent.is_some() {
            self.machines[machine].users.insert(request);
        }
        self.feed(machine, Input::Assign { request, pool: pool(), wish, endpoint: None });
        request
    }

    /// Asks and waits for the answer, with nothing going wrong; at most 12 s.
    pub(crate) fn assign(&mut self, machine: usize, wish: Wish) -> Result<Assignment, Refusal> {
        let request = self.ask(machine, wish);
        match self.wait(machine, request)? {
            Answer::Assigned(assignment) => Ok(assignment),
            other => panic!("not an assignment: {other:?}"),
        }
    }

    pub(crate) fn assign_any(&mut self, machine: usize) -> Result<Assignment, Refusal> {
        self.assign(machine, Wish::Any(Family::V4))
    }

    pub(crate) fn wait(&mut self, machine: usize, request: RequestId) -> Result<Answer, Refusal> {
        for _ in 0..240 {
            self.run();
            if let Some(result) = self.machines[machine].answers.remove(&request) {
                return result;
            }
            self.pass(50);
        }
        panic!("request {request} was never answered");
    }

    /// Feeds a request made with a fresh id and waits for its answer.
    pub(crate) fn call(
        &mut self,
        machine: usize,
        input: impl FnOnce(RequestId) -> Input,
    ) -> Result<Answer, Refusal> {
        let request = self.request();
        self.feed(machine, input(request));
        self.wait(machine, request)
    }

    pub(crate) fn bind(
        &mut self,
        machine: usize,
        address: IpAddr,
        endpoint: &str,
    ) -> Result<Answer, Refusal> {
        let endpoint = EndpointId::from(endpoint);
        self.call(machine, |request| Input::Bind { request, address, endpoint })
    }

    pub(crate) fn gone(&mut self, machine: usize, endpoint: &str) -> Result<Answer, Refusal> {
        let endpoint = EndpointId::from(endpoint);
        self.call(machine, |request| Input::EndpointGone { request, endpoint })
    }

    /// Docker's ReleaseAddress; the container is gone.
    pub(crate) fn release(&mut self, machine: usize, address: IpAddr) -> Result<Answer, Refusal> {
        self.machines[machine].in_use.remove(&address);
        self.call(machine, |request| Input::Release { request, address })
    }

    /// The container is gone, and its release is sent but not waited for.
    pub(crate) fn stop(&mut self, machine: usize, nth: usize) {
        let at = &mut self.machines[machine];
        let Some(address) = at.in_use.keys().nth(nth % at.in_use.len().max(1)).copied() else { return };
        if at.agent.is_some() {
            let epoch = at.in_use.remove(&address);
            let request = self.request();
            let endpoint = EndpointId(epoch.map(|epoch| epoch.to_string()).unwrap_or_default());
            self.feed(machine, Input::EndpointGone { request, endpoint });
            let request = self.request();
            self.feed(machine, Input::Release { request, address });
        }
    }

    /// The reconciler: what no container uses is closed, where nothing is under way.
    pub(crate) fn reconcile(&mut self, machine: usize) {
        let at = &self.machines[machine];
        if at.agent.is_none() || !at.effects.is_empty() || !at.outcomes.is_empty() || !at.users.is_empty() {
            return;
        }
        let unused: Vec<(IpAddr, Epoch)> = ipam::check::assigned_in(&self.view(machine))
            .into_iter()
            .filter(|(address, epoch)| at.in_use.get(address) != Some(epoch))
            .collect();
        for (address, epoch) in unused {
            let request = self.request();
            self.feed(machine, Input::Reap { request, address, epoch });
        }
    }

    /// A container's endpoint is bound and published.
    pub(crate) fn publish(&mut self, machine: usize, nth: usize) {
        let at = &self.machines[machine];
        let Some((address, epoch)) = at.in_use.iter().nth(nth % at.in_use.len().max(1)) else { return };
        let (address, epoch) = (*address, *epoch);
        let request = self.request();
        let endpoint = EndpointId(format!("{epoch}"));
        self.feed(machine, Input::Bind { request, address, endpoint });
        let request = self.request();
        self.feed(machine, Input::Publish { request, address, epoch });
    }

    /// An owner writes a dependent, comparing that the endpoint is open.
    pub(crate) fn name(&mut self, address: IpAddr) {
        let endpoint = self.store.get(&Key::Endpoint(address));
        let Some(Value::Endpoint(record)) = endpoint.value else { return };
        let key = Key::Dependent { address, epoch: record.epoch, object: "member".into() };
        self.store.put(key, Value::Dependent(Dependent { writers: [record.host].into() }));
    }

    /// Every owner removes its dependents.
    pub(crate) fn unname(&mut self) {
        let named = self.store.entries.keys().filter(|key| matches!(key, Key::Dependent { .. }));
        for key in named.cloned().collect::<Vec<_>>() {
            self.store.delete(key);
        }
    }

    pub(super) fn answered(&mut self, machine: usize, request: RequestId, result: Result<Answer, Refusal>) {
        // A release may have overtaken an answer given again: CreateEndpoint is refused then.
        let assigned = ipam::check::assigned_in(&self.view(machine));
        let at = &mut self.machines[machine];
        if let Ok(Answer::Assigned(assignment)) = &result
            && at.users.contains(&request)
            && assigned.get(&assignment.address) == Some(&assignment.epoch)
        {
            let before = self.epochs.insert(assignment.address, assignment.epoch);
            assert!(
                before.is_none_or(|before| before <= assignment.epoch),
                "S2: {before:?} then {assignment:?}"
            );
            at.in_use.insert(assignment.address, assignment.epoch);
        }
        at.users.remove(&request);
        at.answers.insert(request, result);
    }
}
