//! The operator's word that a host is dead.

use std::net::IpAddr;

use ipam::{EvictionWord, Incarnation};
use provider::HostState;

use super::FIRST;
use super::fake_cloud::FakeCloud;
use super::world::World;
use crate::capacity::{EvictError, Plea, Role};

fn ip(last: u8) -> IpAddr {
    [10, 60, 0, last].into()
}

/// `h1` has the role; `h2` holds two addresses and is silent.
async fn silent_host() -> (World, Role<FakeCloud>) {
    let world = World::new().await;
    let mut role = world.role();
    world.add_host("h2", 1).await;
    world.sign("h1").await;
    while world.block(FIRST).await.is_none() {
        world.drive(&mut role, 1).await;
    }
    world.take("h2", 1, FIRST, &[ip(4), ip(5)]).await;
    (world, role)
}

fn plea() -> Plea {
    Plea { host: "h2".into(), who: "root".into(), powered_off: false, force: None }
}

fn forced() -> Plea {
    Plea { force: Some("the rack burnt down".into()), ..plea() }
}

fn stated() -> Plea {
    Plea { powered_off: true, ..plea() }
}

fn says(world: &World, state: HostState) {
    world.cloud.lock().machines.insert("virtual-h2".into(), state);
}

async fn incarnation(world: &World) -> Incarnation {
    world.host("h2").await.incarnation
}

#[tokio::test]
async fn a_host_that_the_provider_says_is_off_is_evicted_at_once() {
    let (world, mut role) = silent_host().await;
    says(&world, HostState::Off);
    let evicted = role.evict(plea()).await.unwrap();
    let said = "the provider says off, its memory lost, and nobody answers for its addresses".to_owned();
    assert_eq!(evicted.eviction.word, EvictionWord::Operator { who: "root".into(), said });
    assert!(!evicted.before);
    world.drive(&mut role, 1).await;
    assert_eq!(incarnation(&world).await, Incarnation(2));
    assert_eq!(world.block(FIRST).await.unwrap().quarantined().len(), 2);
}

/// weave rmpeer: two administrators remove the same peer.
#[tokio::test]
async fn evict_twice() {
    let (world, mut role) = silent_host().await;
    says(&world, HostState::Gone);
    let first = role.evict(plea()).await.unwrap();
    let second = role.evict(plea()).await.unwrap();
    assert!(second.before && second.eviction == first.eviction);
    assert_eq!(incarnation(&world).await, Incarnation(2));
}

#[tokio::test]
async fn a_host_whose_session_stands_is_not_evicted() {
    let (world, mut role) = silent_host().await;
    says(&world, HostState::Off);
    world.sign("h2").await;
    let refused = role.evict(stated()).await.unwrap_err();
    assert!(matches!(refused, EvictError::Alive(_)), "{refused:?}");
}

#[tokio::test]
async fn a_host_that_the_provider_says_may_go_on_is_not_evicted_whatever_is_stated() {
    let (world, mut role) = silent_host().await;
    for state in [HostState::Running, HostState::Suspended, HostState::InTransaction] {
        says(&world, state);
        let refused = role.evict(stated()).await.unwrap_err();
        assert!(matches!(refused, EvictError::NotDead { .. }), "{refused:?}");
    }
    assert_eq!(incarnation(&world).await, Incarnation(1));
}

#[tokio::test]
async fn where_the_provider_cannot_say_the_operator_must() {
    for away in [false, true] {
        let (world, mut role) = silent_host().await;
        world.cloud.lock().away = away;
        let refused = role.evict(plea()).await.unwrap_err();
        assert!(matches!(refused, EvictError::Unwitnessed { .. }), "{refused:?}");
        let evicted = role.evict(stated()).await.unwrap().eviction;
        assert!(evicted.word.to_string().contains("stated to be powered off"), "{}", evicted.word);
    }
}

#[tokio::test]
async fn a_host_whose_addresses_are_answered_for_is_not_evicted() {
    let (world, mut role) = silent_host().await;
    says(&world, HostState::Off);
    *world.wire.0.lock().unwrap() = Some([ip(5)].into());
    let refused = role.evict(plea()).await.unwrap_err();
    assert_eq!(refused.to_string(), "addresses of host h2 are still used: 10.60.0.5 (the wire)");
    *world.wire.0.lock().unwrap() = None;
    let refused = role.evict(plea()).await.unwrap_err();
    assert!(matches!(refused, EvictError::OutOfReach { .. }), "{refused:?}");
    assert_eq!(incarnation(&world).await, Incarnation(1));
}

#[tokio::test]
async fn force_evicts_whatever_speaks_against_it_and_is_on_record() {
    let (world, mut role) = silent_host().await;
    says(&world, HostState::Running);
    world.sign("h2").await;
    *world.wire.0.lock().unwrap() = Some([ip(5)].into());
    let eviction = role.evict(forced()).await.unwrap().eviction;
    let (who, because) = ("root".to_owned(), "the rack burnt down".to_owned());
    assert_eq!(eviction.word, EvictionWord::Force { who, because });
    assert_eq!((eviction.by, incarnation(&world).await), ("h1".into(), Incarnation(2)));
    world.drive(&mut role, 1).await;
    let why = world.block(FIRST).await.unwrap().quarantined()[&ip(4)].why.clone();
    assert_eq!(why, "forced by root: the rack burnt down");
}

#[tokio::test]
async fn a_host_does_not_evict_itself_and_an_unknown_one_is_named() {
    let (_world, mut role) = silent_host().await;
    let itself = role.evict(Plea { host: "h1".into(), ..forced() }).await.unwrap_err();
    assert!(matches!(itself, EvictError::Itself(_)), "{itself:?}");
    let unknown = role.evict(Plea { host: "h9".into(), ..forced() }).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no host h9 in the store");
}

/// The agent that is asked need not have the role; whoever has it sweeps.
#[tokio::test]
async fn any_agent_evicts_and_the_role_sweeps() {
    let (world, mut role) = silent_host().await;
    says(&world, HostState::Off);
    world.add_host("h3", 1).await;
    let (mut other, _) = world.role_of("h3");
    other.evict(plea()).await.unwrap();
    other.pass().await;
    assert!(world.block(FIRST).await.unwrap().quarantined().is_empty());
    world.drive(&mut role, 1).await;
    assert_eq!(world.block(FIRST).await.unwrap().quarantined().len(), 2);
}

/// The provider is away, the agent rests after its failed looks, and the operator is sure.
#[tokio::test]
async fn what_an_operator_evicts_is_swept_while_the_provider_is_away() {
    let (world, mut role) = silent_host().await;
    world.cloud.lock().away = true;
    world.drive(&mut role, 5).await;
    role.evict(stated()).await.unwrap();
    role.pass().await;
    assert_eq!(world.block(FIRST).await.unwrap().quarantined().len(), 2);
}

#[tokio::test]
async fn a_host_that_was_evicted_and_came_back_can_be_evicted_again() {
    let (world, mut role) = silent_host().await;
    says(&world, HostState::Off);
    role.evict(plea()).await.unwrap();
    world.drive(&mut role, 1).await;
    world.take("h2", 2, FIRST, &[ip(8)]).await;
    assert!(!role.evict(plea()).await.unwrap().before);
    assert_eq!(incarnation(&world).await, Incarnation(3));
}

#[tokio::test]
async fn a_host_that_a_rebuild_awaits_is_not_unknown_though_it_has_no_record_yet() {
    let world = World::new().await;
    let rebuild = ipam::Rebuild {
        generation: ipam::Generation { number: 2, id: 2 },
        by: "h1".into(),
        at: "2026-03-01T12:00:00Z".into(),
        awaited: [("h2".into(), None)].into(),
        no_others: None,
        zones: Default::default(),
    };
    world.put(store::layout::Item::Rebuild, &rebuild).await;
    let refused = world.role().evict(stated()).await.unwrap_err();
    assert!(matches!(refused, EvictError::Awaited(_)), "{refused:?}");
    let stranger = Plea { host: "h3".into(), ..stated() };
    let refused = world.role().evict(stranger).await.unwrap_err();
    assert!(matches!(refused, EvictError::Unknown(_)), "{refused:?}");
}
