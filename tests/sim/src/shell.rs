//! The shell round `ipam::Host`: carries out its effects, in order, and reports their outcomes. As
//! `agent/src/allocator/task.rs` does it; it decides nothing.

use std::collections::VecDeque;
use std::net::IpAddr;

use ipam::{Deed, Effect, Host, Input, Life, Persisted, Record, Seen, Sent, Token};

use crate::coverage::Sometimes;
use crate::fleet::{Event, Fleet};
use crate::machine::{Agent, Power};
use crate::wire::Ask;
use crate::words;

/// Records after which a journal is made anew.
const RECORDS_MAX: usize = 40;

impl Fleet {
    /// The machine is switched on if it was off, and its agent starts: recovers from the journal, and begins
    /// to follow the store.
    pub(crate) fn start(&mut self, machine: usize) {
        let now = self.now;
        let at = &mut self.machines[machine];
        match at.power {
            Power::Gone | Power::Suspended => return,
            Power::Off => {
                at.power = Power::On;
                at.boots += 1;
                at.identity.boot = ipam::BootId(format!("{}-boot-{}", at.identity.host, at.boots));
                at.clock = crate::machine::Clock { booted: now, ahead: 0 };
                self.provider.started(now, &at.identity.instance);
            }
            Power::On => (),
        }
        if at.agent.is_some() {
            return;
        }
        at.lives += 1;
        if at.lives.is_multiple_of(3) {
            at.old_disk = at.disk.clone();
        }
        let records = at.disk.open();
        let clock = at.clock.at(now);
        let host = Host::recover(at.identity.clone(), clock, records);
        // A compacted journal is as good as the whole one.
        let again = Host::recover(at.identity.clone(), clock, host.snapshot());
        let same = again.snapshot() == host.snapshot();
        at.agent = Some(Agent {
            life: at.lives,
            host,
            paused: false,
            stalled: VecDeque::new(),
            followers: Default::default(),
            open: Default::default(),
            unsynced: 0,
            calls: Default::default(),
            requests: 0,
            wake: None,
            session: None,
            signed: now,
        });
        let host = at.identity.host.clone();
        self.story.say(now, || format!("the agent of {host} starts"));
        if !same {
            self.fail(format!("the journal of {host} made anew does not say what it said"));
        }
        self.follow_all(machine);
        self.feed(machine, Input::Tick);
        self.reconcile_soon(machine);
    }

    /// The agent dies; its containers live on, and what it wrote is on the disk.
    pub(crate) fn kill(&mut self, machine: usize) {
        self.keep_sessions();
        let at = &mut self.machines[machine];
        at.trip = None;
        if at.agent.take().is_some() {
            let (now, host) = (self.now, at.identity.host.clone());
            self.story.say(now, || format!("the agent of {host} dies"));
            self.calls_fail(machine);
        }
    }

    /// The agent takes one input, and everything that follows from it at once is carried out.
    pub(crate) fn feed(&mut self, machine: usize, input: Input) {
        let now = self.now;
        let at = &mut self.machines[machine];
        if at.power != Power::On {
            if let Some(agent) = at.agent.as_mut().filter(|_| at.power == Power::Suspended) {
                agent.stalled.push_back(input);
            }
            return;
        }
        let clock = at.clock.at(now);
        let Some(agent) = &mut at.agent else { return };
        if agent.paused {
            return agent.stalled.push_back(input);
        }
        agent.note(&input);
        let mut effects = VecDeque::from(agent.host.step(clock, input));
        self.steps += 1;
        while let Some(effect) = effects.pop_front() {
            if let Some(restart) = self.trips(machine, &effect) {
                self.kill(machine);
                return self.after(restart, Event::Start { machine });
            }
            if let Some(outcome) = self.carry_out(machine, effect)
                && let Some(agent) = &mut self.machines[machine].agent
            {
                effects.extend(agent.host.step(clock, outcome));
                self.steps += 1;
            }
        }
        self.compact_if_grown(machine);
        self.set_alarm(machine);
        self.look_at_machine(machine);
    }

    /// Whether this is the effect before which, or in the middle of which, the agent is to be killed; and when
    /// it is to be started again.
    fn trips(&mut self, machine: usize, effect: &Effect) -> Option<u64> {
        let at = &mut self.machines[machine];
        let trip = at.trip.as_mut()?;
        match effect {
            Effect::Persist { records, .. } if trip.torn => {
                let kept = at.chance.place(records.len() + 1);
                at.disk.tear(records, kept);
                self.coverage.reached(Sometimes::TornAppend);
            }
            _ if trip.effects > 0 || trip.torn => {
                trip.effects = trip.effects.saturating_sub(1);
                return None;
            }
            _ => self.coverage.reached(Sometimes::KilledBetweenEffects),
        }
        at.trip.take().map(|trip| trip.restart)
    }

    fn carry_out(&mut self, machine: usize, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Persist { token, records, durability } => {
                self.look_at_records(machine, &records);
                let at = &mut self.machines[machine];
                let left_over = at.chance.place(records.len() + 1);
                let done = at.disk.append(&records, durability, left_over);
                if !done {
                    self.coverage.reached(Sometimes::DiskFull);
                    return Some(Input::Persisted { token, outcome: Persisted::Failed });
                }
                if at.fsync == 0 {
                    return Some(Input::Persisted { token, outcome: Persisted::Done });
                }
                let (wait, life) = (at.chance.between(1, at.fsync), at.lives);
                if let Some(agent) = &mut at.agent {
                    agent.unsynced += 1;
                }
                self.after(wait, Event::Synced { machine, life, token });
            }
            Effect::Send { token, transaction } => {
                let transaction = words::of_a_host(transaction);
                self.transmit(machine, Ask::Commit(token, transaction));
            }
            Effect::Read { token, keys } => {
                if keys.is_empty() {
                    return Some(Input::Read { token, found: Some(Vec::new()) });
                }
                self.transmit(machine, Ask::Read(token, keys, Vec::new()));
            }
            Effect::Answer { request, result } => {
                let (host, now) = (&self.machines[machine].identity.host, self.now);
                self.story.say(now, || match &result {
                    Ok(answer) => format!("{host} answers {request}: {answer:?}"),
                    Err(refusal) => format!("{host} refuses {request}: {refusal}"),
                });
                self.answered(machine, request, result);
            }
            Effect::Silence { address, .. } => {
                let (host, now) = (self.machines[machine].identity.host.clone(), self.now);
                self.story.say(now, || format!("{host} is told to silence {address}"));
                let wait = self.chance.below(50);
                let life = self.machines[machine].lives;
                self.after(wait, Event::Silent { machine, life, address });
            }
        }
        None
    }

    pub(crate) fn synced(&mut self, machine: usize, life: u64, token: Token) {
        let Some(agent) = self.agent_mut(machine, life) else { return };
        agent.unsynced -= 1;
        self.coverage.reached(Sometimes::SlowDisk);
        self.feed(machine, Input::Persisted { token, outcome: Persisted::Done });
    }

    /// What was revoked has stopped.
    pub(crate) fn silent(&mut self, machine: usize, life: u64, address: IpAddr) {
        if self.machines[machine].is_up() && self.agent(machine, life).is_some() {
            self.silence(machine, address);
            self.feed(machine, Input::Silenced { address });
        }
    }

    pub(crate) fn wake(&mut self, machine: usize, life: u64) {
        let now = self.now;
        let Some(agent) = self.agent_mut(machine, life) else { return };
        if agent.wake == Some(now) {
            agent.wake = None;
            if agent.stalled.is_empty() && !agent.paused {
                self.feed(machine, Input::Tick);
            }
        }
    }

    /// What arrived while the agent stood still reaches it, in order.
    pub(crate) fn resume(&mut self, machine: usize) {
        let Some(agent) = &mut self.machines[machine].agent else { return };
        agent.paused = false;
        let stalled = std::mem::take(&mut agent.stalled);
        for input in stalled {
            self.feed(machine, input);
        }
        self.feed(machine, Input::Tick);
    }

    fn set_alarm(&mut self, machine: usize) {
        let now = self.now;
        let at = &mut self.machines[machine];
        let Some(agent) = &mut at.agent else { return };
        let Some(due) = agent.host.next_deadline() else { return };
        let at_moment = now + at.clock.until(now, due).max(1);
        if agent.wake.is_none_or(|wake| wake > at_moment || wake <= now) {
            agent.wake = Some(at_moment);
            let life = agent.life;
            self.after(at_moment - now, Event::Wake { machine, life });
        }
    }

    /// A snapshot is valid when nothing is on its way to the disk.
    fn compact_if_grown(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        if let Some(agent) = &at.agent
            && agent.unsynced == 0
            && !at.disk.full
            && at.disk.records() > RECORDS_MAX.max(2 * at.disk.made_anew)
        {
            at.disk.compact(agent.host.snapshot());
            self.coverage.reached(Sometimes::JournalMadeAnew);
        }
    }

    fn look_at_records(&mut self, machine: usize, records: &[Record]) {
        for record in records {
            if let Record::Block { id, operation: Some(operation), .. } = record {
                let (host, now) = (&self.machines[machine].identity.host, self.now);
                self.story.say(now, || format!("{host} begins in {id}: {:?}", operation.deed));
            }
            let reached = match record {
                Record::Block { operation: Some(operation), .. } => match &operation.deed {
                    Deed::Take(_) => Sometimes::Take,
                    Deed::GiveBack { to: None, .. } => Sometimes::GiveBack,
                    Deed::GiveBack { to: Some(_), .. } => Sometimes::Grant,
                    Deed::Retake => Sometimes::Retake,
                    Deed::Claim(_) => Sometimes::Claim,
                    Deed::SweepOwn => Sometimes::SelfEviction,
                    Deed::Reserve { .. } | Deed::Unreserve(_) => Sometimes::Reservation,
                    Deed::Settle => continue,
                },
                Record::Address { holding: Some(holding), .. } => match &holding.state {
                    Life::Cooling { published: true, .. } => Sometimes::CoolingPublished,
                    Life::Cooling { .. } => Sometimes::Cooling,
                    _ => continue,
                },
                _ => continue,
            };
            self.coverage.reached(reached);
        }
    }
}

impl Agent {
    /// Takes note of what an input shows of the store's revision, as `agent/src/allocator/newest.rs` does.
    fn note(&mut self, input: &Input) {
        let of = |seen: &[Seen]| seen.iter().map(|seen| seen.revision.0).max();
        let shown = match input {
            Input::Listed { revision, .. } => Some(revision.0),
            Input::Sent { outcome: Sent::Committed { revision }, .. } => Some(revision.0),
            Input::Sent { outcome: Sent::Conflict { now }, .. } => of(now),
            Input::Seen(seen) | Input::Read { found: Some(seen), .. } => of(seen),
            _ => None,
        };
        let shown = shown.unwrap_or(0);
        self.followers.values_mut().for_each(|follower| follower.newest = shown.max(follower.newest));
    }
}
