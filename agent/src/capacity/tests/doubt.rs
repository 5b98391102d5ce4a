//! Answers that were lost, processes that were killed: still one order.

use super::fake_cloud::PlaceFault;
use super::world::{Kill, World};
use super::{FIRST, opened, until_silence};
use crate::capacity::Timing;
use crate::clock::Clock;
use std::time::Duration;
use store::Fault;
use store::layout::Under;

#[tokio::test]
async fn killed_at_any_step_there_is_one_order_and_one_open_subnet() {
    let whole = World::new().await;
    whole.drive(&mut whole.role(), 10).await;
    let steps = whole.steps.made();
    assert!(steps >= 7, "claim, intent, order, placed, delivered, tags, blocks: {steps}");
    for step in 1..=steps {
        for kill in [Kill::Before(step), Kill::After(step)] {
            let world = World::new().await;
            let mut killed = world.steps.kill_at(kill);
            let mut first = world.role();
            tokio::select! {
                biased;
                _ = killed.wait_for(|killed| *killed) => (),
                () = world.drive(&mut first, 10) => panic!("{kill:?} was not reached"),
            }
            drop(first);
            world.steps.kill_no_more();
            let mut second = world.role();
            world.drive(&mut second, 10).await;
            world.clock.advance(until_silence());
            world.drive(&mut second, 20).await;

            let open = world.states().await.iter().filter(|state| **state == "open").count();
            let placed = world.cloud.lock().orders.len();
            assert_eq!((open, placed), (1, 1), "{kill:?}: {:?}", world.states().await);
            assert!(opened(&world, 0) && world.block(FIRST).await.is_some(), "{kill:?}");
        }
    }
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_and_not_placed_again() {
    let world = World::new().await;
    world.cloud.lock().place_faults.push_back(PlaceFault::AnswerLost);
    world.drive(&mut world.role(), 15).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["open"], 1));
}

#[tokio::test]
async fn an_order_that_never_arrived_is_placed_anew_only_when_it_can_no_longer_arrive() {
    let world = World::new().await;
    world.cloud.lock().place_faults.push_back(PlaceFault::NeverArrives);
    let mut role = world.role();
    world.drive(&mut role, 3).await;
    let sent = world.clock.now();
    while world.states().await == ["intended"] {
        assert!(world.cloud.lock().orders.is_empty());
        world.drive(&mut role, 1).await;
    }
    let waited = Duration::from_millis(world.clock.now().0 - sent.0);
    let timing = Timing::default();
    assert!(waited + Duration::from_secs(10) > timing.call_max + timing.staleness_max, "{waited:?}");
    world.drive(&mut role, 15).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["open"], 1));
}

#[tokio::test]
async fn an_order_that_the_provider_shows_late_is_not_placed_again() {
    let world = World::new().await;
    world.cloud.lock().place_faults.push_back(PlaceFault::AnswerLost);
    world.cloud.lock().hides_orders = true;
    let mut role = world.role();
    world.drive(&mut role, 5).await;
    assert_eq!(world.states().await, ["intended"]);
    world.cloud.lock().hides_orders = false;
    world.drive(&mut role, 15).await;
    assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["open"], 1));
}

#[tokio::test]
async fn an_intent_whose_commit_lost_its_answer_leads_to_one_order() {
    for fault in [Fault::LosesAnswer, Fault::Vanishes, Fault::Fails] {
        let world = World::new().await;
        world.store.fault_next(Under::Orders, fault);
        let mut role = world.role();
        world.drive(&mut role, 10).await;
        world.clock.advance(until_silence());
        world.drive(&mut role, 20).await;
        let open = world.states().await.iter().filter(|state| **state == "open").count();
        assert_eq!((open, world.cloud.lock().orders.len()), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn an_intent_that_lands_late_leads_to_no_second_order() {
    let world = World::new().await;
    world.store.fault_next(Under::Orders, Fault::LandsLate);
    let mut role = world.role();
    world.drive(&mut role, 3).await;
    world.store.land_late_commits();
    world.drive(&mut role, 20).await;
    world.clock.advance(until_silence());
    world.drive(&mut role, 20).await;
    let open = world.states().await.iter().filter(|state| **state == "open").count();
    assert_eq!((open, world.cloud.lock().orders.len()), (1, 1));
}
