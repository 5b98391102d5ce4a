//! What happens in the world: effects are carried out, outcomes come back, time passes.

use ipam::*;

use super::{Fate, World};

impl World {
    pub(crate) fn feed(&mut self, machine: usize, input: Input) {
        let now = self.now;
        let at = &mut self.machines[machine];
        let Some(agent) = &mut at.agent else { return };
        let effects = agent.step(now, input);
        at.effects.extend(effects);
        self.check_machine(machine);
    }

    /// Carries out the next effect. Whether anything was there to do.
    pub(crate) fn carry(&mut self, machine: usize, fate: Fate) -> bool {
        let Some(effect) = self.machines[machine].effects.pop_front() else { return false };
        match effect {
            Effect::Persist { token, records, durability } => {
                self.append(machine, token, records, durability)
            }
            Effect::Send { token, transaction } => self.transact(machine, token, transaction, fate),
            Effect::Read { token, keys } => {
                let found =
                    (fate != Fate::Unreached).then(|| keys.iter().map(|key| self.store.get(key)).collect());
                self.machines[machine].outcomes.push_back(Input::Read { token, found });
            }
            Effect::Answer { request, result } => self.answered(machine, request, result),
            Effect::Silence { address, .. } => {
                let at = &mut self.machines[machine];
                at.in_use.remove(&address);
                at.outcomes.push_back(Input::Silenced { address });
            }
        }
        self.check();
        true
    }

    fn append(&mut self, machine: usize, token: Token, records: Vec<Record>, durability: Durability) {
        let at = &mut self.machines[machine];
        let outcome = if at.disk_full {
            Persisted::Failed
        } else {
            at.written.extend(records);
            if durability == Durability::Synced {
                let written = std::mem::take(&mut at.written);
                at.synced.extend(written);
            }
            Persisted::Done
        };
        at.outcomes.push_back(Input::Persisted { token, outcome });
    }

    fn transact(&mut self, machine: usize, token: Token, transaction: Transaction, fate: Fate) {
        let outcome = match fate {
            Fate::Known => self.store.commit(&transaction),
            Fate::LandedUnheard => {
                self.store.commit(&transaction);
                Sent::Unknown
            }
            Fate::Lost => Sent::Unknown,
            Fate::Late => {
                self.machines[machine].late.push(transaction);
                Sent::Unknown
            }
            Fate::Unreached => Sent::Failed,
        };
        self.machines[machine].outcomes.push_back(Input::Sent { token, outcome });
    }

    /// A late transaction lands.
    pub(crate) fn land(&mut self, machine: usize) {
        if let Some(transaction) = self.machines[machine].late.pop() {
            self.store.commit(&transaction);
            self.check();
        }
    }

    /// The next outcome comes back. Whether there was one.
    pub(crate) fn hear(&mut self, machine: usize) -> bool {
        let Some(outcome) = self.machines[machine].outcomes.pop_front() else { return false };
        self.feed(machine, outcome);
        true
    }

    /// The watch shows the next event. Whether there was one.
    pub(crate) fn watch(&mut self, machine: usize) -> bool {
        let at = &mut self.machines[machine];
        let Some(agent) = &at.agent else { return false };
        let Some(event) = self.store.history.get(at.watched).cloned() else { return false };
        at.watched += 1;
        if agent.watches().iter().any(|prefix| prefix.contains(&event.key)) {
            self.feed(machine, Input::Seen(vec![event]));
        }
        true
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now.after(millis);
        for machine in 0..self.machines.len() {
            self.feed(machine, Input::Tick);
        }
    }

    /// Everything under way comes to an end, faultlessly; time passes only where something waits.
    pub(crate) fn settle(&mut self) {
        for machine in 0..self.machines.len() {
            if self.machines[machine].agent.is_some() {
                self.list(machine);
            }
        }
        let end = self.now.after(4_000);
        loop {
            self.run();
            let agents = self.machines.iter().filter_map(|machine| machine.agent.as_ref());
            match agents.filter_map(Host::next_deadline).min().filter(|due| *due <= end) {
                Some(due) => self.pass(due.0.saturating_sub(self.now.0).max(1)),
                None => return,
            }
        }
    }

    /// Everything that can happen without time passing happens.
    pub(crate) fn run(&mut self) {
        for _ in 0..2_000 {
            let mut busy = false;
            for machine in 0..self.machines.len() {
                busy |= self.carry(machine, Fate::Known) | self.hear(machine) | self.watch(machine);
            }
            if !busy {
                return;
            }
        }
        panic!(
            "the world does not come to rest: {:#?}",
            self.machines.iter().map(|m| &m.effects).collect::<Vec<_>>()
        );
    }
}
