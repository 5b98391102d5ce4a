//! Members that die or are cut off.

use std::time::Duration;

use store::layout::{Item, Under};
use store::{Event, Revision, Store, StoreError, Transaction};
use tokio::time::{Instant, sleep, timeout};

use crate::namespaces::Namespaces;
use crate::tally::Tally;

/// Longer than an election, and than whatever waits for one.
const PATIENCE: Duration = Duration::from_secs(30);

async fn until_commits(store: &impl Store) {
    let committing = async {
        while store.commit(Transaction::new().put(Item::Pool("up".into()).key(), vec![])).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, committing).await.expect("the store commits again");
}

#[test]
fn a_leader_that_is_killed_loses_no_answer_and_no_change() {
    Namespaces::with("leader", 3, |namespaces| async move {
        let mut etcd = namespaces.etcd(&[]).await;
        let store = etcd.store();
        until_commits(&store).await;
        let mut watch = store.watch(&Under::Pools.prefix(), Revision(0)).await.expect("it can be watched");
        let mut tally = Tally::default();
        for _ in 0..3 {
            let begun = Instant::now();
            let mut killed = false;
            while begun.elapsed() < Duration::from_secs(4) {
                if !killed && begun.elapsed() > Duration::from_millis(500) {
                    etcd.leader().await.kill();
                    killed = true;
                }
                tally.commit(&store).await;
            }
            for member in &mut etcd.members {
                member.kill();
                member.start_again();
            }
            etcd.serves(etcd_client::ConnectOptions::new()).await;
        }
        until_commits(&store).await;
        tally.hold_against(&store).await;
        assert!(tally.count_done() > 100, "{}", tally.count_done());

        // The watch shows exactly what stands, each once.
        let stands = store.range(&Under::Pools.prefix()).await.expect("it reads");
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(revision, _)| *revision < stands.revision) {
            let change = timeout(PATIENCE, watch.next()).await.expect("in time").expect("it goes on");
            for event in change.events {
                let Event::Put { key, .. } = event else { panic!("nothing is deleted: {event:?}") };
                seen.push((change.revision, key));
            }
        }
        seen.retain(|(_, key)| *key != Item::Pool("up".into()).key());
        let shown: Vec<_> = seen.iter().map(|(revision, key)| (key.clone(), *revision)).collect();
        let mut expected: Vec<_> = stands.entries.iter().map(|it| (it.key.clone(), it.revision)).collect();
        expected.retain(|(key, _)| *key != Item::Pool("up".into()).key());
        expected.sort_by_key(|(_, revision)| *revision);
        assert_eq!(shown, expected);
    });
}

#[test]
fn without_a_quorum_nothing_is_promised_and_with_it_all_goes_on() {
    Namespaces::with("quorum", 3, |namespaces| async move {
        let etcd = namespaces.etcd(&[]).await;
        let store = etcd.store();
        let mut tally = Tally::default();
        tally.commit(&store).await;
        namespaces.cut(1);
        namespaces.cut(2);
        for _ in 0..5 {
            let begun = Instant::now();
            tally.commit(&store).await;
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
        // One may have been under way, to whichever member; the others were not even sent.
        assert!(tally.count_unknown() <= 1, "{tally:?}");
        let read = store.range(&Under::Pools.prefix()).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        namespaces.heal(1);
        namespaces.heal(2);
        until_commits(&store).await;
        tally.hold_against(&store).await;
    });
}

#[test]
fn the_member_that_is_asked_may_be_cut_off_and_another_is_asked() {
    Namespaces::with("member", 3, |namespaces| async move {
        let etcd = namespaces.etcd(&[]).await;
        let store = etcd.store();
        let mut tally = Tally::default();
        for member in 0..3 {
            tally.commit(&store).await;
            namespaces.cut(member);
            let begun = Instant::now();
            // A link that fell silent costs one answer at most.
            while tally.count_done() < 2 * (member + 1) {
                tally.commit(&store).await;
                assert!(begun.elapsed() < PATIENCE, "{tally:?}");
            }
            namespaces.heal(member);
        }
        etcd.serves(etcd_client::ConnectOptions::new()).await;
        tally.hold_against(&store).await;
        assert!(tally.count_unknown() <= 3, "{tally:?}");
    });
}
