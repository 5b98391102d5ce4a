//! What every provider's load balancers must keep.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    BalancerChange, BalancerSeen, BalancerState, Balancers, Exposure, HealthSpec, ListenerProtocol,
    ListenerSeen, ListenerSpec, ProviderError, ZoneId,
};

/// How long a change may take in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// The world in which load balancers are tested.
#[derive(Debug, Clone)]
pub struct BalancerWorld {
    /// A name that is free.
    pub name: String,
    /// Where it gets its addresses.
    pub zone: ZoneId,
    /// Three addresses of containers.
    pub members: [IpAddr; 3],
}

/// Runs every promise against the load balancers of a provider, which take half a second to change at least.
///
/// # Panics
/// When a promise is broken.
pub async fn balances(provider: &impl Balancers, world: &BalancerWorld) {
    one_that_is_not_there_is_nothing_and_takes_no_change(provider, world).await;
    an_ordered_one_is_there_once(provider, world).await;
    members_are_added_weighed_and_removed_in_batches(provider, world).await;
    a_change_during_another_is_busy_and_changes_nothing(provider, world).await;
    a_listener_is_added_changed_and_removed_beside_another(provider, world).await;
}

async fn one_that_is_not_there_is_nothing_and_takes_no_change(
    provider: &impl Balancers,
    BalancerWorld { name, members, .. }: &BalancerWorld,
) {
    assert_eq!(provider.balancer(name).await.expect("a look"), None);
    assert!(provider.balancer_health(name).await.expect("health").is_empty());
    let added = provider.change_balancer(name, &adding(&members[..1])).await;
    assert!(matches!(added, Err(ProviderError::Gone { .. })), "{added:?}");
}

async fn an_ordered_one_is_there_once(provider: &impl Balancers, world: &BalancerWorld) {
    let order = BalancerChange::Order {
        exposure: Exposure::Private,
        zone: world.zone.clone(),
        listeners: vec![listener(80, 8080)],
    };
    provider.change_balancer(&world.name, &order).await.expect("an order");
    let seen = ready(provider, world).await;
    assert!(seen.reached_at.is_some(), "nobody is told where it is");
    assert_eq!(specs(&seen), [listener(80, 8080)]);
    assert!(seen.listeners[0].weighs, "it does not heed weights");
    let again = provider.change_balancer(&world.name, &order).await;
    assert!(matches!(again, Err(ProviderError::Refused { .. })), "{again:?}");
}

async fn members_are_added_weighed_and_removed_in_batches(provider: &impl Balancers, world: &BalancerWorld) {
    changed(provider, world, &adding(&world.members)).await;
    let seen = ready(provider, world).await;
    assert_eq!(weights(&seen), world.members.iter().map(|at| (*at, 50)).collect());
    let of = |at: IpAddr| seen.members.iter().find(|it| it.address == at).expect("a member").id.clone();
    let [one, two, three] = world.members.map(of);
    changed(provider, world, &BalancerChange::WeighMembers(vec![(one.clone(), 0), (two, 100)])).await;
    let [first, second, third] = world.members;
    assert_eq!(
        weights(&ready(provider, world).await),
        BTreeMap::from([(first, 0), (second, 100), (third, 50)])
    );
    let health = provider.balancer_health(&world.name).await.expect("health");
    assert!(health.keys().all(|id| seen.members.iter().any(|it| it.id == *id)), "{health:?}");
    changed(provider, world, &BalancerChange::RemoveMembers(vec![one, three])).await;
    assert_eq!(weights(&ready(provider, world).await), BTreeMap::from([(second, 100)]));
}

async fn a_change_during_another_is_busy_and_changes_nothing(
    provider: &impl Balancers,
    world: &BalancerWorld,
) {
    ready(provider, world).await;
    changed(provider, world, &adding(&world.members[..1])).await;
    let second = provider.change_balancer(&world.name, &adding(&world.members[2..])).await;
    assert!(matches!(second, Err(ProviderError::Busy { .. })), "{second:?}");
    let seen = ready(provider, world).await;
    assert_eq!(seen.members.len(), 2, "{seen:?}");
}

async fn a_listener_is_added_changed_and_removed_beside_another(
    provider: &impl Balancers,
    world: &BalancerWorld,
) {
    changed(provider, world, &BalancerChange::AddListeners(vec![listener(81, 9090)])).await;
    let seen = ready(provider, world).await;
    assert_eq!(specs(&seen), [listener(80, 8080), listener(81, 9090)]);
    let id = seen.listeners.iter().find(|it| it.port == 81).expect("it").id.clone();
    changed(provider, world, &BalancerChange::ChangeListeners(vec![(id.clone(), listener(81, 9091))])).await;
    assert_eq!(specs(&ready(provider, world).await), [listener(80, 8080), listener(81, 9091)]);
    let health = HealthSpec { path: None, interval_secs: 7, timeout_secs: 3, retries: 4 };
    changed(provider, world, &BalancerChange::CheckHealth(vec![(id.clone(), health.clone())])).await;
    let seen = ready(provider, world).await;
    assert_eq!(seen.listeners.iter().find(|it| it.id == id).expect("it").health, Some(health));
    changed(provider, world, &BalancerChange::RemoveListeners(vec![id])).await;
    assert_eq!(specs(&ready(provider, world).await), [listener(80, 8080)]);
}

async fn changed(provider: &impl Balancers, world: &BalancerWorld, change: &BalancerChange) {
    ready(provider, world).await;
    provider.change_balancer(&world.name, change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
}

/// Waits until it takes a change, and answers how it is then.
async fn ready(provider: &impl Balancers, world: &BalancerWorld) -> BalancerSeen {
    let waiting = async {
        loop {
            match provider.balancer(&world.name).await.expect("a look") {
                Some(seen) if seen.state == BalancerState::Ready => return seen,
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(PATIENCE, waiting).await.expect("it becomes ready")
}

fn adding(members: &[IpAddr]) -> BalancerChange {
    BalancerChange::AddMembers {
        members: members.iter().map(|at| (*at, 50)).collect(),
        listeners: vec![listener(80, 8080)],
    }
}

fn weights(seen: &BalancerSeen) -> BTreeMap<IpAddr, u8> {
    seen.members.iter().map(|it| (it.address, it.weight)).collect()
}

fn specs(seen: &BalancerSeen) -> Vec<ListenerSpec> {
    let spec = |it: &ListenerSeen| ListenerSpec {
        port: it.port,
        protocol: it.protocol,
        to_port: it.to_port.expect("it passes on to a port"),
    };
    let mut specs: Vec<_> = seen.listeners.iter().map(spec).collect();
    specs.sort();
    specs
}

fn listener(port: u16, to_port: u16) -> ListenerSpec {
    ListenerSpec { port, protocol: ListenerProtocol::Tcp, to_port }
}
