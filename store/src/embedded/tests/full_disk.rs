//! A full disk, by a limit on the size of files: for a whole process, so in a child of this one.

use std::process::Command;

use futures::future::LocalBoxFuture;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use super::*;
use crate::VALUE_BYTES_MAX;

/// Set in the child: where its store is.
const CHILD: &str = "BERTH_TEST_FULL_DISK";

/// What the child says when it came to its end.
const CAME_TO_ITS_END: &str = "the child came to its end";

#[test]
fn a_full_disk_refuses_commits_loses_nothing_and_is_overcome_when_there_is_room() {
    in_a_child(|path| fill_and_make_room(path).boxed_local());
}

#[test]
fn a_disk_that_takes_no_write_at_all_leaves_the_outcome_open_until_it_does() {
    in_a_child(|path| forbid_writing_and_allow_it(path).boxed_local());
}

fn in_a_child(work: fn(PathBuf) -> LocalBoxFuture<'static, ()>) {
    if let Ok(directory) = std::env::var(CHILD) {
        return child(directory.into(), work);
    }
    let directory = TempDir::new().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(CHILD, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(CAME_TO_ITS_END), "{output:?}");
}

fn child(directory: PathBuf, work: fn(PathBuf) -> LocalBoxFuture<'static, ()>) {
    // A write beyond the limit fails instead of ending the process.
    SigSet::from(Signal::SIGXFSZ).thread_block().unwrap();
    // Its threads inherit what is blocked here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(directory.join("store.redb")));
    println!("{CAME_TO_ITS_END}");
}

async fn fill_and_make_room(path: PathBuf) {
    let store = EmbeddedStore::open(&path).await.unwrap();
    let key = |number: u32| Item::Pool(number.to_string()).key();
    let fill = |number: u32| Transaction::new().put(key(number), vec![number as u8; VALUE_BYTES_MAX]);
    limit_files_to(std::fs::metadata(&path).unwrap().len() + 1024 * 1024);

    let mut committed = 0;
    let refused = loop {
        match store.commit(fill(committed)).await {
            Ok(_) => committed += 1,
            Err(refused) => break refused,
        }
    };
    assert!(committed > 0);
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");

    let shown = store.range(&Under::Pools.prefix()).await.unwrap();
    let expected: Vec<u32> = (0..committed).collect();
    let mut found: Vec<u32> = Vec::new();
    for entry in &shown.entries {
        let number = (0..committed).find(|number| key(*number) == entry.key).unwrap();
        assert_eq!(entry.value, vec![number as u8; VALUE_BYTES_MAX]);
        found.push(number);
    }
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(store.commit(fill(committed)).await.is_err());

    limit_files_to(64 * 1024 * 1024);
    store.commit(fill(committed)).await.unwrap();
    assert!(store.get(&key(committed)).await.unwrap().entry.is_some());
}

async fn forbid_writing_and_allow_it(path: PathBuf) {
    let store = EmbeddedStore::open(&path).await.unwrap();
    store.commit(put(1)).await.unwrap();
    limit_files_to(4096);
    let unknown = store.commit(put(2)).await;
    assert!(matches!(unknown, Err(StoreError::UnknownOutcome(_))), "{unknown:?}");
    let away = store.get(&Item::Pool("a".into()).key()).await;
    assert!(matches!(away, Err(StoreError::Full { .. })), "{away:?}");
    let refused = store.commit(put(3)).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");

    limit_files_to(64 * 1024 * 1024);
    assert_eq!(value(&store).await, Some(vec![1]));
    store.commit(put(4)).await.unwrap();
    assert_eq!(value(&store).await, Some(vec![4]));
}

fn limit_files_to(bytes: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
}
