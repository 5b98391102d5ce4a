//! The local load balancer of the simulated cloud, over HTTP.
#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use provider::{
    BalancerChange, BalancerSeen, Balancers, Exposure, HealthSpec, ListenerProtocol, ListenerSpec,
    ProviderError, Secret, ZoneId,
};
use provider_mock::cloud::local::ServerEdit;
use provider_mock::{CloudSpec, Delays, LocalBalancerSpec, SimulatedCloud, SubnetSpec};
use provider_softlayer::{Credentials, SoftLayer};

struct Site {
    cloud: SimulatedCloud,
    softlayer: SoftLayer,
    /// Where users reach it: what it is called by.
    front: String,
}

async fn start() -> Site {
    let mut spec = CloudSpec::small();
    spec.delays = Delays { local_balancer_ms: 300, ..Delays::NONE };
    spec.local_balancers = vec![LocalBalancerSpec { vlan: 1234 }];
    let cidr = "10.50.0.0/26".parse().unwrap();
    spec.subnets = vec![SubnetSpec { vlan: 1234, cidr, tags: Vec::new(), note: String::new() }];
    let cloud = SimulatedCloud::start(spec).await.unwrap();
    let credentials = Credentials::new("SL307608", Secret::new("simulated-key"));
    let softlayer = SoftLayer::new(&cloud.endpoint(), credentials).unwrap();
    let front = cloud.live().present().local_balancer().unwrap().at.address.to_string();
    Site { cloud, softlayer, front }
}

impl Site {
    async fn seen(&self) -> BalancerSeen {
        self.softlayer.balancer(&self.front).await.unwrap().unwrap()
    }

    /// Makes a change, and lets it come into force.
    async fn changed(&self, change: &BalancerChange) {
        self.softlayer.change_balancer(&self.front, change).await.unwrap();
        self.cloud.live().advance(Duration::from_secs(1));
    }

    /// Its members: where, with which weight, behind how many listeners.
    async fn members(&self) -> BTreeSet<(IpAddr, u8, usize)> {
        let members = self.seen().await.members.into_iter();
        members.map(|it| (it.address, it.weight, it.behind.unwrap().len())).collect()
    }
}

fn at(last: u8) -> IpAddr {
    [10, 50, 0, last].into()
}

fn listener(port: u16, to_port: u16) -> ListenerSpec {
    ListenerSpec { port, protocol: ListenerProtocol::Http, to_port }
}

fn adding(members: &[u8], listeners: &[ListenerSpec]) -> BalancerChange {
    let members = members.iter().map(|last| (at(*last), 50)).collect();
    BalancerChange::AddMembers { members, listeners: listeners.to_vec() }
}

#[tokio::test]
async fn one_that_is_not_there_is_nothing_and_none_can_be_ordered() {
    let site = start().await;
    let nowhere = "10.40.0.199";
    assert_eq!(site.softlayer.balancer(nowhere).await.unwrap(), None);
    assert!(site.softlayer.balancer_health(nowhere).await.unwrap().is_empty());
    let added = site.softlayer.change_balancer(nowhere, &adding(&[4], &[])).await;
    assert!(matches!(added, Err(ProviderError::Gone { .. })), "{added:?}");
    let order = BalancerChange::Order {
        exposure: Exposure::Private,
        zone: ZoneId::new("1234"),
        listeners: vec![listener(80, 8080)],
    };
    let ordered = site.softlayer.change_balancer(&site.front, &order).await;
    assert!(matches!(ordered, Err(ProviderError::NotOffered { .. })), "{ordered:?}");
    assert!(!site.softlayer.says_when_in_force(&site.front));
}

#[tokio::test]
async fn members_are_behind_the_listeners_that_are_named_and_are_weighed_and_removed() {
    let site = start().await;
    let both = [listener(80, 8080), listener(81, 9090)];
    site.changed(&BalancerChange::AddListeners(vec![both[0].clone()])).await;
    let empty = site.seen().await;
    assert!(empty.listeners[0].does(&both[0]) && empty.listeners[0].to_port.is_none(), "{empty:?}");
    site.changed(&adding(&[4, 5], &both)).await;
    assert_eq!(site.members().await, [(at(4), 50, 1), (at(5), 50, 1)].into());
    site.changed(&BalancerChange::AddListeners(vec![both[1].clone()])).await;
    site.changed(&adding(&[4, 5], &both)).await;
    assert_eq!(site.members().await, [(at(4), 50, 2), (at(5), 50, 2)].into());
    let seen = site.seen().await;
    assert!(both.iter().all(|spec| seen.listeners.iter().any(|it| it.does(spec) && it.weighs)), "{seen:?}");
    assert_eq!(seen.reached_at.as_deref(), Some(site.front.as_str()));
    assert_eq!(site.softlayer.balancer_health(&site.front).await.unwrap().len(), 2);

    let ids: BTreeMap<IpAddr, _> = seen.members.iter().map(|it| (it.address, it.id.clone())).collect();
    let weights = vec![(ids[&at(4)].clone(), 0), (ids[&at(5)].clone(), 7)];
    site.changed(&BalancerChange::WeighMembers(weights)).await;
    assert_eq!(site.members().await, [(at(4), 0, 2), (at(5), 7, 2)].into());
    // Each service of a member is a call.
    for left in [1, 0] {
        let id = site.seen().await.members.iter().find(|it| it.address == at(4)).unwrap().id.clone();
        site.changed(&BalancerChange::RemoveMembers(vec![id])).await;
        let still = site.members().await.into_iter().find(|(address, ..)| *address == at(4));
        assert_eq!(still.map_or(0, |(.., behind)| behind), left);
    }
    assert_eq!(site.members().await, [(at(5), 7, 2)].into());
}

#[tokio::test]
async fn a_listener_is_changed_and_removed_with_what_is_behind_it() {
    let site = start().await;
    site.changed(&BalancerChange::AddListeners(vec![listener(80, 8080)])).await;
    site.changed(&adding(&[4], &[listener(80, 8080)])).await;
    let id = site.seen().await.listeners[0].id.clone();
    let tcp = ListenerSpec { port: 80, protocol: ListenerProtocol::Tcp, to_port: 8081 };
    site.changed(&BalancerChange::ChangeListeners(vec![(id.clone(), tcp.clone())])).await;
    assert!(site.seen().await.listeners[0].does(&tcp));
    let health = HealthSpec { path: None, interval_secs: 7, timeout_secs: 3, retries: 4 };
    let check = BalancerChange::CheckHealth(vec![(id.clone(), health)]);
    let refused = site.softlayer.change_balancer(&site.front, &check).await;
    assert!(matches!(refused, Err(ProviderError::NotOffered { .. })), "{refused:?}");
    site.changed(&BalancerChange::RemoveListeners(vec![id])).await;
    let seen = site.seen().await;
    assert!(seen.listeners.is_empty() && seen.members.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn an_edit_during_another_is_busy_and_one_that_cannot_be_is_refused() {
    let site = start().await;
    let first = BalancerChange::AddListeners(vec![listener(80, 8080)]);
    site.softlayer.change_balancer(&site.front, &first).await.unwrap();
    let early = site.softlayer.change_balancer(&site.front, &adding(&[4], &[listener(80, 8080)])).await;
    assert!(matches!(early, Err(ProviderError::Busy { .. })), "{early:?}");
    site.cloud.live().advance(Duration::from_secs(1));
    // Somebody gives the first one all of the connections.
    let first = site.cloud.live().present().local_balancer().unwrap().wanted[0].id;
    let all = ServerEdit { id: Some(first), allocation: Some(100), ..ServerEdit::default() };
    site.cloud.live().edit_local_balancer(&[all]).unwrap();
    site.cloud.live().advance(Duration::from_secs(1));
    let second = BalancerChange::AddListeners(vec![listener(81, 8080)]);
    let refused = site.softlayer.change_balancer(&site.front, &second).await;
    assert!(matches!(refused, Err(ProviderError::Refused { .. })), "{refused:?}");
}
