//! The role with the SoftLayer provider against the simulated cloud, over HTTP, on an embedded store.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use ipam::{
    Block, BootId, ClusterRecord, ClusterState, Generation, HostId, HostRecord, Incarnation, InstanceId,
    SetAside, Timestamp,
};
use ipnetwork::IpNetwork;
use provider::{
    ClusterTags, Network, OrderId, OrderIntent, OrderRequest, Provider, ProviderError, Secret, ZoneId,
    order::OrderState,
};
use provider_mock::{CloudSpec, Delays, Effect, Fault, SimulatedCloud, SubnetSpec};
use provider_softlayer::{Credentials, SoftLayer};
use serde_json::Value;
use store::{
    EmbeddedStore, Store, Transaction,
    layout::{self, Item, Under},
};
use tokio::sync::watch;

use super::world::{FakeUse, FakeWire, default_pool, roll};
use crate::{
    capacity::{
        CapacityStatus, OrderKey, OrderRecord, Parts, PoolPolicy, Role, SettleError, Settlement, Timing,
    },
    clock::{Clock, ManualClock},
};

const VLAN: u64 = 1234;

/// Shows the cloud's time of day: orders are recognised by it.
#[derive(Clone)]
struct CloudsTime {
    clock: ManualClock,
    began: jiff::Timestamp,
}

impl Clock for CloudsTime {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn wall(&self) -> jiff::Timestamp {
        self.began + Duration::from_millis(self.clock.now().0)
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'_, ()> {
        self.clock.sleep_until(deadline)
    }
}

struct Rig {
    cloud: SimulatedCloud,
    store: Arc<EmbeddedStore>,
    time: CloudsTime,
    pool: PoolPolicy,
    _disk: tempfile::TempDir,
}

/// The small cloud, with these subnets there before anybody orders one.
fn spec(subnets: &[(&str, &[&str])]) -> CloudSpec {
    let mut spec = CloudSpec::small();
    spec.delays = Delays {
        order_visible_ms: 3000,
        order_routed_ms: 3000,
        reclaim_ms: 1000,
        transaction_ms: 3_600_000,
        ..Delays::NONE
    };
    let subnet = |(cidr, tags): &(&str, &[&str])| SubnetSpec {
        vlan: VLAN,
        cidr: cidr.parse().unwrap(),
        tags: tags.iter().map(ToString::to_string).collect(),
        note: String::new(),
    };
    spec.subnets = subnets.iter().map(subnet).collect();
    spec
}

impl Rig {
    async fn start(spec: CloudSpec) -> Self {
        let disk = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::open(disk.path().join("store.redb")).await.unwrap());
        let pool = PoolPolicy {
            name: default_pool(),
            network: Network::Private,
            prefix: 28,
            subnets_max: 2,
            free_min: 3,
            exclude: vec![],
            cooling_millis: 30_000,
        };
        let time = CloudsTime { clock: ManualClock::new(), began: jiff::Timestamp::now() };
        let rig = Self { cloud: SimulatedCloud::start(spec).await.unwrap(), store, time, pool, _disk: disk };
        let generation = Generation { number: 1, id: 1 };
        rig.put(Item::Cluster, &ClusterRecord { id: "c".into(), generation, state: ClusterState::Open })
            .await;
        let host = HostRecord {
            instance: InstanceId::from("virtual-1"),
            incarnation: Incarnation(1),
            boot: BootId::from("b"),
            zones: BTreeSet::new(),
            left: BTreeSet::new(),
            answered: None,
        };
        rig.put(Item::Host("h1".into()), &host).await;
        rig
    }

    async fn put(&self, item: Item, value: &impl serde::Serialize) {
        let key = item.key();
        let value = layout::encode(&key, value).unwrap();
        self.store.commit(Transaction::new().put(key, value)).await.unwrap();
    }

    fn softlayer(&self) -> SoftLayer {
        let credentials = Credentials::new("SL307608", Secret::new("simulated-key"));
        SoftLayer::new(&self.cloud.endpoint(), credentials).unwrap()
    }

    /// A new process of the host.
    fn role(&self) -> (Role<SoftLayer>, watch::Receiver<CapacityStatus>) {
        let parts = Parts {
            tags: ClusterTags::of("demo").unwrap(),
            host: HostId::from("h1"),
            instance: InstanceId::from("virtual-1"),
            boot: BootId::from("b"),
            roll: roll(),
            zone: zone(),
            network: Network::Private,
            pools: vec![self.pool.clone()],
            store: self.store.clone(),
            provider: Arc::new(self.softlayer()),
            probe: Arc::new(FakeWire::silent()),
            used_here: Arc::new(FakeUse::nothing()),
            clock: Arc::new(self.time.clone()),
            timing: Timing::default(),
        };
        let (told, status) = watch::channel(CapacityStatus::new(&zone()));
        (Role::new(parts, told), status)
    }

    /// Lets the role look, and time pass for it and for the cloud, until the orders are in these states.
    async fn until(&self, role: &mut Role<SoftLayer>, states: &[&str]) {
        for _ in 0..100 {
            self.drive(role, 1).await;
            if self.states().await == states {
                return;
            }
        }
        panic!("still {:?}, not {states:?}", self.states().await);
    }

    async fn drive(&self, role: &mut Role<SoftLayer>, passes: u32) {
        for _ in 0..passes {
            let pause = role.pass().await;
            self.time.clock.advance(pause);
            self.cloud.live().advance(pause);
        }
    }

    async fn orders(&self) -> Vec<OrderRecord> {
        let found = self.store.range(&Under::Orders.prefix()).await.unwrap().entries;
        found.iter().map(|entry| layout::decode(&entry.key, &entry.value).unwrap()).collect()
    }

    async fn states(&self) -> Vec<&'static str> {
        self.orders().await.iter().map(|record| record.order.state.name()).collect()
    }

    async fn block(&self, at: usize) -> Block {
        let subnet = self.orders().await[at].order.subnet().unwrap().cidr;
        let key = Item::Block { zone: zone().to_string(), subnet, index: 0 }.key();
        let entry = self.store.get(&key).await.unwrap().entry.unwrap();
        layout::decode(&entry.key, &entry.value).unwrap()
    }

    /// The rows of a part of the cloud's dump.
    fn dump(&self, part: &str) -> Vec<Value> {
        self.cloud.live().dump()[part].as_array().unwrap().clone()
    }

    /// The tags of a subnet, as the cloud shows them.
    async fn tags(&self, cidr: &str) -> Vec<String> {
        let cidr: IpNetwork = cidr.parse().unwrap();
        let shown = self.softlayer().subnets(&zone()).await.unwrap();
        let subnet = shown.into_iter().find(|subnet| subnet.cidr == cidr).unwrap();
        subnet.tags.iter().map(ToString::to_string).collect()
    }
}

fn zone() -> ZoneId {
    ZoneId::new(VLAN.to_string())
}

fn first_order() -> OrderKey {
    OrderKey("default-1234-1".into())
}

#[tokio::test]
async fn a_tagged_subnet_is_adopted_first_then_one_is_ordered_and_none_beyond_the_limit() {
    let foreign = ("10.50.0.32/28", &["berth:other"][..]);
    let mut rig = Rig::start(spec(&[("10.50.0.0/29", &["berth:demo", "billing"]), foreign])).await;
    rig.until(&mut rig.role().0, &["open"]).await;
    assert_eq!(rig.dump("orders").len(), 0);
    assert_eq!(rig.block(0).await.counts().free, 5);

    rig.pool.free_min = 1000;
    let (mut role, status) = rig.role();
    rig.until(&mut role, &["open", "open"]).await;
    rig.drive(&mut role, 10).await;
    assert_eq!((rig.states().await.len(), rig.dump("orders").len()), (2, 1));
    assert!(status.borrow().pools[&default_pool()].limit.is_some());
    assert_eq!(rig.block(1).await.id().subnet.prefix(), 28);

    let opened = ClusterTags::of("demo").unwrap().opening().add;
    let tags = rig.tags("10.50.0.0/29").await;
    assert!(
        tags.contains(&"billing".into()) && opened.iter().all(|tag| tags.contains(&tag.to_string())),
        "{tags:?}"
    );
    assert_eq!(rig.tags("10.50.0.32/28").await, ["berth:other"]);
}

#[tokio::test]
async fn addresses_that_the_routers_keep_for_themselves_are_set_aside() {
    let mut spec = spec(&[]);
    spec.vlans[0].hsrp = true;
    let rig = Rig::start(spec).await;
    rig.until(&mut rig.role().0, &["open"]).await;
    let block = rig.block(0).await;
    let aside = |why| block.set_aside().values().filter(|reason| **reason == why).count();
    assert_eq!((aside(SetAside::Reserved), aside(SetAside::Gateway)), (2, 1));
    assert_eq!(block.counts().free, 16 - 5);
}

#[tokio::test]
async fn a_lost_answer_to_an_order_leads_to_exactly_one_order_at_the_cloud() {
    for effect in [Effect::CutAfter, Effect::EmptyBody] {
        let rig = Rig::start(spec(&[])).await;
        rig.cloud.live().inject(Fault::once("placeOrder", effect.clone()));
        let (mut role, _) = rig.role();
        rig.until(&mut role, &["open"]).await;
        rig.drive(&mut role, 5).await;
        assert_eq!((rig.dump("orders").len(), rig.states().await), (1, vec!["open"]), "{effect:?}");
    }
}

#[tokio::test]
async fn a_process_that_was_killed_after_its_order_is_followed_by_one_that_does_not_order_again() {
    let rig = Rig::start(spec(&[])).await;
    rig.cloud.live().inject(Fault::once("placeOrder", Effect::CutAfter));
    let (mut role, _) = rig.role();
    while rig.dump("orders").is_empty() {
        rig.drive(&mut role, 1).await;
    }
    drop(role);
    let (mut next, _) = rig.role();
    rig.until(&mut next, &["open"]).await;
    assert_eq!(rig.dump("orders").len(), 1);
}

#[tokio::test]
async fn a_refused_key_is_told_with_what_to_do_and_is_over_when_it_is_accepted() {
    let rig = Rig::start(spec(&[])).await;
    rig.cloud.live().inject(Fault::everywhere(Effect::Unauthorized));
    let (mut role, status) = rig.role();
    rig.drive(&mut role, 2).await;
    let trouble = status.borrow().trouble.clone().unwrap();
    assert!(trouble.problem.contains("SL307608") && trouble.hint.is_some(), "{trouble:?}");
    assert_eq!(rig.cloud.live().requests().len(), 2, "a refused key is not tried again at once");
    rig.cloud.live().heal();
    rig.until(&mut role, &["open"]).await;
    assert_eq!((status.borrow().trouble.clone(), rig.dump("orders").len()), (None, 1));
}

#[tokio::test]
async fn a_throttled_phase_is_told_and_over_when_it_is_over() {
    let rig = Rig::start(spec(&[("10.50.0.0/29", &["berth:demo"])])).await;
    rig.cloud.live().inject(Fault::everywhere(Effect::RateLimited));
    let (mut role, status) = rig.role();
    rig.drive(&mut role, 1).await;
    let trouble = status.borrow().trouble.clone().unwrap();
    assert_eq!(trouble.hint, None, "it is over by itself: {trouble:?}");
    rig.cloud.live().heal();
    rig.until(&mut role, &["open"]).await;
    assert_eq!((status.borrow().trouble.clone(), rig.dump("orders").len()), (None, 0));
}

#[tokio::test]
async fn a_drained_idle_subnet_is_cancelled_at_the_cloud_and_forgotten() {
    let mut rig = Rig::start(spec(&[("10.50.0.0/29", &["berth:demo"])])).await;
    rig.pool.free_min = 0;
    let (mut role, _) = rig.role();
    rig.until(&mut role, &["open"]).await;
    role.settle(first_order(), Settlement::Drain).await.unwrap();
    rig.until(&mut role, &["returned"]).await;
    rig.cloud.live().advance(Duration::from_secs(2));
    assert!(rig.softlayer().subnets(&zone()).await.unwrap().is_empty());
    let paid = rig.dump("billing_items").into_iter().filter(|item| item["cancelled"].is_null());
    assert_eq!(paid.count(), 0);
    assert!(rig.store.range(&Under::Subnets.prefix()).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn of_two_orders_that_may_be_it_the_operator_names_one_that_the_cloud_knows() {
    let rig = Rig::start(spec(&[])).await;
    rig.cloud.live().inject(Fault::once("placeOrder", Effect::CutAfter));
    let (mut role, _) = rig.role();
    while rig.dump("orders").is_empty() {
        rig.drive(&mut role, 1).await;
    }
    let request = OrderRequest { zone: zone(), network: Network::Private, prefix: 28 };
    let somebody = rig.softlayer();
    let price = somebody.verify_order(&request).await.unwrap().price;
    let intent = OrderIntent { request, price, intended_at: rig.time.wall() };
    let theirs = somebody.place_order(&intent).await.unwrap().order;
    rig.until(&mut role, &["ambiguous"]).await;

    let mistyped = role.settle(first_order(), Settlement::Is(OrderId::new("99"))).await;
    let Err(SettleError::Unconfirmed { source: ProviderError::Gone { .. }, .. }) = mistyped else {
        panic!("{mistyped:?}");
    };
    let orders = rig.orders().await;
    let OrderState::Ambiguous { candidates, .. } = &orders[0].order.state else { panic!("{orders:?}") };
    let ours = candidates.iter().find(|order| **order != theirs).cloned().unwrap();
    role.settle(first_order(), Settlement::Is(ours.clone())).await.unwrap();
    rig.until(&mut role, &["open"]).await;
    assert_eq!(rig.orders().await[0].order.id(), Some(&ours));
    assert_eq!(rig.dump("orders").len(), 2);
}
