//! What an operator or the cloud changes under hosts that run: addresses that are excluded while in use, a host
//! that is in another zone than before, wants of the dead.

use std::collections::BTreeSet;

use ipam::role::{HostSeen, HostsSeen, WantSeen, sweep_wants};
use ipam::*;

use crate::world::*;

fn exclude(world: &mut World, address: std::net::IpAddr) {
    world.apply(BlockCommand::SetAside { address, why: SetAside::Excluded });
}

#[test]
fn an_address_excluded_in_use_stays_with_its_container_and_is_never_handed_out_again() {
    let mut world = World::running(2, SUBNET);
    let kept = world.assign_any(0).unwrap();
    exclude(&mut world, kept.address);
    world.settle();
    assert!(
        matches!(world.state(0, kept.address), AddressState::Assigned { .. }),
        "it was taken from its user"
    );
    world.release(0, kept.address).unwrap();
    world.pass(COOLING);
    world.settle();
    assert_eq!(world.block().set_aside().get(&kept.address), Some(&SetAside::Excluded));
    assert!(world.block().unwanted().is_empty());
    for machine in [0, 1] {
        let state = AddressState::SetAside(SetAside::Excluded);
        let refusal = world.assign(machine, Wish::Exact(kept.address)).unwrap_err();
        assert_eq!(refusal, Refusal::InTheWay { address: kept.address, state });
    }
}

#[test]
fn what_a_host_holds_free_of_an_excluded_range_goes_back_at_once() {
    let mut world = World::running(1, SUBNET);
    world.assign_any(0).unwrap();
    let spare =
        world.block().held().keys().copied().find(|a| !world.machines[0].in_use.contains_key(a)).unwrap();
    exclude(&mut world, spare);
    world.settle();
    assert_eq!(world.block().set_aside().get(&spare), Some(&SetAside::Excluded));
}

#[test]
fn an_address_excluded_while_it_is_on_its_way_to_another_host_is_set_aside() {
    let mut world = World::running(2, "10.50.0.0/30");
    let only = world.assign_any(0).unwrap().address;
    world.release(0, only).unwrap();
    world.pass(COOLING);
    let request = world.ask(1, Wish::Exact(only));
    // The holder has promised it, and its grant is not sent yet.
    while !matches!(world.state(0, only), AddressState::Leaving { .. }) {
        assert!(world.carry(1, Fate::Known) | world.hear(1) | world.watch(1) | world.watch(0));
    }
    exclude(&mut world, only);
    assert!(world.wait(1, request).is_err());
    world.settle();
    assert_eq!(world.block().set_aside().get(&only), Some(&SetAside::Excluded));
}

#[test]
fn an_address_that_is_excluded_no_more_before_it_came_back_is_as_it_was() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap().address;
    let before = world.block();
    exclude(&mut world, kept);
    assert_ne!(world.block(), before);
    world.apply(BlockCommand::Include { address: kept });
    assert_eq!(world.block(), before);
}

#[test]
fn an_address_excluded_in_quarantine_is_set_aside_when_that_ends() {
    let mut world = World::running(1, SUBNET);
    let address = world.assign_any(0).unwrap().address;
    let below = Incarnation(2);
    let swept =
        world.block().apply(BlockCommand::Sweep { host: "h1".into(), below, why: "off".into() }).unwrap();
    let excluded =
        swept.block.apply(BlockCommand::SetAside { address, why: SetAside::Excluded }).unwrap().block;
    assert!(excluded.quarantined().contains_key(&address));
    let ended = excluded.apply(BlockCommand::EndQuarantine { address }).unwrap().block;
    assert_eq!(ended.set_aside().get(&address), Some(&SetAside::Excluded));
    assert_eq!(ipam::check::block_broken(&ended), Vec::<String>::new());
}

/// `h1` holds something, and its provider then says that it is in another zone.
fn moved() -> (World, Assignment) {
    let mut world = World::running(2, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.settle();
    world.kill(0);
    world.machines[0].identity.zones = [Zone::from("dal10-901")].into();
    world.start(0);
    world.settle();
    (world, kept)
}

#[test]
fn a_host_in_another_zone_keeps_what_runs_and_gives_the_rest_back() {
    let (mut world, kept) = moved();
    assert!(
        matches!(world.state(0, kept.address), AddressState::Assigned { epoch, .. } if epoch == kept.epoch)
    );
    assert!(world.view(0).subnets.iter().all(|subnet| !subnet.in_reach));
    let held: BTreeSet<_> = world.block().held_by(&holder(1)).map(|(address, _)| address).collect();
    assert_eq!(held, BTreeSet::from([kept.address]), "what it held free is out of everybody's reach");
    let hint = Key::Surplus { zone: ZONE.into(), host: "h1".into() };
    assert!(!world.store.entries.contains_key(&hint), "a hint of addresses that nobody can have");
    // The others have all there is.
    for _ in 0..4 {
        world.assign_any(1).unwrap();
    }
}

#[test]
fn in_a_zone_that_a_host_left_it_is_given_nothing_and_what_ends_there_goes_back() {
    let (mut world, kept) = moved();
    assert!(matches!(world.assign_any(0), Err(Refusal::Exhausted(_))));
    assert!(world.assign(0, Wish::Exact(kept.address)).is_err());
    world.release(0, kept.address).unwrap();
    world.pass(COOLING);
    world.settle();
    assert!(world.block().held_by(&holder(1)).next().is_none());
    assert!(world.view(0).subnets.is_empty());
}

/// Found by the simulation: it was waited for in vain.
#[test]
fn a_reservation_in_a_zone_that_is_not_this_host_s_is_not_ended_here() {
    let mut world = World::running(1, SUBNET);
    let address = "10.51.0.2".parse().unwrap();
    let name = || ReservationName::from("db");
    let elsewhere = Reservation { name: name(), address, pool: pool() };
    world.store.put(Key::Reservation(name()), Value::Reservation(elsewhere));
    world.settle();
    let ended = world.call(0, |request| Input::Unreserve { request, name: name() });
    assert_eq!(ended, Err(Refusal::InTheWay { address, state: AddressState::Outside }));
}

/// Found by the simulation: its journal was put back, and nobody else looks into a zone that it left.
#[test]
fn what_a_host_held_in_a_zone_that_it_left_goes_back_also_if_its_disk_does_not_know_of_it() {
    let mut world = World::running(2, SUBNET);
    assert!(world.block().held_by(&holder(1)).next().is_some());
    world.kill(0);
    world.machines[0].identity.zones = [Zone::from("dal10-901")].into();
    world.start(0);
    let left = |world: &World| match world.store.get(&Key::Host("h1".into())).value {
        Some(Value::Host(record)) => record.left,
        _ => panic!("gone"),
    };
    // What the journal knows of the zone is lost before anything came of it.
    world.list(0);
    while left(&world).is_empty() {
        assert!(world.carry(0, Fate::Known) | world.hear(0), "it does not say what it left");
    }
    world.kill(0);
    let at = &mut world.machines[0];
    at.written.clear();
    at.synced.retain(|record| matches!(record, Record::Boot { .. }));
    world.start(0);
    world.settle();
    world.list(0);
    world.settle();
    assert!(world.block().held_by(&holder(1)).next().is_none());
    assert_eq!(left(&world), BTreeSet::new(), "it is looked at for no longer than it must");
}

#[test]
fn a_host_back_in_its_zone_goes_on_as_before() {
    let (mut world, kept) = moved();
    world.kill(0);
    world.machines[0].identity.zones = [Zone::from(ZONE)].into();
    world.start(0);
    world.settle();
    assert!(
        matches!(world.state(0, kept.address), AddressState::Assigned { epoch, .. } if epoch == kept.epoch)
    );
    world.assign_any(0).unwrap();
}

fn blocks_followed(world: &World) -> BTreeSet<Prefix> {
    let watches = world.machines[0].agent.as_ref().unwrap().watches();
    watches.into_iter().filter(|prefix| matches!(prefix, Prefix::Blocks(_))).collect()
}

#[test]
fn a_host_follows_the_blocks_of_its_zones_and_of_one_that_it_left_for_as_long_as_it_holds_something_there() {
    let (here, left) = (Prefix::Blocks("dal10-901".into()), Prefix::Blocks(ZONE.into()));
    let (mut world, kept) = moved();
    assert_eq!(blocks_followed(&world), BTreeSet::from([left, here.clone()]));
    world.release(0, kept.address).unwrap();
    world.pass(COOLING);
    world.settle();
    // With the next life of its subnet nothing is left to be told there.
    world.apply(BlockCommand::Drain);
    world.settle();
    world.apply(BlockCommand::Return);
    world.store.delete(block_key(world.block_id()));
    world.settle();
    assert_eq!(blocks_followed(&world), BTreeSet::from([here]));
}

#[test]
fn a_subnet_of_another_zone_is_not_remembered() {
    let mut world = World::running(1, SUBNET);
    let cidr = "10.60.0.0/29".parse().unwrap();
    let far = Subnet { cidr, pool: pool(), zone: "dal10-901".into(), gateway: None };
    world.store.put(Key::Subnet(cidr), Value::Subnet(far.clone()));
    world.settle();
    let remembered = |world: &World| {
        let snapshot = world.machines[0].agent.as_ref().unwrap().snapshot();
        snapshot.iter().any(|record| matches!(record, Record::Subnet(subnet) if subnet.cidr == cidr))
    };
    assert!(!remembered(&world));
    world.store.put(Key::Subnet(cidr), Value::Subnet(Subnet { zone: ZONE.into(), ..far.clone() }));
    world.settle();
    assert!(remembered(&world), "it was ordered again, and for this zone");
    world.store.put(Key::Subnet(cidr), Value::Subnet(far));
    world.settle();
    assert!(!remembered(&world), "and again for the other one");
}

/// The watches of two zones tell in no order of their own.
#[test]
fn a_subnet_ordered_again_for_another_zone_is_not_taken_for_gone_by_a_late_word_of_the_former() {
    let mut world = World::new(1, SUBNET);
    let other = Zone::from("dal10-901");
    world.machines[0].identity.zones.insert(other.clone());
    world.start(0);
    world.settle();
    let (id, old) = (world.block_id(), world.block());
    let in_other = Key::Block { zone: other.clone(), block: id };
    let opened = Block::open(id, old.take_number() + 10, old.set_aside());
    let seen = |key, value, revision| Seen { key, value, revision: Revision(revision) };
    let at = world.store.revision;
    let subnet = Subnet { cidr: id.subnet, pool: pool(), zone: other, gateway: None };
    world.feed(0, Input::Seen(vec![seen(Key::Subnet(id.subnet), Some(Value::Subnet(subnet)), at + 2)]));
    world.feed(0, Input::Seen(vec![seen(in_other, Some(Value::Block(opened)), at + 2)]));
    world.feed(0, Input::Seen(vec![seen(block_key(id), None, at + 3)]));
    assert_eq!(world.view(0).subnets[0].blocks.len(), 1);
}

fn holder(incarnation: u64) -> Holder {
    Holder { host: "h1".into(), incarnation: Incarnation(incarnation) }
}

fn host(boot: &str, incarnation: u64) -> HostSeen {
    let record = HostRecord {
        instance: InstanceId("i".into()),
        incarnation: Incarnation(incarnation),
        boot: BootId::from(boot),
        zones: [Zone::from(ZONE)].into(),
        left: BTreeSet::new(),
        answered: None,
    };
    HostSeen { record, revision: Revision(1), alive: true, witnessed: None }
}

/// A want of `h2` for something of `h1`, both well.
fn wanted() -> (HostsSeen, WantSeen) {
    let hosts = [("h1".into(), host("b", 1)), ("h2".into(), host("b", 1))].into();
    let want = Want { incarnation: Incarnation(1), boot: BootId::from("b"), ask: Ask::This(ip("10.50.0.2")) };
    (hosts, WantSeen { holder: "h1".into(), asker: "h2".into(), want, revision: Revision(7) })
}

#[test]
fn a_want_between_living_hosts_or_of_a_silent_one_is_left() {
    let (mut hosts, seen) = wanted();
    assert_eq!(sweep_wants(&ZONE.into(), &hosts, std::slice::from_ref(&seen)), None);
    for host in hosts.values_mut() {
        host.alive = false;
    }
    assert_eq!(sweep_wants(&ZONE.into(), &hosts, &[seen]), None);
}

#[test]
fn a_want_that_nobody_answers_or_nobody_waits_for_is_swept() {
    let evicted = HostSeen { alive: false, witnessed: Some(Incarnation(2)), ..host("b", 2) };
    let mut elsewhere = host("b", 1);
    elsewhere.record.zones = BTreeSet::new();
    let gone: [(&str, &str, Option<HostSeen>); 6] = [
        ("the holder is unknown", "h1", None),
        ("the holder was evicted", "h1", Some(evicted.clone())),
        ("the holder is in another zone", "h1", Some(elsewhere)),
        ("the asker is unknown", "h2", None),
        ("the asker was evicted", "h2", Some(evicted)),
        ("the asker booted", "h2", Some(host("c", 1))),
    ];
    for (what, who, now) in gone {
        let (mut hosts, seen) = wanted();
        hosts.remove(&HostId::from(who));
        hosts.extend(now.map(|now| (HostId::from(who), now)));
        let key = Key::Want { zone: ZONE.into(), holder: "h1".into(), asker: "h2".into() };
        let swept = sweep_wants(&ZONE.into(), &hosts, &[seen]).expect(what);
        assert_eq!(swept.compares, [Compare::At { key: key.clone(), revision: Revision(7) }], "{what}");
        assert_eq!(swept.writes, [Write::Delete(key)], "{what}");
    }
}

#[test]
fn a_host_that_was_evicted_and_is_back_answers_what_it_is_asked() {
    let (mut hosts, seen) = wanted();
    let back = HostSeen { witnessed: Some(Incarnation(2)), ..host("c", 2) };
    hosts.insert("h1".into(), back);
    assert_eq!(sweep_wants(&ZONE.into(), &hosts, &[seen]), None);
}
