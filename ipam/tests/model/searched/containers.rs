//! The container side of a machine: what containers and the reconciler ask of its agent.

use std::net::IpAddr;

use ipam::*;

use super::mutation::Mutation;
use super::normal::base;
use super::reached::Event;
use super::stage::Stage;
use super::world::pool;

pub(crate) const ANY: Wish = Wish::Any(Family::V4);

impl Stage<'_> {
    pub(crate) fn request(&mut self, m: usize) -> RequestId {
        let request = RequestId(base::REQUEST + m as u64);
        self.machine(m).asked.insert(request);
        request
    }

    pub(crate) fn ask(&mut self, m: usize, address: Option<IpAddr>) {
        let request = self.request(m);
        let wish = address.map_or(ANY, Wish::Exact);
        self.feed(m, Input::Assign { request, pool: pool(), wish, endpoint: None });
    }

    pub(crate) fn stop(&mut self, m: usize, address: IpAddr) {
        let keep = self.story.mix.faults.late_releases > 0;
        let services = self.story.mix.services;
        let machine = self.machine(m);
        if let Some(epoch) = machine.in_use.remove(&address).filter(|_| keep) {
            machine.over.insert(address, epoch);
        }
        let request = RequestId(base::REQUEST + 100);
        if services {
            self.feed(m, Input::EndpointGone { request, endpoint: EndpointId(address.to_string()) });
        }
        self.feed(m, Input::Release { request, address });
    }

    pub(crate) fn reap(&mut self, m: usize, address: IpAddr) {
        let Some(epoch) = self.world.machines[m].assigned().get(&address).copied() else { return };
        self.story.reached.note(Event::Reaped);
        self.feed(m, Input::Reap { request: RequestId(base::REQUEST + 100), address, epoch });
    }

    pub(crate) fn late_release(&mut self, m: usize, address: IpAddr) {
        self.world.left.late_releases -= 1;
        let Some(mut epoch) = self.world.machines[m].over.get(&address).copied() else { return };
        if self.story.mutation == Some(Mutation::NoEpoch) {
            epoch = self.world.machines[m].assigned().get(&address).copied().unwrap_or(epoch);
        }
        self.story.reached.note(Event::LateRelease);
        self.feed(m, Input::Reap { request: RequestId(base::REQUEST + 100), address, epoch });
    }

    pub(crate) fn open(&mut self, m: usize, address: IpAddr) {
        let Some(epoch) = self.world.machines[m].in_use.get(&address).copied() else { return };
        let request = RequestId(base::REQUEST + 100);
        self.feed(m, Input::Bind { request, address, endpoint: EndpointId(address.to_string()) });
        self.feed(m, Input::Publish { request, address, epoch });
    }

    pub(crate) fn claim(&mut self, m: usize, address: IpAddr) {
        let request = self.request(m);
        let endpoint = EndpointId(address.to_string());
        self.feed(m, Input::Claim { request, address, endpoint });
    }
}
