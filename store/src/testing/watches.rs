//! What a store promises to those who follow it.

use futures::FutureExt;

use super::{conflict, done, next, pool, pools, put};
use crate::layout::{Item, Under};
use crate::{Change, Event, Revision, Store, Transaction, Watch};

async fn watch(store: &dyn Store, after: Revision) -> Watch {
    store.watch(&pools(), after).await.expect("the store can be watched")
}

fn shows(name: &str, value: &[u8], revision: Revision) -> Change {
    Change { revision, events: vec![Event::Put { key: pool(name), value: value.to_vec() }] }
}

/// Puts and deletes alike.
pub async fn a_watch_shows_changes_in_order_with_their_revisions(store: &dyn Store) {
    let start = done(store, put("a", b"0")).await;
    let mut watch = watch(store, start).await;
    let first = done(store, put("a", b"1")).await;
    let second = done(store, Transaction::new().delete(pool("a"))).await;
    assert_eq!(next(&mut watch).await, shows("a", b"1", first));
    assert_eq!(next(&mut watch).await, Change { revision: second, events: vec![Event::Deleted(pool("a"))] });
}

/// Neither twice what the snapshot had, nor anything left out.
pub async fn a_watch_after_a_snapshot_shows_the_next_change_first(store: &dyn Store) {
    done(store, put("a", b"1")).await;
    let snapshot = store.range(&pools()).await.expect("the store reads");
    let between = done(store, put("b", b"1")).await;
    let mut watch = watch(store, snapshot.revision).await;
    assert_eq!(next(&mut watch).await, shows("b", b"1", between));
}

/// From any revision that is still remembered.
pub async fn a_watch_shows_what_was_committed_before_it_began(store: &dyn Store) {
    let start = done(store, put("a", b"0")).await;
    let mut committed = Vec::new();
    for round in 1..=20u8 {
        committed.push(shows("a", &[round], done(store, put("a", &[round])).await));
    }
    let mut watch = watch(store, start).await;
    for change in committed {
        assert_eq!(next(&mut watch).await, change);
    }
}

/// Changes elsewhere do not appear, also not of the same commit.
pub async fn a_watch_shows_its_prefix_only(store: &dyn Store) {
    let host = || Item::Host("h".into()).key();
    let start = done(store, put("a", b"0")).await;
    let mut pools = watch(store, start).await;
    let mut hosts = store.watch(&Under::Hosts.prefix(), start).await.expect("the store can be watched");
    done(store, Transaction::new().put(host(), vec![1])).await;
    let both = done(store, put("a", b"1").put(host(), vec![2])).await;
    assert_eq!(next(&mut pools).await, shows("a", b"1", both));
    next(&mut hosts).await;
    let second = Change { revision: both, events: vec![Event::Put { key: host(), value: vec![2] }] };
    assert_eq!(next(&mut hosts).await, second);
}

/// Everything that one commit did comes as one change.
pub async fn a_watch_shows_a_commit_whole(store: &dyn Store) {
    let start = done(store, put("a", b"0").put(pool("b"), vec![0])).await;
    let mut watch = watch(store, start).await;
    let revision = done(store, put("a", b"1").delete(pool("b")).put(pool("c"), vec![1])).await;
    let change = next(&mut watch).await;
    assert_eq!(change.revision, revision);
    let mut events = change.events;
    events.sort_by(|one, other| one.key().cmp(other.key()));
    let put = |name: &str| Event::Put { key: pool(name), value: vec![b'1'] };
    assert_eq!(events.len(), 3);
    assert_eq!(events[0], put("a"));
    assert_eq!(events[1], Event::Deleted(pool("b")));
    assert_eq!(events[2], Event::Put { key: pool("c"), value: vec![1] });
}

/// What did not happen is not shown.
pub async fn a_watch_shows_no_conflict_and_no_empty_delete(store: &dyn Store) {
    let start = done(store, put("a", b"0")).await;
    let mut watch = watch(store, start).await;
    conflict(store, Transaction::new().absent(pool("a")).put(pool("a"), vec![9])).await;
    done(store, Transaction::new().delete(pool("never"))).await;
    let marker = done(store, put("marker", b"1")).await;
    assert_eq!(next(&mut watch).await, shows("marker", b"1", marker));
}

/// A wait that lost a race in a `select!` is simply begun again.
pub async fn dropping_a_wait_for_a_change_loses_none(store: &dyn Store) {
    let start = done(store, put("a", b"0")).await;
    let mut watch = watch(store, start).await;
    assert!(watch.next().now_or_never().is_none());
    let first = done(store, put("a", b"1")).await;
    assert_eq!(next(&mut watch).await, shows("a", b"1", first));
    assert!(watch.next().now_or_never().is_none());
}

/// One does not take them from another.
pub async fn several_watches_each_see_every_change(store: &dyn Store) {
    let start = done(store, put("a", b"0")).await;
    let mut watches = [watch(store, start).await, watch(store, start).await];
    let revision = done(store, put("a", b"1")).await;
    for watch in &mut watches {
        assert_eq!(next(watch).await, shows("a", b"1", revision));
    }
}
