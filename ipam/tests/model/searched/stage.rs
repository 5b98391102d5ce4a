//! One act, carried out: the production code steps, its effects are executed, and the oracle looks.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use ipam::*;

use super::act::{Act, Fate, Unsynced, Written};
use super::deeds::{Change, changes};
use super::machine::{Asked, Call, Machine};
use super::mutation::Mutation;
use super::normal::base;
use super::reached::Event;
use super::story::{ANY, Story};
use super::world::{Broken, Promise, World, pool};

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
        while let Some((m, token, transaction)) = self.prompt.pop_front() {
            self.commit(m, transaction, Some(token));
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
            Act::CutPower(m, unsynced) => {
                self.world.left.power_cuts -= 1;
                self.leave_behind(*m);
                let note_over = self.story.mix.faults.late_releases > 0;
                let machine = self.machine(*m);
                machine.power_is_cut(*unsynced == Unsynced::Kept);
                if !note_over {
                    machine.over.clear();
                }
            }
            Act::DiskFails(m, written) => {
                self.world.left.disk -= 1;
                self.machine(*m).disk_fails = Some(*written == Written::There);
            }
            Act::LoseJournal(m) => {
                self.world.left.lost_journals -= 1;
                let number = *m as u64;
                let machine = self.machine(*m);
                let counter = Record::Counter(base::COUNTER + 100_000 * number);
                machine.disk = super::disk::Disk::with(vec![counter]);
                machine.lost_journal = true;
            }
            Act::Witness(m) => {
                self.world.left.evictions -= 1;
                let at = self.world.host_record(*m).map(|(_, revision)| revision);
                self.machine(*m).witnessed = at;
            }
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
            Act::Claim(m, address) => {
                let request = self.request(*m);
                let endpoint = EndpointId(address.to_string());
                self.feed(*m, Input::Claim { request, address: *address, endpoint });
            }
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

    // The container side.

    fn request(&mut self, m: usize) -> RequestId {
        let request = RequestId(base::REQUEST + m as u64);
        self.machine(m).asked.insert(request);
        request
    }

    fn ask(&mut self, m: usize, address: Option<IpAddr>) {
        let request = self.request(m);
        let wish = address.map_or(ANY, Wish::Exact);
        self.feed(m, Input::Assign { request, pool: pool(), wish, endpoint: None });
    }

    fn stop(&mut self, m: usize, address: IpAddr) {
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

    fn reap(&mut self, m: usize, address: IpAddr) {
        let Some(epoch) = self.world.machines[m].assigned().get(&address).copied() else { return };
        self.story.reached.note(Event::Reaped);
        self.feed(m, Input::Reap { request: RequestId(base::REQUEST + 100), address, epoch });
    }

    fn late_release(&mut self, m: usize, address: IpAddr) {
        self.world.left.late_releases -= 1;
        let Some(mut epoch) = self.world.machines[m].over.get(&address).copied() else { return };
        if self.story.mutation == Some(Mutation::NoEpoch) {
            epoch = self.world.machines[m].assigned().get(&address).copied().unwrap_or(epoch);
        }
        self.story.reached.note(Event::LateRelease);
        self.feed(m, Input::Reap { request: RequestId(base::REQUEST + 100), address, epoch });
    }

    fn open(&mut self, m: usize, address: IpAddr) {
        let Some(epoch) = self.world.machines[m].in_use.get(&address).copied() else { return };
        let request = RequestId(base::REQUEST + 100);
        self.feed(m, Input::Bind { request, address, endpoint: EndpointId(address.to_string()) });
        self.feed(m, Input::Publish { request, address, epoch });
    }

    // The agent's life.

    pub(crate) fn start(&mut self, m: usize) {
        if !self.world.machines[m].powered {
            self.machine(m).power_on();
        }
        let machine = &self.world.machines[m];
        let mut records = machine.disk.records().to_vec();
        if let Some(mutation) = self.story.mutation {
            records = mutation.recovered(&self.world, &machine.identity, records);
        }
        let machine = self.machine(m);
        let records = queued_before(m).into_iter().chain(records);
        machine.agent = Some(Host::recover(machine.identity.clone(), machine.now, records));
        machine.listed = false;
    }

    /// Lists everything at once; what the watches had still to show is in it.
    pub(crate) fn list(&mut self, m: usize) {
        let machine = self.machine(m);
        machine.unseen.clear();
        machine.listed = true;
        let Some(agent) = &machine.agent else { return };
        let prefixes = agent.watches();
        let revision = Revision(self.world.store.revision);
        for prefix in prefixes {
            let entries = self.world.store.list(&prefix);
            self.feed(m, Input::Listed { prefix, revision, entries });
        }
    }

    /// What a dead agent had sent is still on its way, and may land.
    fn leave_behind(&mut self, m: usize) {
        let lasts = self.story.mix.faults.unknown > 0;
        let machine = self.machine(m);
        for call in std::mem::take(&mut machine.calls) {
            if let Asked::Commit(transaction) = call.what
                && lasts
            {
                machine.late.push(transaction);
            }
        }
        self.forget_what_cannot_land();
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
                    // Hints decide only whom to ask first; here none ever arrives.
                    effects.extend(self.step(m, Input::Sent { token, outcome: Sent::Failed }));
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
            Write::Put { key: key @ Key::Block(_), value: Value::Block(after) } => {
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

    // The disk.

    fn persist(&mut self, m: usize, records: &[Record], durability: Durability) -> Persisted {
        if records.iter().any(|record| ends_cooling(&self.world.machines[m], record)) {
            self.story.reached.note(Event::Cooled);
        }
        let early = self.story.mutation == Some(Mutation::AnswerBeforeJournal);
        let machine = self.machine(m);
        match machine.disk_fails.take() {
            Some(there) => {
                if there {
                    machine.disk.append(records, Durability::Written);
                }
                return Persisted::Failed;
            }
            None if early => machine.unwritten.push((records.to_vec(), durability == Durability::Synced)),
            None => machine.disk.append(records, durability),
        }
        Persisted::Done
    }

    /// Under [`Mutation::AnswerBeforeJournal`]: the writes follow when something else happens.
    fn late_writes(&mut self, act: &Act) {
        for m in 0..self.world.machines.len() {
            let dies = matches!(act, Act::Kill(of) | Act::CutPower(of, _) if *of == m);
            if self.world.machines[m].unwritten.is_empty() || dies {
                continue;
            }
            let machine = self.machine(m);
            for (records, synced) in std::mem::take(&mut machine.unwritten) {
                machine.disk.append(&records, if synced { Durability::Synced } else { Durability::Written });
            }
        }
    }

    // The store.

    fn arrive(&mut self, m: usize, at: usize, fate: Fate) {
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
    fn commit(&mut self, m: usize, transaction: Transaction, token: Option<Token>) {
        let Some(token) = token else {
            self.commit_unheard(m, transaction);
            return;
        };
        let (outcome, events) = self.land(m, transaction);
        self.feed(m, Input::Sent { token, outcome });
        // What the agent itself did it knows already; only a watch that lags shows it again.
        let knows = !self.story.mix.lagging;
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
        let Some(Value::Block(before)) = self.world.store.value(&Key::Block(block)) else { return };
        if let Ok(step) = before.apply(command)
            && step.changed
        {
            self.put(Key::Block(block), Value::Block(step.block));
        }
    }

    /// Notes what was written, and looks at each step of a block.
    fn written(&mut self, before: &super::store::Store, event: &Seen) {
        match (&event.key, &event.value) {
            (key @ Key::Block(_), Some(Value::Block(after))) => {
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

    /// Shows what was written to every agent that watches, at once or when its watch gets there.
    fn show(&mut self, events: Vec<Seen>, but: Option<usize>) {
        if events.is_empty() {
            return;
        }
        for m in 0..self.world.machines.len() {
            let machine = &self.world.machines[m];
            if but == Some(m) || machine.agent.is_none() || !machine.listed {
                continue;
            }
            let seen = events.iter().filter_map(|event| Some((watched(machine, &event.key)?, event.clone())));
            let seen: Vec<(Prefix, Seen)> = seen.collect();
            let lags = |(prefix, _): &(Prefix, Seen)| {
                self.story.mix.lagging && matches!(prefix, Prefix::Blocks | Prefix::Hosts)
            };
            let (later, now): (Vec<_>, Vec<_>) = seen.into_iter().partition(lags);
            for (prefix, event) in later {
                self.machine(m).unseen.entry(prefix).or_default().push_back(Arc::new(vec![event]));
            }
            if !now.is_empty() {
                self.feed(m, Input::Seen(now.into_iter().map(|(_, event)| event).collect()));
            }
        }
    }

    fn watch(&mut self, m: usize, prefix: &Prefix) {
        let machine = self.machine(m);
        let Some(queue) = machine.unseen.get_mut(prefix) else { return };
        let Some(shown) = queue.pop_front() else { return };
        if queue.is_empty() {
            machine.unseen.remove(prefix);
        }
        let mut seen = shown.to_vec();
        if self.story.mutation == Some(Mutation::LaggingAdoption) && *prefix == Prefix::Blocks {
            let store = Arc::make_mut(&mut self.world.store);
            store.revision += 1 << base::REVISION_SHIFT;
            for seen in &mut seen {
                seen.revision = Revision(store.revision);
            }
        }
        self.feed(m, Input::Seen(seen));
    }
}

/// Which of a machine's watches shows a key.
fn watched(machine: &Machine, key: &Key) -> Option<Prefix> {
    match key {
        Key::Cluster => Some(Prefix::Cluster),
        Key::Host(_) => Some(Prefix::Hosts),
        Key::Block(_) => Some(Prefix::Blocks),
        Key::Want { zone, holder, .. } if holder == machine.host() => {
            Some(Prefix::Wants { zone: zone.clone(), holder: holder.clone() })
        }
        Key::Published { host, .. } if host == machine.host() => Some(Prefix::Published(host.clone())),
        _ => None,
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

fn ends_cooling(machine: &Machine, record: &Record) -> bool {
    let Record::Address { address, holding: Some(Holding { state: Life::Free { .. }, .. }), .. } = record
    else {
        return false;
    };
    machine.disk.records().iter().any(|known| match known {
        Record::Address {
            address: of, holding: Some(Holding { state: Life::Cooling { .. }, .. }), ..
        } => of == address,
        _ => false,
    })
}

/// Makes a host's places in the queue of free addresses begin where the normal form knows them: it
/// once held an address of another subnet.
fn queued_before(m: usize) -> [Record; 2] {
    let address = IpAddr::from([10, 99, 0, 1]);
    let block = BlockId { subnet: address.into(), index: 0 };
    let holding = Holding {
        generation: Generation { number: base::GENERATION, id: base::GENERATION },
        incarnation: Incarnation(base::INCARNATION),
        take: base::TAKE,
        reserved: None,
        state: Life::Free { turn: base::TURN + 100_000 * m as u64 },
    };
    [
        Record::Address { block, address, holding: Some(holding) },
        Record::Address { block, address, holding: None },
    ]
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
