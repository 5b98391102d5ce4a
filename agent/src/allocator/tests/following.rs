//! What the host is told of the store.

use std::time::Duration;

use ipam::{Key, Pool, Prefix, Seen, Value};
use store::{MemoryStore, Transaction};
use tokio::sync::mpsc;

use super::super::follow::{Shown, follow};
use super::super::newest::Newest;
use super::super::words::item;
use super::super::*;
use super::rig::open_subnet;

fn key() -> Key {
    Key::Pool(PoolName::from("blue"))
}

fn pool(cooling_millis: u64) -> Pool {
    Pool { name: PoolName::from("blue"), cooling_millis }
}

/// Follows the pools of `store`.
fn following(store: &MemoryStore) -> mpsc::Receiver<Shown> {
    let (shows, shown) = mpsc::channel(8);
    tokio::spawn(follow(Arc::new(store.clone()), Prefix::Pools, Newest::default(), shows));
    shown
}

/// What comes next, as the host would be told.
async fn next(shown: &mut mpsc::Receiver<Shown>) -> Input {
    match shown.recv().await.expect("the follower goes on") {
        Shown::Listed { prefix, revision, entries, told, .. } => {
            told.send(true).unwrap();
            Input::Listed { prefix, revision, entries }
        }
        Shown::Changed(seen) => Input::Seen(seen),
    }
}

fn seen(cooling_millis: u64, revision: u64) -> Seen {
    Seen { key: key(), value: Some(Value::Pool(pool(cooling_millis))), revision: ipam::Revision(revision) }
}

fn listed(revision: u64, entries: Vec<Seen>) -> Input {
    Input::Listed { prefix: Prefix::Pools, revision: ipam::Revision(revision), entries }
}

/// Another value of the pool, as the capacity role writes it.
async fn rewrite_pool(store: &MemoryStore, pool: &Pool) {
    let key = item(&key()).key();
    let value = store::layout::encode(&key, pool).unwrap();
    store.commit(Transaction::new().put(key, value)).await.unwrap();
}

#[tokio::test]
async fn everything_is_listed_and_then_every_change_told() {
    let store = MemoryStore::new();
    write_pool(&store, &pool(1)).await.unwrap();
    let mut shown = following(&store);
    assert_eq!(next(&mut shown).await, listed(1, vec![seen(1, 1)]));
    rewrite_pool(&store, &pool(2)).await;
    assert_eq!(next(&mut shown).await, Input::Seen(vec![seen(2, 2)]));
    store.commit(Transaction::new().delete(item(&key()).key())).await.unwrap();
    let gone = Seen { key: key(), value: None, revision: ipam::Revision(3) };
    assert_eq!(next(&mut shown).await, Input::Seen(vec![gone]));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_cannot_be_read_never_looks_like_one_that_is_gone() {
    let store = MemoryStore::new();
    let newer = br#"{"version":2}"#.to_vec();
    store.commit(Transaction::new().put(item(&key()).key(), newer.clone())).await.unwrap();
    let mut shown = following(&store);
    rewrite_pool(&store, &pool(1)).await;
    assert_eq!(next(&mut shown).await, listed(2, vec![seen(1, 2)]));
    store.commit(Transaction::new().put(item(&key()).key(), newer)).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(60), shown.recv()).await;
    assert!(told.is_err(), "something was told");
    rewrite_pool(&store, &pool(2)).await;
    assert_eq!(next(&mut shown).await, listed(4, vec![seen(2, 4)]));
}

#[tokio::test]
async fn a_store_that_is_away_at_first_is_listed_when_it_comes() {
    let store = MemoryStore::new();
    store.go_away();
    let mut shown = following(&store);
    store.come_back();
    assert_eq!(next(&mut shown).await, listed(0, vec![]));
}

#[tokio::test]
async fn a_listing_that_was_overtaken_is_made_again() {
    let store = MemoryStore::new();
    let mut shown = following(&store);
    let Some(Shown::Listed { told, .. }) = shown.recv().await else { panic!("a listing comes first") };
    write_pool(&store, &pool(1)).await.unwrap();
    told.send(false).unwrap();
    assert_eq!(next(&mut shown).await, listed(1, vec![seen(1, 1)]));
}

#[tokio::test]
async fn following_ends_when_nobody_listens() {
    let store = MemoryStore::new();
    let (shows, mut shown) = mpsc::channel(8);
    let follower = tokio::spawn(follow(Arc::new(store), Prefix::Pools, Newest::default(), shows));
    next(&mut shown).await;
    drop(shown);
    follower.await.unwrap();
}

#[tokio::test]
async fn blocks_of_other_zones_are_neither_listed_nor_told() {
    let store = MemoryStore::new();
    open_subnet(&store, "10.0.0.0/29".parse().unwrap()).await;
    let (shows, mut shown) = mpsc::channel(8);
    let elsewhere = Prefix::Blocks("vlan-9".into());
    tokio::spawn(follow(Arc::new(store.clone()), elsewhere.clone(), Newest::default(), shows));
    let revision = ipam::Revision(1);
    assert_eq!(next(&mut shown).await, Input::Listed { prefix: elsewhere, revision, entries: vec![] });
    open_subnet(&store, "10.0.1.0/29".parse().unwrap()).await;
    let key = Key::Block {
        zone: "vlan-9".into(),
        block: ipam::BlockId { subnet: "10.0.2.0/29".parse().unwrap(), index: 0 },
    };
    let spelled = item(&key).key();
    let block = ipam::Block::open(
        ipam::BlockId { subnet: "10.0.2.0/29".parse().unwrap(), index: 0 },
        0,
        &BTreeMap::new(),
    );
    let value = store::layout::encode(&spelled, &block).unwrap();
    store.commit(Transaction::new().put(spelled, value)).await.unwrap();
    let (value, revision) = (Some(Value::Block(block)), ipam::Revision(3));
    assert_eq!(next(&mut shown).await, Input::Seen(vec![Seen { key, value, revision }]));
}
