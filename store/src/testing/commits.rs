//! What a store promises to writers.

use futures::future::join_all;

use super::{conflict, done, pool, pools, put, value};
use crate::layout::Item;
use crate::{
    Commit, OPERATIONS_MAX, Revision, Store, StoreError, TRANSACTION_BYTES_MAX, Transaction, VALUE_BYTES_MAX,
};

/// Store-wide, whichever key is written.
pub async fn revisions_grow_with_every_commit(store: &dyn Store) {
    let mut last = Revision(0);
    for name in ["a", "b", "a"] {
        let revision = done(store, put(name, b"1")).await;
        assert!(revision > last, "{revision} after {last}");
        last = revision;
    }
    let deleted = done(store, Transaction::new().delete(pool("a"))).await;
    assert!(deleted > last);
}

/// One revision for all of them, and the store stands at it.
pub async fn all_writes_of_a_commit_have_its_revision(store: &dyn Store) {
    let revision = done(store, put("a", b"1").put(pool("b"), b"2".to_vec())).await;
    let all = store.range(&pools()).await.expect("the store reads");
    assert_eq!(all.revision, revision);
    assert!(all.entries.iter().all(|entry| entry.revision == revision), "{all:?}");
}

/// Nothing compared, nothing refused.
pub async fn a_commit_without_compares_overwrites(store: &dyn Store) {
    done(store, put("a", b"1")).await;
    done(store, put("a", b"2")).await;
    assert_eq!(value(store, "a").await, Some(b"2".to_vec()));
}

/// Not even the writes whose own keys did not change.
pub async fn a_stale_revision_is_a_conflict_and_nothing_is_written(store: &dyn Store) {
    let stale = done(store, put("a", b"1")).await;
    done(store, put("a", b"2")).await;
    let late = Transaction::new().unchanged(pool("a"), stale).put(pool("a"), vec![3]).put(pool("b"), vec![3]);
    conflict(store, late).await;
    assert_eq!((value(store, "a").await, value(store, "b").await), (Some(b"2".to_vec()), None));
}

/// Whoever wrote it, and whenever: but not where nothing stands.
pub async fn a_value_is_compared_whenever_it_was_written(store: &dyn Store) {
    let as_it_stands =
        |value: &[u8]| Transaction::new().holds(pool("a"), value.to_vec()).put(pool("b"), value.to_vec());
    conflict(store, as_it_stands(b"1")).await;
    conflict(store, as_it_stands(b"")).await;
    done(store, put("a", b"1")).await;
    done(store, put("a", b"2")).await;
    let now = conflict(store, as_it_stands(b"1")).await;
    assert_eq!(now.find(&pool("a")).map(|entry| entry.value.clone()), Some(b"2".to_vec()));
    done(store, put("a", b"1")).await;
    done(store, as_it_stands(b"1")).await;
    assert_eq!(value(store, "b").await, Some(b"1".to_vec()));
}

/// The key that changed, the one that did not, the one that is gone, and what is in the way under a prefix.
pub async fn a_conflict_shows_what_stands_under_everything_compared(store: &dyn Store) {
    let host = |name: &str| Item::Host(name.into()).key();
    let stale = done(store, put("changed", b"1").put(host("gone"), vec![])).await;
    done(store, put("changed", b"2").put(pool("other"), b"3".to_vec()).delete(host("gone"))).await;
    let now = conflict(
        store,
        Transaction::new()
            .unchanged(host("gone"), stale)
            .unchanged(pool("changed"), stale)
            .empty(pools())
            .put(pool("changed"), vec![]),
    )
    .await;
    let shown: Vec<_> = now.entries.iter().map(|entry| (&entry.key, entry.value.as_slice())).collect();
    assert_eq!(shown, [(&pool("changed"), &b"2"[..]), (&pool("other"), b"3")]);
    assert_eq!(now.find(&host("gone")), None);
    let entry = now.find(&pool("changed")).expect("it is there");
    done(store, Transaction::new().unchanged(pool("changed"), entry.revision).put(pool("changed"), vec![]))
        .await;
}

/// The second creator loses, and sees what the first wrote.
pub async fn a_key_can_be_created_only_once(store: &dyn Store) {
    let create = |value: u8| Transaction::new().absent(pool("a")).put(pool("a"), vec![value]);
    done(store, create(1)).await;
    let now = conflict(store, create(2)).await;
    assert_eq!(now.find(&pool("a")).expect("it is there").value, [1]);
}

/// A key that was deleted and created again is another one.
pub async fn a_revision_from_before_a_delete_never_holds_again(store: &dyn Store) {
    let before = done(store, put("a", b"1")).await;
    done(store, Transaction::new().delete(pool("a"))).await;
    assert_eq!(value(store, "a").await, None);
    let late = Transaction::new().unchanged(pool("a"), before).put(pool("a"), b"late".to_vec());
    conflict(store, late.clone()).await;
    done(store, Transaction::new().absent(pool("a")).put(pool("a"), b"1".to_vec())).await;
    conflict(store, late).await;
}

/// And holds again once all of it is gone.
pub async fn an_empty_prefix_is_refused_once_anything_is_under_it(store: &dyn Store) {
    let host = Item::Host("h".into()).key();
    let if_empty = || Transaction::new().empty(pools()).put(host.clone(), vec![]);
    done(store, if_empty()).await;
    done(store, put("a", b"1")).await;
    let now = conflict(store, if_empty()).await;
    assert_eq!(now.entries.len(), 1);
    done(store, Transaction::new().delete(pool("a"))).await;
    done(store, if_empty()).await;
}

/// Its answer is the revision at which it compared.
pub async fn a_transaction_that_only_compares_changes_nothing(store: &dyn Store) {
    let written = done(store, put("a", b"1")).await;
    assert_eq!(done(store, Transaction::new().unchanged(pool("a"), written)).await, written);
    conflict(store, Transaction::new().absent(pool("a"))).await;
    assert_eq!(store.get(&pool("a")).await.expect("the store reads").revision, written);
}

/// The store does not move.
pub async fn deleting_what_is_not_there_is_no_change(store: &dyn Store) {
    let written = done(store, put("a", b"1")).await;
    assert_eq!(done(store, Transaction::new().delete(pool("b"))).await, written);
}

/// A refused value changes nothing.
pub async fn a_value_of_the_largest_size_is_stored_and_a_larger_one_refused(store: &dyn Store) {
    let largest = vec![7; VALUE_BYTES_MAX];
    done(store, put("a", &largest)).await;
    let refused = store.commit(put("a", &vec![8; VALUE_BYTES_MAX + 1])).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(value(store, "a").await, Some(largest));
}

/// Compares and writes count together.
pub async fn the_largest_transaction_commits_and_a_larger_one_is_refused(store: &dyn Store) {
    let of = |operations: usize| {
        (0..operations / 2).fold(Transaction::new(), |transaction, number| {
            let key = pool(&number.to_string());
            transaction.absent(key.clone()).put(key, vec![])
        })
    };
    let refused = store.commit(of(OPERATIONS_MAX + 2)).await;
    assert!(matches!(refused, Err(StoreError::TooManyOperations { .. })), "{refused:?}");
    assert_eq!(value(store, "0").await, None);
    done(store, of(OPERATIONS_MAX)).await;
}

/// Values that are small enough alone.
pub async fn a_transaction_with_too_many_bytes_in_all_is_refused(store: &dyn Store) {
    let of = |values: usize| {
        (0..values).fold(Transaction::new(), |transaction, number| {
            transaction.put(pool(&number.to_string()), vec![7; VALUE_BYTES_MAX])
        })
    };
    let fitting = TRANSACTION_BYTES_MAX / VALUE_BYTES_MAX;
    let refused = store.commit(of(fitting + 1)).await;
    assert!(matches!(refused, Err(StoreError::TransactionTooLarge { .. })), "{refused:?}");
    assert_eq!(value(store, "0").await, None);
    done(store, of(fitting)).await;
}

/// Nobody could say which one counts.
pub async fn a_transaction_that_writes_a_key_twice_is_refused(store: &dyn Store) {
    let refused = store.commit(put("a", b"1").delete(pool("a"))).await;
    assert!(matches!(refused, Err(StoreError::WrittenTwice { .. })), "{refused:?}");
    assert_eq!(value(store, "a").await, None);
}

/// The others see a conflict.
pub async fn of_many_writers_that_saw_the_same_exactly_one_commits(store: &dyn Store) {
    let seen = done(store, put("a", b"0")).await;
    let writer = |number: u8| Transaction::new().unchanged(pool("a"), seen).put(pool("a"), vec![number]);
    let ended = join_all((1..=16).map(|number| store.commit(writer(number)))).await;
    let won = ended.iter().filter(|end| matches!(end, Ok(Commit::Done { .. }))).count();
    let lost = ended.iter().filter(|end| matches!(end, Ok(Commit::Conflict { .. }))).count();
    assert_eq!((won, lost), (1, 15));
}

/// Read, add one, commit if unchanged, try again.
pub async fn no_increment_of_a_shared_counter_is_lost(store: &dyn Store) {
    done(store, put("counter", &[0])).await;
    let increment = || async {
        for _ in 0..10 {
            loop {
                let read = store.get(&pool("counter")).await.expect("the store reads");
                let entry = read.entry.expect("it is there");
                let more = Transaction::new()
                    .unchanged(pool("counter"), entry.revision)
                    .put(pool("counter"), vec![entry.value[0] + 1]);
                if matches!(store.commit(more).await, Ok(Commit::Done { .. })) {
                    break;
                }
            }
        }
    };
    join_all((0..4).map(|_| increment())).await;
    assert_eq!(value(store, "counter").await, Some(vec![40]));
}
