mod full_disk;

use futures::FutureExt;
use tempfile::TempDir;

use super::*;
use crate::layout::{Item, Under};
use crate::{Event, WatchError};

async fn fresh() -> (EmbeddedStore, TempDir) {
    let directory = TempDir::new().unwrap();
    (EmbeddedStore::open(file(&directory)).await.unwrap(), directory)
}

crate::conformance!(fresh);

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("store.redb")
}

fn put(value: u8) -> Transaction {
    Transaction::new().put(Item::Pool("a".into()).key(), vec![value])
}

async fn value(store: &EmbeddedStore) -> Option<Vec<u8>> {
    store.get(&Item::Pool("a".into()).key()).await.unwrap().entry.map(|entry| entry.value)
}

/// Opens a file that was let go of: a commit of the dropped store may still be on its thread, and a child
/// that another test is just starting has, for a moment, every lock of this process.
async fn open(directory: &TempDir) -> Result<EmbeddedStore, StoreError> {
    loop {
        match EmbeddedStore::open(file(directory)).await {
            Err(StoreError::InUse { .. }) => tokio::task::yield_now().await,
            opened => return opened,
        }
    }
}

async fn reopened(directory: &TempDir) -> EmbeddedStore {
    open(directory).await.unwrap()
}

#[tokio::test]
async fn what_was_committed_is_there_when_the_file_is_opened_again() {
    let (store, directory) = fresh().await;
    store.commit(put(1)).await.unwrap();
    let Commit::Done { revision } = store.commit(put(2)).await.unwrap() else { panic!("conflict") };
    drop(store);
    let store = reopened(&directory).await;
    assert_eq!(value(&store).await, Some(vec![2]));
    let Commit::Done { revision: next } = store.commit(put(3)).await.unwrap() else { panic!("conflict") };
    assert_eq!(next.0, revision.0 + 1);
}

#[tokio::test]
async fn a_file_that_is_open_is_refused_a_second_time() {
    let (store, directory) = fresh().await;
    let refused = EmbeddedStore::open(file(&directory)).await.unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("stop the other one"), "{refused}");
    assert!(store.commit(put(1)).await.is_ok());
}

#[tokio::test]
async fn handles_of_one_process_share_the_file() {
    let (store, _directory) = fresh().await;
    let other = store.clone();
    let mut watch = other.watch(&Under::Pools.prefix(), Revision(0)).await.unwrap();
    store.commit(put(1)).await.unwrap();
    assert_eq!(value(&other).await, Some(vec![1]));
    let put = Event::Put { key: Item::Pool("a".into()).key(), value: vec![1] };
    assert_eq!(watch.next().await.unwrap().events, [put]);
}

#[tokio::test]
async fn a_watch_from_before_this_process_is_compacted() {
    let (store, directory) = fresh().await;
    store.commit(put(1)).await.unwrap();
    drop(store);
    let store = reopened(&directory).await;
    let mut watch = store.watch(&Under::Pools.prefix(), Revision(0)).await.unwrap();
    assert!(matches!(watch.next().await, Err(WatchError::Compacted { .. })));
    let mut watch = store.watch(&Under::Pools.prefix(), Revision(1)).await.unwrap();
    assert!(watch.next().now_or_never().is_none());
}

#[tokio::test]
async fn a_session_of_a_former_process_lapses_one_ttl_after_the_start() {
    let (store, directory) = fresh().await;
    let ttl = Duration::from_millis(200);
    store.begin_session(&Item::Session("h".into()).key(), vec![1], ttl).await.unwrap();
    drop(store);
    let store = reopened(&directory).await;
    let sessions = Under::Sessions.prefix();
    let snapshot = store.range(&sessions).await.unwrap();
    assert_eq!(snapshot.entries.len(), 1);
    let mut watch = store.watch(&sessions, snapshot.revision).await.unwrap();
    assert_eq!(watch.next().await.unwrap().events, [Event::Deleted(Item::Session("h".into()).key())]);
}

#[tokio::test]
async fn a_watch_ends_with_the_last_handle() {
    let (store, _directory) = fresh().await;
    let mut watch = store.watch(&Under::Pools.prefix(), Revision(0)).await.unwrap();
    drop(store);
    assert!(matches!(watch.next().await, Err(WatchError::Lost(StoreError::Closed))));
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let content = b"This is somebody's shopping list, not a store.".repeat(200);
    std::fs::write(file(&directory), &content).unwrap();
    let refused = open(&directory).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    assert!(refused.to_string().contains("berthd --restore-store"), "{refused}");
    assert_eq!(std::fs::read(file(&directory)).unwrap(), content);
}

#[tokio::test]
async fn a_file_with_a_damaged_value_is_refused() {
    let (store, directory) = fresh().await;
    let marker = b"a value that is easy to find in the file".repeat(8);
    store.commit(Transaction::new().put(Item::Pool("a".into()).key(), marker.clone())).await.unwrap();
    drop(store);
    drop(reopened(&directory).await);
    let mut content = std::fs::read(file(&directory)).unwrap();
    let found: Vec<usize> =
        content.windows(marker.len()).enumerate().filter(|(_, at)| *at == marker).map(|(at, _)| at).collect();
    assert!(!found.is_empty());
    for at in found {
        content[at + 5] ^= 1;
    }
    std::fs::write(file(&directory), content).unwrap();
    let refused = open(&directory).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
}

#[tokio::test]
async fn a_file_cut_short_is_refused() {
    let (store, directory) = fresh().await;
    store.commit(put(1)).await.unwrap();
    drop(store);
    drop(reopened(&directory).await);
    let length = std::fs::metadata(file(&directory)).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(file(&directory)).unwrap().set_len(length / 2).unwrap();
    let refused = open(&directory).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
}

#[tokio::test]
async fn a_file_of_a_newer_berth_is_refused() {
    let (store, directory) = fresh().await;
    drop(store);
    drop(reopened(&directory).await);
    table::write_format(&file(&directory), 2);
    let refused = open(&directory).await.unwrap_err();
    assert!(matches!(refused, StoreError::Format { found: 2, known: 1, .. }), "{refused}");
}

#[tokio::test]
async fn a_file_that_cannot_be_made_says_where() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("missing/store.redb");
    let refused = EmbeddedStore::open(&path).await.unwrap_err();
    assert!(matches!(refused, StoreError::Open { .. }), "{refused}");
    assert!(refused.to_string().contains("missing/store.redb"), "{refused}");
}

#[tokio::test]
async fn only_its_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_store, directory) = fresh().await;
    let mode = std::fs::metadata(file(&directory)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
