//! A full disk under the journal, by a limit on the size of files: in a child of this process.

use ipam::{Life, Record, Usage};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use super::super::*;
use super::rig::*;
use crate::journal::tests::child;

/// What the child says when it came to its end.
const CAME_TO_ITS_END: &str = "the child came to its end";

#[test]
fn a_full_disk_refuses_assignments_loses_none_and_is_overcome_when_there_is_room() {
    if child::role().is_some() {
        // A write beyond the limit fails instead of ending the process.
        SigSet::from(Signal::SIGXFSZ).thread_block().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(fill_and_make_room());
        println!("{CAME_TO_ITS_END}");
        return;
    }
    let directory = tempfile::TempDir::new().unwrap();
    let output = child::command(directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(CAME_TO_ITS_END), "{output:?}");
}

async fn fill_and_make_room() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    let held = agent.run_container("web").await;
    agent.settled_free().await;
    limit_files_to(std::fs::metadata(rig.journal_file()).unwrap().len());

    let said = agent.refused().await.to_string();
    assert!(said.contains("free space on the disk"), "{said}");
    // A release is accepted all the same: Docker never repeats one.
    let released = agent.allocator.reap(held.address, held.epoch).await.unwrap();
    assert_eq!(released, Released::Closed(held.epoch));

    limit_files_to(64 * 1024 * 1024);
    let again = agent.assigned_in_time().await;
    agent.kill();
    let assigned = rig.journalled().await.into_iter().rev().find_map(|record| match record {
        Record::Address { address, holding, .. } if address == again.address => Some(holding),
        _ => None,
    });
    let state = assigned.flatten().expect("it is in the journal").state;
    assert!(
        matches!(state, Life::Assigned { epoch, usage: Usage::Unbound, .. } if epoch == again.epoch),
        "{state:?}"
    );
}

fn limit_files_to(bytes: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
}
