//! Incidents of other systems, and traces found in drafts of the protocol, that Berth must survive.
//! Those about evictions stand in `evictions.rs`.

use ipam::*;

use crate::world::*;

const ANY: Wish = Wish::Any(Family::V4);

/// Carries out effects until a transaction with this fate was sent.
fn send_with(world: &mut World, machine: usize, fate: Fate) {
    loop {
        let at = &mut world.machines[machine];
        let sends = matches!(at.effects.front(), Some(Effect::Send { .. }));
        if sends {
            world.carry(machine, fate);
            return;
        }
        assert!(world.carry(machine, Fate::Known) | world.hear(machine), "nothing is sent");
    }
}

fn everything_is_within_reach(world: &mut World, machine: usize) {
    let usable = world.block().counts().total - world.block().counts().set_aside;
    let in_use = world.machines.iter().map(|machine| machine.in_use.len() as u32).sum::<u32>();
    for _ in in_use..usable {
        world.assign_any(machine).unwrap();
    }
}

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
    let old = Seen { ..world.store.get(&Key::Block(world.block_id())) };
    let held = world.block().held().iter().find(|(_, held)| held.by.host.0 == "h1").map(|(a, _)| *a).unwrap();
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

/// whereabouts#176: an address is reclaimed from a live container because another has its name.
#[test]
fn same_name_reclaim() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.bind(0, address, "web").unwrap();
    world.gone(0, "web").unwrap();
    world.release(0, address).unwrap();
    world.pass(COOLING);
    let again = world.assign(0, Wish::Exact(address)).unwrap();
    world.bind(0, address, "web").unwrap();
    // The reconciler still has the old container of that name in hand.
    let reaped = world.call(0, |request| Input::Reap { request, address, epoch });
    assert_eq!(reaped, Ok(Answer::Released(Released::Nothing)));
    assert!(matches!(world.state(0, address), AddressState::Assigned { epoch, .. } if epoch == again.epoch));
}

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

/// The asker was evicted, or rebooted, before the grant: its want is not served.
#[test]
fn grant_to_the_evicted() {
    let mut world = World::running(2, SUBNET);
    let held = world.block().held().iter().find(|(_, held)| held.by.host.0 == "h1").map(|(a, _)| *a).unwrap();
    world.ask(1, Wish::Exact(held));
    send_with(&mut world, 1, Fate::Known);
    while !world.store.entries.keys().any(|key| matches!(key, Key::Want { .. })) {
        world.hear(1);
        send_with(&mut world, 1, Fate::Known);
    }
    while world.watch(0) {}
    // The giver has decided, and not yet sent.
    world.power_loss(1, 9);
    world.evict(1);
    world.sweep(1);
    while world.carry(0, Fate::Known) | world.hear(0) {}
    let holder = world.block().held().get(&held).map(|held| held.by.host.clone());
    assert_ne!(holder, Some("h2".into()));
    world.settle();
    assert!(!world.store.entries.keys().any(|key| matches!(key, Key::Want { .. })));
}

/// The journal is lost in a running boot: the host evicts itself, and running containers keep their
/// addresses by claiming them from quarantine.
#[test]
fn a_host_that_lost_its_journal_claims_what_its_containers_use() {
    let mut world = World::running(2, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.run();
    world.kill(0);
    world.machines[0].synced.clear();
    world.machines[0].written.clear();
    // The kernel's word, for the claim; the oracle would call the gap a loss.
    world.machines[0].in_use.clear();
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

/// moby#49921: every node of a swarm starts at the first address.
#[test]
fn uncoordinated_swarm() {
    let world = World::running(3, "10.60.0.0/24");
    assert_eq!(world.block().counts().held, 3);
    assert!(world.block().is_free(ip("10.60.0.2")), "nobody has a reason to begin there");
}

/// compose#11899: a dynamic container takes a static container's address at boot.
#[test]
fn stolen_static() {
    let mut world = World::running(1, SUBNET);
    let name = ReservationName::from("db");
    let address = Some(ip("10.50.0.4"));
    world.call(0, |request| Input::Reserve { request, name, pool: pool(), address }).unwrap();
    world.assign(0, Wish::Exact(ip("10.50.0.4"))).unwrap();
    world.run();
    world.power_loss(0, 99);
    world.start(0);
    world.settle();
    for _ in 0..4 {
        assert_ne!(world.assign_any(0).unwrap().address, ip("10.50.0.4"));
    }
    world.assign(0, Wish::Exact(ip("10.50.0.4"))).unwrap();
}

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
    let id = Key::Block(world.block_id());
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
    world.store.delete(Key::Block(id));
    world.store.put(Key::Block(id), Value::Block(Block::open(id, old.take_number(), old.set_aside())));
    world.settle();
    let after = world.assign(0, Wish::Exact(before.address)).unwrap();
    assert!(after.epoch > before.epoch);
    let (address, epoch) = (before.address, before.epoch);
    let late = world.call(0, |request| Input::Reap { request, address, epoch });
    assert_eq!(late, Ok(Answer::Released(Released::Nothing)));
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

/// The subnet is returned while a machine is off; ordered again or not.
fn return_subnet(world: &mut World, order_again: bool) {
    world.apply(BlockCommand::Return);
    let (old, id) = (world.block(), world.block_id());
    world.store.delete(Key::Block(id));
    if order_again {
        let opened = Block::open(id, old.take_number(), old.set_aside());
        world.store.put(Key::Block(id), Value::Block(opened));
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
        for prefix in [Prefix::Cluster, Prefix::Blocks] {
            let entries = world.store.list(&prefix);
            world.feed(0, Input::Listed { prefix, revision, entries });
        }
        world.settle();
        is_not_frozen(&world, 0);
    }
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
        world.kill(0);
        world.machines[0].synced.clear();
        world.machines[0].written.clear();
        // The kernel's word is for the claim; the oracle would call the gap a loss.
        world.machines[0].in_use.clear();
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
        world.store.put(Key::Block(block.id()), Value::Block(empty));
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

/// Found by the simulation: a claimed address was forgotten to be known to services. Its release cooled by
/// the timer alone, and it was used again while the cloud still named the container before.
#[test]
fn claimed_and_named() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.bind(0, address, "web").unwrap();
    world.call(0, |request| Input::Publish { request, address, epoch }).unwrap();
    world.name(address);
    world.kill(0);
    world.machines[0].synced.clear();
    world.machines[0].written.clear();
    world.machines[0].in_use.clear();
    world.start(0);
    world.settle();
    let endpoint = EndpointId::from("web");
    world.call(0, |request| Input::Claim { request, address, endpoint }).unwrap();
    world.gone(0, "web").unwrap();
    world.release(0, address).unwrap();
    world.pass(COOLING);
    world.settle();
    assert!(matches!(world.state(0, address), AddressState::Cooling { .. }), "the cloud still names it");
    world.unname();
    world.pass(10_000);
    world.settle();
    assert_eq!(world.state(0, address), AddressState::FreeHere);
}
