//! What every store promises, each promise a function: the conformance suite that every implementation
//! runs with [`conformance!`](crate::conformance).
//!
//! A promise gets an empty store, and panics where the store breaks it.

mod commits;
mod reads;
mod sessions;
mod watches;

pub use commits::*;
pub use reads::*;
pub use sessions::*;
pub use watches::*;

use std::time::Duration;

use crate::layout::{Item, Under};
use crate::{Change, Commit, Key, Prefix, Revision, Store, Transaction, Watch};

/// Makes one test of every promise. `$fresh` is an async function that answers `(store, keeps)`: an empty
/// store, and whatever must outlive it (the directory of its file).
#[macro_export]
macro_rules! conformance {
    ($fresh:path) => {
        $crate::every_promise! { one_test_each $fresh }
    };
}

/// Keeps every promise, one after another. `$fresh` answers a future of an empty store for a promise's name;
/// it is for stores that are dear to make. Says which promise it is about, before.
#[macro_export]
macro_rules! keep_every_promise {
    ($fresh:expr) => {
        let fresh = $fresh;
        $crate::every_promise! { one_after_another fresh }
    };
}

/// The list of promises.
#[doc(hidden)]
#[macro_export]
macro_rules! every_promise {
    ($how:ident $fresh:path) => {
        $crate::every_promise! { $how $fresh:
            a_new_store_is_empty
            a_value_is_read_back_as_it_was_written
            a_range_shows_its_prefix_only_and_in_order
            a_range_never_shows_half_a_commit
            an_entry_keeps_the_revision_that_wrote_it
            revisions_grow_with_every_commit
            all_writes_of_a_commit_have_its_revision
            a_commit_without_compares_overwrites
            a_stale_revision_is_a_conflict_and_nothing_is_written
            a_value_is_compared_whenever_it_was_written
            a_conflict_shows_what_stands_under_everything_compared
            a_key_can_be_created_only_once
            a_revision_from_before_a_delete_never_holds_again
            an_empty_prefix_is_refused_once_anything_is_under_it
            a_transaction_that_only_compares_changes_nothing
            deleting_what_is_not_there_is_no_change
            a_value_of_the_largest_size_is_stored_and_a_larger_one_refused
            the_largest_transaction_commits_and_a_larger_one_is_refused
            a_transaction_with_too_many_bytes_in_all_is_refused
            a_transaction_that_writes_a_key_twice_is_refused
            of_many_writers_that_saw_the_same_exactly_one_commits
            no_increment_of_a_shared_counter_is_lost
            a_watch_shows_changes_in_order_with_their_revisions
            a_watch_after_a_snapshot_shows_the_next_change_first
            a_watch_shows_what_was_committed_before_it_began
            a_watch_shows_its_prefix_only
            a_watch_shows_a_commit_whole
            a_watch_shows_no_conflict_and_no_empty_delete
            dropping_a_wait_for_a_change_loses_none
            several_watches_each_see_every_change
            a_session_that_is_kept_alive_outlives_its_ttl
            a_session_without_a_sign_of_life_lapses
            an_ended_session_is_gone_at_once
            a_session_begun_again_takes_the_key_over
            a_session_whose_key_was_deleted_cannot_be_kept_alive
        }
    };
    (one_test_each $fresh:path: $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (store, _keeps) = $fresh().await;
                $crate::testing::$promise(&store).await;
            }
        )*
    };
    (one_after_another $fresh:path: $($promise:ident)*) => {
        $(
            println!(concat!("the promise ", stringify!($promise)));
            $crate::testing::$promise(&$fresh(stringify!($promise)).await).await;
        )*
    };
}

/// Longer than any store takes to show a change; only a broken promise waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

fn pool(name: &str) -> Key {
    Item::Pool(name.to_owned()).key()
}

fn pools() -> Prefix {
    Under::Pools.prefix()
}

fn put(name: &str, value: &[u8]) -> Transaction {
    Transaction::new().put(pool(name), value.to_vec())
}

async fn done(store: &dyn Store, transaction: Transaction) -> Revision {
    match store.commit(transaction).await.expect("the store commits") {
        Commit::Done { revision } => revision,
        Commit::Conflict { now } => panic!("conflict with {now:?}"),
    }
}

async fn conflict(store: &dyn Store, transaction: Transaction) -> crate::Snapshot {
    match store.commit(transaction).await.expect("the store answers") {
        Commit::Conflict { now } => now,
        Commit::Done { revision } => panic!("committed at {revision}"),
    }
}

async fn value(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
    store.get(&pool(name)).await.expect("the store reads").entry.map(|entry| entry.value)
}

async fn next(watch: &mut Watch) -> Change {
    tokio::time::timeout(PATIENCE, watch.next()).await.expect("a change is shown").expect("the watch goes on")
}
