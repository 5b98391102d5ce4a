//! The promises of the capacity role.

mod world;

use std::{collections::BTreeSet, time::Duration};

use ipam::{BlockCommand, Holder, HostId, Incarnation, SetAside};
use provider::{ClusterTags, OrderId, OrderRequest};
use store::{
    Fault,
    layout::{Item, Under},
};

use super::{OrderKey, SettleError, Settlement, Timing, decide::Action, trouble::Trouble};
use crate::clock::Clock;
use world::{Kill, PlaceFault, World, default_pool, zone};

const FIRST: &str = "10.60.0.0/28";

fn first_order() -> OrderKey {
    OrderKey("default-1234-1".into())
}

fn opened(world: &World, at: usize) -> bool {
    ClusterTags::of("demo").unwrap().mark_opened(&world.cloud.lock().subnets[at])
}

/// D and R together, and a little more.
fn until_silence() -> Duration {
    let timing = Timing::default();
    timing.call_max + timing.staleness_max + Duration::from_secs(1)
}

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
    assert!(limit.contains("2 subnets") && limit.contains("subnets_max"), "{limit}");
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

/// A role of `h1` that intended an order that never arrived, and then fell silent; `h2` has the role.
async fn orphaned_intent(world: &World) -> super::Role<world::FakeCloud> {
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
