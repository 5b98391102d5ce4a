//! A store that lost its memory, or has another's.

use ipam::*;

use crate::world::*;

/// The store is wiped, or put back from a backup, under a running host.
#[test]
fn wiped_store() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.store.entries.clear();
    world.machines[0].in_use.clear();
    world.kill(0);
    world.machines[0].agent = None;
    let at = &mut world.machines[0];
    let records = at.synced.iter().chain(&at.written).cloned();
    let mut host = Host::recover(at.identity.clone(), world.now, records);
    for prefix in host.watches() {
        host.step(world.now, Input::Listed { prefix, revision: Revision(1), entries: vec![] });
    }
    let view = host.view(world.now);
    assert!(matches!(view.not_ready, Some(NotReady::Frozen { .. })), "{:?}", view.not_ready);
    let kept_on = ipam::check::assigned_in(&view).get(&kept.address).copied();
    assert_eq!(kept_on, Some(kept.epoch), "running containers stay");
    // What is held goes on being used and released.
    let release = Input::Release { request: RequestId(1), address: kept.address };
    assert!(!host.step(world.now, release).is_empty());
}

/// The store is put back from a backup: the block knows less than the journal.
#[test]
fn restored_backup() {
    let mut world = World::running(1, SUBNET);
    let backup = world.store.clone();
    world.assign_any(0).unwrap();
    world.assign_any(0).unwrap();
    world.run();
    world.kill(0);
    world.store.entries = backup.entries;
    world.store.revision += 10;
    let id = block_key(world.block_id());
    let entry = world.store.entries[&id].0.clone();
    world.machines[0].in_use.clear();
    world.store.put(id, entry);
    world.start(0);
    world.settle();
    assert!(matches!(world.view(0).not_ready, Some(NotReady::Frozen { .. })));
    let Some(Value::Cluster(cluster)) = world.store.get(&Key::Cluster).value else { panic!("no cluster") };
    assert_eq!(cluster.state, ClusterState::Frozen);
}

/// The store is put back from a backup under running hosts and moves on, so that its revision tells nothing.
#[test]
fn restored_backup_that_moved_on() {
    let restored = || {
        let mut world = World::running(1, SUBNET);
        let backup = world.store.clone();
        world.assign_any(0).unwrap();
        world.run();
        world.store.entries = backup.entries;
        world.store.revision += 10;
        world
    };
    // A watch that broke is followed by a new listing.
    let mut world = restored();
    world.list(0);
    world.settle();
    assert!(matches!(world.view(0).not_ready, Some(NotReady::Frozen { .. })));
    // Where no watch broke, the next transaction on the block tells.
    let mut world = restored();
    let free = world.block().free().next().unwrap();
    world.assign(0, Wish::Exact(free)).unwrap_err();
    assert!(matches!(world.view(0).not_ready, Some(NotReady::Frozen { .. })));
}

/// The store is wiped, founded anew by mistake, and wiped and founded once more: a host that belongs to the
/// first believes neither.
#[test]
fn wiped_twice() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.run();
    world.kill(0);
    for id in ["second", "third"] {
        let generation = Generation { number: 1, id: id.len() as u64 };
        let founded = ClusterRecord { id: id.into(), generation, state: ClusterState::Open };
        let block = world.block();
        world.store.entries.clear();
        world.store.put(Key::Cluster, Value::Cluster(founded));
        let empty = Block::open(block.id(), 0, block.set_aside());
        world.store.put(block_key(block.id()), Value::Block(empty));
        world.machines[0].in_use.clear();
        world.start(0);
        world.list(0);
        world.run();
        let view = world.view(0);
        assert!(matches!(view.not_ready, Some(NotReady::Frozen { .. })), "{:?}", view.not_ready);
        let kept_on = ipam::check::assigned_in(&view).get(&kept.address).copied();
        assert_eq!(kept_on, Some(kept.epoch), "running containers stay");
        world.kill(0);
    }
}
