//! What Docker and the disk do to one host.

use ipam::Wish;

use super::{ANY, MINUTE, fault, fleet};
use crate::coverage::Sometimes;
use crate::fault::{Fault, Kind};

/// libnetwork#813: a dead plugin made a dead docker. Containers stop and start while the agent is down: dockerd is
/// told at once, what runs goes on, and what could not be said is put right by the agent that starts.
#[test]
fn dead_plugin() {
    let mut fleet = fleet(2);
    let kept = fleet.runs(0);
    fleet.runs(0);
    fleet.begin(fault(Kind::Crash, 0, 2 * MINUTE));
    fleet.stop_container(0, 1);
    fleet.run_container(0, ANY, false);
    fleet.pass(MINUTE);
    let docker = &fleet.machines[0].docker;
    assert_eq!(docker.containers.len(), 1, "nothing waits for the dead agent: {:?}", docker.containers);
    assert_eq!(fleet.machines[0].kernel.keys().copied().collect::<Vec<_>>(), [kept]);
    fleet.pass(3 * MINUTE);
    assert_eq!(fleet.assigned(0), 1, "the release that nobody heard was made good");
    fleet.runs(0);
    fleet.ends_well();
}

/// dockerd repeats a call whose connection broke with an empty body: nothing is assigned for it, and what the first
/// call was answered is not lost.
#[test]
fn empty_retry() {
    let mut fleet = fleet(1);
    fleet.runs(0);
    fleet.machines[0].docker.deaf = true;
    fleet.run_container(0, ANY, false);
    fleet.pass(1_000);
    assert!(fleet.coverage.has(Sometimes::EmptyRetry));
    assert_eq!(fleet.machines[0].kernel.len(), 1);
    fleet.pass(MINUTE);
    assert_eq!(fleet.assigned(0), 1, "what nobody heard was reaped");
    fleet.ends_well();
}

/// The disk of the journal is full: nothing is answered that is not written, what runs goes on, and afterwards
/// everything is as it was.
#[test]
fn disk_full() {
    let mut fleet = fleet(2);
    let kept = fleet.runs(0);
    fleet.runs(0);
    fleet.begin(fault(Kind::DiskFull, 0, 5 * MINUTE));
    fleet.stop_container(0, 1);
    fleet.run_container(0, ANY, false);
    fleet.pass(MINUTE);
    assert!(fleet.coverage.has(Sometimes::DiskFull));
    assert_eq!(fleet.machines[0].kernel.keys().copied().collect::<Vec<_>>(), [kept], "nothing is answered");
    // Killed and started with the disk still full: what was answered before is known.
    fleet.begin(fault(Kind::Crash, 0, 1_000));
    fleet.pass(MINUTE);
    assert!(fleet.machines[0].kernel.contains_key(&kept));
    fleet.pass(5 * MINUTE);
    fleet.runs(0);
    fleet.ends_well();
}

/// The agent dies in the middle of a write to its journal, at every place there is: what was answered is there, what
/// was torn was never answered.
#[test]
fn torn_journal() {
    for much in 0..40 {
        let mut fleet = fleet(2);
        let kept = fleet.runs(0);
        fleet.begin(Fault { kind: Kind::TornAppend, machine: 0, millis: 1_000, much });
        for _ in 0..=much % 4 {
            fleet.run_container(0, ANY, false);
            fleet.pass(500);
        }
        fleet.pass(MINUTE);
        assert!(fleet.coverage.has(Sometimes::TornAppend));
        assert!(fleet.machines[0].kernel.contains_key(&kept));
        fleet.begin(Fault { kind: Kind::PowerLoss, machine: 0, millis: 1_000, much });
        fleet.pass(MINUTE);
        fleet.ends_well();
    }
}

/// cilium#10065: a repeated late delete freed an address that a living container used.
#[test]
fn late_release() {
    let mut fleet = fleet(1);
    let address = fleet.runs(0);
    fleet.stop_container(0, 0);
    fleet.pass(MINUTE);
    fleet.run_container(0, Wish::Exact(address), false);
    fleet.pass(1_000);
    assert!(fleet.machines[0].kernel.contains_key(&address));
    for _ in 0..3 {
        fleet.release_late(0, 0);
        fleet.reap_late(0, 0);
        fleet.pass(MINUTE);
    }
    assert!(fleet.coverage.has(Sometimes::LateReleaseOfUsed));
    assert!(fleet.machines[0].kernel.contains_key(&address) && fleet.assigned(0) == 1);
    fleet.ends_well();
}
