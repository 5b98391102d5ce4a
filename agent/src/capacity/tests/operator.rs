//! What only an operator can decide.

use super::fake_cloud::PlaceFault;
use super::world::{World, default_pool, zone};
use super::{FIRST, first_order, until_silence};
use crate::capacity::{OrderKey, SettleError, Settlement};
use crate::clock::Clock;
use ipam::BlockState;
use provider::{OrderId, OrderRequest};
use store::layout::Item;

#[tokio::test]
async fn two_orders_that_may_be_it_are_for_the_operator_and_nothing_is_ordered_meanwhile() {
    let world = World::new().await;
    world.cloud.lock().place_faults.push_back(PlaceFault::AnswerLost);
    let (mut role, status) = world.role_of("h1");
    while world.cloud.lock().orders.is_empty() {
        world.drive(&mut role, 1).await;
    }
    let request = world.cloud.lock().orders[0].request.clone();
    let now = world.clock.wall();
    world.cloud.lock().place(&request, now);
    world.drive(&mut role, 5).await;
    assert_eq!(world.states().await, ["ambiguous"]);
    world.clock.advance(until_silence() * 10);
    world.drive(&mut role, 10).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["ambiguous"], 2));
    let refusal = status.borrow().pools[&default_pool()].order.clone().unwrap();
    assert!(refusal.contains("default-1234-1") && refusal.contains("operator"), "{refusal}");

    role.settle(first_order(), Settlement::Is(OrderId::new("9001"))).await.unwrap();
    world.drive(&mut role, 10).await;
    assert_eq!(world.states().await, ["open"]);
}

#[tokio::test]
async fn the_operator_may_say_that_nothing_was_ordered_and_the_strangers_stay_strangers() {
    let world = World::new().await;
    world.cloud.lock().place_faults.extend([PlaceFault::NeverArrives, PlaceFault::AnswerLost]);
    let mut role = world.role();
    while world.states().await != ["intended"] {
        world.drive(&mut role, 1).await;
    }
    let request = OrderRequest { zone: zone(), network: provider::Network::Private, prefix: 28 };
    for _ in 0..2 {
        let now = world.clock.wall();
        world.cloud.lock().place(&request, now);
    }
    while world.states().await != ["ambiguous"] {
        world.drive(&mut role, 1).await;
    }
    role.settle(first_order(), Settlement::NothingOrdered).await.unwrap();
    world.drive(&mut role, 30).await;
    assert_eq!(world.states().await, ["failed", "open"]);
    let orders = world.orders().await;
    let ours = orders[&OrderKey("default-1234-2".into())].order.id().cloned();
    assert_eq!(ours, Some(OrderId::new("9003")));
}

#[tokio::test]
async fn only_an_ambiguous_order_can_be_settled() {
    let world = World::new().await;
    let mut role = world.role();
    world.drive(&mut role, 10).await;
    let refused = role.settle(first_order(), Settlement::NothingOrdered).await;
    assert!(matches!(refused, Err(SettleError::Refused { .. })), "{refused:?}");
    let unknown = role.settle(OrderKey("default-1234-7".into()), Settlement::Drain).await;
    assert!(matches!(unknown, Err(SettleError::Unknown(_))), "{unknown:?}");
}

#[tokio::test]
async fn an_order_is_settled_only_as_one_that_the_provider_knows_and_that_is_no_other_here() {
    let mut world = World::new().await;
    world.pool.free_min = 14;
    let mut role = world.role();
    while world.states().await != ["open"] {
        world.drive(&mut role, 1).await;
    }
    world.cloud.lock().place_faults.push_back(PlaceFault::AnswerLost);
    while world.states().await != ["open", "intended"] {
        world.drive(&mut role, 1).await;
    }
    let request = world.cloud.lock().orders[0].request.clone();
    let now = world.clock.wall();
    world.cloud.lock().place(&request, now);
    while world.states().await != ["open", "ambiguous"] {
        world.drive(&mut role, 1).await;
    }
    let second = OrderKey("default-1234-2".into());
    let mistyped = role.settle(second.clone(), Settlement::Is(OrderId::new("9999"))).await;
    assert!(matches!(mistyped, Err(SettleError::Unconfirmed { .. })), "{mistyped:?}");
    let first = role.settle(second.clone(), Settlement::Is(OrderId::new("9001"))).await;
    assert!(matches!(first, Err(SettleError::Known { .. })), "{first:?}");
    assert_eq!(world.states().await, ["open", "ambiguous"]);
    role.settle(second, Settlement::Is(OrderId::new("9003"))).await.unwrap();
    world.drive(&mut role, 10).await;
    assert_eq!(world.states().await, ["open", "open"]);
}

#[tokio::test]
async fn an_adopted_subnet_can_be_drained_and_undrained_by_the_operator() {
    let mut world = World::new().await;
    world.pool.free_min = 0;
    world.cloud.lock().add_subnet(FIRST, &["berth:demo"]);
    let mut role = world.role();
    world.drive(&mut role, 5).await;
    role.settle(first_order(), Settlement::Drain).await.unwrap();
    let drained = world.block(FIRST).await.unwrap();
    role.settle(first_order(), Settlement::Undrain).await.unwrap();
    let kept = world.block(FIRST).await.unwrap();
    assert_eq!((drained.state(), kept.state()), (BlockState::Draining, BlockState::Open));
    world.drive(&mut role, 5).await;
    assert_eq!(world.states().await, ["open"]);
    role.settle(first_order(), Settlement::Drain).await.unwrap();
    world.drive(&mut role, 5).await;
    assert_eq!((world.states().await, world.cloud.lock().returned.len()), (vec!["returned"], 1));
    let late = role.settle(first_order(), Settlement::Undrain).await;
    assert!(matches!(late, Err(SettleError::Refused { .. })), "{late:?}");
}

#[tokio::test]
async fn a_host_without_the_role_takes_no_word_and_says_who_has_it() {
    let world = World::new().await;
    world.add_host("h2", 1).await;
    world.drive(&mut world.role(), 10).await;
    world.put(Item::Session("h1".into()), &"alive").await;
    let (mut other, _) = world.role_of("h2");
    let refused = other.settle(first_order(), Settlement::Drain).await.unwrap_err();
    assert!(refused.to_string().contains("on host h1"), "{refused}");
}
