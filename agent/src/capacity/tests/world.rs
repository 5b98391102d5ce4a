//! A store, a wire, and agents that can be killed at any step.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use ipam::{
    Block, BlockId, BootId, ClusterRecord, ClusterState, Generation, HostId, HostRecord, Incarnation,
    InstanceId, PoolName, SignOfLife,
};
use ipnetwork::IpNetwork;
use provider::{ClusterTags, Network, ZoneId};
use store::{
    Commit, Key, MemoryStore, Prefix, Read, Revision, Session, Snapshot, Store, StoreError, Transaction,
    Watch,
    layout::{self, Item},
};
use tokio::sync::watch;

use crate::{
    capacity::{
        CapacityStatus, OrderKey, OrderRecord, Parts, PoolPolicy, Probe, ProbeError, Role, SilentHere,
        Timing, UsedHere,
    },
    clock::ManualClock,
    roll::Roll,
};

use super::fake_cloud::FakeCloud;

/// Steps that reach the world outside, counted, with a kill at one of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    state: Arc<Mutex<StepsState>>,
}

#[derive(Debug, Default)]
struct StepsState {
    made: usize,
    kill: Option<Kill>,
    killed: Option<watch::Sender<bool>>,
}

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// Before the n-th step has its effect.
    Before(usize),
    /// After it has, before its answer is heard.
    After(usize),
}

impl Steps {
    pub(super) fn made(&self) -> usize {
        self.lock().made
    }

    /// Kills at a step; the answer becomes true when it happened.
    pub(super) fn kill_at(&self, kill: Kill) -> watch::Receiver<bool> {
        let (killed, seen) = watch::channel(false);
        *self.lock() = StepsState { made: 0, kill: Some(kill), killed: Some(killed) };
        seen
    }

    pub(super) fn kill_no_more(&self) {
        *self.lock() = StepsState::default();
    }

    pub(super) async fn step<T>(&self, effect: impl FnOnce() -> T) -> T {
        let number = {
            let mut state = self.lock();
            state.made += 1;
            state.made
        };
        self.die_if(Kill::Before(number)).await;
        let answer = effect();
        self.die_if(Kill::After(number)).await;
        answer
    }

    async fn die_if(&self, now: Kill) {
        if self.lock().kill == Some(now) {
            if let Some(killed) = &self.lock().killed {
                killed.send_replace(true);
            }
            std::future::pending().await
        }
    }

    fn lock(&self) -> MutexGuard<'_, StepsState> {
        self.state.lock().unwrap()
    }
}

/// A memory store whose commits are steps.
#[derive(Debug, Clone)]
struct SteppingStore {
    store: MemoryStore,
    steps: Steps,
}

impl Store for SteppingStore {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        self.store.get(key)
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        self.store.range(prefix)
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        async move {
            let committed = self.steps.step(|| self.store.commit(transaction).now_or_never()).await;
            committed.expect("a store in memory does not wait")
        }
        .boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        self.store.watch(prefix, after)
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        self.store.begin_session(key, value, ttl)
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.keep_alive(session)
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.end_session(session)
    }
}

/// Addresses that somebody answers for; none: the wire cannot be asked.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeWire(pub(super) Arc<Mutex<Option<BTreeSet<IpAddr>>>>);

impl FakeWire {
    /// Nobody answers for any address.
    pub(super) fn silent() -> Self {
        Self(Arc::new(Mutex::new(Some(BTreeSet::new()))))
    }
}

impl Probe for FakeWire {
    fn occupied<'a>(
        &'a self,
        _zone: &'a ZoneId,
        subnet: IpNetwork,
        candidates: Vec<IpAddr>,
    ) -> BoxFuture<'a, Result<BTreeSet<IpAddr>, ProbeError>> {
        let answering = self.0.lock().unwrap().clone();
        async move {
            let Some(answering) = answering else {
                return Err(ProbeError { subnet, source: "eth0 is down".into() });
            };
            Ok(candidates.into_iter().filter(|address| answering.contains(address)).collect())
        }
        .boxed()
    }
}

/// What hosts use, told by themselves; none: Docker does not answer.
#[derive(Debug, Clone)]
pub(super) struct FakeUse(pub(super) Arc<Mutex<Option<BTreeMap<IpAddr, String>>>>);

impl FakeUse {
    /// Nothing is used.
    pub(super) fn nothing() -> Self {
        Self(Arc::new(Mutex::new(Some(BTreeMap::new()))))
    }
}

impl UsedHere for FakeUse {
    fn used<'a>(
        &'a self,
        candidates: &'a BTreeSet<IpAddr>,
    ) -> BoxFuture<'a, Result<BTreeMap<IpAddr, String>, SilentHere>> {
        let used = self.0.lock().unwrap().clone();
        async move {
            let Some(used) = used else {
                return Err(SilentHere { who: "Docker", source: "connection refused".into() });
            };
            Ok(used.into_iter().filter(|(address, _)| candidates.contains(address)).collect())
        }
        .boxed()
    }
}

/// Everything around the role.
#[derive(Clone)]
pub(super) struct World {
    pub(super) store: MemoryStore,
    pub(super) cloud: FakeCloud,
    pub(super) wire: FakeWire,
    pub(super) used: FakeUse,
    pub(super) clock: ManualClock,
    pub(super) steps: Steps,
    pub(super) pool: PoolPolicy,
}

pub(super) fn zone() -> ZoneId {
    ZoneId::new("1234")
}

pub(super) fn default_pool() -> PoolName {
    PoolName::from("default")
}

/// A roll that is kept nowhere for long.
pub(super) fn roll() -> Arc<Roll> {
    let state = tempfile::tempdir().unwrap();
    Arc::new(Roll::open(state.path()))
}

impl World {
    /// A founded cluster with host `h1` and the pool `default` (/28, at most two, ordered below 8 free).
    pub(super) async fn new() -> Self {
        let (clock, steps) = (ManualClock::new(), Steps::default());
        let cloud = FakeCloud::new(steps.clone(), clock.clone());
        let wire = FakeWire::silent();
        let used = FakeUse::nothing();
        let pool = PoolPolicy {
            name: default_pool(),
            network: Network::Private,
            prefix: 28,
            subnets_max: 2,
            free_min: 8,
            exclude: vec![],
            cooling_millis: 30_000,
        };
        let world = Self { store: MemoryStore::new(), cloud, wire, used, clock, steps, pool };
        let generation = Generation { number: 1, id: 1 };
        let cluster = ClusterRecord { id: "c".into(), generation, state: ClusterState::Open };
        world.put(Item::Cluster, &cluster).await;
        world.add_host("h1", 1).await;
        world
    }

    pub(super) async fn add_host(&self, host: &str, incarnation: u64) {
        let record = HostRecord {
            instance: InstanceId(format!("virtual-{host}")),
            incarnation: Incarnation(incarnation),
            boot: BootId::from("b"),
            zones: [ipam::Zone(zone().to_string())].into(),
            left: BTreeSet::new(),
            answered: None,
        };
        self.put(Item::Host(host.into()), &record).await;
    }

    /// A host's session begins.
    pub(super) async fn sign(&self, host: &str) {
        let sign = SignOfLife { boot: BootId::from("b") };
        self.put(Item::Session(host.into()), &sign).await;
    }

    /// A host's session lapses.
    pub(super) async fn lapse(&self, host: &str) {
        let session = Item::Session(host.into()).key();
        self.store.commit(Transaction::new().delete(session)).await.unwrap();
    }

    /// A host's record.
    pub(super) async fn host(&self, host: &str) -> HostRecord {
        let key = Item::Host(host.into()).key();
        let entry = self.store.get(&key).await.unwrap().entry.unwrap();
        layout::decode(&entry.key, &entry.value).unwrap()
    }

    /// A host takes free addresses of a block.
    pub(super) async fn take(&self, host: &str, incarnation: u64, subnet: &str, addresses: &[IpAddr]) {
        let block = self.block(subnet).await.unwrap();
        let holder = ipam::Holder { host: host.into(), incarnation: Incarnation(incarnation) };
        let operation = block.operation_of(&holder.host) + 1;
        let addresses = addresses.iter().copied().collect();
        let take = ipam::BlockCommand::Take { holder, addresses, operation };
        self.put_block(&block.apply(take).unwrap().block).await;
    }

    /// A new process of `h1`.
    pub(super) fn role(&self) -> Role<FakeCloud> {
        self.role_of("h1").0
    }

    pub(super) fn role_of(&self, host: &str) -> (Role<FakeCloud>, watch::Receiver<CapacityStatus>) {
        self.role_as(&zone(), host, &format!("virtual-{host}"))
    }

    /// A new process of a host, in this zone.
    pub(super) fn role_in(
        &self,
        zone: &ZoneId,
        host: &str,
    ) -> (Role<FakeCloud>, watch::Receiver<CapacityStatus>) {
        self.role_as(zone, host, &format!("virtual-{host}"))
    }

    /// The same on this machine, which may be another than the host's record names.
    pub(super) fn role_as(
        &self,
        zone: &ZoneId,
        host: &str,
        instance: &str,
    ) -> (Role<FakeCloud>, watch::Receiver<CapacityStatus>) {
        let store = SteppingStore { store: self.store.clone(), steps: self.steps.clone() };
        let parts = Parts {
            tags: ClusterTags::of("demo").unwrap(),
            host: HostId::from(host),
            instance: InstanceId::from(instance),
            boot: BootId::from("b"),
            roll: roll(),
            zone: zone.clone(),
            network: Network::Private,
            pools: vec![self.pool.clone()],
            store: Arc::new(store),
            provider: Arc::new(self.cloud.clone()),
            probe: Arc::new(self.wire.clone()),
            used_here: Arc::new(self.used.clone()),
            clock: Arc::new(self.clock.clone()),
            timing: Timing::default(),
        };
        let (told, status) = watch::channel(CapacityStatus::new(zone));
        (Role::new(parts, told), status)
    }

    /// Lets a role look `passes` times, with the pauses it asks for in between.
    pub(super) async fn drive(&self, role: &mut Role<FakeCloud>, passes: u32) {
        for _ in 0..passes {
            let pause = role.pass().await;
            self.clock.advance(pause);
        }
    }

    pub(super) async fn orders(&self) -> BTreeMap<OrderKey, OrderRecord> {
        let orders = self.store.range(&layout::Under::Orders.prefix()).await.unwrap().entries;
        let read = |entry: &store::Entry| layout::decode::<OrderRecord>(&entry.key, &entry.value).unwrap();
        orders.iter().map(read).map(|record| (record.key(), record)).collect()
    }

    /// The states of all orders.
    pub(super) async fn states(&self) -> Vec<&'static str> {
        self.orders().await.values().map(|record| record.order.state.name()).collect()
    }

    pub(super) async fn block(&self, subnet: &str) -> Option<Block> {
        let id = BlockId { subnet: subnet.parse().unwrap(), index: 0 };
        let key = Item::Block { zone: zone().to_string(), subnet: id.subnet, index: 0 }.key();
        let entry = self.store.get(&key).await.unwrap().entry?;
        Some(layout::decode(&entry.key, &entry.value).unwrap())
    }

    pub(super) async fn put(&self, item: Item, value: &impl serde::Serialize) {
        let key = item.key();
        let value = layout::encode(&key, value).unwrap();
        self.store.commit(Transaction::new().put(key, value)).await.unwrap();
    }

    pub(super) async fn put_block(&self, block: &Block) {
        self.put(
            Item::Block { zone: zone().to_string(), subnet: block.id().subnet, index: block.id().index },
            block,
        )
        .await;
    }
}
