//! Requests that cannot be answered from what is held: what may still help them, and for how long.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::journal::AfterPersist;
use super::{Answer, Durability, Host, REQUEST_PATIENCE_MILLIS, Wish};
use crate::block::{Block, BlockState};
use crate::names::{BlockId, EndpointId, HostId, PoolName, RequestId, ReservationName, Timestamp};
use crate::pool::Reservation;
use crate::record::{Deed, Life};
use crate::refusal::{AddressState, NotReady, Refusal, Usage};
use crate::transaction::{Prefix, Transaction};

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Waiting {
    Assign { pool: PoolName, wish: Wish, endpoint: Option<EndpointId>, since: Timestamp },
    Claim { address: IpAddr, endpoint: EndpointId, since: Timestamp },
    Reserve { name: ReservationName, pool: PoolName, address: Option<IpAddr>, since: Timestamp },
    Unreserve { reservation: Reservation, since: Timestamp },
}

/// What may become of a request for an address.
pub(super) enum Hope {
    /// It can be answered at once.
    Here(IpAddr),
    /// These addresses can be taken from this block.
    Take(BlockId, BTreeSet<IpAddr>),
    /// These hosts may give one, most promising first.
    Ask(Vec<HostId>),
    /// Something is under way that may help; if it does not in time, this is why not, or the
    /// pool's shortage is.
    Wait(Option<Refusal>),
    /// Nothing helps.
    None(Refusal),
}

/// What is found out once for all requests of a burst that ask for the same: that they wait.
#[derive(Default)]
pub(super) struct Alike(BTreeSet<(PoolName, Wish)>);

impl Alike {
    pub(super) fn wait(&mut self, pool: &PoolName, wish: &Wish) {
        self.0.insert((pool.clone(), wish.clone()));
    }

    pub(super) fn waits_too(&self, waiting: &Waiting) -> bool {
        match waiting {
            Waiting::Assign { pool, wish, endpoint: None, .. } if !self.0.is_empty() => {
                self.0.contains(&(pool.clone(), wish.clone()))
            }
            _ => false,
        }
    }
}

impl Waiting {
    /// Whether it is served by any address of a pool.
    pub(super) fn wants_of(&self, of: &PoolName) -> bool {
        matches!(self, Self::Assign { pool, .. } | Self::Reserve { pool, .. } if pool == of)
    }

    pub(super) fn since(&self) -> Timestamp {
        match self {
            Self::Assign { since, .. }
            | Self::Claim { since, .. }
            | Self::Reserve { since, .. }
            | Self::Unreserve { since, .. } => *since,
        }
    }
}

impl Host {
    pub(super) fn look_at_waiting(&mut self) {
        let requests: Vec<RequestId> = self.waiting.keys().copied().collect();
        let mut alike = Alike::default();
        for request in requests {
            let Some(waiting) = self.waiting.get(&request).cloned() else { continue };
            let late = self.now >= waiting.since().after(REQUEST_PATIENCE_MILLIS);
            if !late && alike.waits_too(&waiting) {
                continue;
            }
            if self.serve(request, &waiting) {
                self.waiting.remove(&request);
            } else if let Waiting::Assign { pool, wish: wish @ Wish::Any(_), .. } = &waiting {
                // Who came later may ask at least those whom this one may ask.
                alike.wait(pool, wish);
            }
        }
    }

    /// Whether the request was answered, or refused.
    pub(super) fn serve(&mut self, request: RequestId, waiting: &Waiting) -> bool {
        let late = self.now >= waiting.since().after(REQUEST_PATIENCE_MILLIS);
        let refusal = match waiting {
            Waiting::Assign { pool, wish, endpoint, since } => {
                self.serve_assign(request, (pool, wish, endpoint.as_ref(), *since), late)
            }
            Waiting::Claim { address, endpoint, .. } => self.serve_claim(request, *address, endpoint, late),
            Waiting::Reserve { name, pool, address, .. } => {
                self.serve_reserve(request, name, pool, *address, late)
            }
            Waiting::Unreserve { reservation, .. } => self.serve_unreserve(request, reservation, late),
        };
        match refusal {
            Served::Answered => true,
            Served::NotYet => false,
            Served::Refused(refusal) => {
                self.answer(request, Err(refusal));
                true
            }
        }
    }

    fn serve_assign(
        &mut self,
        request: RequestId,
        (pool, wish, endpoint, since): (&PoolName, &Wish, Option<&EndpointId>, Timestamp),
        late: bool,
    ) -> Served {
        match self.hope(pool, wish, endpoint, since) {
            Hope::Here(address) => {
                let exact = matches!(wish, Wish::Exact(_));
                self.assign_held(request, address, exact, endpoint.cloned());
                Served::Answered
            }
            Hope::None(refusal) => Served::Refused(refusal),
            _ if late => Served::Refused(self.late_refusal(pool, wish, since)),
            // What any address would do for is taken together with others: `look_at_demand`.
            Hope::Take(id, addresses) if !matches!(wish, Wish::Any(_)) => {
                self.begin(id, Deed::Take(addresses), Transaction::default()).ok();
                Served::NotYet
            }
            Hope::Take(..) | Hope::Ask(_) | Hope::Wait(_) => Served::NotYet,
        }
    }

    fn late_refusal(&self, pool: &PoolName, wish: &Wish, since: Timestamp) -> Refusal {
        match (self.hope(pool, wish, None, since), wish) {
            (Hope::Wait(refusal), _) => refusal.unwrap_or_else(|| self.exhausted(pool, wish)),
            (Hope::Ask(hosts), Wish::Exact(address)) => {
                let host = hosts.into_iter().next().unwrap_or_else(|| self.identity.host.clone());
                Refusal::in_the_way(*address, AddressState::Held(host))
            }
            (Hope::Ask(_), _) => self.exhausted(pool, wish),
            _ => self.too_late("taking an address from the store".to_owned()),
        }
    }

    pub(super) fn too_late(&self, doing: String) -> Refusal {
        Refusal::Late { doing, waited_millis: REQUEST_PATIENCE_MILLIS }
    }

    /// What may become of a request for an address.
    pub(super) fn hope(
        &self,
        pool: &PoolName,
        wish: &Wish,
        endpoint: Option<&EndpointId>,
        since: Timestamp,
    ) -> Hope {
        if !self.pools.contains_key(pool) {
            if !self.listed.contains(&Prefix::Pools) {
                return Hope::Wait(Some(Refusal::NotReady(NotReady::StoreNotRead)));
            }
            let known = self.pools.keys().cloned().collect();
            return Hope::None(Refusal::UnknownPool { pool: pool.clone(), known });
        }
        if let Some(address) = endpoint.and_then(|endpoint| self.assignment_of(endpoint, pool, wish)) {
            return Hope::Here(address);
        }
        match wish {
            Wish::Any(_) => self.hope_for_any(pool, wish, since),
            Wish::Within(_) => self.hope_for_any(pool, wish, since),
            Wish::Exact(address) => self.hope_for_exact(pool, *address, since),
        }
    }

    fn hope_for_any(&self, pool: &PoolName, wish: &Wish, since: Timestamp) -> Hope {
        let (family, within) = wish.scope();
        if let Some(address) = self.longest_free(pool, family, within) {
            return Hope::Here(address);
        }
        if let Some(not_ready) = self.not_ready() {
            return hopeless_or_wait(&not_ready, self.exhausted(pool, wish));
        }
        if !self.blocks_listed() || !self.listed.contains(&Prefix::Subnets) {
            return Hope::Wait(Some(Refusal::NotReady(NotReady::StoreNotRead)));
        }
        let fits = |id: &BlockId| within.is_none_or(|within| id.subnet == within);
        let blocks: Vec<BlockId> = self.blocks_of(pool, family).filter(fits).collect();
        if let Some((id, addresses)) = self.takeable(&blocks, 1) {
            return Hope::Take(id, addresses);
        }
        let busy = |id: &BlockId| self.may_gain(*id);
        if blocks.iter().any(busy) {
            return Hope::Wait(None);
        }
        let holders = self.holders_to_ask(pool, &blocks, since);
        if !holders.is_empty() {
            return Hope::Ask(holders);
        }
        if self.may_be_hinted(since) {
            return Hope::Wait(None);
        }
        Hope::None(self.exhausted(pool, wish))
    }

    /// Whether something under way in the block may end in a free address for this host.
    fn may_gain(&self, id: BlockId) -> bool {
        let Some(facts) = self.blocks.get(&id) else { return false };
        let Some((block, _)) = &facts.seen else { return false };
        let waits = facts.not_before.is_some() || facts.flight.is_some();
        let can_take = block.state() == BlockState::Open && has_unreserved(block);
        let gaining = facts
            .flight
            .as_ref()
            .is_some_and(|flight| matches!(flight.operation.deed, Deed::Take(_) | Deed::Retake));
        let to_retake = !self.retaken(id) && self.me().is_some_and(|me| block.held_by(&me).next().is_some());
        gaining || to_retake || (waits && can_take)
    }

    fn hope_for_exact(&self, pool: &PoolName, address: IpAddr, since: Timestamp) -> Hope {
        let in_the_way = |state| Refusal::in_the_way(address, state);
        let ours = self
            .subnet_of(address)
            .is_some_and(|subnet| subnet.pool == *pool && self.identity.zones.contains(&subnet.zone));
        if !ours {
            return match self.listed.contains(&Prefix::Subnets) {
                true => Hope::None(in_the_way(AddressState::Outside)),
                false => Hope::Wait(Some(Refusal::NotReady(NotReady::StoreNotRead))),
            };
        }
        let state = self.address_state(address);
        match &state {
            AddressState::FreeHere => return Hope::Here(address),
            AddressState::Assigned { usage: Usage::Unbound, .. } if self.asked_for_exactly(address) => {
                return Hope::Here(address);
            }
            // It outlives its containers, by its name or by their `--ip`: a restarted one need not wait for
            // the timer, which Docker would never do for it.
            AddressState::Cooling { .. } if self.rests_for_who_asks_again(address) => {
                return Hope::Here(address);
            }
            AddressState::Assigned { .. }
            | AddressState::Cooling { .. }
            | AddressState::SetAside(_)
            | AddressState::Quarantined { .. }
            | AddressState::Reserved(_) => return Hope::None(in_the_way(state)),
            AddressState::Free
            | AddressState::Held(_)
            | AddressState::Leaving { .. }
            | AddressState::NotRetaken
            | AddressState::Outside => (),
        }
        if let Some(not_ready) = self.not_ready() {
            let refusal = match &state {
                AddressState::NotRetaken => in_the_way(state),
                _ => Refusal::NotReady(not_ready.clone()),
            };
            return hopeless_or_wait(&not_ready, refusal);
        }
        let id = self.block_of(address);
        let facts = id.and_then(|id| Some((id, self.blocks.get(&id)?)));
        match (state, facts) {
            (AddressState::Free, Some((id, facts))) => match &facts.seen {
                Some((block, _)) if block.state() != BlockState::Open => {
                    Hope::None(Refusal::Emptying { block: id, state: block.state() })
                }
                _ if self.idle(id) => Hope::Take(id, BTreeSet::from([address])),
                _ => Hope::Wait(Some(self.too_late(format!("taking {address} from the store")))),
            },
            (AddressState::Held(host), _) if self.may_ask(address, &host, since) => Hope::Ask(vec![host]),
            (state @ AddressState::Held(_), _) => Hope::None(in_the_way(state)),
            (AddressState::Outside, None) if self.blocks_listed() => {
                Hope::None(in_the_way(AddressState::Outside))
            }
            (AddressState::Outside, _) => Hope::Wait(Some(Refusal::NotReady(NotReady::StoreNotRead))),
            (state, _) => Hope::Wait(Some(in_the_way(state))),
        }
    }

    fn asked_for_exactly(&self, address: IpAddr) -> bool {
        self.held
            .get(&address)
            .is_some_and(|held| matches!(held.holding.state, Life::Assigned { exact: true, .. }))
    }

    /// Whether an operation can start on a block now.
    pub(super) fn idle(&self, id: BlockId) -> bool {
        self.blocks.get(&id).is_some_and(|facts| {
            facts.flight.is_none() && facts.not_before.is_none() && facts.seen.is_some() && self.retaken(id)
        })
    }

    /// The block to take from, and up to `count` addresses of it.
    ///
    /// Which block and which address depend on the host, so that hosts spread and seldom meet.
    pub(super) fn takeable(&self, blocks: &[BlockId], count: usize) -> Option<(BlockId, BTreeSet<IpAddr>)> {
        let candidates = blocks.iter().filter(|id| self.idle(**id)).filter_map(|id| {
            let (block, _) = self.blocks.get(id)?.seen.as_ref()?;
            (block.state() == BlockState::Open && has_unreserved(block)).then_some((*id, block))
        });
        let (id, block) = candidates.min_by_key(|(id, _)| self.scatter_block(*id))?;
        let mut free: Vec<IpAddr> = unreserved(block).collect();
        let start = (self.scatter(&format!("{id}/")) % free.len() as u64) as usize;
        free.rotate_left(start);
        free.truncate(count.max(1));
        Some((id, free.into_iter().collect()))
    }

    fn serve_claim(
        &mut self,
        request: RequestId,
        address: IpAddr,
        endpoint: &EndpointId,
        late: bool,
    ) -> Served {
        let state = self.address_state(address);
        match &state {
            AddressState::Assigned { usage: Usage::Bound(by), .. } if by == endpoint => {
                let Some(assignment) = self.assignment(address) else { return Served::NotYet };
                let record = self.address_record(address);
                let after = AfterPersist::Again { request, address, answer: Answer::Assigned(assignment) };
                self.persist(vec![record], Durability::Written, after);
                Served::Answered
            }
            AddressState::Quarantined { was, .. }
                if was.as_ref().is_none_or(|was| *was == self.identity.host) && !late =>
            {
                if let Some(id) = self.block_of(address).filter(|id| self.idle(*id)) {
                    let claims = [(address, endpoint.clone())].into();
                    self.begin(id, Deed::Claim(claims), Transaction::default()).ok();
                }
                Served::NotYet
            }
            AddressState::NotRetaken | AddressState::Outside if !late && !self.listed_all() => Served::NotYet,
            AddressState::NotRetaken if !late => Served::NotYet,
            _ => Served::Refused(Refusal::in_the_way(address, state)),
        }
    }

    pub(super) fn listed_all(&self) -> bool {
        self.watches().iter().all(|prefix| self.listed.contains(prefix))
    }
}

/// What became of a look at a waiting request.
pub(super) enum Served {
    Answered,
    NotYet,
    Refused(Refusal),
}

/// Some reasons pass by themselves within a request's patience, others need a person.
fn hopeless_or_wait(not_ready: &NotReady, refusal: Refusal) -> Hope {
    if not_ready.passes() { Hope::Wait(Some(refusal)) } else { Hope::None(refusal) }
}

/// Whether a block has a free address that bears no name; counted where that is enough, because a host with many
/// full blocks asks again and again.
pub(super) fn has_unreserved(block: &Block) -> bool {
    match block.free_count() {
        0 => false,
        _ if block.reserved().is_empty() => true,
        _ => unreserved(block).next().is_some(),
    }
}

/// The free addresses of a block that bear no name.
pub(super) fn unreserved(block: &Block) -> impl Iterator<Item = IpAddr> {
    block.free().filter(|address| !block.reserved().contains_key(address))
}
