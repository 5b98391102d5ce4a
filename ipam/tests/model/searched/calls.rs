//! What is on its way between an agent and the store, and what it does there.

use std::sync::Arc;

use ipam::*;

use super::act::Fate;
use super::deeds::{Change, changes};
use super::machine::{Asked, Call};
use super::mutation::Mutation;
use super::reached::Event;
use super::stage::Stage;
use super::store::Store;
use super::world::{Promise, block_key};

impl Stage<'_> {
    pub(crate) fn arrive(&mut self, m: usize, at: usize, fate: Fate) {
        let Call { token, what } = self.machine(m).calls.remove(at);
        let left = &mut self.world.left;
        match fate {
            Fate::Known => (),
            Fate::Slow => left.slow -= 1,
            Fate::Unknown => left.unknown -= 1,
            Fate::Unreached => left.unreached -= 1,
        }
        match (what, fate) {
            (Asked::Read(_), Fate::Unreached | Fate::Unknown) => {
                self.feed(m, Input::Read { token, found: None });
            }
            (Asked::Read(keys), _) => {
                let found = Some(keys.iter().map(|key| self.world.store.get(key)).collect());
                let answer = Input::Read { token, found };
                match fate {
                    Fate::Slow => self.machine(m).answers.push_back(answer),
                    _ => self.feed(m, answer),
                }
            }
            (Asked::Commit(transaction), Fate::Known) => self.commit(m, transaction, Some(token)),
            (Asked::Commit(transaction), Fate::Slow) => {
                let outcome = self.commit_unheard(m, transaction);
                self.machine(m).answers.push_back(Input::Sent { token, outcome });
            }
            (Asked::Commit(transaction), Fate::Unknown) => {
                self.machine(m).late.push(transaction);
                self.forget_what_cannot_land();
                let settled_by_absence = self.story.mutation == Some(Mutation::SettleByAbsence);
                let outcome = if settled_by_absence { Sent::Failed } else { Sent::Unknown };
                self.feed(m, Input::Sent { token, outcome });
            }
            (Asked::Commit(_), Fate::Unreached) => {
                self.feed(m, Input::Sent { token, outcome: Sent::Failed });
            }
        }
    }

    /// A transaction of `m` reaches the store. With a token its outcome is heard, before any watch.
    pub(crate) fn commit(&mut self, m: usize, transaction: Transaction, token: Option<Token>) {
        let Some(token) = token else {
            self.commit_unheard(m, transaction);
            return;
        };
        let (outcome, events) = self.land(m, transaction);
        self.feed(m, Input::Sent { token, outcome });
        // What the agent itself did it knows already; only a watch that lags shows it again.
        let knows = self.story.mix.lagging == 0;
        self.show(events, knows.then_some(m));
    }

    fn commit_unheard(&mut self, m: usize, transaction: Transaction) -> Sent {
        let (outcome, events) = self.land(m, transaction);
        self.show(events, None);
        outcome
    }

    fn land(&mut self, m: usize, transaction: Transaction) -> (Sent, Vec<Seen>) {
        let transaction = match self.story.mutation {
            Some(mutation) => mutation.strip(&self.world, m, transaction),
            None => transaction,
        };
        let before = Arc::clone(&self.world.store);
        let committed = Arc::make_mut(&mut self.world.store).commit(&transaction);
        if let Sent::Conflict { .. } = committed.outcome {
            self.story.reached.note(Event::MadeToFail);
            self.tell(|| "  a compare fails".to_owned());
            return (committed.outcome, committed.events);
        }
        for event in &committed.events {
            self.written(&before, event);
        }
        self.forget_what_cannot_land();
        (committed.outcome, committed.events)
    }

    /// Writes of operators and roles, composed from what stands in the store at that moment.
    pub(crate) fn write(&mut self, transaction: Transaction) {
        let before = Arc::clone(&self.world.store);
        let committed = Arc::make_mut(&mut self.world.store).commit(&transaction);
        for event in &committed.events {
            self.written(&before, event);
        }
        self.forget_what_cannot_land();
        self.show(committed.events, None);
    }

    pub(crate) fn put(&mut self, key: Key, value: Value) {
        self.write(Transaction { compares: vec![], writes: vec![Write::Put { key, value }] });
    }

    pub(crate) fn apply(&mut self, block: BlockId, command: BlockCommand) {
        let Some(Value::Block(before)) = self.world.store.value(&block_key(block)) else { return };
        if let Ok(step) = before.apply(command)
            && step.changed
        {
            self.put(block_key(block), Value::Block(step.block));
        }
    }

    /// Notes what was written, and looks at each step of a block.
    fn written(&mut self, before: &Store, event: &Seen) {
        match (&event.key, &event.value) {
            (key @ Key::Block { .. }, Some(Value::Block(after))) => {
                let Some(Value::Block(before)) = before.value(key) else { return };
                for change in changes(before, after) {
                    self.story.reached.note(event_of(&change));
                    self.tell(|| format!("  in the store: {change}"));
                }
                if self.world.rebuild.is_none() {
                    for how in check::step_broken(before, after) {
                        self.breaks(Promise::S5, how);
                    }
                }
            }
            // Two witnesses count of one record; the role begins anew with another.
            (Key::Host(host), _) => {
                let of = self.world.machines.iter().position(|machine| machine.host() == host);
                if let Some(m) = of.filter(|m| self.world.machines[*m].suspected.is_some()) {
                    self.machine(m).suspected = None;
                }
            }
            (Key::Want { .. }, Some(_)) => self.story.reached.note(Event::WantPlaced),
            (Key::Endpoint(address), Some(Value::Endpoint(record))) => {
                self.story.reached.note(Event::Opened);
                self.tell(|| format!("  in the store: {address} is open under {}", record.epoch));
                self.opened(*address, record.epoch);
            }
            (Key::Endpoint(address), None) => {
                self.story.reached.note(Event::Closed);
                self.tell(|| format!("  in the store: {address} is closed"));
            }
            _ => (),
        }
    }

    pub(crate) fn forget_what_cannot_land(&mut self) {
        for m in 0..self.world.machines.len() {
            if self.world.machines[m].late.is_empty() {
                continue;
            }
            let late = std::mem::take(&mut self.machine(m).late);
            let mutation = self.story.mutation;
            let late = late.into_iter().filter(|transaction| {
                let store = &self.world.store;
                match mutation {
                    Some(mutation) => store.may_land(&mutation.strip(&self.world, m, transaction.clone())),
                    None => store.may_land(transaction),
                }
            });
            let late = late.collect();
            self.machine(m).late = late;
        }
    }
}

fn event_of(change: &Change) -> Event {
    match change {
        Change::Taken(..) => Event::Taken,
        Change::GivenBack(..) => Event::GivenBack,
        Change::Granted(..) => Event::Granted,
        Change::Retaken(..) => Event::RetakenAfterBoot,
        Change::Claimed(..) => Event::Claimed,
        Change::Swept(..) => Event::Swept,
        Change::QuarantineEnded(_) => Event::QuarantineEnded,
        Change::MovedOn => Event::Settled,
        Change::Drained | Change::Undrained => Event::Drained,
    }
}
