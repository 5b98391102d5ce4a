//! Links that break in the middle of something.

use std::time::Duration;

use store::layout::{Item, Under};
use store::{EtcdStore, Event, Revision, Store, StoreError, Transaction, WatchError};
use tokio::time::{Instant, sleep, timeout};

use crate::etcd::Etcd;
use crate::proxy::{Mode, Proxy};
use crate::tally::Tally;

/// Longer than any watch takes to be resumed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn behind_a_proxy(etcd: &Etcd) -> (EtcdStore, Proxy) {
    let proxy = Proxy::before(&etcd.endpoints()[0]).await;
    let mut options = etcd.options("berth/test/");
    options.endpoints = vec![proxy.endpoint.clone()];
    (EtcdStore::new(options), proxy)
}

fn pool(value: &[u8]) -> Transaction {
    Transaction::new().put(Item::Pool("a".into()).key(), value.to_vec())
}

async fn done(store: &EtcdStore, transaction: Transaction) -> Revision {
    match store.commit(transaction).await.expect("it commits") {
        store::Commit::Done { revision } => revision,
        conflict => panic!("{conflict:?}"),
    }
}

#[tokio::test]
async fn a_commit_whose_link_is_cut_is_unknown_and_never_answered_wrongly() {
    let etcd = Etcd::single().await;
    let (store, proxy) = behind_a_proxy(&etcd).await;
    let mut tally = Tally::default();
    let mut landed_before = 0;
    for cut in [Mode::CutBefore, Mode::CutAfter] {
        for _ in 0..20 {
            tally.commit(&store).await;
            proxy.set(cut);
            tally.commit(&store).await;
            proxy.set(Mode::Passes);
        }
        let landed = tally.hold_against(&etcd.store()).await;
        match cut {
            Mode::CutBefore => assert_eq!(landed, 0, "what was cut off before cannot have landed"),
            _ => assert!(landed > landed_before, "what was cut off after must have landed"),
        }
        landed_before = landed;
    }
    assert_eq!((tally.count_done(), tally.count_unknown()), (40, 40));
}

#[tokio::test]
async fn a_commit_into_silence_is_unknown_once_and_refused_from_then_on() {
    let etcd = Etcd::single().await;
    let (store, proxy) = behind_a_proxy(&etcd).await;
    done(&store, pool(b"1")).await;
    proxy.set(Mode::Silent);
    let begun = Instant::now();
    let first = store.commit(pool(b"2")).await;
    assert!(matches!(first, Err(StoreError::UnknownOutcome(_))), "{first:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let second = store.commit(pool(b"3")).await;
    assert!(matches!(second, Err(StoreError::Unavailable(_))), "{second:?}");
    let read = store.get(&Item::Pool("a".into()).key()).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    proxy.set(Mode::Passes);
    done(&store, pool(b"4")).await;
}

#[tokio::test]
async fn a_watch_whose_link_breaks_again_and_again_shows_every_change_once() {
    let etcd = Etcd::single().await;
    let (store, proxy) = behind_a_proxy(&etcd).await;
    let start = done(&store, pool(b"start")).await;
    let mut watch = store.watch(&Under::Pools.prefix(), start).await.expect("it can be watched");
    let direct = etcd.store();
    let writing = async {
        let mut written = Vec::new();
        for round in 0..300u32 {
            written.push((done(&direct, pool(&round.to_be_bytes())).await, round.to_be_bytes().to_vec()));
        }
        written
    };
    let breaking = async {
        for _ in 0..15 {
            for mode in [Mode::CutAfter, Mode::Passes] {
                proxy.set(mode);
                sleep(Duration::from_millis(40)).await;
            }
        }
    };
    let watching = async {
        let mut seen = Vec::new();
        while seen.len() < 300 {
            let change = watch.next().await.expect("it goes on by itself");
            let [Event::Put { value, .. }] = change.events.as_slice() else { panic!("{change:?}") };
            seen.push((change.revision, value.clone()));
        }
        seen
    };
    let (written, (), seen) =
        timeout(PATIENCE, async { tokio::join!(writing, breaking, watching) }).await.expect("in time");
    assert_eq!(seen, written);
}

#[tokio::test]
async fn a_watch_that_lags_behind_a_compaction_says_so_and_begins_again() {
    let etcd = Etcd::single().await;
    let (store, proxy) = behind_a_proxy(&etcd).await;
    let start = done(&store, pool(b"start")).await;
    let mut watch = store.watch(&Under::Pools.prefix(), start).await.expect("it can be watched");
    proxy.set(Mode::Silent);
    let direct = etcd.store();
    let mut last = start;
    for round in 0..10u8 {
        last = done(&direct, pool(&[round])).await;
    }
    let compacted = i64::try_from(last.0).expect("a small revision");
    etcd.client().await.compact(compacted, None).await.expect("etcd compacts");
    // The connection that was silent breaks; what it would have shown is lost.
    proxy.set(Mode::CutAfter);
    sleep(Duration::from_millis(100)).await;
    proxy.set(Mode::Passes);
    let ended = timeout(PATIENCE, watch.next()).await.expect("in time");
    assert!(matches!(ended, Err(WatchError::Compacted { .. })), "{ended:?}");
    let snapshot = store.range(&Under::Pools.prefix()).await.expect("it reads");
    let mut watch = store.watch(&Under::Pools.prefix(), snapshot.revision).await.expect("again");
    let next = done(&direct, pool(b"next")).await;
    assert_eq!(timeout(PATIENCE, watch.next()).await.expect("in time").expect("goes on").revision, next);
}

#[tokio::test]
async fn a_range_of_many_pages_is_of_one_revision_and_whole() {
    let etcd = Etcd::single().await;
    let store = etcd.store();
    for batch in 0..10u32 {
        let puts = (0..100u32).fold(Transaction::new(), |transaction, number| {
            transaction.put(Item::Pool(format!("{:04}", batch * 100 + number)).key(), vec![0; 100])
        });
        done(&store, puts).await;
    }
    let writing = async {
        for _ in 0..30 {
            let both = ["0000", "0999"].map(|name| Item::Pool(name.into()).key());
            let [first, last] = both;
            done(&store, Transaction::new().put(first, vec![1]).put(last, vec![1])).await;
        }
    };
    let reading = async {
        for _ in 0..10 {
            let all = store.range(&Under::Pools.prefix()).await.expect("it reads").entries;
            assert_eq!(all.len(), 1000);
            assert!(all.is_sorted_by(|one, other| one.key < other.key));
            assert_eq!(all[0].revision >= all[1].revision, all[999].revision >= all[998].revision);
            let moved = all[0].value.len() == 1;
            assert!(!moved || all[0].revision == all[999].revision, "half of a commit");
        }
    };
    tokio::join!(writing, reading);
}
