//! Machines that boot, are copied, lose their journal or their time.

use ipam::*;

use super::{ANY, everything_is_within_reach, send_with};
use crate::world::*;

/// A reboot: what was in use or cooling cools first, what was free is usable, and every epoch is new.
#[test]
fn a_rebooted_host_takes_its_holdings_again_before_it_uses_them() {
    let mut world = World::running(1, SUBNET);
    let before = world.assign_any(0).unwrap();
    world.run();
    world.power_loss(0, 9);
    world.start(0);
    world.list(0);
    world.run();
    assert!(matches!(world.state(0, before.address), AddressState::Cooling { .. }));
    world.pass(COOLING);
    let after = world.assign(0, Wish::Exact(before.address)).unwrap();
    assert!(after.epoch > before.epoch && after.epoch.take > before.epoch.take);
}

/// The power goes in the middle of the journal's last records: whatever number of them is there, no epoch is issued
/// twice and no address is lost.
#[test]
fn torn_journal() {
    for kept in 0..12 {
        let mut world = World::running(1, SUBNET);
        let before = world.assign_any(0).unwrap();
        world.assign_any(0).unwrap();
        world.release(0, before.address).unwrap();
        world.power_loss(0, kept);
        world.start(0);
        world.settle();
        world.pass(COOLING);
        let again = world.assign(0, Wish::Exact(before.address)).unwrap();
        assert!(again.epoch > before.epoch, "{kept} records kept: {} after {}", again.epoch, before.epoch);
        everything_is_within_reach(&mut world, 0);
    }
}

/// Two machines from one image: same host id, same journal, another instance.
#[test]
fn cloned_image() {
    let mut world = World::running(2, SUBNET);
    world.assign_any(0).unwrap();
    world.run();
    let original = world.machines[0].clone();
    let clone = &mut world.machines[1];
    clone.agent = None;
    (clone.synced, clone.written) = (original.synced, original.written);
    clone.identity.host = original.identity.host;
    world.start(1);
    let refusal = {
        let request = world.request();
        world.list(1);
        world.feed(1, Input::Assign { request, pool: pool(), wish: ANY, endpoint: None });
        world.wait(1, request).unwrap_err()
    };
    assert!(refusal.to_string().contains("cloned image"), "{refusal}");
    world.assign_any(0).unwrap();
}

/// The journal is lost in a running boot: the host evicts itself, and running containers keep their
/// addresses by claiming them from quarantine.
#[test]
fn a_host_that_lost_its_journal_claims_what_its_containers_use() {
    let mut world = World::running(2, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.run();
    world.lose_journal(0);
    world.start(0);
    world.settle();
    assert!(world.block().quarantined().contains_key(&address));
    let endpoint = EndpointId::from("e1");
    let claimed = world.call(0, |request| Input::Claim { request, address, endpoint });
    let Ok(Answer::Assigned(claimed)) = claimed else { panic!("{claimed:?}") };
    assert_eq!(claimed.address, address);
    assert!(claimed.epoch > epoch);
    assert!(world.assign(1, Wish::Exact(address)).is_err());
}

/// A clock that falls, or jumps far ahead, breaks nothing.
#[test]
fn clock_jump() {
    let mut world = World::running(1, SUBNET);
    let address = world.assign_any(0).unwrap().address;
    world.release(0, address).unwrap();
    let now = world.now;
    world.now = Timestamp(0);
    world.feed(0, Input::Tick);
    world.now = now;
    assert!(matches!(world.state(0, address), AddressState::Cooling { .. }));
    world.now = Timestamp(u64::MAX - 1);
    world.feed(0, Input::Tick);
    assert_eq!(world.state(0, address), AddressState::FreeHere);
}

/// Found by the simulation: a re-take landed, and the power went before the journal knew. The next boot
/// found the operation in its journal and its number in the block, took it for its own, and issued
/// epochs of the boot before once more.
#[test]
fn retake_of_another_boot() {
    let mut world = World::running(1, SUBNET);
    let address = world.assign_any(0).unwrap().address;
    world.run();
    world.power_loss(0, 99);
    world.start(0);
    world.list(0);
    world.run();
    world.pass(COOLING);
    let second = world.assign(0, Wish::Exact(address)).unwrap();
    // Nothing of the second boot is synced but its operation.
    world.power_loss(0, 0);
    world.start(0);
    world.list(0);
    world.run();
    world.pass(COOLING);
    world.run();
    let third = world.assign(0, Wish::Exact(address)).unwrap();
    assert!(third.epoch > second.epoch, "{} after {}", third.epoch, second.epoch);
}

/// Found by the simulation: a host that lost its journal in a running boot journals the incarnation that it
/// is about to register. Where the registration was lost, it found itself ahead of its own record, took
/// the store for one that had lost its memory, and froze the cluster.
#[test]
fn lost_self_eviction() {
    for fate in [Fate::Lost, Fate::Unreached, Fate::Late] {
        let mut world = World::running(2, SUBNET);
        world.assign_any(0).unwrap();
        world.run();
        world.lose_journal(0);
        world.start(0);
        world.list(0);
        send_with(&mut world, 0, fate);
        world.settle();
        world.land(0);
        world.settle();
        assert_eq!(world.view(0).not_ready, None, "{fate:?}");
        assert_eq!(world.view(0).incarnation, Some(Incarnation(2)));
    }
}

/// The disk is full: nothing is answered that the journal does not have, and afterwards nothing is lost.
#[test]
fn disk_full() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.machines[0].disk_full = true;
    assert_eq!(world.assign_any(0).unwrap_err(), Refusal::JournalFailed);
    world.kill(0);
    world.start(0);
    world.list(0);
    assert_eq!(ipam::check::assigned_in(&world.view(0)).get(&kept.address), Some(&kept.epoch));
    world.machines[0].disk_full = false;
    world.pass(2_000);
    world.settle();
    world.reconcile(0);
    world.settle();
    world.pass(COOLING);
    everything_is_within_reach(&mut world, 0);
}
