//! The way between a host and the store: late, lost, cut on one side or on both.

use ipam::role::Ending;
use ipam::{Input, Key, Revision, Seen, Sent, Token};

use crate::coverage::Sometimes;
use crate::fleet::{Event, Fleet};
use crate::store::Commit;
use crate::words::{self, FleetTransaction};

/// How long an agent waits for the store before it says that nobody knows, in milliseconds: as
/// `agent/src/allocator/task.rs` has it.
const PATIENCE: u64 = 5_000;

/// How late a request may land that nobody waits for any more, in milliseconds.
const LATE_MAX: u64 = 90_000;

/// The most operations that a transaction may have: etcd's default limit.
const OPERATIONS_MAX: usize = 128;

/// Something on its way to the store.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) machine: usize,
    pub(crate) life: u64,
    pub(crate) ask: Ask,
    /// Whether the answer is lost on its way back.
    unheard: bool,
    /// Whether it was held back by the wire.
    late: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// A host's transaction.
    Commit(Token, FleetTransaction),
    /// A host's read: key after key, and what was found so far.
    Read(Token, Vec<Key>, Vec<Seen>),
    /// A role's transaction; its outcome shows by itself.
    Role(FleetTransaction),
    /// The same for quarantines of a zone that are to end: what became of it is told.
    Ending(usize, Box<Ending>, FleetTransaction),
}

impl Fleet {
    /// How long a message takes.
    pub(crate) fn latency(&mut self, machine: usize) -> u64 {
        let at = &mut self.machines[machine];
        if at.path.lossy > 0 { at.chance.between(1, 400) } else { at.chance.between(1, 4) }
    }

    /// How long a watch lags.
    pub(crate) fn lag(&mut self, machine: usize) -> u64 {
        let at = &mut self.machines[machine];
        if at.path.lagging > 0 { at.chance.between(1, 20_000) } else { at.chance.between(1, 6) }
    }

    /// Whether requests of a machine reach a store that answers.
    pub(crate) fn answers(&self, machine: usize) -> bool {
        self.machines[machine].path.cut_there == 0 && self.store_away == 0
    }

    /// Whether answers reach a machine.
    pub(crate) fn hears(&self, machine: usize) -> bool {
        self.machines[machine].path.cut_back == 0
    }

    /// Something leaves a machine for the store.
    pub(crate) fn transmit(&mut self, machine: usize, ask: Ask) {
        let open = self.answers(machine);
        let wait = self.latency(machine);
        let at = &mut self.machines[machine];
        let Some(agent) = &mut at.agent else { return };
        let life = agent.life;
        let mut flight = Flight { machine, life, ask, unheard: false, late: false };
        let (mut lost, mut known) = (false, false);
        let mut wait = wait;
        if !open {
            // Refused at once, lost, or kept by the wire until it is whole again.
            (known, lost) = (at.chance.one_in(3), at.chance.one_in(2));
        } else if at.path.lossy > 0 {
            match at.chance.below(8) {
                0 => lost = true,
                1 => known = true,
                2 | 3 => wait += at.chance.below(LATE_MAX),
                4 => flight.unheard = true,
                _ => (),
            }
        }
        if let Some(token) = flight.token() {
            agent.open.insert(token);
            let event = match known {
                true => Event::Hear { machine, life, input: Box::new(flight.failed(false)) },
                false => Event::Hear { machine, life, input: Box::new(flight.failed(true)) },
            };
            let after = if known { wait } else { PATIENCE };
            self.after(after, event);
        }
        if !known && !lost {
            flight.late = wait > PATIENCE;
            self.flights += 1;
            let number = self.flights;
            self.under_way.insert(number, flight);
            self.after(wait, Event::Arrive(number));
        }
    }

    /// Something arrives at the store, unless the wire holds it back.
    pub(crate) fn arrive(&mut self, number: u64) {
        let Some(flight) = self.under_way.get_mut(&number) else { return };
        let machine = flight.machine;
        let closed = self.machines[machine].path.cut_there > 0 || self.store_away > 0;
        if closed {
            flight.late = true;
            return self.held_back.push(number);
        }
        let Some(mut flight) = self.under_way.remove(&number) else { return };
        let (life, unheard) = (flight.life, flight.unheard);
        let input = match &mut flight.ask {
            Ask::Commit(token, transaction) => {
                let outcome = self.commit(machine, transaction, flight.late);
                Input::Sent { token: *token, outcome }
            }
            Ask::Read(token, keys, found) => {
                found.push(words::look(&self.store, &keys[found.len()]));
                if found.len() < keys.len() {
                    // The agent reads one key after the other.
                    self.under_way.insert(number, flight);
                    let wait = 2 * self.latency(machine);
                    return self.after(wait, Event::Arrive(number));
                }
                Input::Read { token: *token, found: Some(std::mem::take(found)) }
            }
            Ask::Role(transaction) => {
                self.commit(machine, transaction, flight.late);
                return;
            }
            Ask::Ending(zone, ending, transaction) => {
                let outcome = self.commit(machine, transaction, flight.late);
                return self.quarantines_ended(*zone, (machine, life), ending, &outcome);
            }
        };
        if !unheard {
            let wait = self.latency(machine);
            self.after(wait, Event::Hear { machine, life, input: Box::new(input) });
        }
    }

    /// What the wire held back goes on, where it is whole again.
    pub(crate) fn let_through(&mut self) {
        let held_back = std::mem::take(&mut self.held_back);
        for number in held_back {
            let wait = 1 + self.chance.skewed(3_000);
            self.after(wait, Event::Arrive(number));
        }
    }

    fn commit(&mut self, machine: usize, transaction: &FleetTransaction, late: bool) -> Sent {
        let operations = transaction.compares.len() + transaction.writes.len();
        if operations > OPERATIONS_MAX {
            self.fail(format!("a transaction of {operations} operations: the store takes {OPERATIONS_MAX}"));
        }
        self.keep_sessions();
        match self.write(transaction) {
            Commit::Done(revision) => {
                if late && !transaction.writes.is_empty() {
                    self.coverage.reached(Sometimes::LateCommit);
                    let host = &self.machines[machine].identity.host;
                    self.story
                        .say(self.now, || format!("a late request of {host} lands, at revision {revision}"));
                }
                Sent::Committed { revision: Revision(revision) }
            }
            Commit::Conflict => {
                self.coverage.reached(Sometimes::Conflict);
                Sent::Conflict { now: words::conflict(&self.store, transaction) }
            }
        }
    }

    /// An answer, or the end of patience, arrives at an agent.
    pub(crate) fn hear(&mut self, machine: usize, life: u64, input: Input) {
        let token = match &input {
            Input::Sent { token, outcome } => {
                let patience_ended = matches!(outcome, Sent::Unknown | Sent::Failed);
                if !patience_ended && !self.hears(machine) {
                    return;
                }
                *token
            }
            Input::Read { token, found } => {
                if found.is_some() && !self.hears(machine) {
                    return;
                }
                *token
            }
            _ => return,
        };
        let Some(agent) = self.agent_mut(machine, life) else { return };
        if !agent.open.remove(&token) {
            return;
        }
        if let Input::Sent { outcome: Sent::Unknown, .. } = &input {
            self.coverage.reached(Sometimes::UnknownOutcome);
        }
        self.feed(machine, input);
        self.follow_all(machine);
    }
}

impl Flight {
    fn token(&self) -> Option<Token> {
        match &self.ask {
            Ask::Commit(token, _) | Ask::Read(token, ..) => Some(*token),
            Ask::Role(_) | Ask::Ending(..) => None,
        }
    }

    /// What the agent hears if nothing comes back: nobody knows, or certainly not.
    fn failed(&self, unknown: bool) -> Input {
        match &self.ask {
            Ask::Read(token, ..) => Input::Read { token: *token, found: None },
            Ask::Commit(token, _) if unknown => Input::Sent { token: *token, outcome: Sent::Unknown },
            Ask::Commit(token, _) => Input::Sent { token: *token, outcome: Sent::Failed },
            Ask::Role(_) | Ask::Ending(..) => Input::Tick,
        }
    }
}
