//! What a store promises to readers.

use super::{done, pool, pools, put, value};
use crate::layout::{Item, Under};
use crate::{Revision, Store, Transaction};

/// Nothing is stored, and nothing was ever committed.
pub async fn a_new_store_is_empty(store: &dyn Store) {
    let read = store.get(&pool("a")).await.expect("the store reads");
    assert_eq!(read.entry, None);
    let all = store.range(&pools()).await.expect("the store reads");
    assert_eq!((all.revision, all.entries.len()), (read.revision, 0));
}

/// Any bytes, none included.
pub async fn a_value_is_read_back_as_it_was_written(store: &dyn Store) {
    for bytes in [Vec::new(), (0..=255).collect::<Vec<u8>>()] {
        done(store, put("a", &bytes)).await;
        assert_eq!(value(store, "a").await, Some(bytes));
    }
}

/// Also when a key of another kind, or a longer name, sorts beside it.
pub async fn a_range_shows_its_prefix_only_and_in_order(store: &dyn Store) {
    let host = Item::Host("a".into()).key();
    let reservation = Item::Reservation("a".into()).key();
    let transaction = put("b", b"2").put(host, vec![]).put(pool("a"), b"1".to_vec()).put(reservation, vec![]);
    done(store, transaction).await;
    let shown = store.range(&Under::Pools.prefix()).await.expect("the store reads").entries;
    let shown: Vec<_> = shown.into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(shown, [(pool("a"), b"1".to_vec()), (pool("b"), b"2".to_vec())]);
}

/// Two keys that are always written together are always read alike.
pub async fn a_range_never_shows_half_a_commit(store: &dyn Store) {
    let writing = async {
        for round in 0..50u8 {
            done(store, put("a", &[round]).put(pool("b"), vec![round])).await;
        }
    };
    let reading = async {
        loop {
            let shown = store.range(&pools()).await.expect("the store reads").entries;
            if let [a, b] = shown.as_slice() {
                assert_eq!((&a.value, a.revision), (&b.value, b.revision));
                if a.value == [49] {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, reading);
}

/// However far the store has moved on since.
pub async fn an_entry_keeps_the_revision_that_wrote_it(store: &dyn Store) {
    let written = done(store, put("a", b"1")).await;
    let later = done(store, put("b", b"1")).await;
    let read = store.get(&pool("a")).await.expect("the store reads");
    assert_eq!(read.entry.expect("it is there").revision, written);
    assert!(read.revision >= later && later > written);
    let only_compared = Transaction::new().unchanged(pool("a"), written);
    assert!(done(store, only_compared).await >= Revision(later.0));
}
