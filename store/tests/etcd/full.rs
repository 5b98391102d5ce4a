//! An etcd that is out of room.

use std::time::Duration;

use etcd_client::{AlarmAction, AlarmOptions, AlarmType};
use futures::future::join_all;
use store::layout::{Item, Under};
use store::{Commit, Revision, Store, StoreError, Transaction};

use crate::etcd::Etcd;

/// Bytes of etcd's quota: its own database begins with a few pages.
const QUOTA: &str = "--quota-backend-bytes=4194304";

async fn write(store: &impl Store, name: &str, at: Revision, round: u8) -> Result<Commit, StoreError> {
    let key = Item::Pool(name.into()).key();
    store.commit(Transaction::new().unchanged(key.clone(), at).put(key, vec![round; 100_000])).await
}

async fn stands(store: &impl Store) -> Revision {
    let read = store.get(&Item::Pool("a".into()).key()).await.expect("reading needs no room");
    read.entry.expect("it is there").revision
}

/// etcd says "no space" also of a transaction that it has just executed.
#[tokio::test]
async fn no_room_is_never_said_of_what_was_written() {
    let etcd = Etcd::single_with(&[QUOTA]).await;
    let store = etcd.store();
    let writers = (0..16).map(|writer: u8| {
        let (store, name) = (store.clone(), writer.to_string());
        async move {
            let key = Item::Pool(name.clone()).key();
            let Ok(Commit::Done { revision }) =
                store.commit(Transaction::new().put(key.clone(), vec![0])).await
            else {
                panic!("there is room at first")
            };
            let (mut at, mut unknown) = (revision, 0);
            for round in 1..=20 {
                match write(&store, &name, at, round).await {
                    Ok(Commit::Done { revision }) => at = revision,
                    Ok(Commit::Conflict { now }) => panic!("nobody else writes {name}: {now:?}"),
                    Err(StoreError::NoRoom(_)) => {
                        let stands = store.get(&key).await.expect("reading needs no room").entry;
                        assert_eq!(stands.expect("it is there").revision, at, "said not to be written");
                        return (true, unknown);
                    }
                    Err(StoreError::UnknownOutcome(_)) => {
                        unknown += 1;
                        let stands = store.get(&key).await.expect("reading needs no room").entry;
                        at = stands.expect("it is there").revision;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            (false, unknown)
        }
    });
    let ended = join_all(writers).await;
    assert!(ended.iter().all(|(full, _)| *full), "it must fill up: {ended:?}");
}

#[tokio::test]
async fn an_etcd_that_was_given_room_again_goes_on() {
    let etcd = Etcd::single_with(&[QUOTA]).await;
    let store = etcd.store();
    let first = store.commit(Transaction::new().put(Item::Pool("a".into()).key(), vec![0])).await;
    let first = first.expect("there is room");
    let Commit::Done { revision: mut at } = first else { panic!("{first:?}") };
    let refused = loop {
        match write(&store, "a", at, 1).await {
            Ok(Commit::Done { revision }) => at = revision,
            Ok(Commit::Conflict { now }) => panic!("nobody else writes: {now:?}"),
            // Executed after all, perhaps: a look settles it.
            Err(StoreError::UnknownOutcome(_)) => at = stands(&store).await,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, StoreError::NoRoom(_)), "{refused}");
    assert!(refused.to_string().contains("etcdctl alarm disarm"), "{refused}");
    store.range(&Under::Pools.prefix()).await.expect("reading needs no room");

    // What the message says, as an operator does it.
    let mut client = etcd.client().await;
    let now = i64::try_from(stands(&store).await.0).expect("a small revision");
    client.compact(now, Some(etcd_client::CompactionOptions::new().with_physical())).await.expect("compacts");
    client.defragment().await.expect("defragments");
    let raised = client.alarm(AlarmAction::Get, AlarmType::Nospace, None).await.expect("lists alarms");
    for alarm in raised.alarms() {
        let mut member = AlarmOptions::new();
        member.with_member(alarm.member_id());
        client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(member)).await.expect("disarms");
    }
    tokio::time::timeout(Duration::from_secs(10), async {
        while write(&store, "a", stands(&store).await, 2).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("there is room again");
}
