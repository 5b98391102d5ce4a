//! What the container side asks: assign, bind, release and their kin, from what is held.

use std::net::IpAddr;

use super::journal::AfterPersist;
use super::waiting::{Hope, Waiting};
use super::{Answer, Assignment, Durability, Explanation, Family, Host, Released, Wish};
use crate::epoch::{Epoch, Generation};
use crate::names::{EndpointId, PoolName, RequestId, Timestamp};
use crate::record::Life;
use crate::refusal::{AddressState, Refusal, Usage};

impl Host {
    pub(super) fn assign(
        &mut self,
        request: RequestId,
        pool: PoolName,
        wish: Wish,
        endpoint: Option<EndpointId>,
    ) {
        let since = self.now;
        let waiting = Waiting::Assign { pool, wish, endpoint, since };
        if !self.serve(request, &waiting) {
            self.waiting.insert(request, waiting);
        }
    }

    pub(super) fn explain(&mut self, request: RequestId, pool: &PoolName, wish: &Wish) {
        let explanation = match self.hope(pool, wish, None, self.now) {
            Hope::Here(address) => Explanation::Here(address),
            Hope::Take(id, _) => Explanation::Take(id),
            Hope::Ask(hosts) => Explanation::Ask(hosts),
            Hope::Wait(None) => Explanation::Refuse(self.exhausted(pool, wish)),
            Hope::Wait(Some(refusal)) | Hope::None(refusal) => Explanation::Refuse(refusal),
        };
        self.answer(request, Ok(Answer::Explained(explanation)));
    }

    /// Assigns a held, usable address that is free, or rests for who asks again; an unbound assignment
    /// asked for by address again is given again. Answered once the journal has it.
    pub(super) fn assign_held(
        &mut self,
        request: RequestId,
        address: IpAddr,
        exact: bool,
        endpoint: Option<EndpointId>,
    ) {
        let Some(held) = self.held.get(&address) else { return };
        let fresh = matches!(held.holding.state, Life::Free { .. } | Life::Cooling { .. });
        if fresh {
            let epoch = self.next_epoch(held.holding.generation, held.holding.take);
            let usage = endpoint.map_or(Usage::Unbound, Usage::Bound);
            self.change(address, |_| Some(Life::Assigned { epoch, usage, exact, published: false }));
            self.demanded(address);
        }
        let Some(assignment) = self.assignment(address) else { return };
        let record = self.address_record(address);
        let answer = Answer::Assigned(assignment);
        let after = if fresh {
            AfterPersist::Assign { request, address, answer }
        } else {
            AfterPersist::Again { request, address, answer }
        };
        self.persist(vec![record], Durability::Written, after);
    }

    pub(super) fn next_epoch(&mut self, generation: Generation, take: u64) -> Epoch {
        self.counter += 1;
        Epoch { generation, take, counter: self.counter }
    }

    /// The assignment of an address, if it is assigned.
    pub(super) fn assignment(&self, address: IpAddr) -> Option<Assignment> {
        let held = self.held.get(&address)?;
        let Life::Assigned { epoch, .. } = held.holding.state else { return None };
        let gateway = self.subnets.get(&held.block.subnet).and_then(|subnet| subnet.gateway);
        Some(Assignment { address, subnet: held.block.subnet, gateway, epoch })
    }

    /// The assignment that an endpoint has already, in the pool and of the kind asked for.
    pub(super) fn assignment_of(
        &self,
        endpoint: &EndpointId,
        pool: &PoolName,
        wish: &Wish,
    ) -> Option<IpAddr> {
        self.endpoints.get(endpoint)?.iter().copied().find(|address| {
            let fits = match wish {
                Wish::Any(family) => Family::of(*address) == *family,
                Wish::Within(cidr) => cidr.contains(*address),
                Wish::Exact(exact) => exact == address,
            };
            let state = self.address_state(*address);
            let bound = matches!(state, AddressState::Assigned { usage: Usage::Bound(_), .. });
            fits && bound && self.subnet_of(*address).is_some_and(|subnet| subnet.pool == *pool)
        })
    }

    pub(super) fn bind(&mut self, request: RequestId, address: IpAddr, endpoint: EndpointId) {
        let usage = match self.address_state(address) {
            AddressState::Assigned { usage, .. } => usage,
            _ => return self.answer(request, Err(Refusal::NotAssigned { address })),
        };
        let fresh = usage == Usage::Unbound;
        match usage {
            Usage::Unbound => {
                self.change(address, |state| with_usage(state, Usage::Bound(endpoint)));
            }
            Usage::Bound(by) if by == endpoint => (),
            Usage::Bound(_) | Usage::Gone(_) => {
                return self.answer(request, Err(Refusal::in_the_way(address, self.address_state(address))));
            }
        }
        let Some(assignment) = self.assignment(address) else { return };
        let record = self.address_record(address);
        let answer = Answer::Assigned(assignment);
        let after = if fresh {
            AfterPersist::Bind { request, address, answer }
        } else {
            AfterPersist::Again { request, address, answer }
        };
        self.persist(vec![record], Durability::Written, after);
    }

    pub(super) fn endpoint_gone(&mut self, request: RequestId, endpoint: &EndpointId) {
        let addresses = self.endpoints.get(endpoint).cloned().unwrap_or_default();
        let mut gone = Vec::new();
        for address in addresses {
            self.change(address, |state| with_usage(state, Usage::Gone(endpoint.clone())));
            gone.extend(self.assignment(address));
        }
        let records =
            gone.iter().map(|assignment| self.address_record(assignment.address)).collect::<Vec<_>>();
        self.persist_answer(request, records, Answer::Gone(gone));
    }

    pub(super) fn release(&mut self, request: RequestId, address: IpAddr) {
        let released = match self.held.get(&address).map(|held| &held.holding.state) {
            Some(Life::Assigned { epoch, usage: Usage::Bound(_), .. }) => Released::Hint(*epoch),
            Some(Life::Assigned { epoch, .. }) => Released::Closed(*epoch),
            _ => Released::Nothing,
        };
        self.close(request, address, released);
    }

    pub(super) fn reap(&mut self, request: RequestId, address: IpAddr, epoch: Epoch) {
        let released = match self.held.get(&address).map(|held| &held.holding.state) {
            Some(Life::Assigned { epoch: now, .. }) if *now == epoch => Released::Closed(epoch),
            // "Nothing to close" must not be concluded about an epoch that is yet to come.
            Some(Life::Assigned { epoch: now, .. } | Life::Cooling { epoch: now, .. }) if *now < epoch => {
                return self.answer(request, Err(Refusal::NotYetIssued { address, epoch }));
            }
            _ => Released::Nothing,
        };
        self.close(request, address, released);
    }

    fn close(&mut self, request: RequestId, address: IpAddr, released: Released) {
        let mut records = Vec::new();
        if let Released::Closed(_) = released {
            let until = self.cool_until(address);
            let boot = self.identity.boot.clone();
            // Of a pool that does not let addresses cool: free at once, and said with one record.
            let turn = (until <= self.now).then(|| self.next_turn());
            self.change(address, |state| match (state, turn) {
                (Life::Assigned { published: false, .. }, Some(turn)) => Some(Life::Free { turn }),
                (Life::Assigned { epoch, exact, published, .. }, _) => {
                    let (epoch, exact, published) = (*epoch, *exact, *published);
                    Some(Life::Cooling { epoch, until, boot, exact, published })
                }
                _ => None,
            });
            records.push(self.address_record(address));
        }
        self.persist_answer(request, records, Answer::Released(released));
    }

    pub(super) fn uncool(&mut self, request: RequestId, address: IpAddr, epoch: Epoch) {
        match self.held.get(&address).map(|held| &held.holding.state) {
            Some(Life::Cooling { epoch: cooling, .. }) if *cooling == epoch => {
                self.cooled(address);
                let records = vec![self.address_record(address)];
                self.persist_answer(request, records, Answer::Released(Released::Closed(epoch)));
            }
            _ => self.answer(request, Err(Refusal::Superseded { address, epoch })),
        }
    }

    pub(super) fn claim(&mut self, request: RequestId, address: IpAddr, endpoint: EndpointId) {
        let waiting = Waiting::Claim { address, endpoint, since: self.now };
        self.waiting.insert(request, waiting);
    }

    /// Answers once the journal has the records; also if it could not be written, because whoever
    /// said it will not say it again.
    fn persist_answer(&mut self, request: RequestId, records: Vec<crate::record::Record>, answer: Answer) {
        if records.is_empty() {
            return self.answer(request, Ok(answer));
        }
        self.persist(records, Durability::Written, AfterPersist::Answer { request, answer });
    }

    /// What an address is doing, with all this host knows.
    pub(super) fn address_state(&self, address: IpAddr) -> AddressState {
        self.address_state_at(address, self.now)
    }

    pub(super) fn address_state_at(&self, address: IpAddr, now: Timestamp) -> AddressState {
        if let Some(held) = self.held.get(&address) {
            return match &held.holding.state {
                Life::Leaving { to } => AddressState::Leaving { to: to.clone().map(|to| to.host) },
                _ if !self.this_boots(held.block) => AddressState::NotRetaken,
                Life::Assigned { epoch, usage, .. } => {
                    AddressState::Assigned { epoch: *epoch, usage: usage.clone() }
                }
                _ if !self.usable(held) => AddressState::NotRetaken,
                Life::Free { .. } => AddressState::FreeHere,
                Life::Cooling { epoch, until, published, .. } => AddressState::Cooling {
                    epoch: *epoch,
                    left_millis: until.0.saturating_sub(now.0),
                    waits: self.cooling_wait(address, *published),
                },
            };
        }
        let block = self.block_of(address).and_then(|id| self.blocks.get(&id)?.seen.as_ref());
        match block.map(|(block, _)| block.state_of(address)) {
            Some(AddressState::Held(host)) if host == self.identity.host => AddressState::NotRetaken,
            Some(state) => state,
            None => AddressState::Outside,
        }
    }
}

fn with_usage(state: &Life, usage: Usage) -> Option<Life> {
    match state {
        Life::Assigned { epoch, exact, published, .. } => {
            Some(Life::Assigned { epoch: *epoch, usage, exact: *exact, published: *published })
        }
        _ => None,
    }
}
