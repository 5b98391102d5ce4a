//! Which subnets go back, and that one goes back once.

use super::world::{Kill, World};
use super::{FIRST, first_order};
use crate::capacity::{Settlement, Timing};
use ipam::{BlockCommand, Holder, HostId, Incarnation};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_drained_subnet_is_returned_when_empty_and_ordered_again_repeats_no_take_number() {
    let world = World::new().await;
    world.cloud.lock().add_subnet(FIRST, &["berth:demo"]);
    let mut role = world.role();
    world.drive(&mut role, 5).await;
    let holder = Holder { host: HostId::from("h1"), incarnation: Incarnation(1) };
    let addresses = BTreeSet::from(["10.60.0.5".parse().unwrap()]);
    let take = BlockCommand::Take { holder: holder.clone(), addresses: addresses.clone(), operation: 1 };
    let held = world.block(FIRST).await.unwrap().apply(take).unwrap().block;
    world.put_block(&held).await;
    role.settle(first_order(), Settlement::Drain).await.unwrap();
    world.drive(&mut role, 5).await;
    assert_eq!(world.states().await[0], "draining", "an address of it is held");
    assert!(world.cloud.lock().returned.is_empty());

    let draining = world.block(FIRST).await.unwrap();
    let give_back = BlockCommand::GiveBack { holder, addresses, operation: 2 };
    let empty = draining.apply(give_back).unwrap().block;
    world.put_block(&empty).await;
    world.drive(&mut role, 10).await;
    assert_eq!(world.states().await[0], "returned");
    assert_eq!(world.cloud.lock().returned.len(), 1);
    // The same addresses were ordered again meanwhile, because the pool was short.
    let again = world.block(FIRST).await.unwrap();
    assert!(again.take_number() > empty.take_number(), "{} {}", again.take_number(), empty.take_number());
}

#[tokio::test]
async fn killed_at_any_step_of_a_return_the_subnet_is_cancelled_once_and_forgotten() {
    for step in 1..=4 {
        for kill in [Kill::Before(step), Kill::After(step)] {
            let mut world = World::new().await;
            world.pool.free_min = 0;
            world.cloud.lock().add_subnet(FIRST, &["berth:demo"]);
            let mut first = world.role();
            world.drive(&mut first, 5).await;
            assert_eq!(world.states().await, ["open"]);
            first.settle(first_order(), Settlement::Drain).await.unwrap();
            let mut killed = world.steps.kill_at(kill);
            tokio::select! {
                biased;
                _ = killed.wait_for(|killed| *killed) => (),
                () = world.drive(&mut first, 5) => (),
            }
            drop(first);
            world.steps.kill_no_more();
            world.drive(&mut world.role(), 5).await;
            assert_eq!(world.states().await, ["returned"], "{kill:?}");
            assert_eq!(world.cloud.lock().returned.len(), 1, "{kill:?}");
            assert!(world.block(FIRST).await.is_none(), "{kill:?}");
        }
    }
}

#[tokio::test]
async fn an_ordered_subnet_that_is_long_unused_is_drained_and_returned_but_not_the_last_reserve() {
    let mut world = World::new().await;
    world.pool.free_min = 14;
    let mut role = world.role();
    world.drive(&mut role, 30).await;
    assert_eq!(world.states().await, ["open", "open"], "12 free in each");
    world.pool.free_min = 6;
    let mut role = world.role();
    world.drive(&mut role, 5).await;
    world.clock.advance(Timing::default().unused_max / 2);
    world.drive(&mut role, 5).await;
    assert_eq!(world.states().await, ["open", "open"], "not unused for long");
    world.clock.advance(Timing::default().unused_max / 2);
    world.drive(&mut role, 10).await;
    world.clock.advance(Timing::default().unused_max * 2);
    world.drive(&mut role, 10).await;
    let mut states = world.states().await;
    states.sort_unstable();
    assert_eq!(states, ["open", "returned"]);
    assert_eq!(world.cloud.lock().returned.len(), 1);
}

#[tokio::test]
async fn an_adopted_subnet_is_the_operators_and_never_returned_unasked() {
    let mut world = World::new().await;
    world.pool.free_min = 1;
    for number in 0..2 {
        world.cloud.lock().add_subnet(&format!("10.61.0.{}/28", number * 16), &["berth:demo"]);
    }
    let mut role = world.role();
    world.drive(&mut role, 5).await;
    for _ in 0..3 {
        world.clock.advance(Timing::default().unused_max);
        world.drive(&mut role, 5).await;
    }
    assert_eq!(world.states().await, ["open", "open"]);
}
