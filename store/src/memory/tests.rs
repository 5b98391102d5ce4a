use super::*;
use crate::layout::{Item, Under};
use crate::{Event, WatchError};

async fn fresh() -> (MemoryStore, ()) {
    (MemoryStore::new(), ())
}

crate::conformance!(fresh);

fn create(value: u8) -> Transaction {
    let key = Item::Pool("a".into()).key();
    Transaction::new().absent(key.clone()).put(key, vec![value])
}

async fn value(store: &MemoryStore) -> Option<Vec<u8>> {
    store.get(&Item::Pool("a".into()).key()).await.unwrap().entry.map(|entry| entry.value)
}

#[tokio::test]
async fn a_commit_that_fails_writes_nothing_and_the_next_one_commits() {
    let store = MemoryStore::new();
    store.fault_next(Under::Pools, Fault::Fails);
    assert!(matches!(store.commit(create(1)).await, Err(StoreError::Unavailable(_))));
    assert_eq!(value(&store).await, None);
    assert!(matches!(store.commit(create(2)).await, Ok(Commit::Done { .. })));
}

#[tokio::test]
async fn an_unknown_outcome_may_have_committed_or_not() {
    let store = MemoryStore::new();
    store.fault_next(Under::Pools, Fault::Vanishes);
    store.fault_next(Under::Pools, Fault::LosesAnswer);
    assert!(matches!(store.commit(create(1)).await, Err(StoreError::UnknownOutcome(_))));
    assert_eq!(value(&store).await, None);
    assert!(matches!(store.commit(create(2)).await, Err(StoreError::UnknownOutcome(_))));
    assert_eq!(value(&store).await, Some(vec![2]));
}

#[tokio::test]
async fn a_late_commit_lands_when_told_and_compares_then() {
    let store = MemoryStore::new();
    store.fault_next(Under::Pools, Fault::LandsLate);
    store.fault_next(Under::Pools, Fault::LandsLate);
    for late in [1, 2] {
        assert!(matches!(store.commit(create(late)).await, Err(StoreError::UnknownOutcome(_))));
    }
    assert_eq!(value(&store).await, None);
    let landed = store.land_late_commits();
    assert!(matches!(landed.as_slice(), [Commit::Done { .. }, Commit::Conflict { .. }]), "{landed:?}");
    assert_eq!(value(&store).await, Some(vec![1]));
}

#[tokio::test]
async fn a_fault_waits_for_a_commit_under_its_prefix() {
    let store = MemoryStore::new();
    store.fault_next(Under::Hosts, Fault::Fails);
    assert!(store.commit(create(1)).await.is_ok());
    let host = Transaction::new().put(Item::Host("h".into()).key(), vec![]);
    assert!(store.commit(host.clone()).await.is_err());
    assert!(store.commit(host).await.is_ok());
}

#[tokio::test]
async fn a_store_that_is_away_answers_nothing_and_its_watches_go_on_when_it_is_back() {
    let store = MemoryStore::new();
    let mut watch = store.watch(&Under::Pools.prefix(), Revision(0)).await.unwrap();
    let other = store.clone();
    other.commit(create(1)).await.unwrap();
    store.go_away();
    assert!(other.commit(create(2)).await.is_err());
    assert!(other.range(&Under::Pools.prefix()).await.is_err());
    assert!(watch.next().now_or_never().is_none());
    store.come_back();
    let put = Event::Put { key: Item::Pool("a".into()).key(), value: vec![1] };
    assert_eq!(watch.next().await.unwrap().events, [put]);
}

#[tokio::test]
async fn a_watch_from_before_a_compaction_says_so() {
    let store = MemoryStore::new();
    store.commit(create(1)).await.unwrap();
    store.compact();
    let mut watch = store.watch(&Under::Pools.prefix(), Revision(0)).await.unwrap();
    let compacted = watch.next().await.unwrap_err();
    assert!(matches!(compacted, WatchError::Compacted { oldest: Revision(2), .. }), "{compacted}");
    assert!(matches!(watch.next().await, Err(WatchError::Lost(StoreError::Closed))));
    let mut from_now = store.watch(&Under::Pools.prefix(), Revision(1)).await.unwrap();
    assert!(from_now.next().now_or_never().is_none());
}

#[tokio::test]
async fn a_watch_that_is_too_slow_is_compacted_rather_than_remembered_for_ever() {
    let store = MemoryStore::new();
    let mut slow = store.watch(&Under::Pools.prefix(), Revision(0)).await.unwrap();
    let large = vec![0; crate::VALUE_BYTES_MAX];
    for _ in 0..64 {
        store.commit(Transaction::new().put(Item::Pool("a".into()).key(), large.clone())).await.unwrap();
    }
    assert!(matches!(slow.next().await, Err(WatchError::Compacted { .. })));
}

#[tokio::test]
async fn a_lagging_watch_shows_nothing_and_then_goes_on_or_is_compacted() {
    let store = MemoryStore::new();
    let watch = async |after| store.watch(&Under::Pools.prefix(), Revision(after)).await.unwrap();
    let (mut one, mut two) = (watch(0).await, watch(0).await);
    store.hold_changes();
    store.commit(create(1)).await.unwrap();
    store.commit(Transaction::new().delete(Item::Pool("a".into()).key())).await.unwrap();
    assert!(one.next().now_or_never().is_none());
    store.compact();
    store.show_changes();
    assert_eq!(one.next().await.unwrap().revision, Revision(1));
    assert!(matches!(one.next().await, Err(WatchError::Compacted { after: Revision(1), .. })));
    assert!(matches!(two.next().await, Err(WatchError::Compacted { after: Revision(0), .. })));
}
