//! Subnets that were returned, and ordered again.

use ipam::*;

use crate::world::*;

/// A subnet is returned and the same CIDR ordered again, with old messages still about.
#[test]
fn returned_subnet() {
    let mut world = World::running(1, SUBNET);
    let before = world.assign_any(0).unwrap();
    world.release(0, before.address).unwrap();
    world.pass(COOLING);
    world.apply(BlockCommand::Drain);
    world.settle();
    world.apply(BlockCommand::Return);
    let old = world.block();
    let id = world.block_id();
    world.store.delete(block_key(id));
    world.store.put(block_key(id), Value::Block(Block::open(id, old.take_number(), old.set_aside())));
    world.settle();
    let after = world.assign(0, Wish::Exact(before.address)).unwrap();
    assert!(after.epoch > before.epoch);
    let (address, epoch) = (before.address, before.epoch);
    let late = world.call(0, |request| Input::Reap { request, address, epoch });
    assert_eq!(late, Ok(Answer::Released(Released::Nothing)));
}

/// The subnet is returned while a machine is off; ordered again or not.
fn return_subnet(world: &mut World, order_again: bool) {
    world.apply(BlockCommand::Return);
    let (old, id) = (world.block(), world.block_id());
    world.store.delete(block_key(id));
    if order_again {
        let opened = Block::open(id, old.take_number(), old.set_aside());
        world.store.put(block_key(id), Value::Block(opened));
    }
}

fn is_not_frozen(world: &World, machine: usize) {
    let not_ready = world.view(machine).not_ready;
    assert!(!matches!(not_ready, Some(NotReady::Frozen { .. })), "{not_ready:?}");
}

/// Found by the simulation: the give-back landed, the power went before the journal knew, and the subnet
/// was returned. The host came back, found the block of what it had journalled as leaving gone, and
/// froze the cluster.
#[test]
fn returned_while_off() {
    for order_again in [false, true] {
        let mut world = World::running(2, SUBNET);
        world.apply(BlockCommand::Drain);
        for _ in 0..40 {
            world.carry(0, Fate::Known);
            world.hear(0);
            world.watch(0);
            if world.block().held().values().all(|held| held.by.host.0 != "h1") {
                break;
            }
        }
        world.power_loss(0, 0);
        world.settle();
        return_subnet(&mut world, order_again);
        world.start(0);
        world.settle();
        is_not_frozen(&world, 0);
    }
}

/// The same for a host that was evicted while it was off: its journal still shows what it held.
#[test]
fn returned_after_eviction() {
    for order_again in [false, true] {
        let mut world = World::running(2, SUBNET);
        world.assign_any(0).unwrap();
        world.run();
        world.power_loss(0, 99);
        world.evict(0);
        world.sweep(0);
        world.end_quarantine();
        world.apply(BlockCommand::Drain);
        world.settle();
        return_subnet(&mut world, order_again);
        world.start(0);
        // Blocks are listed before the host knows how it stands.
        let revision = Revision(world.store.revision);
        for prefix in [Prefix::Cluster, Prefix::Blocks(ZONE.into())] {
            let entries = world.store.list(&prefix);
            world.feed(0, Input::Listed { prefix, revision, entries });
        }
        world.settle();
        is_not_frozen(&world, 0);
    }
}
