//! When a subnet is ordered, and that it is ordered once.

use super::fake_cloud::PlaceFault;
use super::world::{World, default_pool};
use super::{FIRST, opened};
use crate::capacity::Timing;
use crate::clock::Clock;
use ipam::SetAside;
use store::layout::Item;

#[tokio::test]
async fn a_short_pool_gets_a_subnet_that_is_ordered_checked_tagged_and_opened() {
    let world = World::new().await;
    world.drive(&mut world.role(), 10).await;
    assert_eq!(world.states().await, ["open"]);
    assert_eq!(world.cloud.lock().orders.len(), 1);
    assert!(opened(&world, 0));
    let block = world.block(FIRST).await.unwrap();
    let aside = |address: &str| block.set_aside().get(&address.parse().unwrap()).copied();
    assert_eq!(aside("10.60.0.0"), Some(SetAside::Network));
    assert_eq!(aside("10.60.0.1"), Some(SetAside::Gateway));
    assert_eq!(aside("10.60.0.2"), Some(SetAside::Reserved));
    assert_eq!(aside("10.60.0.15"), Some(SetAside::Broadcast));
    assert_eq!(block.counts().free, 12);
}

#[tokio::test]
async fn one_look_at_a_short_pool_orders_nothing() {
    let world = World::new().await;
    let mut role = world.role();
    role.pass().await;
    role.pass().await;
    assert!(world.orders().await.is_empty(), "no time passed between the looks");
    world.clock.advance(Timing::default().second_look);
    role.pass().await;
    assert_eq!(world.states().await, ["placed"]);
}

#[tokio::test]
async fn a_pool_that_is_no_longer_short_at_the_second_look_orders_nothing() {
    let world = World::new().await;
    let mut role = world.role();
    role.pass().await;
    world.cloud.lock().add_subnet(FIRST, &["berth:demo"]);
    world.clock.advance(Timing::default().second_look);
    world.drive(&mut role, 10).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["open"], 0));
}

#[tokio::test]
async fn a_pool_grows_when_its_addresses_become_few_but_not_beyond_the_limit() {
    let mut world = World::new().await;
    world.pool.free_min = 14;
    world.drive(&mut world.role(), 30).await;
    assert_eq!(world.states().await, ["open", "open"]);
    assert_eq!(world.cloud.lock().orders.len(), 2);
    world.pool.free_min = 1000;
    world.drive(&mut world.role(), 30).await;
    assert_eq!(world.cloud.lock().orders.len(), 2);
}

#[tokio::test]
async fn free_addresses_that_hosts_hold_count_as_free() {
    let world = World::new().await;
    let surplus = ipam::Surplus { free: [(default_pool(), 8)].into() };
    world.put(Item::Surplus { zone: "1234".into(), host: "h1".into() }, &surplus).await;
    world.drive(&mut world.role(), 10).await;
    assert!(world.orders().await.is_empty());
}

#[tokio::test]
async fn a_refused_order_is_told_with_what_to_do_and_tried_again_with_growing_pauses() {
    let world = World::new().await;
    world.cloud.lock().place_faults.extend([PlaceFault::Refused; 3]);
    let (mut role, status) = world.role_of("h1");
    while world.states().await != ["failed"] {
        world.drive(&mut role, 1).await;
    }
    let told = status.borrow().pools[&default_pool()].order.clone().unwrap();
    assert!(told.contains("the VLAN is full") && told.contains("next try"), "{told}");
    let refused = world.clock.now();
    while world.states().await != ["open"] {
        world.drive(&mut role, 1).await;
    }
    assert!(world.clock.now().0 - refused.0 >= 180_000, "three pauses of a minute at least");
    assert_eq!(world.cloud.lock().orders.len(), 1);
    assert!(status.borrow().pools[&default_pool()].order.is_none());
}

#[tokio::test]
async fn an_unreachable_provider_is_told_and_asked_again() {
    let world = World::new().await;
    world.cloud.lock().away = true;
    let (mut role, status) = world.role_of("h1");
    let mut pauses = Vec::new();
    for _ in 0..3 {
        pauses.push(role.pass().await);
        world.drive(&mut role, 1).await;
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[2], "{pauses:?}");
    let trouble = status.borrow().trouble.clone().unwrap();
    assert!(trouble.problem.contains("no route to host"), "{}", trouble.problem);
    world.cloud.lock().away = false;
    world.drive(&mut role, 10).await;
    assert_eq!(world.states().await, ["open"]);
    assert_eq!(status.borrow().trouble, None);
}

#[tokio::test]
async fn nudges_do_not_ask_a_failing_provider_more_often() {
    let world = World::new().await;
    world.cloud.lock().away = true;
    let mut role = world.role();
    let pause = role.pass().await;
    world.cloud.lock().away = false;
    assert_eq!(role.pass().await, pause, "a nudge at once");
    world.clock.advance(pause);
    assert_ne!(role.pass().await, pause);
}

/// How long from the time when nothing is in the way any more until an order is placed: a try after the provider's own
/// pause, two looks that agree, and the role's jitter is not counted here.
const AT_ONCE_MILLIS: u64 = 15_000;

#[tokio::test]
async fn a_refused_request_is_served_within_seconds_once_the_provider_answers_however_long_it_was_away() {
    let world = World::new().await;
    world.cloud.lock().away = true;
    let mut role = world.role();
    world.drive(&mut role, 20).await;
    let rest = role.pass().await;
    assert!(rest > Timing::default().retry_max / 2, "{rest:?}");
    world.cloud.lock().away = false;
    let back = world.clock.now();
    role.demanded();
    while world.states().await != ["placed"] {
        world.drive(&mut role, 1).await;
    }
    let took = world.clock.now().0 - back.0;
    assert!(took <= AT_ONCE_MILLIS, "{took} ms");
}

#[tokio::test]
async fn a_refused_request_is_served_within_seconds_once_the_provider_has_no_objection() {
    let world = World::new().await;
    world.cloud.lock().place_faults.push_back(PlaceFault::Refused);
    let mut role = world.role();
    while world.states().await != ["failed"] {
        world.drive(&mut role, 1).await;
    }
    let mended = world.clock.now();
    while world.states().await != ["placed"] {
        role.demanded();
        world.drive(&mut role, 1).await;
    }
    let took = world.clock.now().0 - mended.0;
    assert!(took <= AT_ONCE_MILLIS, "{took} ms");
}

#[tokio::test]
async fn requests_refused_again_and_again_ask_a_failing_provider_every_few_seconds() {
    let world = World::new().await;
    world.cloud.lock().away = true;
    let mut role = world.role();
    role.pass().await;
    let (begun, asked) = (world.clock.now(), world.cloud.lock().asked);
    while world.clock.now().0 - begun.0 < 60_000 {
        role.demanded();
        role.pass().await;
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let asked = world.cloud.lock().asked - asked;
    assert!((10..=12).contains(&asked), "{asked} questions in a minute");
}

#[tokio::test]
async fn the_store_is_looked_at_within_seconds_of_its_return_however_long_it_was_away() {
    let world = World::new().await;
    world.store.go_away();
    let mut role = world.role();
    world.drive(&mut role, 20).await;
    world.store.come_back();
    assert!(role.pass().await <= Timing::default().near_retry_max);
}
