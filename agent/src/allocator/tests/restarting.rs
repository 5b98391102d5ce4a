//! Stops, kills and reboots.

use std::collections::BTreeMap;

use ipam::{AddressState, Usage};

use super::super::*;
use super::rig::*;
use crate::docker::addresses::{Addresses, Assigned};

#[tokio::test]
async fn a_stopped_agent_comes_back_with_its_assignments() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let assignment = agent.run_container("web").await;
    agent.stop().await;
    let agent = rig.start().await;
    let state =
        AddressState::Assigned { epoch: assignment.epoch, usage: Usage::Bound(EndpointId::from("web")) };
    agent.ready().await;
    assert_eq!(agent.state_of(assignment.address).await, state);
    agent.allocator.endpoint_gone(EndpointId::from("web")).await.unwrap();
    let released = agent.allocator.release(assignment.address).await.unwrap();
    assert_eq!(released, Released::Closed(assignment.epoch));
}

#[tokio::test]
async fn a_killed_agent_assigns_nothing_twice() {
    let rig = Rig::new().await;
    let mut assigned = BTreeMap::new();
    for _ in USABLE {
        let agent = rig.start().await;
        let assignment = agent.assign_any().await.unwrap();
        agent.kill();
        assert_eq!(assigned.insert(assignment.address, assignment.epoch), None);
    }
    let agent = rig.start().await;
    agent.ready().await;
    for (address, epoch) in assigned {
        assert_eq!(agent.state_of(address).await, AddressState::Assigned { epoch, usage: Usage::Unbound });
    }
    agent.refused().await;
}

#[tokio::test]
async fn what_containers_use_is_known_before_the_store_was_read() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let Assignment { address, epoch, .. } = agent.run_container("web").await;
    agent.stop().await;
    rig.store.go_away();
    let agent = rig.start().await;
    // Whoever took this for nothing would take the network from under the container.
    let in_use = Addresses::in_use(&agent.allocator).await.unwrap();
    assert_eq!(in_use.assigned, [Assigned { address, epoch }]);
}

#[tokio::test]
async fn within_a_boot_a_restarted_agent_assigns_and_releases_without_the_store() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let held = agent.run_container("web").await;
    let free = agent.settled_free().await;
    agent.stop().await;
    rig.store.go_away();
    let agent = rig.start().await;
    assert_eq!(agent.allocator.assigned().await.unwrap(), BTreeMap::from([(held.address, held.epoch)]));
    let released = agent.allocator.reap(held.address, held.epoch).await.unwrap();
    assert_eq!(released, Released::Closed(held.epoch));
    for _ in 0..free {
        assert_ne!(agent.assign_any().await.unwrap().address, held.address);
    }
    rig.clock.advance(COOLING);
    assert_eq!(agent.assigned_in_time().await.address, held.address);
}

#[tokio::test]
async fn after_a_reboot_what_was_assigned_cools_before_it_is_assigned_again() {
    let mut rig = Rig::new().await;
    let agent = rig.start().await;
    let mut before = BTreeMap::new();
    for _ in USABLE {
        let assignment = agent.assign_any().await.unwrap();
        before.insert(assignment.address, assignment.epoch);
    }
    agent.kill();
    rig.reboot();
    let agent = rig.start().await;
    agent.until(|view| ready(view) && blocks(view).all(|block| block.here.cooling == 5)).await;
    rig.clock.advance(COOLING);
    for _ in USABLE {
        let assignment = agent.assign_any().await.unwrap();
        assert!(assignment.epoch > before[&assignment.address], "{assignment:?}");
    }
}

#[tokio::test]
async fn after_a_reboot_without_the_store_nothing_is_assigned_until_it_is_back() {
    let mut rig = Rig::new().await;
    let agent = rig.start().await;
    agent.run_container("web").await;
    agent.kill();
    rig.reboot();
    rig.store.go_away();
    let agent = rig.start().await;
    assert!(agent.allocator.assigned().await.unwrap().is_empty(), "its containers are gone");
    let said = agent.refused().await.to_string();
    assert!(said.contains("store"), "{said}");
    rig.store.come_back();
    agent.until_in_time(ready).await;
    agent.assign_any().await.unwrap();
}

#[tokio::test]
async fn a_reboot_that_is_cut_short_again_and_again_ends_well() {
    let mut rig = Rig::new().await;
    let agent = rig.start().await;
    let first = agent.run_container("web").await;
    agent.kill();
    for _ in 0..5 {
        rig.reboot();
        rig.start().await.kill();
    }
    rig.reboot();
    let agent = rig.start().await;
    agent.until_in_time(|view| ready(view) && blocks(view).all(|block| block.here.not_retaken == 0)).await;
    rig.clock.advance(COOLING);
    for _ in USABLE {
        let assignment = agent.assign_any().await.unwrap();
        assert!(assignment.address != first.address || assignment.epoch > first.epoch);
    }
}

#[tokio::test]
async fn a_wiped_store_is_not_taken_for_a_new_one() {
    let mut rig = Rig::new().await;
    let agent = rig.start().await;
    agent.run_container("web").await;
    agent.stop().await;
    rig.store = store::MemoryStore::new();
    let founding = found_cluster(&rig.store, &rig.journalled().await, &rig.clock).await.unwrap();
    assert_eq!(founding, Founding::Lost);
    let agent = rig.start().await;
    let view = agent
        .until_in_time(|view| !matches!(view.not_ready, None | Some(ipam::NotReady::StoreNotRead)))
        .await;
    let said = view.not_ready.unwrap().to_string();
    assert!(said.contains("A frozen cluster"), "{said}");
}

#[tokio::test]
async fn a_store_that_was_made_anew_gives_a_host_back_what_it_holds() {
    let mut rig = Rig::new().await;
    let agent = rig.start().await;
    let kept = agent.run_container("web").await;
    let life = agent.allocator.view().await.unwrap().journalled.unwrap();
    agent.stop().await;
    rig.store = store::MemoryStore::new();
    rig.make_anew(life).await;
    let agent = rig.start().await;
    agent.allocator.accounted().await.unwrap();
    let claimed = |view: &View| {
        ready(view)
            && blocks(view).any(|block| block.holders.contains_key(&view.host) && block.here.assigned == 1)
    };
    agent.until_in_time(claimed).await;
    assert_eq!(agent.allocator.assigned().await.unwrap(), [(kept.address, kept.epoch)].into());
    let key = store::layout::Item::Host("h1".into()).key();
    loop {
        let entry = rig.store.get(&key).await.unwrap().entry.unwrap();
        let record: ipam::HostRecord = store::layout::decode(&key, &entry.value).unwrap();
        if record.answered.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
}
