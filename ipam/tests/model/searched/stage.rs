//! One act, carried out: the production code steps, its effects are executed, and the oracle looks.

use std::collections::VecDeque;
use std::sync::Arc;

use ipam::*;

use super::act::{Act, Unsynced, Written};
use super::deeds::changes;
use super::machine::{Asked, Call, Machine};
use super::reached::Event;
use super::story::Story;
use super::world::{Broken, Promise, World};

/// A world while something happens in it.
pub(crate) struct Stage<'a> {
    pub(crate) world: World,
    pub(crate) story: &'a Story,
    /// Whose agent took a step, for the oracle.
    pub(crate) stepped: Vec<usize>,
    /// Wants placed and withdrawn, where the store takes them at once.
    prompt: VecDeque<(usize, Token, Transaction)>,
    /// What happened, one line each; only where somebody reads it.
    pub(crate) told: Option<Vec<String>>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(world: World, story: &'a Story, telling: bool) -> Self {
        Self { world, story, stepped: Vec::new(), prompt: VecDeque::new(), told: telling.then(Vec::new) }
    }

    /// The world after the act, looked at by the oracle.
    pub(crate) fn end(mut self) -> World {
        self.settle();
        self.world
    }

    /// What follows at once from the act; then the oracle looks.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some((m, token, transaction)) = self.prompt.pop_front() {
                self.commit(m, transaction, Some(token));
            }
            self.forget_what_is_no_news();
            let Some((m, prefix)) = self.too_far_behind() else { break };
            self.watch(m, &prefix);
        }
        self.look();
    }

    pub(crate) fn act(&mut self, act: &Act) {
        self.late_writes(act);
        match act {
            Act::Ask(m, address) => self.ask(*m, *address),
            Act::Stop(m, address) => self.stop(*m, *address),
            Act::Reap(m, address) => self.reap(*m, *address),
            Act::LateRelease(m, address) => self.late_release(*m, *address),
            Act::Arrive(m, call, fate) => self.arrive(*m, *call, *fate),
            Act::Hear(m) => {
                if let Some(answer) = self.machine(*m).answers.pop_front() {
                    self.feed(*m, answer);
                }
            }
            Act::Watch(m, prefix) => self.watch(*m, prefix),
            Act::List(m) => self.list(*m),
            Act::Compacted(m) => {
                self.world.left.compactions -= 1;
                self.list(*m);
            }
            Act::Pass(m) => {
                let stride = self.world.clock.step_millis();
                let machine = self.machine(*m);
                machine.now = machine.now.after(stride);
                self.feed(*m, Input::Tick);
            }
            Act::Land(m, at) => {
                let transaction = self.machine(*m).late.remove(*at);
                self.story.reached.note(Event::LandedLate);
                self.commit(*m, transaction, None);
            }
            Act::Kill(m) => {
                self.world.left.kills -= 1;
                self.leave_behind(*m);
                self.machine(*m).agent_dies();
            }
            Act::Start(m) => {
                self.start(*m);
                if !self.story.mix.cut_off {
                    self.list(*m);
                }
            }
            Act::CutPower(m, unsynced) => self.cut_power(*m, *unsynced == Unsynced::Kept),
            Act::DiskFails(m, written) => {
                self.world.left.disk -= 1;
                self.machine(*m).disk_fails = Some(*written == Written::There);
            }
            Act::LoseJournal(m) => self.lose_journal(*m),
            Act::Question(m) => self.question(*m),
            Act::Evict(m) => self.evict(*m),
            Act::Sweep(m, block) => self.sweep(*m, *block),
            Act::EndQuarantine(address) => self.end_quarantine(*address),
            Act::Open(m, address) => self.open(*m, *address),
            Act::Name(address) => self.name(*address),
            Act::Unname(address) => self.unname(*address),
            Act::Drain(block) => {
                self.world.left.drains -= 1;
                self.apply(*block, BlockCommand::Drain);
            }
            Act::Undrain(block) => self.apply(*block, BlockCommand::Undrain),
            Act::BeginRebuild => self.begin_rebuild(),
            Act::EndRebuild => self.end_rebuild(),
            Act::Claim(m, address) => self.claim(*m, *address),
        }
    }

    pub(crate) fn machine(&mut self, m: usize) -> &mut Machine {
        Arc::make_mut(&mut self.world.machines[m])
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(what());
        }
    }

    pub(crate) fn breaks(&mut self, promise: Promise, how: String) {
        self.tell(|| format!("BROKEN {promise:?}: {how}"));
        self.world.broken.get_or_insert(Broken { promise, how });
    }

    pub(crate) fn feed(&mut self, m: usize, input: Input) {
        let Some(_) = &self.world.machines[m].agent else { return };
        if !self.stepped.contains(&m) {
            self.stepped.push(m);
        }
        let mut effects: VecDeque<Effect> = self.step(m, input);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Persist { token, records, durability } => {
                    let outcome = self.persist(m, &records, durability);
                    effects.extend(self.step(m, Input::Persisted { token, outcome }));
                }
                Effect::Send { token, transaction } if is_hint(&transaction) => {
                    // Hints decide only whom to ask first; here none ever arrives, and nobody hears of that.
                    let outcome = Sent::Committed { revision: Revision(0) };
                    effects.extend(self.step(m, Input::Sent { token, outcome }));
                }
                Effect::Send { token, transaction }
                    if !self.story.mix.slow_wants && is_want(&transaction) =>
                {
                    self.prompt.push_back((m, token, transaction));
                }
                Effect::Send { token, transaction } => {
                    let words = self.told.is_some().then(|| self.in_words(m, &transaction));
                    self.tell(|| words.unwrap_or_default());
                    self.machine(m).calls.push(Call { token, what: Asked::Commit(transaction) });
                }
                Effect::Read { token, keys } => {
                    self.machine(m).calls.push(Call { token, what: Asked::Read(keys) });
                }
                Effect::Answer { request, result } => self.answered(m, request, result),
                Effect::Silence { address, .. } => {
                    self.tell(|| format!("  h{}: {address} is revoked, and falls silent", m + 1));
                    self.machine(m).in_use.remove(&address);
                    effects.extend(self.step(m, Input::Silenced { address }));
                }
            }
        }
    }

    fn step(&mut self, m: usize, input: Input) -> VecDeque<Effect> {
        let machine = self.machine(m);
        let now = machine.now;
        match &mut machine.agent {
            Some(agent) => agent.step(now, input).into(),
            None => VecDeque::new(),
        }
    }

    /// What an agent sends: how a block would change, or what else would be written or asked.
    fn in_words(&self, m: usize, transaction: &Transaction) -> String {
        let at = self.world.machines[m].calls.len();
        let words = transaction.writes.iter().map(|write| match write {
            Write::Put { key: key @ Key::Block { .. }, value: Value::Block(after) } => {
                match self.world.store.value(key) {
                    Some(Value::Block(before)) => {
                        let changes = changes(before, after);
                        changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                    }
                    _ => format!("{} as new", after.id()),
                }
            }
            Write::Put { value, .. } => format!("{value:?}"),
            Write::Delete(key) => format!("no more {key:?}"),
        });
        let words: Vec<String> = words.collect();
        match words.as_slice() {
            [] => format!("  h{} asks, as call {at}, whether {:?}", m + 1, transaction.compares.last()),
            words => format!("  h{} sends, as call {at}: {}", m + 1, words.join("; ")),
        }
    }
}

fn is_hint(transaction: &Transaction) -> bool {
    let hint = |write: &Write| matches!(write, Write::Put { key: Key::Surplus { .. }, .. });
    !transaction.writes.is_empty() && transaction.writes.iter().all(hint)
}

fn is_want(transaction: &Transaction) -> bool {
    let want = |write: &Write| {
        matches!(write, Write::Put { key: Key::Want { .. }, .. } | Write::Delete(Key::Want { .. }))
    };
    !transaction.writes.is_empty() && transaction.writes.iter().all(want)
}
