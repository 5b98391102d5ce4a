//! What is asked of an allocator when all is well.

use std::collections::BTreeSet;

use ipam::{AddressState, Life, Record};

use super::super::*;
use super::rig::*;

#[tokio::test]
async fn an_address_of_the_pools_subnet_is_assigned_with_its_gateway() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let assignment = agent.assign_any().await.unwrap();
    assert_eq!((assignment.subnet, assignment.gateway), (subnet(), Some(address(1))));
    assert!(USABLE.map(address).any(|usable| usable == assignment.address), "{assignment:?}");
}

#[tokio::test]
async fn every_usable_address_is_assigned_once_and_then_the_refusal_says_why() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let mut assigned = BTreeSet::new();
    for _ in USABLE {
        assigned.insert(agent.assign_any().await.unwrap().address);
    }
    assert_eq!(assigned, USABLE.map(address).collect());
    let refused = agent.refused().await.to_string();
    assert!(
        refused.contains("no free address in pool default") && refused.contains("5 assigned here"),
        "{refused}"
    );
}

#[tokio::test]
async fn every_assignment_that_was_answered_is_in_the_journal() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    for _ in USABLE {
        let assignment = agent.assign_any().await.unwrap();
        let written = rig.journalled().await.into_iter().any(|record| match record {
            Record::Address { address, holding: Some(holding), .. } => {
                address == assignment.address
                    && matches!(holding.state, Life::Assigned { epoch, .. } if epoch == assignment.epoch)
            }
            _ => false,
        });
        assert!(written, "{assignment:?}");
    }
}

#[tokio::test]
async fn many_at_once_each_get_an_address_of_their_own() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let asked = futures::future::join_all(USABLE.map(|_| agent.assign_any())).await;
    let addresses: BTreeSet<IpAddr> = asked.into_iter().map(|answer| answer.unwrap().address).collect();
    assert_eq!(addresses.len(), USABLE.count());
}

#[tokio::test]
async fn a_released_address_cools_and_is_free_again() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let assignment = agent.run_container("web").await;
    assert_eq!(
        agent.allocator.release(assignment.address).await.unwrap(),
        Released::Hint(assignment.epoch),
        "its endpoint is still there"
    );
    agent.allocator.endpoint_gone(EndpointId::from("web")).await.unwrap();
    let released = agent.allocator.release(assignment.address).await.unwrap();
    assert_eq!(released, Released::Closed(assignment.epoch));
    assert!(matches!(agent.state_of(assignment.address).await, AddressState::Cooling { .. }));
    assert_eq!(agent.allocator.release(assignment.address).await.unwrap(), Released::Nothing);
    rig.clock.advance(COOLING);
    agent.until(|view| !matches!(state_in(view, assignment.address), AddressState::Cooling { .. })).await;
}

#[tokio::test]
async fn a_reaped_assignment_is_closed_and_an_older_epoch_closes_nothing() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let assignment = agent.run_container("web").await;
    let older = Epoch { counter: 0, ..assignment.epoch };
    assert_eq!(agent.allocator.reap(assignment.address, older).await.unwrap(), Released::Nothing);
    let reaped = agent.allocator.reap(assignment.address, assignment.epoch).await.unwrap();
    assert_eq!(reaped, Released::Closed(assignment.epoch));
}

#[tokio::test]
async fn a_reservation_keeps_its_address_for_whoever_asks_for_it() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    agent.ready().await;
    let name = ReservationName::from("web");
    let reserved = agent.allocator.reserve(name.clone(), Some(address(4)), pool()).await.unwrap();
    assert_eq!(reserved.address, address(4));
    for _ in 0..4 {
        assert_ne!(agent.assign_any().await.unwrap().address, address(4));
    }
    agent.refused().await;
    let exact = agent.allocator.assign(&pool(), Wish::Exact(address(4))).await.unwrap();
    assert_eq!(exact.address, address(4));
    assert_eq!(agent.allocator.unreserve(name).await.unwrap(), reserved);
}

#[tokio::test]
async fn explaining_changes_nothing() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    agent.run_container("web").await;
    let before =
        agent.until(|view| view.subnets.iter().all(|s| s.blocks.iter().all(|b| b.operation.is_none()))).await;
    agent.allocator.explain(&pool(), any()).await.unwrap();
    assert_eq!(agent.allocator.view().await.unwrap(), before);
}

#[tokio::test]
async fn an_unknown_pool_is_refused_by_name() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    agent.ready().await;
    let asked = agent.allocator.assign(&PoolName::from("blue"), any()).await;
    let said = asked.unwrap_err().to_string();
    assert!(said.contains("blue") && said.contains("default"), "{said}");
}

#[tokio::test]
async fn what_capacity_says_is_in_the_refusal() {
    let rig = Rig::without_subnet().await;
    let agent = rig.start().await;
    let order = Some("a /26 is ordered".to_owned());
    agent.allocator.capacity(pool(), Capacity { order, limit: None }).await.unwrap();
    agent.until(|view| view.not_ready.is_none()).await;
    let said = agent.refused().await.to_string();
    assert!(said.contains("a /26 is ordered"), "{said}");
}

#[tokio::test]
async fn a_subnet_that_is_opened_later_is_used_without_a_restart() {
    let rig = Rig::without_subnet().await;
    let agent = rig.start().await;
    agent.until(|view| view.not_ready.is_none()).await;
    rig.open_subnet().await;
    agent.ready().await;
    agent.assign_any().await.unwrap();
}

#[tokio::test]
async fn stopping_takes_no_more_calls_and_finishes_those_under_way() {
    let rig = Rig::new().await;
    rig.store.go_away();
    let agent = rig.start().await;
    // It waits for the store.
    let allocator = agent.allocator.clone();
    let under_way = tokio::spawn(async move { allocator.assign(&pool(), any()).await });
    agent.until(|view| !view.waiting.is_empty()).await;
    agent.begin_to_stop();
    rig.store.come_back();
    under_way.await.unwrap().unwrap();
    agent.allocator.ended().await;
    assert!(matches!(agent.assign_any().await, Err(AllocateError::Stopped)));
}
