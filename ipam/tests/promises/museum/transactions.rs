//! Transactions whose outcome nobody knew, that came late, or were decided on what was old.

use ipam::*;

use super::{ANY, everything_is_within_reach, send_with};
use crate::world::*;

/// calico#5203: the link to etcd broke in the middle of a write, and the address was lost.
#[test]
fn unknown_commit() {
    for fate in [Fate::LandedUnheard, Fate::Lost, Fate::Late] {
        let mut world = World::running(1, SUBNET);
        world.ask(0, ANY);
        world.ask(0, ANY);
        world.ask(0, ANY);
        send_with(&mut world, 0, fate);
        world.settle();
        assert_eq!(world.machines[0].in_use.len(), 3, "{fate:?}");
        world.land(0);
        world.settle();
        everything_is_within_reach(&mut world, 0);
    }
}

/// The agent dies between the request and its outcome.
#[test]
fn unknown_commit_over_a_restart() {
    for fate in [Fate::LandedUnheard, Fate::Late, Fate::Lost] {
        for powered in [true, false] {
            let mut world = World::running(1, SUBNET);
            world.ask(0, ANY);
            world.ask(0, ANY);
            send_with(&mut world, 0, fate);
            if powered {
                world.kill(0);
            } else {
                world.power_loss(0, 0);
            }
            world.start(0);
            world.settle();
            world.land(0);
            world.settle();
            world.reconcile(0);
            world.settle();
            everything_is_within_reach(&mut world, 0);
        }
    }
}

/// A give-back that timed out lands after the address was used again.
#[test]
fn late_commit() {
    let mut world = World::running(2, SUBNET);
    let address = world.assign_any(0).unwrap().address;
    world.release(0, address).unwrap();
    world.pass(COOLING);
    world.run();
    // The other asks for it, and the grant is lost on its way.
    let request = world.ask(1, Wish::Exact(address));
    for _ in 0..40 {
        world.carry(1, Fate::Known);
        world.hear(1);
    }
    while world.watch(0) {}
    send_with(&mut world, 0, Fate::Late);
    world.settle();
    let mine = world.assign(0, Wish::Exact(address));
    let theirs = world.wait(1, request);
    world.land(0);
    world.settle();
    assert!(mine.is_ok() != theirs.is_ok(), "{mine:?} {theirs:?}");
}

/// A late watch event shows an address as held that was granted away since.
#[test]
fn lagging_read() {
    let mut world = World::running(2, SUBNET);
    let old = Seen { ..world.store.get(&block_key(world.block_id())) };
    let held = world.held_by("h1");
    world.assign(1, Wish::Exact(held)).unwrap();
    world.feed(0, Input::Seen(vec![old.clone()]));
    assert_eq!(world.state(0, held), AddressState::Held("h2".into()));
    world.run();
    world.kill(0);
    world.start(0);
    world.feed(0, Input::Seen(vec![old]));
    world.settle();
    assert_eq!(world.state(0, held), AddressState::Held("h2".into()));
}

/// The asker was evicted, or rebooted, before the grant: its want is not served.
#[test]
fn grant_to_the_evicted() {
    let mut world = World::running(2, SUBNET);
    let held = world.held_by("h1");
    world.ask(1, Wish::Exact(held));
    send_with(&mut world, 1, Fate::Known);
    while !world.has_a_want() {
        world.hear(1);
        send_with(&mut world, 1, Fate::Known);
    }
    while world.watch(0) {}
    // The giver has decided, and not yet sent.
    world.power_loss(1, 9);
    world.evict(1);
    world.sweep(1);
    while world.carry(0, Fate::Known) | world.hear(0) {}
    world.was_not_granted(held, "h2");
}

/// A publication that timed out lands after its address was released: the close defeats it.
#[test]
fn late_open() {
    for landing in [true, false] {
        let mut world = World::running(1, SUBNET);
        let assignment = world.assign_any(0).unwrap();
        let (address, epoch) = (assignment.address, assignment.epoch);
        world.bind(0, address, "web").unwrap();
        let request = world.request();
        world.feed(0, Input::Publish { request, address, epoch });
        send_with(&mut world, 0, Fate::Late);
        world.gone(0, "web").unwrap();
        world.release(0, address).unwrap();
        if landing {
            // Before the close: it is open for a moment, and closed.
            world.land(0);
        }
        world.pass(COOLING);
        world.settle();
        world.land(0);
        world.settle();
        let key = Key::Endpoint(address);
        assert_eq!(world.store.get(&key).value, None, "an endpoint that nobody closes any more");
        assert_eq!(world.state(0, address), AddressState::FreeHere);
    }
}
