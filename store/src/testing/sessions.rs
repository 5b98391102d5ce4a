//! What a store promises about signs of life.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{done, next, pool, pools};
use crate::{Event, Session, Store, StoreError, Transaction};

/// As short as etcd grants a lease.
const TTL: Duration = Duration::from_secs(2);

async fn begin(store: &dyn Store, value: u8) -> Session {
    store.begin_session(&pool("s"), vec![value], TTL).await.expect("a session begins")
}

async fn kept(store: &dyn Store) -> Option<Vec<u8>> {
    super::value(store, "s").await
}

/// For as long as the signs of life come in time.
pub async fn a_session_that_is_kept_alive_outlives_its_ttl(store: &dyn Store) {
    let session = begin(store, 1).await;
    let began = Instant::now();
    while began.elapsed() < TTL + TTL / 2 {
        // The wait is the promise: a sign of life well within the ttl is enough.
        sleep(TTL / 8).await;
        store.keep_alive(&session).await.expect("it came in time");
    }
    assert_eq!(kept(store).await, Some(vec![1]));
}

/// Its key goes by itself, which watches show, and it cannot be revived.
pub async fn a_session_without_a_sign_of_life_lapses(store: &dyn Store) {
    let began = Instant::now();
    let session = begin(store, 1).await;
    let start = store.range(&pools()).await.expect("the store reads").revision;
    let mut watch = store.watch(&pools(), start).await.expect("the store can be watched");
    assert_eq!(next(&mut watch).await.events, [Event::Deleted(pool("s"))]);
    assert!(began.elapsed() >= TTL, "it lapsed after {:?}", began.elapsed());
    assert_eq!(kept(store).await, None);
    let late = store.keep_alive(&session).await;
    assert!(matches!(late, Err(StoreError::SessionLapsed { .. })), "{late:?}");
}

/// Ending it again is no error.
pub async fn an_ended_session_is_gone_at_once(store: &dyn Store) {
    let session = begin(store, 1).await;
    assert_eq!(kept(store).await, Some(vec![1]));
    store.end_session(&session).await.expect("it ends");
    assert_eq!(kept(store).await, None);
    store.end_session(&session).await.expect("it has ended");
    let late = store.keep_alive(&session).await;
    assert!(matches!(late, Err(StoreError::SessionLapsed { .. })), "{late:?}");
}

/// A restarted agent need not wait for its former self, which can no longer do anything to the key.
pub async fn a_session_begun_again_takes_the_key_over(store: &dyn Store) {
    let former = begin(store, 1).await;
    let session = begin(store, 2).await;
    let late = store.keep_alive(&former).await;
    assert!(matches!(late, Err(StoreError::SessionLapsed { .. })), "{late:?}");
    store.end_session(&former).await.expect("it has ended");
    assert_eq!(kept(store).await, Some(vec![2]));
    store.keep_alive(&session).await.expect("it goes on");
}

/// Whoever deletes the key ends the session.
pub async fn a_session_whose_key_was_deleted_cannot_be_kept_alive(store: &dyn Store) {
    let session = begin(store, 1).await;
    done(store, Transaction::new().delete(pool("s"))).await;
    let late = store.keep_alive(&session).await;
    assert!(matches!(late, Err(StoreError::SessionLapsed { .. })), "{late:?}");
    assert_eq!(kept(store).await, None);
}
