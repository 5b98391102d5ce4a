//! Which subnets are adopted, and what is looked at before one is opened.

use super::world::{World, default_pool};
use super::{FIRST, opened};
use crate::capacity::Timing;
use ipam::SetAside;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_subnet_tagged_for_this_cluster_is_adopted_and_nothing_is_ordered() {
    let world = World::new().await;
    world.cloud.lock().add_subnet("10.61.0.0/28", &["berth:demo", "billing"]);
    world.drive(&mut world.role(), 10).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["open"], 0));
    assert!(opened(&world, 0));
    assert!(world.block("10.61.0.0/28").await.is_some());
}

#[tokio::test]
async fn a_subnet_once_opened_or_of_another_cluster_is_never_adopted() {
    let world = World::new().await;
    world.cloud.lock().add_subnet("10.61.0.0/28", &["berth:demo", "berth:demo:opened"]);
    world.cloud.lock().add_subnet("10.61.0.16/28", &["berth:other"]);
    world.cloud.lock().add_subnet("10.61.0.32/28", &[]);
    world.drive(&mut world.role(), 10).await;
    for foreign in ["10.61.0.0/28", "10.61.0.16/28", "10.61.0.32/28"] {
        assert!(world.block(foreign).await.is_none(), "{foreign}");
    }
    assert!(world.block(FIRST).await.is_some());
}

#[tokio::test]
async fn the_spending_limit_holds_for_adopted_and_ordered_subnets_and_is_named_in_refusals() {
    let mut world = World::new().await;
    world.pool.free_min = 100;
    for number in 0..3 {
        world.cloud.lock().add_subnet(&format!("10.61.0.{}/28", number * 16), &["berth:demo"]);
    }
    let (mut role, status) = world.role_of("h1");
    world.drive(&mut role, 20).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["open", "open"], 0));
    let limit = status.borrow().pools[&default_pool()].limit.clone().unwrap();
    assert!(limit.contains("subnets_max = 2"), "{limit}");
}

#[tokio::test]
async fn an_occupied_address_is_set_aside_and_so_is_an_excluded_one() {
    let mut world = World::new().await;
    world.pool.exclude = vec!["10.60.0.8/30".parse().unwrap()];
    *world.wire.0.lock().unwrap() = Some(BTreeSet::from(["10.60.0.5".parse().unwrap()]));
    world.drive(&mut world.role(), 10).await;
    let block = world.block(FIRST).await.unwrap();
    assert_eq!(block.set_aside()[&"10.60.0.5".parse().unwrap()], SetAside::Occupied);
    assert_eq!(block.set_aside()[&"10.60.0.11".parse().unwrap()], SetAside::Excluded);
    assert_eq!(block.counts().free, 12 - 1 - 4);
}

#[tokio::test]
async fn a_subnet_that_cannot_be_probed_is_not_opened_until_it_can() {
    let world = World::new().await;
    *world.wire.0.lock().unwrap() = None;
    let (mut role, status) = world.role_of("h1");
    world.drive(&mut role, 10).await;
    assert_eq!(world.states().await, ["delivered"]);
    assert!(!opened(&world, 0));
    let problem = status.borrow().orders[0].trouble.clone().unwrap().problem;
    assert!(problem.contains("eth0 is down"), "{problem}");
    *world.wire.0.lock().unwrap() = Some(BTreeSet::new());
    world.drive(&mut role, 10).await;
    assert_eq!(world.states().await, ["open"]);
}

#[tokio::test]
async fn a_subnet_that_shares_addresses_with_an_open_one_is_not_opened() {
    let world = World::new().await;
    world.cloud.lock().add_subnet("10.61.0.0/28", &["berth:demo"]);
    let mut role = world.role();
    world.drive(&mut role, 5).await;
    world.cloud.lock().add_subnet("10.61.0.8/29", &["berth:demo"]);
    world.clock.advance(Timing::default().idle);
    world.drive(&mut role, 5).await;
    assert_eq!(world.states().await, ["open", "delivered"]);
    assert!(world.block("10.61.0.8/29").await.is_none());
}

#[tokio::test]
async fn a_subnet_taken_away_before_it_was_opened_is_forgotten() {
    let world = World::new().await;
    *world.wire.0.lock().unwrap() = None;
    world.cloud.lock().add_subnet("10.61.0.0/28", &["berth:demo"]);
    let mut role = world.role();
    world.drive(&mut role, 3).await;
    world.cloud.lock().subnets.clear();
    *world.wire.0.lock().unwrap() = Some(BTreeSet::new());
    world.drive(&mut role, 5).await;
    assert_eq!(world.states().await[0], "returned");
    assert!(world.block("10.61.0.0/28").await.is_none());
}
