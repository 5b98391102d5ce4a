//! Owners of a load balancer, their calls and their deaths, in simulated time: does anybody ever get what is meant for
//! who had his address before?
//!
//! The decision is the production code, [`services::balancing::next`]; here is what surrounds it: a store that compares terms, a
//! provider whose calls may land long after their sender died, agents that stand still at any moment. An address is used
//! again as soon as nobody says that it is needed.

mod owner;
mod provider;

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::{Epoch, Generation};
use services::balancing::{Known, MemberWanted};

use crate::Moment;
use crate::chance::Chance;
use owner::Agent;
use provider::Provider;

/// D: the longest that a call takes until it has its effect or never will, in milliseconds.
const CALL_MAX: Moment = 3_000;

/// L: how long after the store's word a call may be sent.
const CONFIRMED_FOR: Moment = 1_000;

/// Addresses there are: few, so that each is used again and again.
const ADDRESSES: u8 = 6;

/// What is to be simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Until this many times an address was used again.
    pub reuses: u64,
    /// Whether owners wait for calls that may still land. Without it, the promise must break.
    pub waits: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How often an address was used again.
    pub reuses: u64,
    /// How often somebody got what was meant for who had his address before.
    pub misdelivered: u64,
    /// How often the owner was another.
    pub terms: u64,
    /// Calls that landed after their sender was dead or deposed.
    pub late: u64,
}

/// The store: what is in it, and whose the load balancer is.
#[derive(Clone, Debug, Default)]
struct Store {
    members: BTreeMap<IpAddr, MemberWanted>,
    known: Known,
    /// The process that is the owner, and its host.
    owner: Option<(u64, usize)>,
    terms: u64,
}

struct World {
    now: Moment,
    chance: Chance,
    store: Store,
    provider: Provider,
    agents: Vec<Agent>,
    /// The last epoch of each address.
    counters: BTreeMap<IpAddr, u64>,
    outcome: Outcome,
    waits: bool,
}

/// Runs it.
pub fn simulate(plan: &Plan) -> Outcome {
    let mut world = World {
        now: 1,
        chance: Chance::new(plan.seed, "balancing"),
        store: Store::default(),
        provider: Provider::default(),
        agents: (0..3).map(Agent::new).collect(),
        counters: BTreeMap::new(),
        outcome: Outcome::default(),
        waits: plan.waits,
    };
    while world.outcome.reuses < plan.reuses {
        world.step();
    }
    world.outcome.terms = world.store.terms;
    world.outcome
}

impl World {
    fn step(&mut self) {
        self.now += self.chance.between(1, 60);
        self.outcome.late += self.provider.land(self.now, &mut self.chance, self.store.owner);
        self.look_out();
        match self.chance.below(24) {
            0..=3 => self.container(),
            4 => self.provider.is_meddled_with(&mut self.chance),
            5 if self.chance.one_in(8) => self.agent_dies(),
            6 if self.chance.one_in(8) => self.agent_stands_still(),
            7 if self.chance.one_in(8) => self.host_falls_silent(),
            _ => self.agent_works(),
        }
        self.look_out();
    }

    /// A container comes, is drained, or goes, at any address.
    fn container(&mut self) {
        let at = address(self.chance.below(ADDRESSES.into()));
        match self.store.members.get_mut(&at) {
            Some(member) if self.chance.one_in(3) => member.weight = 0,
            Some(_) => drop(self.store.members.remove(&at)),
            // Nobody uses an address that somebody says is needed.
            None if self.store.known.placed.contains_key(&at) => {}
            None => {
                let counter = self.counters.entry(at).or_default();
                self.outcome.reuses += u64::from(*counter > 0);
                *counter += 1;
                self.store.members.insert(at, MemberWanted { epoch: epoch(*counter), weight: 50 });
            }
        }
    }

    /// The process is killed; another one of its host begins.
    fn agent_dies(&mut self) {
        let which = self.chance.place(self.agents.len());
        self.agents[which].dies();
    }

    fn agent_stands_still(&mut self) {
        let which = self.chance.place(self.agents.len());
        let until = self.now + self.chance.skewed(20_000);
        self.agents[which].stands_still(until);
    }

    fn host_falls_silent(&mut self) {
        let which = self.chance.place(self.agents.len());
        self.agents[which].silent ^= true;
    }

    fn agent_works(&mut self) {
        let which = self.chance.place(self.agents.len());
        let silent: Vec<bool> = self.agents.iter().map(|agent| agent.silent).collect();
        let (now, waits) = (self.now, self.waits);
        self.agents[which].works(now, &mut self.chance, &mut self.store, &mut self.provider, &silent, waits);
    }

    /// Who has an address gets nothing through a place that was made for another.
    fn look_out(&mut self) {
        let Outcome { misdelivered, .. } = &mut self.outcome;
        for (at, made_for) in self.provider.places() {
            let user = self.store.members.get(&at).map(|member| member.epoch);
            *misdelivered += u64::from(user.is_some_and(|user| user != made_for));
        }
    }
}

fn address(number: u64) -> IpAddr {
    [10, 60, 0, u8::try_from(number).unwrap_or(0)].into()
}

fn epoch(counter: u64) -> Epoch {
    Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_what_is_meant_for_who_had_his_address_before() {
        for seed in 1..=10 {
            let outcome = simulate(&Plan { seed, reuses: 20_000, waits: true });
            assert_eq!(outcome.misdelivered, 0, "seed {seed}: {outcome:?}");
            assert!(outcome.terms > 20 && outcome.late > 20, "too little happened: {outcome:?}");
        }
    }

    #[test]
    fn late_member_without_waiting_for_calls_of_the_dead_somebody_would() {
        let outcome = simulate(&Plan { seed: 1, reuses: 20_000, waits: false });
        assert!(outcome.misdelivered > 0, "{outcome:?}");
    }
}
