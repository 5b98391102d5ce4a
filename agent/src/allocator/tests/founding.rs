//! The first start.

use ipam::{ClusterState, Generation, Pool, Record, Revision};
use store::{Fault, MemoryStore, StoreError, Transaction};

use super::super::*;
use crate::clock::ManualClock;

#[tokio::test]
async fn a_new_store_is_founded_once() {
    let (store, clock) = (MemoryStore::new(), ManualClock::new());
    let Founding::Founded(cluster) = found_cluster(&store, &[], &clock).await.unwrap() else {
        panic!("founded")
    };
    assert_eq!(cluster.state, ClusterState::Open);
    assert_eq!(cluster.generation.number, clock.wall().as_second() as u64);
    assert_eq!(found_cluster(&store, &[], &clock).await.unwrap(), Founding::Standing);
}

#[tokio::test]
async fn two_clusters_never_have_the_same_id() {
    let clock = ManualClock::new();
    let found = async || match found_cluster(&MemoryStore::new(), &[], &clock).await.unwrap() {
        Founding::Founded(cluster) => cluster,
        other => panic!("{other:?}"),
    };
    let (one, two) = (found().await, found().await);
    assert_ne!(one.id, two.id);
    assert_ne!(one.generation.id, two.generation.id);
}

#[tokio::test]
async fn a_store_without_a_cluster_is_not_founded_again_for_a_journal_that_knows_one() {
    let store = MemoryStore::new();
    let known = Record::Cluster {
        id: "known".to_owned(),
        generation: Generation { number: 1, id: 1 },
        revision: Revision(1),
    };
    assert_eq!(found_cluster(&store, &[known], &ManualClock::new()).await.unwrap(), Founding::Lost);
    let under = store::layout::Under::Cluster.prefix();
    assert!(store.range(&under).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_founding_whose_answer_was_lost_may_be_repeated() {
    let (store, clock) = (MemoryStore::new(), ManualClock::new());
    store.fault_next(store::layout::Under::Cluster, Fault::LosesAnswer);
    let unknown = found_cluster(&store, &[], &clock).await.unwrap_err();
    assert!(matches!(unknown, FoundingError::Store(StoreError::UnknownOutcome(_))), "{unknown:?}");
    assert_eq!(found_cluster(&store, &[], &clock).await.unwrap(), Founding::Standing);
}

#[tokio::test]
async fn what_stands_of_a_pool_is_left_to_the_capacity_role() {
    let store = MemoryStore::new();
    let revision = async || {
        let Ok(store::Commit::Done { revision }) = store.commit(Transaction::new()).await else {
            panic!("away")
        };
        revision
    };
    let pool = Pool { name: PoolName::from("blue"), cooling_millis: 1000 };
    write_pool(&store, &pool).await.unwrap();
    let written = revision().await;
    write_pool(&store, &pool).await.unwrap();
    assert_eq!(revision().await, written);
    write_pool(&store, &Pool { cooling_millis: 2000, ..pool }).await.unwrap();
    assert_eq!(revision().await, written);
}
