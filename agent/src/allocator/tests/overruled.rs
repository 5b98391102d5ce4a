//! What others write about this host, or about the cluster.

use ipam::{ClusterRecord, ClusterState, HostId, HostRecord, Incarnation, Key, Value};
use store::Store;
use store::layout;

use super::super::words::{item, transaction as transaction_of};
use super::rig::*;

async fn stored<T: serde::de::DeserializeOwned>(rig: &Rig, key: &Key) -> T {
    let key = item(key).key();
    let entry = rig.store.get(&key).await.unwrap().entry.unwrap();
    layout::decode(&key, &entry.value).unwrap()
}

async fn put(rig: &Rig, key: Key, value: Value) {
    let transaction = ipam::Transaction { compares: vec![], writes: vec![ipam::Write::Put { key, value }] };
    rig.store.commit(transaction_of(&transaction).unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_evicted_host_says_which_addresses_must_fall_silent_until_they_have() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let lost = agent.run_container("web").await.address;
    let key = Key::Host(HostId::from("h1"));
    let record: HostRecord = stored(&rig, &key).await;
    let evicted = HostRecord { incarnation: Incarnation(record.incarnation.0 + 1), ..record };
    put(&rig, key, Value::Host(evicted)).await;
    agent.until(|view| view.revoked == [lost]).await;
    agent.allocator.silenced(lost).await.unwrap();
    agent.until(|view| view.revoked.is_empty()).await;
}

#[tokio::test]
async fn in_a_frozen_cluster_what_is_held_is_assigned_and_nothing_taken() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    agent.run_container("web").await;
    let held = agent.settled_free().await;
    let cluster: ClusterRecord = stored(&rig, &Key::Cluster).await;
    let frozen = ClusterRecord { state: ClusterState::Frozen, ..cluster };
    put(&rig, Key::Cluster, Value::Cluster(frozen)).await;
    agent.until(|view| view.not_ready.is_some()).await;
    for _ in 0..held {
        agent.assign_any().await.unwrap();
    }
    let said = agent.refused().await.to_string();
    assert!(said.contains("A frozen cluster"), "{said}");
}

#[tokio::test]
async fn a_clone_of_this_host_assigns_nothing() {
    let mut rig = Rig::new().await;
    rig.start().await.ready().await;
    let key = Key::Host(HostId::from("h1"));
    let record: HostRecord = stored(&rig, &key).await;
    put(&rig, key, Value::Host(HostRecord { instance: "another".into(), ..record })).await;
    // The image was copied with its journal, and the copy booted by itself.
    rig.reboot();
    let agent = rig.start().await;
    agent.until(|view| view.not_ready.is_some() && blocks(view).next().is_some()).await;
    let said = agent.refused().await.to_string();
    assert!(said.contains("cloned image"), "{said}");
}
