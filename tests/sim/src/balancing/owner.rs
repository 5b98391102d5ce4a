//! One agent that may be the owner: it reads, looks and acts, and may stand still or die between any two of them.

use provider::BalancerChange;
use services::balancing::{Edit, Known, Placed, Seen, Wanted, next};
use services::{Limits, Step};

use super::provider::{Call, Provider};
use super::{CALL_MAX, CONFIRMED_FOR, Store};
use crate::Moment;
use crate::chance::Chance;

const LIMITS: Limits = Limits { members: 50, listeners_ordered: 2, zone: None };

/// How far a pass is.
#[derive(Clone, Debug)]
enum Phase {
    /// It begins with the store's word that this process is the owner.
    Begin,
    /// That, and what the store has.
    Read { confirmed: Moment, wanted: Wanted, known: Known },
    /// And what the provider shows.
    Looked { confirmed: Moment, wanted: Wanted, known: Known, seen: Box<Seen> },
    /// Its call is under way, and is heard of then; or nothing is ever heard.
    Waiting { until: Moment, lost: bool },
}

pub(super) struct Agent {
    host: usize,
    process: u64,
    pub(super) silent: bool,
    still_until: Moment,
    /// From when on no call that was sent before can land.
    settled: Moment,
    phase: Phase,
}

impl Agent {
    pub(super) fn new(host: usize) -> Self {
        let process = host as u64;
        Self { host, process, silent: false, still_until: 0, settled: 0, phase: Phase::Begin }
    }

    pub(super) fn dies(&mut self) {
        self.process += 1_000;
        (self.phase, self.settled, self.still_until) = (Phase::Begin, 0, 0);
    }

    pub(super) fn stands_still(&mut self, until: Moment) {
        self.still_until = until;
    }

    pub(super) fn works(
        &mut self,
        now: Moment,
        chance: &mut Chance,
        store: &mut Store,
        provider: &mut Provider,
        silent: &[bool],
        waits: bool,
    ) {
        if now < self.still_until {
            return;
        }
        self.phase = match std::mem::replace(&mut self.phase, Phase::Begin) {
            Phase::Begin if self.is_owner(now, store, silent) => {
                let wanted = Wanted { members: store.members.clone(), ..Wanted::default() };
                Phase::Read { confirmed: now, wanted, known: store.known.clone() }
            }
            Phase::Begin => Phase::Begin,
            Phase::Read { confirmed, wanted, known } => {
                let balancer = Some(provider.look(now));
                let settled = !waits || now >= self.settled;
                let seen = Box::new(Seen { balancer, settled, ..Seen::default() });
                Phase::Looked { confirmed, wanted, known, seen }
            }
            Phase::Looked { confirmed, wanted, known, seen } => {
                let step = next(&wanted, &known, &seen, &LIMITS);
                self.acts(now, chance, store, provider, (confirmed, &known), &step)
            }
            Phase::Waiting { until, lost } if until <= now => {
                if lost {
                    self.settled = self.settled.max(now + CALL_MAX);
                }
                Phase::Begin
            }
            waiting @ Phase::Waiting { .. } => waiting,
        };
    }

    /// Whether it is the owner by the store, or takes that over from one that is silent, or from its own former life.
    fn is_owner(&mut self, now: Moment, store: &mut Store, silent: &[bool]) -> bool {
        let is_there = |host| host != self.host && !silent.get(host).copied().unwrap_or(true);
        match store.owner {
            Some((process, _)) if process == self.process => return true,
            Some((_, host)) if is_there(host) => return false,
            Some(_) | None => {}
        }
        store.owner = Some((self.process, self.host));
        store.terms += 1;
        self.settled = now + CONFIRMED_FOR + CALL_MAX;
        true
    }

    fn acts(
        &mut self,
        now: Moment,
        chance: &mut Chance,
        store: &mut Store,
        provider: &mut Provider,
        (confirmed, known): (Moment, &Known),
        step: &Step<BalancerChange, Edit>,
    ) -> Phase {
        match step {
            Step::Change(change) if now < confirmed + CONFIRMED_FOR => {
                self.sends(now, chance, known, provider, change)
            }
            Step::Record(edits) if store.owner == Some((self.process, self.host)) => {
                write(store, edits);
                Phase::Begin
            }
            Step::Change(_) | Step::Record(_) | Step::Wait(_) | Step::Rest(_) => Phase::Begin,
        }
    }

    fn sends(
        &self,
        now: Moment,
        chance: &mut Chance,
        known: &Known,
        provider: &mut Provider,
        change: &BalancerChange,
    ) -> Phase {
        let made_for = known.placed.iter().map(|(at, placed)| (*at, placed.epoch)).collect();
        let call = Call { lands: now, change: change.clone(), made_for, sender: self.process };
        let lands = provider.send(now, chance, call);
        let lost = chance.one_in(6);
        let until = if lost { now + chance.below(lands - now + 1) } else { lands };
        Phase::Waiting { until, lost }
    }
}

/// One transaction: all of it, or nothing if a member is not as it was.
fn write(store: &mut Store, edits: &[Edit]) {
    let stands = |edit: &Edit| match edit {
        Edit::Place(at, epoch) => store.members.get(at).is_some_and(|member| member.epoch == *epoch),
        _ => true,
    };
    if !edits.iter().all(stands) {
        return;
    }
    for edit in edits {
        match edit {
            Edit::Place(at, epoch) => {
                store.known.placed.insert(*at, Placed { epoch: *epoch, weight: None, up: None });
            }
            Edit::Note(at, placed) => drop(store.known.placed.insert(*at, *placed)),
            Edit::Forget(at, _) => drop(store.known.placed.remove(at)),
            Edit::Claim(_) | Edit::Disclaim(_) => {}
        }
    }
}
