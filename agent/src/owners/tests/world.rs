//! A store, a simulated cloud that is asked over HTTP, and agents that can be killed at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::{Listener, LoadBalancer, Protocol, Readiness, Service, ServicePort};
use ipam::{
    BootId, ClusterRecord, ClusterState, Dependent, EndpointId, EndpointRecord, Epoch, Generation, HostId,
    HostRecord, Incarnation, InstanceId, SignOfLife, Subnet, Zone,
};
use provider::{BalancerChange, Balancers, Exposure, ListenerProtocol, ListenerSpec, Secret, ZoneId};
use provider_mock::{CloudSpec, Delays, LocalBalancerSpec, SimulatedCloud, SubnetSpec};
use provider_softlayer::{Credentials, SoftLayer};
use services::{Draining, Limits, Member, Vigil};
use store::layout::{Item, Under, encode};
use store::{MemoryStore, Store, Transaction};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::{Parts, Timing, keep};
use crate::clock::SystemClock;
use crate::services::declarations;

/// Only a broken promise waits for so long.
pub(in crate::owners) const PATIENCE: Duration = Duration::from_secs(60);

/// The name of the load balancer, as an operator spells it.
pub(in crate::owners) const NAME: &str = "Web-LB";

pub(in crate::owners) const TIMING: Timing = Timing {
    call_max: Duration::from_millis(1_500),
    apply_max: Duration::from_millis(1_000),
    unsaid_max: Duration::from_millis(500),
    term_confirmed_for: Duration::from_millis(500),
    turn: Duration::from_millis(50),
    idle: Duration::from_secs(1),
    poll: (Duration::from_millis(50), Duration::from_millis(200)),
    retry: (Duration::from_millis(50), Duration::from_millis(500)),
};

pub(in crate::owners) struct World {
    pub(in crate::owners) cloud: SimulatedCloud,
    pub(in crate::owners) store: MemoryStore,
    hosts: BTreeSet<String>,
}

/// One agent: killed when it is dropped, with what it has under way.
pub(in crate::owners) struct Agent {
    stop: CancellationToken,
    task: JoinHandle<()>,
    followers: CancellationToken,
}

impl Agent {
    /// Stops it as systemd does.
    pub(in crate::owners) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
        self.followers.cancel();
    }
}

impl World {
    /// A cluster of two hosts, and a cloud with a load balancer that somebody made, with a member of his.
    pub(in crate::owners) async fn new() -> Self {
        Self::with(Delays::NONE).await
    }

    pub(in crate::owners) async fn with(delays: Delays) -> Self {
        let mut spec = CloudSpec::small();
        spec.delays = delays;
        spec.local_balancers = vec![LocalBalancerSpec { vlan: 1234 }];
        // The subnet of the members: their addresses have records.
        let cidr = "10.60.0.0/24".parse().unwrap();
        spec.subnets = vec![SubnetSpec { vlan: 1234, cidr, tags: Vec::new(), note: String::new() }];
        let cloud = SimulatedCloud::start(spec).await.unwrap();
        let mut world = Self { cloud, store: MemoryStore::new(), hosts: BTreeSet::new() };
        world.make_balancer().await;
        world.cloud.live().put_balancer_member(NAME, FOREIGN, Some(7)).unwrap();
        world.found().await;
        for host in ["h1", "h2"] {
            world.hosts.insert(host.to_owned());
            world.joins(host).await;
        }
        world
    }

    /// Somebody makes the load balancer, with a listener of his.
    pub(in crate::owners) async fn make_balancer(&self) {
        let listeners = vec![ListenerSpec { port: 443, protocol: ListenerProtocol::Tcp, to_port: 8443 }];
        let order =
            BalancerChange::Order { exposure: Exposure::Private, zone: ZoneId::new("1234"), listeners };
        self.client().change_balancer(NAME, &order).await.unwrap();
        self.until("it is made", || self.cloud.live().present().balancer(NAME).is_some_and(|it| it.online))
            .await;
    }

    fn client(&self) -> SoftLayer {
        let credentials = Credentials::new("SL307608", Secret::new("simulated-key"));
        SoftLayer::new(&self.cloud.endpoint(), credentials).unwrap()
    }

    /// The store is made anew: nothing is in it but the hosts.
    pub(in crate::owners) async fn lose_the_store(&mut self) {
        self.store = MemoryStore::new();
        self.found().await;
        for host in self.hosts.clone() {
            self.joins(&host).await;
        }
    }

    async fn found(&self) {
        let generation = Generation { number: 1, id: 1 };
        let cluster = ClusterRecord { id: "c1".into(), generation, state: ClusterState::Open };
        self.put(Item::Cluster, &cluster).await;
        let cidr = "10.60.0.0/24".parse().unwrap();
        let subnet = Subnet { cidr, pool: "default".into(), zone: zone(), gateway: None };
        self.put(Item::Subnet(cidr), &subnet).await;
    }

    async fn joins(&self, host: &str) {
        let record = HostRecord {
            instance: InstanceId::from(host),
            incarnation: Incarnation(1),
            boot: BootId::from("b1"),
            zones: BTreeSet::from([zone()]),
            left: BTreeSet::new(),
            answered: None,
        };
        self.put(Item::Host(host.into()), &record).await;
        self.put(Item::Session(host.into()), &SignOfLife { boot: BootId::from("b1") }).await;
    }

    /// A host gives no sign of life any more.
    pub(in crate::owners) async fn falls_silent(&self, host: &str) {
        self.delete(Item::Session(host.into())).await;
    }

    /// It does again.
    pub(in crate::owners) async fn comes_back(&self, host: &str) {
        self.put(Item::Session(host.into()), &SignOfLife { boot: BootId::from("b1") }).await;
    }

    pub(in crate::owners) fn agent(&self, host: &str) -> Agent {
        let (stop, followers) = (CancellationToken::new(), CancellationToken::new());
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let parts = Parts {
            declared: declarations(Arc::clone(&store), &TaskTracker::new(), &followers),
            store,
            provider: Arc::new(self.client()),
            cluster: "demo".into(),
            clock: Arc::new(SystemClock),
            vigil: watch::channel(Vigil::default()).1,
            host: HostId::from(host),
            instance: InstanceId::from(host),
            boot: BootId::from("b1"),
            limits: Limits { members: 50, listeners_ordered: 2, zone: Some(ZoneId::new("1234")) },
            timing: TIMING,
        };
        let task = tokio::spawn(keep(parts, stop.clone()));
        Agent { stop, task, followers }
    }

    pub(in crate::owners) async fn declare(&self) {
        self.declare_behind(NAME).await;
    }

    /// The service, behind a load balancer of this name.
    pub(in crate::owners) async fn declare_behind(&self, name: &str) {
        let port = 80.try_into().unwrap();
        let listener = Listener { port, protocol: Protocol::Tcp, to: None, health: None };
        let balancer = LoadBalancer { name: name.into(), order: None, listeners: vec![listener] };
        let to = ServicePort { name: None, port: 8080.try_into().unwrap(), transport: Default::default() };
        let service =
            Service { ports: vec![to], load_balancer: Some(balancer), ..services::implied("web", []) };
        self.put(Item::Service("web".into()), &service).await;
    }

    pub(in crate::owners) async fn withdraw(&self) {
        self.delete(Item::Service("web".into())).await;
    }

    /// A container with this address is in the service, under this epoch.
    pub(in crate::owners) async fn comes(&self, number: u8, counter: u64) {
        self.write(&member(number, counter)).await;
    }

    pub(in crate::owners) async fn is_drained(&self, number: u8, counter: u64) {
        self.write(&Member { draining: Some(Draining::Asked), ..member(number, counter) }).await;
    }

    pub(in crate::owners) async fn write(&self, member: &Member) {
        let record = EndpointRecord {
            epoch: member.epoch,
            endpoint: EndpointId::from(member.container.as_str()),
            host: member.host.clone(),
        };
        self.put(Item::Endpoint(member.address), &record).await;
        self.put(Item::Member { service: "web".into(), address: member.address }, member).await;
    }

    /// The container is gone: its host removes the member.
    pub(in crate::owners) async fn goes(&self, number: u8) {
        self.delete(Item::Member { service: "web".into(), address: at(number) }).await;
    }

    /// Whether anybody says that the address is needed.
    pub(in crate::owners) async fn waits(&self, number: u8) -> bool {
        let prefix = Under::DependentsOf(at(number)).prefix();
        !self.store.range(&prefix).await.unwrap().entries.is_empty()
    }

    /// Who writes that, of the dependents of an address.
    pub(in crate::owners) async fn writers(&self, number: u8) -> Vec<Dependent> {
        let prefix = Under::DependentsOf(at(number)).prefix();
        let entries = self.store.range(&prefix).await.unwrap().entries;
        entries.iter().map(|it| store::layout::decode(&it.key, &it.value).unwrap()).collect()
    }

    /// Our members at the provider, in force, by number and weight; the stranger's is looked after on the way.
    pub(in crate::owners) fn at_provider(&self) -> BTreeMap<u8, u8> {
        let cloud = self.cloud.live().present();
        let Some(balancer) = cloud.balancer(NAME) else { return BTreeMap::new() };
        let members = balancer.in_force.members.iter().map(|it| (it.address.to_string(), it.weight));
        let ours = members.filter(|(address, _)| address != FOREIGN);
        ours.map(|(address, weight)| (address.rsplit('.').next().unwrap().parse().unwrap(), weight)).collect()
    }

    pub(in crate::owners) fn listeners(&self) -> Vec<u16> {
        let cloud = self.cloud.live().present();
        let listeners = cloud.balancer(NAME).unwrap().in_force.listeners.iter();
        let mut ports: Vec<u16> = listeners.map(|it| it.frontend.port).collect();
        ports.sort_unstable();
        ports
    }

    /// What is nobody of ours is as it was.
    pub(in crate::owners) fn leaves_strangers_alone(&self) {
        let cloud = self.cloud.live().present();
        let balancer = cloud.balancer(NAME).unwrap();
        let stranger = balancer.in_force.members.iter().find(|it| it.address.to_string() == FOREIGN);
        assert_eq!(stranger.map(|it| it.weight), Some(7), "a member of somebody else's was touched");
        let theirs = balancer.in_force.listeners.iter().find(|it| it.frontend.port == 443);
        assert_eq!(theirs.map(|it| it.backend.port), Some(8443), "a listener of somebody else's was touched");
    }

    pub(in crate::owners) async fn has(&self, expected: &[(u8, u8)]) {
        let expected: BTreeMap<u8, u8> = expected.iter().copied().collect();
        self.until(&format!("{expected:?} are there"), || self.at_provider() == expected).await;
    }

    pub(in crate::owners) async fn is_free(&self, number: u8) {
        self.until_async(&format!("{number} waits for nobody"), async || !self.waits(number).await).await;
    }

    pub(in crate::owners) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        self.until_async(what, async || holds()).await;
    }

    /// Waits for it. At every moment, what is at the provider has an address that waits for it.
    pub(in crate::owners) async fn until_async(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let waiting = async {
            while !holds().await {
                for number in self.at_provider().into_keys() {
                    assert!(
                        self.waits(number).await,
                        "{number} could be used again while it gets what is another's"
                    );
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "not true: {what}; at the provider {:?}", self.at_provider());
    }

    pub(in crate::owners) async fn put<T: serde::Serialize>(&self, item: Item, value: &T) {
        let key = item.key();
        let value = encode(&key, value).unwrap();
        self.store.commit(Transaction::new().put(key, value)).await.unwrap();
    }

    pub(in crate::owners) async fn delete(&self, item: Item) {
        self.store.commit(Transaction::new().delete(item.key())).await.unwrap();
    }
}

/// A member that is nobody of ours: no container of this cluster has its address.
const FOREIGN: &str = "10.40.0.99";

pub(in crate::owners) fn at(number: u8) -> IpAddr {
    [10, 60, 0, number].into()
}

fn zone() -> Zone {
    Zone::from("1234")
}

pub(in crate::owners) fn member(number: u8, counter: u64) -> Member {
    Member {
        address: at(number),
        epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter },
        container: format!("c{number}"),
        host: HostId::from("h2"),
        zone: zone(),
        port: None,
        weight: 50,
        readiness: Readiness::Ready,
        draining: None,
    }
}
