//! register_calls_per_lb, register_busy_refusals, register_cycles: 200 endpoints of 20 services, each behind a load
//! balancer of its own, come within two seconds on three hosts; the provider takes a second for each change.
//!
//! The three agents' owners are in this process, over one store in memory and SoftLayer's real protocol. Members are
//! written as the hosts' registrars write them, one transaction each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::clock::SystemClock;
use agent::owners::{Parts, Timing, keep};
use agent::services::declarations;
use anyhow::{Context, Result, ensure};
use api::Service;
use ipam::{
    BootId, ClusterRecord, ClusterState, Epoch, Generation, HostId, HostRecord, Incarnation, InstanceId,
    SignOfLife, Zone,
};
use provider::{Secret, ZoneId};
use provider_mock::{CloudSpec, Delays, SimulatedCloud};
use provider_softlayer::{Credentials, SoftLayer};
use services::{Limits, Member, Vigil};
use store::layout::{Item, encode};
use store::{MemoryStore, Store, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Size;
use crate::report::say_once;

const SERVICES: usize = 20;
const ENDPOINTS: usize = 200;
const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// Only a broken owner takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The calls that change who is served.
const MEMBER_CALLS: &str = "LoadBalancerMembers";

pub(crate) fn measure(_: &Size) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(register())
}

async fn register() -> Result<()> {
    let mut spec = CloudSpec::small();
    spec.delays = Delays { balancer_update_ms: 1_000, ..Delays::NONE };
    let cloud = SimulatedCloud::start(spec).await?;
    let store = MemoryStore::new();
    found(&store).await?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    for host in HOSTS {
        tasks.spawn(keep(parts(&store, &cloud, host, &stop)?, stop.clone()));
    }
    for number in 0..SERVICES {
        put(&store, Item::Service(name(number)), &declared(number)?).await?;
    }
    until("every load balancer is there and listens", || {
        let cloud = cloud.live().present();
        let listens = |name: String| cloud.balancer(&name).is_some_and(|it| it.in_force.listeners.len() == 1);
        (0..SERVICES).map(name).all(listens)
    })
    .await?;
    let before = cloud.live().requests().len();
    let begun = Instant::now();
    for endpoint in 0..ENDPOINTS {
        let member = member(endpoint);
        let key = Item::Member { service: name(endpoint % SERVICES), address: member.address };
        put(&store, key, &member).await?;
        tokio::time::sleep(Duration::from_millis(2_000 / ENDPOINTS as u64)).await;
    }
    until("everybody is served", || {
        let cloud = cloud.live().present();
        let members = |name: String| cloud.balancer(&name).map_or(0, |it| it.in_force.members.len());
        (0..SERVICES).map(name).map(members).sum::<usize>() == ENDPOINTS
    })
    .await?;
    let took = begun.elapsed();
    tell(&cloud, before, took);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

fn tell(cloud: &SimulatedCloud, before: usize, took: Duration) {
    let all = cloud.live().requests();
    let calls = all.iter().skip(before).filter(|it| it.method.ends_with(MEMBER_CALLS));
    let (done, refused): (Vec<_>, Vec<_>) = calls.partition(|it| it.status == Some(200));
    let each = (done.len() + refused.len()) as f64 / SERVICES as f64;
    say_once("register_calls_per_lb", "calls", each);
    say_once("register_busy_refusals", "calls", refused.len() as f64);
    // Each change that is accepted is one cycle of the provider.
    say_once("register_cycles", "cycles", done.len() as f64 / SERVICES as f64);
    say_once("register_seconds", "s", took.as_secs_f64());
    let looks = all.len() - before - done.len() - refused.len();
    say_once("register_looks_per_lb", "calls", looks as f64 / SERVICES as f64);
}

async fn found(store: &MemoryStore) -> Result<()> {
    let generation = Generation { number: 1, id: 1 };
    let cluster = ClusterRecord { id: "c1".into(), generation, state: ClusterState::Open };
    put(store, Item::Cluster, &cluster).await?;
    for host in HOSTS {
        let record = HostRecord {
            instance: InstanceId::from(host),
            incarnation: Incarnation(1),
            boot: BootId::from("b1"),
            zones: BTreeSet::from([Zone::from("1234")]),
            left: BTreeSet::new(),
            answered: None,
        };
        put(store, Item::Host(host.into()), &record).await?;
        put(store, Item::Session(host.into()), &SignOfLife { boot: BootId::from("b1") }).await?;
    }
    Ok(())
}

fn parts(
    store: &MemoryStore,
    cloud: &SimulatedCloud,
    host: &str,
    stop: &CancellationToken,
) -> Result<Parts<SoftLayer>> {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    let credentials = Credentials::new("SL307608", Secret::new("simulated-key"));
    Ok(Parts {
        declared: declarations(Arc::clone(&store), &TaskTracker::new(), stop),
        store,
        provider: Arc::new(SoftLayer::new(&cloud.endpoint(), credentials)?),
        cluster: "bench".into(),
        clock: Arc::new(SystemClock),
        vigil: watch::channel(Vigil::default()).1,
        host: HostId::from(host),
        instance: InstanceId::from(host),
        boot: BootId::from("b1"),
        limits: Limits { members: 50, listeners_ordered: 2, zone: Some(ZoneId::new("1234")) },
        timing: Timing::default(),
    })
}

fn name(number: usize) -> String {
    format!("web-{number}")
}

fn declared(number: usize) -> Result<Service> {
    let name = name(number);
    let text = serde_json::json!({
        "name": name, "port": [{ "port": 8080 }],
        "load_balancer": { "name": name, "order": "private", "listener": [{ "port": 80, "protocol": "tcp" }] },
    });
    serde_json::from_value(text).context("a declaration")
}

fn member(endpoint: usize) -> Member {
    let number = u8::try_from(endpoint).unwrap_or(u8::MAX);
    Member {
        address: [10, 60, 0, number].into(),
        epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: endpoint as u64 + 1 },
        container: format!("c{endpoint}"),
        host: HostId::from(HOSTS[endpoint % HOSTS.len()]),
        zone: Zone::from("1234"),
        port: None,
        weight: 50,
        readiness: api::Readiness::Ready,
        draining: None,
    }
}

async fn put<T: serde::Serialize>(store: &MemoryStore, item: Item, value: &T) -> Result<()> {
    let key = item.key();
    let value = encode(&key, value)?;
    store.commit(Transaction::new().put(key, value)).await?;
    Ok(())
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !holds() {
        ensure!(begun.elapsed() < PATIENCE, "not true in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
