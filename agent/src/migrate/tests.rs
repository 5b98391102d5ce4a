//! Stores that are filled from others, with every step cut short.

pub(crate) mod counted;

use ipam::BlockId;
use store::{Entry, Fault, MemoryStore, Revision};

use super::fill::fill;
use super::*;
use crate::allocator::{find_cluster, found_cluster};
use counted::Counted;

const NAME: &str = "demo";

/// A store with a cluster, a hint and a sign of life.
async fn lived_in() -> (MemoryStore, ClusterRecord) {
    let store = MemoryStore::new();
    found_cluster(&store, &[], &SystemClock).await.unwrap();
    let puts = [
        Item::Host("h1".into()),
        Item::Pool("default".into()),
        Item::Surplus { zone: "z".into(), host: "h1".into() },
    ];
    let mut transaction = Transaction::new();
    for item in puts {
        transaction = transaction.put(item.key(), b"{}".to_vec());
    }
    for number in 0..200u8 {
        transaction = match number % 100 {
            0 => {
                store.commit(std::mem::take(&mut transaction)).await.unwrap();
                transaction
            }
            _ => transaction,
        };
        let key = Item::Reservation(format!("r{number}")).key();
        transaction = transaction.put(key, vec![b' '; 10_000]);
    }
    store.commit(transaction).await.unwrap();
    store
        .begin_session(&Item::Session("h1".into()).key(), vec![], std::time::Duration::from_secs(60))
        .await
        .unwrap();
    let cluster = freeze(&store).await.unwrap();
    (store, cluster)
}

fn renewed(cluster: &ClusterRecord) -> ClusterRecord {
    ClusterRecord {
        generation: super::renewed([cluster.generation], SystemClock.wall()),
        state: ClusterState::Open,
        ..cluster.clone()
    }
}

fn founding() -> FoundingRecord {
    FoundingRecord { name: NAME.into(), at: SystemClock.wall() }
}

async fn all(store: &MemoryStore) -> Snapshot {
    store.range(&Under::Everything.prefix()).await.unwrap()
}

#[tokio::test]
async fn what_the_cluster_knows_is_copied_and_starts_a_new_generation() {
    let (from, cluster) = lived_in().await;
    let (to, after) = (MemoryStore::new(), renewed(&cluster));
    let count = fill(&to, all(&from).await, &after, &founding()).await.unwrap();
    assert_eq!(count, 202);
    let found = find_cluster(&to, NAME).await.unwrap().expect("it has a cluster");
    assert_eq!(found.cluster, after);
    assert!(found.cluster.generation > cluster.generation);
    let there = all(&to).await;
    let of_the_moment = |item: Option<Item>| matches!(item, Some(Item::Session(_) | Item::Surplus { .. }));
    assert!(!there.entries.iter().any(|entry| of_the_moment(Item::of(&entry.key))));
    assert!(there.find(&Item::Copying.key()).is_none());
}

#[tokio::test]
async fn the_old_store_stays_frozen_and_may_be_come_back_to() {
    let (first, cluster) = lived_in().await;
    let (second, after) = (MemoryStore::new(), renewed(&cluster));
    fill(&second, all(&first).await, &after, &founding()).await.unwrap();
    let frozen = freeze(&second).await.unwrap();
    assert_eq!(freeze(&first).await.unwrap().state, ClusterState::Frozen);
    let back =
        ClusterRecord { generation: Generation { number: after.generation.number + 1, id: 1 }, ..after };
    assert_eq!(frozen.state, ClusterState::Frozen);
    fill(&first, all(&second).await, &back, &founding()).await.unwrap();
    assert_eq!(find_cluster(&first, NAME).await.unwrap().expect("it has one").cluster, back);
}

#[tokio::test(start_paused = true)]
async fn a_copy_cut_short_anywhere_is_nobodys_and_is_made_whole_by_another_try() {
    let (from, cluster) = lived_in().await;
    let after = renewed(&cluster);
    for cut in 0.. {
        let to = MemoryStore::new();
        // Commits go well until one is refused for good.
        let counted = Counted::new(to.clone(), cut);
        let first = fill(&counted, all(&from).await, &after, &founding()).await;
        if first.is_ok() {
            assert!(cut > 5, "it takes several commits");
            return;
        }
        assert_eq!(find_cluster(&to, NAME).await.unwrap(), None, "after {cut} commits");
        fill(&to, all(&from).await, &after, &founding()).await.unwrap();
        assert_eq!(find_cluster(&to, NAME).await.unwrap().expect("it has one").cluster, after);
        assert_eq!(all(&to).await.entries.len(), 202 + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_do_no_harm() {
    let (from, cluster) = lived_in().await;
    let (to, after) = (MemoryStore::new(), renewed(&cluster));
    for under in [Under::Everything, Under::Everything, Under::Reservations, Under::Cluster] {
        to.fault_next(under, Fault::LosesAnswer);
    }
    fill(&to, all(&from).await, &after, &founding()).await.unwrap();
    assert_eq!(find_cluster(&to, NAME).await.unwrap().expect("it has one").cluster, after);
}

#[tokio::test]
async fn a_store_with_something_else_in_it_is_left_alone() {
    let (from, cluster) = lived_in().await;
    let (other, _) = lived_in().await;
    let before = all(&other).await;
    let refused = fill(&other, all(&from).await, &renewed(&cluster), &founding()).await.unwrap_err();
    assert!(matches!(refused, MigrateError::NotEmpty { .. }), "{refused}");
    assert_eq!(all(&other).await, before);
}

#[tokio::test]
async fn a_cluster_frozen_by_a_host_is_not_copied() {
    let store = MemoryStore::new();
    found_cluster(&store, &[], &SystemClock).await.unwrap();
    let key = Item::Cluster.key();
    let cluster = cluster_of(&all(&store).await).unwrap().unwrap();
    let frozen = ClusterRecord { state: ClusterState::Frozen, ..cluster };
    let value = layout::encode(&key, &frozen).unwrap();
    store.commit(Transaction::new().put(key, value)).await.unwrap();
    assert!(matches!(freeze(&store).await, Err(MigrateError::Frozen)));
}

#[tokio::test]
async fn a_backup_older_than_what_the_host_did_is_refused() {
    let (from, cluster) = lived_in().await;
    let mut backup = all(&from).await;
    let id = BlockId { subnet: "10.11.4.0/26".parse().unwrap(), index: 0 };
    let key = Item::Block { zone: "z".into(), subnet: id.subnet, index: id.index }.key();
    backup.entries.push(Entry { key, value: b"{}".to_vec(), revision: Revision(7) });
    let acted = |acted: u64| Record::Block {
        id,
        zone: "z".into(),
        boot: "b".into(),
        generation: cluster.generation,
        acted: ipam::Revision(acted),
        take: 1,
        committed: 0,
        operation: None,
    };
    let life =
        |generation| Record::Cluster { id: cluster.id.clone(), generation, revision: ipam::Revision(1) };
    let (before, now) = (Generation { number: 1, id: 1 }, cluster.generation);
    let of_before = match acted(900) {
        Record::Block { id, zone, boot, acted, take, committed, operation, .. } => {
            Record::Block { id, zone, boot, generation: before, acted, take, committed, operation }
        }
        other => other,
    };
    // Revisions of an earlier generation have nothing to do with those of the backup.
    let log = [life(before), of_before.clone(), life(now), acted(7)];
    nothing_happened_since(&backup, &log).unwrap();
    nothing_happened_since(&backup, &log[..3]).unwrap();
    let unknown = nothing_happened_since(&backup, &[]).unwrap_err();
    assert!(matches!(unknown, MigrateError::AnotherLife), "{unknown}");
    let later = nothing_happened_since(&backup, &[life(now), life(before)]).unwrap_err();
    assert!(matches!(later, MigrateError::AnotherLife), "{later}");
    let stale = nothing_happened_since(&backup, &[life(now), acted(8)]).unwrap_err();
    assert!(matches!(stale, MigrateError::Stale { .. }), "{stale}");
    let two = Entry { key: Item::Host("h2".into()).key(), value: vec![], revision: Revision(1) };
    backup.entries.push(two);
    let others = nothing_happened_since(&backup, &[]).unwrap_err();
    assert!(matches!(others, MigrateError::OthersMayKnowMore { hosts: 2 }), "{others}");
}
