//! What the host is told of the store.

use ipam::{Key, Pool, Prefix, Seen, Value};
use store::{MemoryStore, Transaction};
use tokio::sync::mpsc;

use super::super::follow::{Near, Shown, follow};
use super::super::newest::Newest;
use super::super::words::item;
use super::super::*;
use super::rig::{open_subnet, zone};

fn key() -> Key {
    Key::Pool(PoolName::from("blue"))
}

fn pool(cooling_millis: u64) -> Pool {
    Pool { name: PoolName::from("blue"), cooling_millis }
}

/// Follows the pools of `store`.
fn following(store: &MemoryStore) -> mpsc::Receiver<Shown> {
    let (shows, shown) = mpsc::channel(8);
    tokio::spawn(follow(Arc::new(store.clone()), Prefix::Pools, Near::default(), Newest::default(), shows));
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

#[tokio::test]
async fn a_value_that_cannot_be_read_never_looks_like_one_that_is_gone() {
    let store = MemoryStore::new();
    let newer = br#"{"version":2}"#.to_vec();
    store.commit(Transaction::new().put(item(&key()).key(), newer.clone())).await.unwrap();
    let mut shown = following(&store);
    rewrite_pool(&store, &pool(1)).await;
    assert_eq!(next(&mut shown).await, listed(2, vec![seen(1, 2)]));
    store.commit(Transaction::new().put(item(&key()).key(), newer)).await.unwrap();
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
    let follower =
        tokio::spawn(follow(Arc::new(store), Prefix::Pools, Near::default(), Newest::default(), shows));
    next(&mut shown).await;
    drop(shown);
    follower.await.unwrap();
}

/// The subnets of the blocks that a listing shows to a host that is near to this.
async fn blocks_shown(store: &MemoryStore, near: Near) -> Vec<String> {
    let (shows, mut shown) = mpsc::channel(8);
    tokio::spawn(follow(Arc::new(store.clone()), Prefix::Blocks, near, Newest::default(), shows));
    let Input::Listed { entries, .. } = next(&mut shown).await else { panic!("a listing comes first") };
    let subnets = entries.iter().filter_map(|seen| match &seen.key {
        Key::Block(id) => Some(id.subnet.to_string()),
        _ => None,
    });
    subnets.collect()
}

#[tokio::test]
async fn blocks_of_zones_that_are_not_this_hosts_are_left_out_unless_it_holds_something_there() {
    let store = MemoryStore::new();
    let cidr = "10.0.0.0/29";
    open_subnet(&store, cidr.parse().unwrap()).await;
    let near = Near { zones: [zone()].into(), ..Near::default() };
    assert_eq!(blocks_shown(&store, near).await, [cidr]);
    let elsewhere = Near { zones: ["vlan-9".into()].into(), ..Near::default() };
    assert_eq!(blocks_shown(&store, elsewhere.clone()).await, [""; 0]);
    let moved = Near { held: [cidr.parse().unwrap()].into(), ..elsewhere };
    assert_eq!(blocks_shown(&store, moved).await, [cidr]);
}

#[tokio::test]
async fn a_far_subnet_that_is_returned_and_ordered_again_is_shown() {
    let store = MemoryStore::new();
    let cidr = "10.0.0.0/29".parse().unwrap();
    open_subnet(&store, cidr).await;
    let (shows, mut shown) = mpsc::channel(8);
    let near = Near { zones: ["vlan-9".into()].into(), ..Near::default() };
    tokio::spawn(follow(Arc::new(store.clone()), Prefix::Blocks, near, Newest::default(), shows));
    next(&mut shown).await;
    let gone = Transaction::new().delete(item(&Key::Block(ipam::BlockId { subnet: cidr, index: 0 })).key());
    store.commit(gone).await.unwrap();
    open_subnet(&store, cidr).await;
    let Input::Seen(seen) = next(&mut shown).await else { panic!("a change comes next") };
    assert!(matches!(seen[..], [Seen { value: Some(Value::Block(_)), .. }]), "{seen:?}");
}
