//! Services with their members as hosts' registrars write them, one transaction each, in whatever store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::clock::SystemClock;
use agent::owners::{Parts, Timing};
use agent::services::declarations;
use anyhow::{Context, Result, ensure};
use api::Service;
use ipam::{
    BootId, ClusterRecord, ClusterState, Epoch, Generation, HostId, HostRecord, Incarnation, InstanceId,
    SignOfLife, Zone,
};
use provider::{Secret, ZoneId};
use provider_softlayer::{Credentials, SoftLayer};
use serde_json::{Value, json};
use services::{Limits, Member, Vigil};
use store::layout::{Item, encode};
use store::{Store, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// Only a broken owner takes so long.
const PATIENCE: Duration = Duration::from_secs(600);

/// A cluster of three hosts that live.
pub(super) async fn found(store: &dyn Store) -> Result<()> {
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

/// What the owners of a host are made of; its followers end with `stop`.
pub(super) fn parts(
    store: Arc<dyn Store>,
    cloud: &str,
    host: &str,
    stop: &CancellationToken,
) -> Result<Parts<SoftLayer>> {
    let credentials = Credentials::new("SL307608", Secret::new("simulated-key"));
    Ok(Parts {
        declared: declarations(Arc::clone(&store), &TaskTracker::new(), stop),
        store,
        provider: Arc::new(SoftLayer::new(cloud, credentials)?),
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

pub(super) fn name(number: usize) -> String {
    format!("web-{number}")
}

/// Declares a service behind a load balancer of its own, which is ordered for it.
pub(super) async fn declare_balanced(store: &dyn Store, number: usize) -> Result<()> {
    let balancer =
        json!({ "name": name(number), "order": "private", "listener": [{ "port": 80, "protocol": "tcp" }] });
    declare(store, number, json!({ "load_balancer": balancer })).await
}

/// Declares a service that names a security group.
pub(super) async fn declare_guarded(store: &dyn Store, number: usize, group: &str) -> Result<()> {
    let policy = json!([{ "from": ["10.0.0.0/8"] }]);
    declare(store, number, json!({ "policy": policy, "firewall": { "security_groups": [group] } })).await
}

async fn declare(store: &dyn Store, number: usize, more: Value) -> Result<()> {
    let mut text = json!({ "name": name(number), "port": [{ "port": 8080 }] });
    if let (Some(text), Some(more)) = (text.as_object_mut(), more.as_object()) {
        text.extend(more.clone());
    }
    let service: Service = serde_json::from_value(text).context("a declaration")?;
    put(store, Item::Service(name(number)), &service).await
}

/// Endpoint number so and so comes, and is in one of so many services.
pub(super) async fn comes(store: &dyn Store, endpoint: usize, services: usize) -> Result<()> {
    let number = u32::try_from(endpoint).context("a small number")?;
    let member = Member {
        address: (0x0A3C_0000 + number).to_be_bytes().into(),
        epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: endpoint as u64 + 1 },
        container: format!("c{endpoint}"),
        host: HostId::from(HOSTS[endpoint % HOSTS.len()]),
        zone: Zone::from("1234"),
        port: None,
        weight: 50,
        readiness: api::Readiness::Ready,
        draining: None,
    };
    let key = Item::Member { service: name(endpoint % services), address: member.address };
    put(store, key, &member).await
}

async fn put<T: serde::Serialize>(store: &dyn Store, item: Item, value: &T) -> Result<()> {
    let key = item.key();
    let value = encode(&key, value)?;
    store.commit(Transaction::new().put(key, value)).await?;
    Ok(())
}

pub(super) async fn until(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !holds() {
        ensure!(begun.elapsed() < PATIENCE, "not true in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
