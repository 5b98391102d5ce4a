//! Who has the role, and what becomes of the intents of who had it.

use super::fake_cloud::{FakeCloud, PlaceFault};
use super::until_silence;
use super::world::{World, default_pool};
use crate::capacity::decide::Action;
use crate::capacity::trouble::Trouble;
use crate::capacity::{Role, Timing};
use crate::clock::Clock;
use ipam::HostRecord;
use std::time::Duration;
use store::layout::Item;

#[tokio::test]
async fn another_hosts_role_is_taken_only_when_no_call_of_it_can_be_under_way() {
    let world = World::new().await;
    world.add_host("h2", 1).await;
    world.role().pass().await;
    world.put(Item::Session("h1".into()), &"alive").await;
    let (mut other, status) = world.role_of("h2");
    world.drive(&mut other, 20).await;
    assert_eq!(status.borrow().role, "on host h1");
    let session = Item::Session("h1".into()).key();
    store::Store::commit(&world.store, store::Transaction::new().delete(session)).await.unwrap();
    let silent = world.clock.now();
    while status.borrow().role != "here" {
        world.drive(&mut other, 1).await;
    }
    let timing = Timing::default();
    let waited = Duration::from_millis(world.clock.now().0 - silent.0);
    assert!(waited >= timing.term_confirmed_for + timing.call_max, "{waited:?}");
}

/// Found by the simulation: its session stands, so nobody followed, and nobody looked after the zone any more.
#[tokio::test]
async fn the_role_of_a_host_that_left_the_zone_is_taken() {
    let world = World::new().await;
    world.add_host("h2", 1).await;
    world.role().pass().await;
    world.sign("h1").await;
    let (mut other, status) = world.role_of("h2");
    world.drive(&mut other, 20).await;
    assert_eq!(status.borrow().role, "on host h1");
    let moved = HostRecord { zones: ["elsewhere".into()].into(), ..world.host("h1").await };
    world.put(Item::Host("h1".into()), &moved).await;
    let left = world.clock.now();
    while status.borrow().role != "here" {
        world.drive(&mut other, 1).await;
        let waited = Duration::from_millis(world.clock.now().0 - left.0);
        assert!(waited < Duration::from_secs(600), "nobody looks after the zone");
    }
}

/// A role of `h1` that intended an order that never arrived, and then fell silent; `h2` has the role.
async fn orphaned_intent(world: &World) -> Role<FakeCloud> {
    world.add_host("h2", 1).await;
    world.cloud.lock().place_faults.push_back(PlaceFault::NeverArrives);
    let mut first = world.role();
    while world.states().await != ["intended"] {
        world.drive(&mut first, 1).await;
    }
    drop(first);
    let (mut other, status) = world.role_of("h2");
    while status.borrow().role != "here" {
        world.drive(&mut other, 1).await;
    }
    other
}

#[tokio::test]
async fn an_unanswered_intent_of_a_host_that_may_live_is_for_the_operator() {
    let world = World::new().await;
    let mut other = orphaned_intent(&world).await;
    world.drive(&mut other, 5).await;
    world.clock.advance(until_silence() * 10);
    world.drive(&mut other, 10).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["ambiguous"], 0));
}

#[tokio::test]
async fn an_unanswered_intent_of_an_evicted_host_is_given_up_in_time() {
    let world = World::new().await;
    world.add_host("h2", 1).await;
    world.cloud.lock().place_faults.push_back(PlaceFault::NeverArrives);
    let mut first = world.role();
    while world.states().await != ["intended"] {
        world.drive(&mut first, 1).await;
    }
    drop(first);
    world.add_host("h1", 2).await;
    let (mut other, _) = world.role_of("h2");
    world.drive(&mut other, 40).await;
    world.clock.advance(until_silence());
    world.drive(&mut other, 30).await;
    let open = world.states().await.iter().filter(|state| **state == "open").count();
    assert_eq!((open, world.cloud.lock().orders.len()), (1, 1));
}

#[tokio::test]
async fn a_frozen_cluster_orders_nothing() {
    let world = World::new().await;
    let generation = ipam::Generation { number: 1, id: 1 };
    let frozen = ipam::ClusterRecord { id: "c".into(), generation, state: ipam::ClusterState::Frozen };
    world.put(Item::Cluster, &frozen).await;
    let (mut role, status) = world.role_of("h1");
    world.drive(&mut role, 10).await;
    assert!(world.orders().await.is_empty());
    assert!(status.borrow().role.contains("frozen"));
}

#[tokio::test]
async fn a_former_process_can_write_nothing_after_a_new_one_took_over() {
    let world = World::new().await;
    let mut former = world.role();
    let (term, view) = former.store_look().await.unwrap().unwrap();
    let mut present = world.role();
    present.pass().await;
    let subnet = world.cloud.lock().add_subnet("10.61.0.0/28", &["berth:demo"]);
    let subnet = world.cloud.lock().subnets.iter().find(|known| known.id == subnet).cloned().unwrap();
    let adopt = Action::Adopt { pool: default_pool(), subnet };
    let outcome = former.act(&term, &view, &adopt).await;
    assert!(matches!(outcome, Err(Trouble::Overtaken)), "{outcome:?}");
    assert!(world.orders().await.is_empty());
}

#[tokio::test]
async fn a_copy_of_a_host_s_disk_takes_no_role_and_the_original_keeps_it() {
    let world = World::new().await;
    let (mut original, had) = world.role_of("h1");
    world.drive(&mut original, 2).await;
    let (mut copy, told) = world.role_as(&super::world::zone(), "h1", "virtual-copy");
    world.drive(&mut copy, 2).await;
    let role = told.borrow().role.clone();
    assert!(role.contains("virtual-h1") && role.contains("virtual-copy"), "{role}");
    world.drive(&mut original, 2).await;
    assert_eq!(had.borrow().role, "here");
    let owner: crate::capacity::OwnerRecord = {
        let key = super::super::record::owner_key(&super::world::zone());
        let entry = store::Store::get(&world.store, &key).await.unwrap().entry.unwrap();
        store::layout::decode(&key, &entry.value).unwrap()
    };
    assert_eq!(owner.term, 1, "the role never changed hands");
}
