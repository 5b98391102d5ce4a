//! What is written of services, over a store that can fail, with a real allocator.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::{MemberStanding, Readiness, Service, ServicePort};
use ipam::{
    Assignment, Block, BlockId, BootId, EndpointId, Family, HostId, Identity, InstanceId, Pool, PoolName,
    SetAside, Subnet, Timestamp, Wish, Zone,
};
use services::{Abilities, Vigil};
use store::layout::{Item, Under, encode};
use store::{Fault, MemoryStore, Store, Transaction};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::catalogue::{self, ApplyError};
use super::{Parts, Registrar, Report, declarations, drains};
use crate::allocator::{self, Allocator};
use crate::clock::ManualClock;
use crate::config::{ProviderConfig, StaticConfig};
use crate::docker::NetworkId;
use crate::docker::events::{Attachment, Container, Sight, Watched};
use crate::journal::Journal;

/// Only a broken promise waits for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host with an allocator and a registrar, over a store of its own.
struct Rig {
    store: MemoryStore,
    allocator: Allocator,
    docker: watch::Sender<Watched>,
    report: watch::Receiver<Report>,
    stop: CancellationToken,
    _disk: TempDir,
}

impl Rig {
    async fn new() -> Rig {
        let (store, disk) = (MemoryStore::new(), TempDir::new().unwrap());
        let clock = ManualClock::new();
        allocator::found_cluster(&store, &[], &clock).await.unwrap();
        let pool = PoolName::from("default");
        allocator::write_pool(&store, &Pool { name: pool.clone(), cooling_millis: 0 }).await.unwrap();
        let cidr = "10.60.0.0/28".parse().unwrap();
        let opened = Subnet { cidr, pool, zone: zone(), gateway: None };
        put(&store, Item::Subnet(cidr), &opened).await;
        let block = Block::open(
            BlockId { subnet: cidr, index: 0 },
            0,
            &BTreeMap::from([("10.60.0.0".parse().unwrap(), SetAside::Network)]),
        );
        put(&store, Item::Block { zone: zone().0, subnet: cidr, index: 0 }, &block).await;
        let (journal, records) = Journal::open(disk.path().join("allocator.journal")).unwrap();
        let identity = Identity {
            host: HostId::from("h1"),
            instance: InstanceId::from("i1"),
            boot: BootId::from("b1"),
            zones: BTreeSet::from([zone()]),
        };
        let stop = CancellationToken::new();
        let parts = allocator::Parts {
            identity,
            store: Arc::new(store.clone()),
            journal,
            records,
            clock: Arc::new(clock.clone()),
        };
        let allocator = allocator::start(parts, stop.clone());
        let (docker, watched) = watch::channel(Watched::default());
        let (told, report) = watch::channel(Report::default());
        let parts = Parts {
            store: Arc::new(store.clone()),
            allocator: allocator.clone(),
            docker: watched,
            declared: declarations(Arc::new(store.clone()), &TaskTracker::new(), &stop),
            host: HostId::from("h1"),
        };
        tokio::spawn(Registrar::new(parts, told, watch::channel(None).0).run(stop.clone()));
        Rig { store, allocator, docker, report, stop, _disk: disk }
    }

    /// A container gets an address, as Docker asks for it.
    async fn attach(&self, endpoint: &str) -> Assignment {
        let pool = PoolName::from("default");
        let given = self.allocator.assign(&pool, Wish::Any(Family::V4)).await.unwrap();
        self.allocator.bind(given.address, EndpointId::from(endpoint)).await.unwrap()
    }

    /// Docker shows these containers.
    fn shows(&self, containers: &[Container]) {
        let sight = Sight { at: Timestamp(1), containers: containers.to_vec(), networks: Vec::new() };
        self.docker.send_replace(Watched { sight: Some(Arc::new(sight)), silent: None });
    }

    /// Waits until the members of a service are these containers, each ready or not.
    async fn has(&self, service: &str, expected: &[(&str, bool)]) {
        let expected: Vec<(String, bool)> =
            expected.iter().map(|(name, part)| ((*name).into(), *part)).collect();
        let found = async {
            loop {
                if self.members(service).await == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, found).await;
        assert!(waited.is_ok(), "{:?} are in {service}, not {expected:?}", self.members(service).await);
    }

    async fn members(&self, service: &str) -> Vec<(String, bool)> {
        let report = catalogue::show(&self.store, service, &Vigil::default()).await.ok().flatten();
        let members = report.into_iter().flat_map(|report| report.members);
        let mut members: Vec<_> =
            members.map(|it| (it.container, !matches!(it.standing, MemberStanding::Out { .. }))).collect();
        members.sort();
        members
    }

    /// How many depend on an address.
    async fn named(&self, address: IpAddr) -> usize {
        self.store.range(&Under::DependentsOf(address).prefix()).await.unwrap().entries.len()
    }

    async fn written(&self) -> usize {
        self.store.range(&Under::Members.prefix()).await.unwrap().entries.len()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn zone() -> Zone {
    Zone::from("vlan-1")
}

async fn put<T: serde::Serialize>(store: &MemoryStore, item: Item, value: &T) {
    let key = item.key();
    let value = encode(&key, value).unwrap();
    store.commit(Transaction::new().put(key, value)).await.unwrap();
}

fn container(name: &str, at: IpAddr, labels: &[(&str, &str)]) -> Container {
    Container {
        id: name.to_owned(),
        name: name.to_owned(),
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        running: true,
        readiness: Readiness::Ready,
        ending: false,
        attachments: vec![Attachment {
            network: NetworkId("n1".into()),
            network_name: "cloud".into(),
            endpoint: Some(EndpointId::from(name)),
            address: Some(at),
            mac: None,
        }],
    }
}

const WEB: &[(&str, &str)] = &[("berth.service", "web"), ("berth.port", "80")];

fn declared(name: &str) -> Service {
    let port = ServicePort { name: None, port: 80.try_into().unwrap(), transport: Default::default() };
    Service { ports: vec![port], ..services::implied(name, []) }
}

fn no_balancers() -> Abilities {
    let named = StaticConfig { zone: "rack".into(), interface: "eth0".into(), subnets: Vec::new() };
    super::abilities::of(&ProviderConfig::Static(named))
}

#[tokio::test]
async fn a_container_is_a_member_once_its_address_is_published_and_no_more_when_it_is_gone() {
    let rig = Rig::new().await;
    let at = rig.attach("web").await.address;
    rig.shows(&[container("web", at, WEB)]);
    rig.has("web", &[("web", true)]).await;
    assert!(rig.store.get(&Item::Endpoint(at).key()).await.unwrap().entry.is_some(), "it is not published");
    rig.shows(&[]);
    rig.has("web", &[]).await;
    assert_eq!(rig.written().await, 0);
}

#[tokio::test]
async fn what_docker_says_of_a_member_is_followed() {
    let rig = Rig::new().await;
    let mut web = container("web", rig.attach("web").await.address, WEB);
    for readiness in [Readiness::Starting, Readiness::Ready, Readiness::Unhealthy, Readiness::Ready] {
        web.readiness = readiness;
        rig.shows(&[web.clone()]);
        rig.has("web", &[("web", readiness == Readiness::Ready)]).await;
    }
}

#[tokio::test]
async fn a_member_of_an_older_epoch_does_not_count() {
    let rig = Rig::new().await;
    let at = rig.attach("web").await.address;
    rig.shows(&[container("web", at, WEB)]);
    rig.has("web", &[("web", true)]).await;
    // As a dead host leaves it: its member stands, and its endpoint was closed when it was evicted.
    rig.stop.cancel();
    rig.allocator.ended().await;
    rig.store.commit(Transaction::new().delete(Item::Endpoint(at).key())).await.unwrap();
    assert_eq!((rig.written().await, rig.members("web").await), (1, vec![]));
}

#[tokio::test]
async fn a_member_keeps_its_address_from_being_used_again_until_it_is_removed() {
    let rig = Rig::new().await;
    let given = rig.attach("web").await;
    rig.shows(&[container("web", given.address, WEB)]);
    rig.has("web", &[("web", true)]).await;
    assert_eq!(rig.named(given.address).await, 1, "nothing says that the member depends on its address");
    // Docker lets go of it, and shows the container all the same: its address must not be given to another.
    rig.allocator.endpoint_gone(EndpointId::from("web")).await.unwrap();
    rig.allocator.release(given.address).await.unwrap();
    let removed = async {
        while rig.named(given.address).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, removed).await.unwrap();
    assert_eq!(rig.written().await, 0, "its member stands");
}

#[tokio::test]
async fn what_is_drained_gets_nothing_new_until_that_is_taken_back() {
    let rig = Rig::new().await;
    let (one, two) = (rig.attach("one").await.address, rig.attach("two").await.address);
    let both = [container("one", one, WEB), container("two", two, WEB)];
    rig.shows(&both);
    rig.has("web", &[("one", true), ("two", true)]).await;
    let host = HostId::from("h1");
    drains::ask(&rig.store, &host, Some("one"), false).await.unwrap();
    drains::ask(&rig.store, &host, Some("one"), false).await.unwrap();
    rig.has("web", &[("one", false), ("two", true)]).await;
    drains::ask(&rig.store, &host, None, false).await.unwrap();
    rig.has("web", &[("one", false), ("two", false)]).await;
    drains::ask(&rig.store, &host, None, true).await.unwrap();
    rig.has("web", &[("one", false), ("two", true)]).await;
    // A drain of a container that is gone is forgotten: a later one has another id.
    rig.shows(&both[1..]);
    rig.has("web", &[("two", true)]).await;
    let left = async {
        while !rig
            .store
            .range(&Under::DrainsOf { host: host.0.clone() }.prefix())
            .await
            .unwrap()
            .entries
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.unwrap();
}

#[tokio::test]
async fn a_container_that_was_sent_its_stop_signal_gets_nothing_new() {
    let rig = Rig::new().await;
    let mut web = container("web", rig.attach("web").await.address, WEB);
    rig.shows(&[web.clone()]);
    rig.has("web", &[("web", true)]).await;
    web.ending = true;
    rig.shows(&[web]);
    rig.has("web", &[("web", false)]).await;
}

#[tokio::test]
async fn a_declaration_is_followed_while_containers_run() {
    let rig = Rig::new().await;
    rig.shows(&[container("db", rig.attach("db").await.address, &[("tier", "data")])]);
    let mut data = declared("data");
    data.selector.insert("tier".into(), "data".into());
    catalogue::apply(&rig.store, &data, &no_balancers(), false).await.unwrap();
    rig.has("data", &[("db", true)]).await;
    catalogue::delete(&rig.store, "data").await.unwrap();
    rig.has("data", &[]).await;
}

#[tokio::test]
async fn a_store_that_is_away_for_a_while_loses_no_member() {
    let rig = Rig::new().await;
    let at = rig.attach("web").await.address;
    rig.shows(&[]);
    rig.store.go_away();
    rig.shows(&[container("web", at, WEB)]);
    let mut report = rig.report.clone();
    tokio::time::timeout(PATIENCE, report.wait_for(|report| report.trouble.is_some()))
        .await
        .unwrap()
        .unwrap();
    rig.store.come_back();
    rig.has("web", &[("web", true)]).await;
    tokio::time::timeout(PATIENCE, report.wait_for(|report| report.trouble.is_none()))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_write_of_which_nobody_knows_whether_it_landed_is_looked_for() {
    for fault in [Fault::Vanishes, Fault::LosesAnswer, Fault::Fails] {
        let rig = Rig::new().await;
        let at = rig.attach("web").await.address;
        rig.store.fault_next(Under::Members.prefix(), fault);
        rig.shows(&[container("web", at, WEB)]);
        rig.has("web", &[("web", true)]).await;
        rig.store.fault_next(Under::Members.prefix(), fault);
        rig.shows(&[]);
        rig.has("web", &[]).await;
    }
}

#[tokio::test]
async fn labels_that_cannot_be_followed_are_reported_as_long_as_they_are_there() {
    let rig = Rig::new().await;
    let at = rig.attach("web").await.address;
    rig.shows(&[container("web", at, &WEB[..1])]);
    let mut report = rig.report.clone();
    tokio::time::timeout(PATIENCE, report.wait_for(|report| report.faults.len() == 1))
        .await
        .unwrap()
        .unwrap();
    rig.shows(&[container("web", at, WEB)]);
    tokio::time::timeout(PATIENCE, report.wait_for(|report| report.faults.is_empty()))
        .await
        .unwrap()
        .unwrap();
    rig.has("web", &[("web", true)]).await;
}

#[tokio::test]
async fn declarations_of_one_moment_are_held_against_each_other() {
    let store = MemoryStore::new();
    let names = ["a", "b", "c", "d"];
    let mut applied = Vec::new();
    for name in names {
        let (store, service) = (store.clone(), declared(name));
        applied.push(tokio::spawn(async move {
            catalogue::apply(&store, &service, &no_balancers(), false).await
        }));
    }
    for one in applied {
        one.await.unwrap().unwrap();
    }
    let lines = catalogue::list(&store, &Vigil::default()).await.unwrap();
    assert_eq!(lines.into_iter().map(|line| line.name).collect::<Vec<_>>(), names);
}

#[tokio::test]
async fn what_would_change_is_said_and_not_done() {
    let store = MemoryStore::new();
    let change = catalogue::apply(&store, &declared("web"), &no_balancers(), true).await.unwrap();
    assert_eq!(change.changes.len(), 2);
    assert!(catalogue::list(&store, &Vigil::default()).await.unwrap().is_empty());
    let unknown = catalogue::delete(&store, "web").await;
    assert!(matches!(unknown, Err(ApplyError::Unknown(name)) if name == "web"));
}
