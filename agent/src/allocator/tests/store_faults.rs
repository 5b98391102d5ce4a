//! A store that is away, forgets, or does not say what became of a transaction.

use std::collections::BTreeSet;

use store::Fault;
use store::layout::Under;

use super::super::*;
use super::rig::*;

/// Assigns all there is, while time goes on, and checks that no address comes twice.
async fn assign_all(agent: &Agent) {
    agent.until_in_time(|view| view.not_ready.is_none()).await;
    let mut assigned = BTreeSet::new();
    for _ in USABLE {
        let assignment = agent.assigned_in_time().await;
        assert!(assigned.insert(assignment.address), "{assignment:?} a second time");
    }
    agent.refused().await;
}

#[tokio::test]
async fn a_take_that_failed_is_tried_again() {
    let rig = Rig::new().await;
    rig.store.fault_next(Under::Blocks, Fault::Fails);
    let agent = rig.start().await;
    assign_all(&agent).await;
}

#[tokio::test]
async fn a_take_whose_answer_was_lost_gains_each_address_once() {
    let rig = Rig::new().await;
    rig.store.fault_next(Under::Blocks, Fault::LosesAnswer);
    let agent = rig.start().await;
    assign_all(&agent).await;
}

#[tokio::test]
async fn a_take_that_vanished_without_an_answer_is_settled_and_tried_again() {
    let rig = Rig::new().await;
    rig.store.fault_next(Under::Blocks, Fault::Vanishes);
    let agent = rig.start().await;
    assign_all(&agent).await;
}

#[tokio::test]
async fn a_take_that_lands_late_changes_nothing_that_was_done_since() {
    let rig = Rig::new().await;
    rig.store.fault_next(Under::Blocks, Fault::LandsLate);
    let agent = rig.start().await;
    assign_all(&agent).await;
    let before = agent.allocator.view().await.unwrap().subnets;
    let landed = rig.store.land_late_commits();
    assert!(matches!(landed.as_slice(), [store::Commit::Conflict { .. }]), "{landed:?}");
    assert_eq!(agent.allocator.view().await.unwrap().subnets, before);
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_found_in_the_record() {
    let rig = Rig::new().await;
    rig.store.fault_next(Under::Hosts, Fault::LosesAnswer);
    let agent = rig.start().await;
    assign_all(&agent).await;
}

#[tokio::test]
async fn a_registration_that_lands_late_does_no_harm() {
    let rig = Rig::new().await;
    rig.store.fault_next(Under::Hosts, Fault::LandsLate);
    let agent = rig.start().await;
    agent.until_in_time(|view| view.not_ready.is_none()).await;
    rig.store.land_late_commits();
    assign_all(&agent).await;
}

#[tokio::test]
async fn a_kill_before_the_answer_of_a_take_loses_no_address() {
    for fault in [Fault::LosesAnswer, Fault::Vanishes, Fault::LandsLate] {
        let rig = Rig::new().await;
        rig.store.fault_next(Under::Blocks, fault);
        let agent = rig.start().await;
        let _ = tokio::time::timeout(std::time::Duration::from_millis(50), agent.assign_any()).await;
        agent.kill();
        rig.store.land_late_commits();
        let agent = rig.start().await;
        let already = agent.allocator.assigned().await.unwrap().len();
        agent.until_in_time(ready).await;
        for _ in already..5 {
            agent.assigned_in_time().await;
        }
        agent.refused().await;
    }
}

#[tokio::test]
async fn while_the_store_is_away_what_is_held_is_assigned_and_the_rest_refused_in_time() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let first = agent.run_container("first").await;
    let held = agent.settled_free().await;
    rig.store.go_away();
    for _ in 0..held {
        agent.assign_any().await.unwrap();
    }
    let from = rig.clock.now();
    let refused = agent.refused().await;
    assert!(rig.clock.now().0 - from.0 < 15_000, "{refused}");
    assert_eq!(
        agent.allocator.reap(first.address, first.epoch).await.unwrap(),
        Released::Closed(first.epoch),
        "releases need no store"
    );
    rig.store.come_back();
    rig.clock.advance(COOLING);
    for _ in 0..5 - held {
        agent.assigned_in_time().await;
    }
    agent.refused().await;
}

#[tokio::test]
async fn a_host_that_starts_without_the_store_goes_on_when_it_comes() {
    let rig = Rig::new().await;
    rig.store.go_away();
    let agent = rig.start().await;
    agent.refused().await;
    rig.store.come_back();
    assign_all(&agent).await;
}

#[tokio::test]
async fn after_a_compacted_watch_everything_is_read_again() {
    let rig = Rig::without_subnet().await;
    let agent = rig.start().await;
    agent.until(|view| view.not_ready.is_none()).await;
    rig.store.hold_changes();
    let other = ipam::Pool { name: PoolName::from("other"), cooling_millis: 1 };
    write_pool(&rig.store, &other).await.unwrap();
    rig.open_subnet().await;
    let key = store::layout::Item::Pool("other".into()).key();
    let value = store::layout::encode(&key, &ipam::Pool { cooling_millis: 2, ..other }).unwrap();
    rig.store.commit(store::Transaction::new().put(key, value)).await.unwrap();
    rig.store.compact();
    rig.store.show_changes();
    agent.ready().await;
    agent
        .until(|view| view.pools.get(&PoolName::from("other")).is_some_and(|p| p.pool.cooling_millis == 2))
        .await;
    assign_all(&agent).await;
}
