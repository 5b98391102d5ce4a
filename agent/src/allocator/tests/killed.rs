//! kill -9 of a whole agent's process, with its journal and its store in files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ipam::Pool;
use store::EmbeddedStore;

use super::super::*;
use super::rig::{any, identity, open, open_subnet, pool};
use crate::clock::SystemClock;
use crate::journal::tests::child;

#[test]
fn no_assignment_that_was_answered_is_lost_or_given_twice_over_kills() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if let Some(directory) = child::role() {
        return runtime.block_on(assign_until_killed(&directory));
    }
    let directory = tempfile::TempDir::new().unwrap();
    let mut answered = BTreeSet::new();
    for round in 0..8 {
        for answer in child::kill_after(directory.path(), 1 + round * 5 % 7) {
            let address = answer.split_once(' ').unwrap().0.to_owned();
            assert!(answered.insert(answer), "{address} was given twice under one epoch");
        }
    }
    let assigned = runtime.block_on(async {
        let agent = start_in(directory.path()).await;
        agent.assigned().await.unwrap()
    });
    let mut addresses = BTreeMap::new();
    for answer in &answered {
        let (address, epoch) = answer.split_once(' ').unwrap();
        assert_eq!(addresses.insert(address, epoch), None, "{address} was given twice");
        let kept = assigned.get(&address.parse::<IpAddr>().unwrap()).map(Epoch::to_string);
        assert_eq!(kept.as_deref(), Some(epoch), "{address}");
    }
    assert!(answered.len() >= 8);
}

/// Assigns and binds, for ever, and says each assignment once it is answered.
async fn assign_until_killed(directory: &Path) {
    let agent = start_in(directory).await;
    for number in 0.. {
        let assignment = match agent.assign(&pool(), any()).await {
            Ok(assignment) => assignment,
            // The parent kills long before all is assigned; right after a start, the subnet may not be seen yet.
            Err(AllocateError::Refused(_)) => {
                tokio::task::yield_now().await;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        child::say_answered(&format!("{} {}", assignment.address, assignment.epoch));
        agent.bind(assignment.address, EndpointId(format!("e{number}"))).await.unwrap();
    }
}

async fn start_in(directory: &Path) -> Allocator {
    let store = EmbeddedStore::open(directory.join("store.redb")).await.unwrap();
    let (journal, records) = open(directory.join("allocator.journal")).await;
    found_cluster(&store, &super::super::records(&records), &SystemClock).await.unwrap();
    write_pool(&store, &Pool { name: pool(), cooling_millis: 0 }).await.unwrap();
    let subnets = store.range(&store::layout::Under::Subnets.prefix()).await.unwrap();
    if subnets.entries.is_empty() {
        open_subnet(&store, "10.0.0.0/24".parse().unwrap()).await;
    }
    let parts = Parts {
        identity: identity(1),
        store: Arc::new(store),
        journal,
        records,
        clock: Arc::new(SystemClock),
    };
    start(parts, CancellationToken::new())
}
