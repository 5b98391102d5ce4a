//! A small world round the pure machines: hosts with journals and containers, one store, and every
//! fault that can be had without a kernel. What must always hold is checked after every act.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use ipam::*;

mod role;
mod store;

pub(crate) use role::{PAUSE, REST, Role, STALENESS};
pub(crate) use store::Store;

pub(crate) const SUBNET: &str = "10.50.0.0/29";
pub(crate) const ZONE: &str = "dal10-900";
pub(crate) const COOLING: u64 = 1_000;

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is committed, or conflicts, and the outcome comes back.
    Known,
    /// It is committed, or conflicts, but nobody hears of it.
    LandedUnheard,
    /// It never arrives, and nobody knows that.
    Lost,
    /// It arrives when [`World::land`] says so.
    Late,
    /// The store was not reached at all, and that is known.
    Unreached,
}

/// A machine: its agent, its disk, its kernel.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    /// The agent; `None` while it is down.
    pub(crate) agent: Option<Host>,
    pub(crate) powered: bool,
    /// What survives power loss, and what only survives the process.
    pub(crate) synced: Vec<Record>,
    pub(crate) written: Vec<Record>,
    pub(crate) disk_full: bool,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) outcomes: VecDeque<Input>,
    /// Transactions that may land later.
    pub(crate) late: Vec<Transaction>,
    /// How much of the store's history its watch has shown.
    pub(crate) watched: usize,
    pub(crate) answers: BTreeMap<RequestId, Result<Answer, Refusal>>,
    /// Which requests are to be used by a container once answered.
    pub(crate) users: BTreeSet<RequestId>,
    /// What containers use: the kernel's word.
    pub(crate) in_use: BTreeMap<IpAddr, Epoch>,
    pub(crate) boots: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) machines: Vec<Machine>,
    pub(crate) now: Timestamp,
    pub(crate) requests: u64,
    /// The newest epoch under which each address was ever answered.
    pub(crate) epochs: BTreeMap<IpAddr, Epoch>,
    pub(crate) subnet: ipnetwork::IpNetwork,
}

pub(crate) fn pool() -> PoolName {
    PoolName::from("default")
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl World {
    /// A store with one open subnet, and that many machines, not started.
    pub(crate) fn new(machines: usize, subnet: &str) -> Self {
        let mut store = Store::default();
        let subnet: ipnetwork::IpNetwork = subnet.parse().unwrap();
        let generation = Generation { number: 1, id: 7 };
        let cluster = ClusterRecord { id: "c".into(), generation, state: ClusterState::Open };
        store.put(Key::Cluster, Value::Cluster(cluster));
        let policy = Pool { name: pool(), cooling_millis: COOLING };
        store.put(Key::Pool(pool()), Value::Pool(policy));
        let gateway = subnet.iter().nth(1);
        let record = Subnet { cidr: subnet, pool: pool(), zone: ZONE.into(), gateway };
        store.put(Key::Subnet(subnet), Value::Subnet(record));
        for id in BlockId::all_of(subnet) {
            let aside = gateway.map(|gateway| (gateway, SetAside::Gateway)).into_iter().collect();
            store.put(Key::Block(id), Value::Block(Block::open(id, 0, &aside)));
        }
        let machines = (0..machines).map(Machine::new).collect();
        let now = Timestamp(1);
        Self { store, machines, now, requests: 0, epochs: BTreeMap::new(), subnet }
    }

    /// The same, with every machine started and nothing under way.
    pub(crate) fn running(machines: usize, subnet: &str) -> Self {
        let mut world = Self::new(machines, subnet);
        for machine in 0..machines {
            world.start(machine);
        }
        world.settle();
        world
    }

    pub(crate) fn block_id(&self) -> BlockId {
        BlockId { subnet: self.subnet, index: 0 }
    }

    pub(crate) fn block(&self) -> Block {
        match self.store.get(&Key::Block(self.block_id())).value {
            Some(Value::Block(block)) => block,
            other => panic!("no block: {other:?}"),
        }
    }

    pub(crate) fn apply(&mut self, command: BlockCommand) {
        let step = self.block().apply(command).unwrap();
        if step.changed {
            self.store.put(Key::Block(self.block_id()), Value::Block(step.block));
        }
    }

    /// Starts the agent: recovers from the journal, and lists what it watches.
    pub(crate) fn start(&mut self, machine: usize) {
        let now = self.now;
        let at = &mut self.machines[machine];
        if at.agent.is_some() {
            return;
        }
        if !at.powered {
            at.powered = true;
            at.boots += 1;
            at.identity.boot = BootId(format!("{}-boot-{}", at.identity.host, at.boots));
        }
        let records = at.synced.iter().chain(&at.written).cloned();
        let host = Host::recover(at.identity.clone(), now, records);
        // A compacted journal is as good as the whole one.
        let again = Host::recover(at.identity.clone(), now, host.snapshot());
        assert_eq!(again.snapshot(), host.snapshot());
        at.agent = Some(host);
        self.sign(machine);
    }

    /// Lists everything the agent watches, as after a start or a compacted watch.
    pub(crate) fn list(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let prefixes = agent.watches();
        at.watched = self.store.history.len();
        let revision = Revision(self.store.revision);
        for prefix in prefixes {
            let entries = self.store.list(&prefix);
            self.feed(machine, Input::Listed { prefix, revision, entries });
        }
    }

    /// The agent dies; its containers live on, and what it wrote is on the disk.
    pub(crate) fn kill(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        at.agent = None;
        at.effects.clear();
        at.outcomes.clear();
        at.users.clear();
    }

    /// The machine dies. `kept` of the records not synced survive.
    pub(crate) fn power_loss(&mut self, machine: usize, kept: usize) {
        self.kill(machine);
        let at = &mut self.machines[machine];
        at.powered = false;
        at.in_use.clear();
        at.written.truncate(kept);
        let written = std::mem::take(&mut at.written);
        at.synced.extend(written);
        self.lapse(machine);
    }

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

    pub(crate) fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Asks for an address, to be used by a container once it is there.
    pub(crate) fn ask(&mut self, machine: usize, wish: Wish) -> RequestId {
        let request = self.request();
        if self.machines[machine].agent.is_some() {
            self.machines[machine].users.insert(request);
        }
        self.feed(machine, Input::Assign { request, pool: pool(), wish, endpoint: None });
        request
    }

    /// Asks and waits for the answer, with nothing going wrong; at most 12 s.
    pub(crate) fn assign(&mut self, machine: usize, wish: Wish) -> Result<Assignment, Refusal> {
        let request = self.ask(machine, wish);
        match self.wait(machine, request)? {
            Answer::Assigned(assignment) => Ok(assignment),
            other => panic!("not an assignment: {other:?}"),
        }
    }

    pub(crate) fn assign_any(&mut self, machine: usize) -> Result<Assignment, Refusal> {
        self.assign(machine, Wish::Any(Family::V4))
    }

    pub(crate) fn wait(&mut self, machine: usize, request: RequestId) -> Result<Answer, Refusal> {
        for _ in 0..240 {
            self.run();
            if let Some(result) = self.machines[machine].answers.remove(&request) {
                return result;
            }
            self.pass(50);
        }
        panic!("request {request} was never answered");
    }

    /// Feeds a request made with a fresh id and waits for its answer.
    pub(crate) fn call(
        &mut self,
        machine: usize,
        input: impl FnOnce(RequestId) -> Input,
    ) -> Result<Answer, Refusal> {
        let request = self.request();
        self.feed(machine, input(request));
        self.wait(machine, request)
    }

    pub(crate) fn bind(
        &mut self,
        machine: usize,
        address: IpAddr,
        endpoint: &str,
    ) -> Result<Answer, Refusal> {
        let endpoint = EndpointId::from(endpoint);
        self.call(machine, |request| Input::Bind { request, address, endpoint })
    }

    pub(crate) fn gone(&mut self, machine: usize, endpoint: &str) -> Result<Answer, Refusal> {
        let endpoint = EndpointId::from(endpoint);
        self.call(machine, |request| Input::EndpointGone { request, endpoint })
    }

    /// Docker's ReleaseAddress; the container is gone.
    pub(crate) fn release(&mut self, machine: usize, address: IpAddr) -> Result<Answer, Refusal> {
        self.machines[machine].in_use.remove(&address);
        self.call(machine, |request| Input::Release { request, address })
    }

    /// The container is gone, and its release is sent but not waited for.
    pub(crate) fn stop(&mut self, machine: usize, nth: usize) {
        let at = &mut self.machines[machine];
        let Some(address) = at.in_use.keys().nth(nth % at.in_use.len().max(1)).copied() else { return };
        if at.agent.is_some() {
            let epoch = at.in_use.remove(&address);
            let request = self.request();
            let endpoint = EndpointId(epoch.map(|epoch| epoch.to_string()).unwrap_or_default());
            self.feed(machine, Input::EndpointGone { request, endpoint });
            let request = self.request();
            self.feed(machine, Input::Release { request, address });
        }
    }

    /// The reconciler: what no container uses is closed, where nothing is under way.
    pub(crate) fn reconcile(&mut self, machine: usize) {
        let at = &self.machines[machine];
        if at.agent.is_none() || !at.effects.is_empty() || !at.outcomes.is_empty() || !at.users.is_empty() {
            return;
        }
        let unused: Vec<(IpAddr, Epoch)> = ipam::check::assigned_in(&self.view(machine))
            .into_iter()
            .filter(|(address, epoch)| at.in_use.get(address) != Some(epoch))
            .collect();
        for (address, epoch) in unused {
            let request = self.request();
            self.feed(machine, Input::Reap { request, address, epoch });
        }
    }

    /// A container's endpoint is bound and published.
    pub(crate) fn publish(&mut self, machine: usize, nth: usize) {
        let at = &self.machines[machine];
        let Some((address, epoch)) = at.in_use.iter().nth(nth % at.in_use.len().max(1)) else { return };
        let (address, epoch) = (*address, *epoch);
        let request = self.request();
        let endpoint = EndpointId(format!("{epoch}"));
        self.feed(machine, Input::Bind { request, address, endpoint });
        let request = self.request();
        self.feed(machine, Input::Publish { request, address, epoch });
    }

    /// An owner writes a dependent, comparing that the endpoint is open.
    pub(crate) fn name(&mut self, address: IpAddr) {
        let endpoint = self.store.get(&Key::Endpoint(address));
        let Some(Value::Endpoint(record)) = endpoint.value else { return };
        let key = Key::Dependent { address, epoch: record.epoch, object: "member".into() };
        self.store.put(key, Value::Dependent(Dependent { writers: [record.host].into() }));
    }

    /// Every owner removes its dependents.
    pub(crate) fn unname(&mut self) {
        let named = self.store.entries.keys().filter(|key| matches!(key, Key::Dependent { .. }));
        for key in named.cloned().collect::<Vec<_>>() {
            self.store.delete(key);
        }
    }

    fn answered(&mut self, machine: usize, request: RequestId, result: Result<Answer, Refusal>) {
        // A release may have overtaken an answer given again: CreateEndpoint is refused then.
        let assigned = ipam::check::assigned_in(&self.view(machine));
        let at = &mut self.machines[machine];
        if let Ok(Answer::Assigned(assignment)) = &result
            && at.users.contains(&request)
            && assigned.get(&assignment.address) == Some(&assignment.epoch)
        {
            let before = self.epochs.insert(assignment.address, assignment.epoch);
            assert!(
                before.is_none_or(|before| before <= assignment.epoch),
                "S2: {before:?} then {assignment:?}"
            );
            at.in_use.insert(assignment.address, assignment.epoch);
        }
        at.users.remove(&request);
        at.answers.insert(request, result);
    }

    pub(crate) fn view(&self, machine: usize) -> View {
        self.machines[machine].agent.as_ref().expect("the agent is down").view(self.now)
    }

    pub(crate) fn state(&self, machine: usize, address: IpAddr) -> AddressState {
        let view = self.view(machine);
        let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
        let mut addresses = blocks.flat_map(|block| &block.addresses);
        addresses.find(|shown| shown.address == address).expect("not in the view").state.clone()
    }

    /// What must hold after every act.
    pub(crate) fn check(&self) {
        if self.store.get(&Key::Block(self.block_id())).value.is_none() {
            let used = self.machines.iter().any(|machine| !machine.in_use.is_empty());
            return assert!(!used, "S3: an address of a returned subnet is used");
        }
        let block = self.block();
        assert_eq!(ipam::check::block_broken(&block), Vec::<String>::new());
        let mut users: BTreeMap<IpAddr, &HostId> = BTreeMap::new();
        for machine in &self.machines {
            let host = &machine.identity.host;
            for (address, epoch) in &machine.in_use {
                if let Some(other) = users.insert(*address, host) {
                    panic!("S1: {address} is used on {other} and on {host}");
                }
                assert!(!block.set_aside().contains_key(address), "S3: {address} is set aside and used");
                let holder = block.held().get(address).map(|held| &held.by.host);
                let unclaimed = block.quarantined().get(address).is_some_and(|it| it.was.is_none());
                assert!(holder == Some(host) || unclaimed, "S7: {address} is used and held by {holder:?}");
                self.check_dependents(*address, *epoch);
            }
        }
    }

    /// What must hold of the machine that acted.
    fn check_machine(&self, machine: usize) {
        let at = &self.machines[machine];
        let Some(agent) = &at.agent else { return };
        let view = agent.view(self.now);
        assert_eq!(ipam::check::view_broken(&view), Vec::<String>::new());
        let assigned = ipam::check::assigned_in(&view);
        // A revoked address is about to fall silent.
        let kept = at.in_use.iter().filter(|(address, _)| !view.revoked.contains(address));
        for (address, epoch) in kept {
            let shown = assigned.get(address);
            assert_eq!(shown, Some(epoch), "S7, S8: {address} is used under {epoch}, and not shown so");
        }
    }

    fn check_dependents(&self, address: IpAddr, epoch: Epoch) {
        for key in self.store.entries.keys() {
            if let Key::Dependent { address: of, epoch: named, .. } = key {
                assert!(
                    *of != address || *named >= epoch,
                    "S4: {address} is used again while {key:?} is there"
                );
            }
        }
    }
}

impl Machine {
    fn new(number: usize) -> Self {
        let host = HostId(format!("h{}", number + 1));
        let identity = Identity {
            instance: InstanceId(format!("i-{}", number + 1)),
            boot: BootId(format!("{host}-boot-0")),
            zones: [Zone::from(ZONE)].into(),
            host,
        };
        Self {
            identity,
            agent: None,
            powered: true,
            synced: Vec::new(),
            written: Vec::new(),
            disk_full: false,
            effects: VecDeque::new(),
            outcomes: VecDeque::new(),
            late: Vec::new(),
            watched: 0,
            answers: BTreeMap::new(),
            users: BTreeSet::new(),
            in_use: BTreeMap::new(),
            boots: 0,
        }
    }
}
