//! Hosts that die, with several agents on one store.

use std::{net::IpAddr, time::Duration};

use ipam::{Eviction, EvictionWord, Incarnation};
use provider::HostState;
use store::layout::{self, Item, Under};
use store::{Fault, Store};
use tokio::sync::watch;

use super::FIRST;
use super::fake_cloud::FakeCloud;
use super::world::World;
use crate::capacity::{CapacityStatus, QUARANTINE_DEFAULT, Role, Timing};
use crate::clock::Clock;

fn ip(last: u8) -> IpAddr {
    [10, 60, 0, last].into()
}

/// Longer than two witnesses take.
fn until_witnessed() -> Duration {
    let timing = Timing::default();
    timing.staleness_max + timing.witness_pause + 2 * timing.idle
}

/// `h1` has the role; `h2` holds two addresses, and `h3` one.
async fn three_hosts() -> (World, Role<FakeCloud>, watch::Receiver<CapacityStatus>) {
    let world = World::new().await;
    let (mut role, status) = world.role_of("h1");
    for host in ["h2", "h3"] {
        world.add_host(host, 1).await;
    }
    for host in ["h1", "h2", "h3"] {
        world.sign(host).await;
    }
    while world.block(FIRST).await.is_none() {
        world.drive(&mut role, 1).await;
    }
    world.take("h2", 1, FIRST, &[ip(4), ip(5)]).await;
    world.take("h3", 1, FIRST, &[ip(6)]).await;
    (world, role, status)
}

fn says(world: &World, host: &str, state: HostState) {
    world.cloud.lock().machines.insert(format!("virtual-{host}"), state);
}

/// How often the provider was asked about a host.
fn questions(world: &World, host: &str) -> usize {
    world.cloud.lock().asked_about.iter().filter(|asked| **asked == format!("virtual-{host}")).count()
}

async fn pass_for(world: &World, role: &mut Role<FakeCloud>, time: Duration) {
    let end = world.clock.now().after(u64::try_from(time.as_millis()).unwrap());
    while world.clock.now() < end {
        world.drive(role, 1).await;
    }
}

async fn eviction(world: &World, host: &str) -> Option<Eviction> {
    let key = Item::Eviction(host.into()).key();
    let entry = world.store.get(&key).await.unwrap().entry?;
    Some(layout::decode(&entry.key, &entry.value).unwrap())
}

#[tokio::test]
async fn a_host_that_the_provider_witnesses_twice_is_evicted_and_its_addresses_come_back() {
    let (world, mut role, status) = three_hosts().await;
    world.put(Item::Surplus { zone: "1234".into(), host: "h2".into() }, &ipam::Surplus::default()).await;
    world.lapse("h2").await;
    says(&world, "h2", HostState::Off);
    world.drive(&mut role, 2).await;
    assert!(status.borrow().silent_hosts.contains_key(&"h2".into()));
    pass_for(&world, &mut role, until_witnessed()).await;
    assert_eq!(questions(&world, "h2"), 2);
    assert_eq!(world.host("h2").await.incarnation, Incarnation(2));
    let block = world.block(FIRST).await.unwrap();
    assert_eq!((block.quarantined().len(), block.held().len()), (2, 1));
    assert!(
        world
            .store
            .range(&Under::SurplusOf { zone: "1234".into() }.prefix())
            .await
            .unwrap()
            .entries
            .is_empty()
    );
    let told = eviction(&world, "h2").await.unwrap();
    assert_eq!((told.by, told.incarnation), ("h1".into(), Incarnation(2)));
    assert_eq!(block.quarantined()[&ip(4)].why, "the provider said twice that it is off, its memory lost");
    pass_for(&world, &mut role, QUARANTINE_DEFAULT + Duration::from_secs(60)).await;
    assert!(world.block(FIRST).await.unwrap().is_free(ip(4)));
    assert_eq!(questions(&world, "h2"), 2, "who was evicted is not asked about again");
}

#[tokio::test]
async fn a_silent_host_that_the_provider_does_not_witness_keeps_everything() {
    let states = [HostState::Running, HostState::Suspended, HostState::InTransaction, HostState::Unknown];
    for state in states {
        let (world, mut role, status) = three_hosts().await;
        world.lapse("h2").await;
        says(&world, "h2", state);
        pass_for(&world, &mut role, 10 * until_witnessed()).await;
        assert_eq!(world.host("h2").await.incarnation, Incarnation(1), "{state:?}");
        let said = status.borrow().silent_hosts[&"h2".into()].said.clone();
        assert_eq!(said.as_deref(), Some(crate::capacity::eviction::spoken(state)));
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_no_witness() {
    let (world, mut role, _) = three_hosts().await;
    world.lapse("h2").await;
    says(&world, "h2", HostState::Off);
    world.cloud.lock().away = true;
    for _ in 0..200 {
        world.drive(&mut role, 1).await;
    }
    assert_eq!(world.host("h2").await.incarnation, Incarnation(1));
}

/// With the key of another account, every machine of ours is one that the provider has never heard of.
#[tokio::test]
async fn a_provider_that_calls_this_very_host_dead_is_not_believed() {
    let (world, mut role, status) = three_hosts().await;
    world.lapse("h2").await;
    for host in ["h1", "h2", "h3"] {
        says(&world, host, HostState::Gone);
    }
    pass_for(&world, &mut role, 10 * until_witnessed()).await;
    assert_eq!(world.host("h2").await.incarnation, Incarnation(1));
    let said = status.borrow().silent_hosts[&"h2".into()].said.clone().unwrap();
    assert_eq!(said, "not believed: it says of this very host that it is deleted");
}

/// Every session lapses when the store was away for long, and comes back.
#[tokio::test]
async fn mass_lapse_evicts_nobody() {
    let (world, mut role, _) = three_hosts().await;
    for host in ["h2", "h3"] {
        world.lapse(host).await;
        says(&world, host, HostState::Running);
    }
    pass_for(&world, &mut role, until_witnessed()).await;
    for host in ["h2", "h3"] {
        world.sign(host).await;
        assert_eq!(world.host(host).await.incarnation, Incarnation(1));
    }
}

#[tokio::test]
async fn a_host_that_comes_back_between_the_witnesses_is_not_evicted() {
    let (world, mut role, _) = three_hosts().await;
    world.lapse("h2").await;
    says(&world, "h2", HostState::Off);
    while world.cloud.lock().asked_about.is_empty() {
        world.drive(&mut role, 1).await;
    }
    world.sign("h2").await;
    pass_for(&world, &mut role, 2 * until_witnessed()).await;
    assert_eq!(world.host("h2").await.incarnation, Incarnation(1));
}

/// The answer to the raising was lost: the host is evicted once, and swept.
#[tokio::test]
async fn an_eviction_whose_outcome_is_unknown_is_made_once() {
    for fault in [Fault::LosesAnswer, Fault::Vanishes] {
        let (world, mut role, _) = three_hosts().await;
        world.lapse("h2").await;
        says(&world, "h2", HostState::Gone);
        world.store.fault_next(Under::Hosts.prefix(), fault);
        pass_for(&world, &mut role, 2 * until_witnessed()).await;
        assert_eq!(world.host("h2").await.incarnation, Incarnation(2), "{fault:?}");
        assert_eq!(world.block(FIRST).await.unwrap().quarantined().len(), 2, "{fault:?}");
    }
}

/// Two agents on one store: the owner dies after it raised the incarnation and before it swept.
#[tokio::test]
async fn a_sweep_that_a_dead_owner_left_half_done_is_finished_by_the_next() {
    let (world, role, _) = three_hosts().await;
    drop(role);
    world.add_host("h2", 2).await;
    world.lapse("h2").await;
    world.lapse("h1").await;
    let (mut next, status) = world.role_of("h3");
    let silent = world.clock.now();
    while status.borrow().role != "here" {
        world.drive(&mut next, 1).await;
    }
    let timing = Timing::default();
    let waited = Duration::from_millis(world.clock.now().0 - silent.0);
    assert!(waited >= timing.term_confirmed_for + timing.call_max, "{waited:?}");
    assert_eq!(world.block(FIRST).await.unwrap().quarantined().len(), 2);
}

/// Two agents on one store, both believing the role to be free: one has it.
#[tokio::test]
async fn two_agents_that_begin_together_agree_on_one_owner() {
    let world = World::new().await;
    world.add_host("h2", 1).await;
    for host in ["h1", "h2"] {
        world.sign(host).await;
    }
    let (mut one, one_says) = world.role_of("h1");
    let (mut other, other_says) = world.role_of("h2");
    for _ in 0..20 {
        tokio::join!(one.pass(), other.pass());
        world.clock.advance(Duration::from_secs(10));
    }
    let roles = [one_says.borrow().role.clone(), other_says.borrow().role.clone()];
    assert!(roles == ["here", "on host h1"] || roles == ["on host h2", "here"], "{roles:?}");
    assert_eq!(world.orders().await.len(), 1);
}

/// The owner of the role dies with addresses: the next one takes over, and evicts it too.
#[tokio::test]
async fn the_owner_of_the_role_is_evicted_by_the_next() {
    let (world, role, _) = three_hosts().await;
    world.take("h1", 1, FIRST, &[ip(8)]).await;
    drop(role);
    world.lapse("h1").await;
    says(&world, "h1", HostState::Gone);
    let (mut next, status) = world.role_of("h3");
    while status.borrow().role != "here" {
        world.drive(&mut next, 1).await;
    }
    pass_for(&world, &mut next, until_witnessed()).await;
    assert_eq!(world.host("h1").await.incarnation, Incarnation(2));
    assert!(matches!(eviction(&world, "h1").await.unwrap().word, EvictionWord::Provider { .. }));
    assert!(world.block(FIRST).await.unwrap().quarantined().contains_key(&ip(8)));
}

/// The owner was cut off and did not know that another took over: whatever it does then is nothing.
#[tokio::test]
async fn an_owner_that_was_cut_off_loses_the_role_and_starts_anew_when_it_gets_it_again() {
    let (world, mut first, first_says) = three_hosts().await;
    world.lapse("h2").await;
    says(&world, "h2", HostState::Off);
    while world.cloud.lock().asked_about.is_empty() {
        world.drive(&mut first, 1).await;
    }
    // One witness was heard. Then its session lapses, and h3 takes over.
    world.lapse("h1").await;
    let (mut second, second_says) = world.role_of("h3");
    while second_says.borrow().role != "here" {
        world.drive(&mut second, 1).await;
    }
    let asked = world.cloud.lock().asked_about.len();
    world.sign("h1").await;
    world.drive(&mut first, 3).await;
    assert_eq!(first_says.borrow().role, "on host h3");
    assert_eq!(first_says.borrow().silent_hosts.len(), 0);
    assert_eq!(world.cloud.lock().asked_about.len(), asked, "a former owner asks nobody");
    assert_eq!(world.host("h2").await.incarnation, Incarnation(1));
}
