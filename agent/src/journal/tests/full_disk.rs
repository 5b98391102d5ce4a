//! A full disk, by a limit on the size of files: for a whole process, so in a child of this one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use super::*;

/// What the child says when it came to its end.
const CAME_TO_ITS_END: &str = "the child came to its end";

#[test]
fn a_full_disk_refuses_records_loses_none_and_is_overcome_when_there_is_room() {
    if let Some(directory) = child::role() {
        return fill_and_make_room(&directory);
    }
    let directory = TempDir::new().unwrap();
    let output = child::command(directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(CAME_TO_ITS_END), "{output:?}");
    let found = records(&directory);
    assert_eq!(found, notes(0..found.len() as u64));
}

fn fill_and_make_room(directory: &Path) {
    // A write beyond the limit fails instead of ending the process.
    SigSet::from(Signal::SIGXFSZ).thread_block().unwrap();
    let path = directory.join("test.journal");
    let (mut journal, _) = Journal::open(&path).unwrap();
    limit_files_to(1000);

    let mut written = 0;
    let refused = loop {
        match journal.append(&[note(written)], Durability::Written) {
            Ok(()) => written += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, JournalError::Full { .. }), "{refused:?}");
    assert!(refused.to_string().contains("free some space"), "{refused}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), journal.bytes());

    // Neither several at once nor a compaction that does not fit.
    assert!(journal.append(&notes(written..written + 3), Durability::Synced).is_err());
    assert!(journal.compact(&notes(0..100)).is_err());
    drop(journal);
    let (mut journal, found) = Journal::open(&path).unwrap();
    assert_eq!(found, notes(0..written));

    limit_files_to(1024 * 1024);
    journal.append(&[note(written)], Durability::Synced).unwrap();
    println!("{CAME_TO_ITS_END}");
}

fn limit_files_to(bytes: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
}
