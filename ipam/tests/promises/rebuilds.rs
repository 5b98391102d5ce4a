//! A store that was lost for good and made anew: nobody loses an address, nobody gets another's, and what
//! nobody claims waits for people, never for a clock.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::role::HostsSeen;
use ipam::*;

use crate::world::{Fate, REST, Role, SUBNET, World, ZONE, block_key, pool};

const WHY: &str = "the store was made anew";

fn generation(number: u64) -> Generation {
    Generation { number, id: 100 + number }
}

/// Throws everything in the store away and makes it anew, in a store whose revisions begin again. No watch
/// shows it by itself.
fn lose_and_rebuild(world: &mut World, number: u64) -> Rebuild {
    let (id, cidr) = (world.block_id(), world.subnet);
    let kept: Vec<(Key, Value)> = [Key::Pool(pool()), Key::Subnet(cidr)]
        .into_iter()
        .filter_map(|key| Some((key.clone(), world.store.get(&key).value?)))
        .collect();
    let aside = world.block().set_aside().clone();
    world.store.entries.clear();
    world.store.history.clear();
    world.store.revision = 0;
    for machine in &mut world.machines {
        machine.watched = usize::MAX;
    }
    for (key, value) in kept {
        world.store.put(key, value);
    }
    let anew = Block::rebuilt(id, 0, &aside, WHY);
    world.store.put(block_key(id), Value::Block(anew));
    let cluster = ClusterRecord { id: "c".into(), generation: generation(number), state: ClusterState::Open };
    world.store.put(Key::Cluster, Value::Cluster(cluster));
    let awaited = world.machines.iter().map(|machine| (machine.identity.host.clone(), None));
    Rebuild {
        generation: generation(number),
        by: "h1".into(),
        at: "2026-11-22T18:00:00Z".into(),
        awaited: awaited.collect(),
        no_others: None,
        zones: [crate::world::ZONE.into()].into(),
    }
}

/// The host hears of the store again, and of everything that follows.
fn hear_of_it(world: &mut World, machine: usize) {
    world.list(machine);
    world.run();
    world.pass(2_000);
    world.run();
}

fn account(world: &mut World, machine: usize) {
    world.feed(machine, Input::Accounted);
    world.run();
}

fn used(world: &World, machine: usize) -> BTreeMap<IpAddr, Epoch> {
    ipam::check::assigned_in(&world.view(machine))
}

fn unclaimed(world: &World) -> Vec<IpAddr> {
    let block = world.block();
    block.quarantined().iter().filter(|(_, it)| it.was.is_none()).map(|(address, _)| *address).collect()
}

/// Looks as the role does, again and again, for far longer than a quarantine rests.
fn role_waits(world: &mut World, role: &mut Role, rebuild: &Rebuild) {
    for _ in 0..4 {
        let over = rebuild.is_over(&world.hosts_seen());
        role.quarantines.rebuild_is_over(over);
        world.role_watches(role, REST, |_| ipam::role::ProviderWord::NoWitness("running".into()));
    }
    world.run();
}

#[test]
fn every_host_gains_back_what_it_held_and_its_containers_keep_their_addresses() {
    let mut world = World::running(2, SUBNET);
    let (one, two) = (world.assign_any(0).unwrap(), world.assign_any(1).unwrap());
    world.run();
    let before = [used(&world, 0), used(&world, 1)];
    lose_and_rebuild(&mut world, 2);
    for machine in [0, 1] {
        hear_of_it(&mut world, machine);
        assert_eq!(world.view(machine).not_ready, None);
        assert_eq!(used(&world, machine), before[machine], "epochs are kept as well");
    }
    let block = world.block();
    for (machine, kept) in [(0, &one), (1, &two)] {
        let holder = &world.machines[machine].identity.host;
        assert_eq!(block.held()[&kept.address].by.host, *holder);
    }
    let next = world.assign_any(0);
    assert!(next.is_err() || next.is_ok_and(|it| it.address != one.address && it.address != two.address));
}

#[test]
fn an_address_that_was_held_free_is_used_again_only_once_it_is_claimed() {
    let mut world = World::running(1, SUBNET);
    world.assign_any(0).unwrap();
    let spare = world.assign_any(0).unwrap().address;
    world.release(0, spare).unwrap();
    world.pass(2_000);
    world.run();
    assert_eq!(world.state(0, spare), AddressState::FreeHere);
    lose_and_rebuild(&mut world, 2);
    world.list(0);
    // Nothing is carried out yet: the host knows of the new life, and has claimed nothing.
    assert_ne!(world.state(0, spare), AddressState::FreeHere);
    hear_of_it(&mut world, 0);
    assert_eq!(world.state(0, spare), AddressState::FreeHere);
    assert_eq!(world.block().held()[&spare].by.host, "h1".into());
    assert_eq!(world.assign(0, Wish::Exact(spare)).unwrap().epoch.generation, generation(2));
}

#[test]
fn what_nobody_claims_is_freed_by_no_clock_but_by_the_last_answer_and_an_operator_s_word() {
    let mut world = World::running(2, SUBNET);
    world.assign_any(0).unwrap();
    let dead = world.assign_any(1).unwrap().address;
    world.run();
    let mut rebuild = lose_and_rebuild(&mut world, 2);
    hear_of_it(&mut world, 0);
    world.power_loss(1, 0);
    let mut role = Role::new();
    assert!(unclaimed(&world).contains(&dead));

    // It claimed all it has, and its agent did not say yet that this is all.
    assert_eq!(
        rebuild.silent(&world.hosts_seen()).collect::<Vec<_>>(),
        ["h1", "h2"].map(HostId::from).each_ref()
    );
    account(&mut world, 0);
    assert_eq!(rebuild.silent(&world.hosts_seen()).collect::<Vec<_>>(), [&HostId::from("h2")]);
    let waiting = unclaimed(&world);
    role_waits(&mut world, &mut role, &rebuild);
    // An operator's word on strangers is not one on the host that is known to be missing.
    rebuild.no_others = Some("root".into());
    role_waits(&mut world, &mut role, &rebuild);
    assert_eq!(unclaimed(&world), waiting);
    world.assign(0, Wish::Exact(dead)).unwrap_err();

    rebuild.awaited.insert("h2".into(), Some("root: powered off".into()));
    role_waits(&mut world, &mut role, &rebuild);
    assert_eq!(unclaimed(&world), Vec::<IpAddr>::new());
    assert_eq!(world.assign(0, Wish::Exact(dead)).unwrap().address, dead);
}

#[test]
fn without_an_operator_s_word_on_strangers_nothing_is_freed() {
    let mut world = World::running(1, SUBNET);
    world.assign_any(0).unwrap();
    let mut rebuild = lose_and_rebuild(&mut world, 2);
    hear_of_it(&mut world, 0);
    account(&mut world, 0);
    let (mut role, waiting) = (Role::new(), unclaimed(&world));
    role_waits(&mut world, &mut role, &rebuild);
    assert!(!waiting.is_empty() && unclaimed(&world) == waiting);
    rebuild.no_others = Some("root".into());
    role_waits(&mut world, &mut role, &rebuild);
    assert_eq!(unclaimed(&world), Vec::<IpAddr>::new());
}

#[test]
fn a_host_that_was_told_nothing_goes_on_and_comes_back_to_what_it_used_meanwhile() {
    let mut world = World::running(2, SUBNET);
    world.assign_any(0).unwrap();
    let spare = world.assign_any(1).unwrap().address;
    world.release(1, spare).unwrap();
    world.pass(2_000);
    world.run();
    lose_and_rebuild(&mut world, 2);
    hear_of_it(&mut world, 0);
    account(&mut world, 0);
    // In the old life it assigns from what it holds, until its own next transaction tells.
    let late = world.assign(1, Wish::Exact(spare)).unwrap();
    hear_of_it(&mut world, 1);
    assert_eq!(used(&world, 1)[&spare], late.epoch);
    assert_eq!(world.block().held()[&spare].by.host, "h2".into());
}

#[test]
fn a_host_that_rebooted_meanwhile_claims_nothing_of_its_former_boot() {
    let mut world = World::running(1, SUBNET);
    let before = world.assign_any(0).unwrap().address;
    world.run();
    lose_and_rebuild(&mut world, 2);
    world.power_loss(0, usize::MAX);
    world.start(0);
    hear_of_it(&mut world, 0);
    account(&mut world, 0);
    assert!(unclaimed(&world).contains(&before), "its container is gone; another's may use it since");
    assert_eq!(world.view(0).not_ready, None);
    let record = &world.hosts_seen()[&HostId::from("h1")].record;
    assert_eq!(record.answered, Some(generation(2)));
}

#[test]
fn what_another_claimed_first_falls_silent() {
    let mut world = World::running(2, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.run();
    let mut rebuild = lose_and_rebuild(&mut world, 2);
    // As after an eviction on an untrue word: the other host's journal says the same, under an older epoch.
    world.machines[0].in_use.clear();
    let holder = Holder { host: "h2".into(), incarnation: Incarnation(1) };
    world.apply(BlockCommand::Claim { holder, addresses: [kept.address].into(), operation: 900 });
    hear_of_it(&mut world, 0);
    assert!(!used(&world, 0).contains_key(&kept.address));
    account(&mut world, 0);
    rebuild.no_others = Some("root".into());
    assert_eq!(rebuild.silent(&world.hosts_seen()).collect::<Vec<_>>(), [&HostId::from("h2")]);
}

#[test]
fn a_rebuild_is_met_after_a_restart_and_after_another_rebuild_as_well() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.run();
    world.kill(0);
    lose_and_rebuild(&mut world, 2);
    lose_and_rebuild(&mut world, 3);
    world.start(0);
    hear_of_it(&mut world, 0);
    assert_eq!(used(&world, 0)[&kept.address], kept.epoch);
    lose_and_rebuild(&mut world, 4);
    hear_of_it(&mut world, 0);
    assert_eq!(used(&world, 0)[&kept.address], kept.epoch);
    assert_eq!(world.block().held()[&kept.address].by.host, "h1".into());
}

/// Found by reading: what compares revisions alone may land in a store whose revisions have begun again.
#[test]
fn nothing_that_was_sent_before_lands_in_a_store_that_was_made_anew_not_even_at_the_same_revisions() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.run();
    let free = world.block().free().next().unwrap();
    world.ask(0, Wish::Exact(free));
    while world.machines[0].late.is_empty() {
        assert!(world.carry(0, Fate::Late) | world.hear(0));
    }
    let revisions: BTreeMap<Key, Revision> =
        world.store.entries.iter().map(|(key, (_, at))| (key.clone(), *at)).collect();
    let host = world.store.get(&Key::Host("h1".into())).value.unwrap();
    lose_and_rebuild(&mut world, 2);
    world.store.put(Key::Host("h1".into()), host);
    for (key, (_, at)) in &mut world.store.entries {
        *at = revisions[key];
    }
    let anew = world.block();
    world.land(0);
    assert_eq!(world.block(), anew);
    // Nor does a host freeze a life of the cluster that it has not met.
    world.feed(
        0,
        Input::Listed { prefix: Prefix::Blocks(ZONE.into()), revision: Revision(1), entries: vec![] },
    );
    while world.carry(0, Fate::Known) {}
    let Some(Value::Cluster(cluster)) = world.store.get(&Key::Cluster).value else { panic!("no cluster") };
    assert_eq!((cluster.state, cluster.generation), (ClusterState::Open, generation(2)));
    hear_of_it(&mut world, 0);
    assert_eq!(used(&world, 0)[&kept.address], kept.epoch);
}

#[test]
fn a_zone_that_is_not_made_anew_yet_is_waited_for() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.run();
    lose_and_rebuild(&mut world, 2);
    let anew = world.block();
    world.machines[0].in_use.clear();
    world.store.delete(block_key(anew.id()));
    hear_of_it(&mut world, 0);
    account(&mut world, 0);
    assert_eq!(world.view(0).not_ready, None, "that is no sign of another loss");
    assert_eq!(world.hosts_seen()[&HostId::from("h1")].record.answered, None);
    world.store.put(block_key(anew.id()), Value::Block(anew));
    hear_of_it(&mut world, 0);
    assert_eq!(used(&world, 0)[&kept.address], kept.epoch);
    assert_eq!(world.hosts_seen()[&HostId::from("h1")].record.answered, Some(generation(2)));
}

#[test]
fn an_evicted_host_is_accounted_for_and_an_answer_of_an_earlier_life_is_not() {
    let mut world = World::running(1, SUBNET);
    account(&mut world, 0);
    let answered = |hosts: &HostsSeen| hosts[&HostId::from("h1")].record.answered;
    assert_eq!(answered(&world.hosts_seen()), Some(Generation { number: 1, id: 7 }));
    let rebuild = Rebuild { no_others: Some("root".into()), ..lose_and_rebuild(&mut world.clone(), 2) };
    assert!(!rebuild.is_over(&world.hosts_seen()));
    let mut evicted = world.hosts_seen();
    evicted.get_mut(&HostId::from("h1")).unwrap().witnessed = Some(Incarnation(2));
    assert!(rebuild.is_over(&evicted));
}

#[test]
fn a_generation_is_above_all_that_are_known_and_not_behind_the_clock() {
    let of = |known: &[u64], now| next_generation(known.iter().map(|number| generation(*number)), now, 9);
    assert_eq!(of(&[5, 7], 3), Generation { number: 8, id: 9 });
    assert_eq!(of(&[5, 7], 1_700_000_000), Generation { number: 1_700_000_000, id: 9 });
    assert_eq!(of(&[], 3), Generation { number: 3, id: 9 });
}

/// Found by the simulation: the write that notes the new life of the cluster was torn after its first record. The
/// host that started judged the blocks of the new life by the numbers of the old one, and froze the cluster again.
#[test]
fn a_torn_note_of_the_new_life_freezes_nothing() {
    for kept in 0..6 {
        let mut world = World::running(1, SUBNET);
        let used = world.assign_any(0).unwrap();
        world.run();
        lose_and_rebuild(&mut world, 2);
        let at = &mut world.machines[0];
        let synced = at.synced.len() + at.written.len();
        world.list(0);
        while world.machines[0].synced.len() + world.machines[0].written.len() == synced {
            assert!(world.carry(0, Fate::Known) | world.hear(0), "nothing is noted");
        }
        world.kill(0);
        let at = &mut world.machines[0];
        let written = std::mem::take(&mut at.written);
        at.synced.extend(written);
        at.synced.truncate(synced + kept);
        world.start(0);
        hear_of_it(&mut world, 0);
        assert_eq!(world.view(0).not_ready, None, "{kept} records kept");
        assert_eq!(ipam::check::assigned_in(&world.view(0))[&used.address], used.epoch);
    }
}

/// Found by the simulation: a host that reads who the hosts are before it reads that the cluster's life is another
/// forgot the others, and gave them nothing any more.
#[test]
fn who_was_seen_before_the_new_life_was_met_is_not_forgotten() {
    let mut world = World::running(2, SUBNET);
    world.kill(0);
    lose_and_rebuild(&mut world, 2);
    hear_of_it(&mut world, 1);
    world.start(0);
    let prefixes = world.machines[0].agent.as_ref().unwrap().watches();
    let (first, last): (Vec<Prefix>, Vec<Prefix>) =
        prefixes.into_iter().partition(|prefix| *prefix != Prefix::Cluster);
    for prefix in first.into_iter().chain(last) {
        let (revision, entries) = (Revision(world.store.revision), world.store.list(&prefix));
        world.feed(0, Input::Listed { prefix, revision, entries });
    }
    world.machines[0].watched = world.store.history.len();
    world.run();
    world.pass(2_000);
    world.run();
    let held = world.held_by("h1");
    assert_eq!(world.assign(1, Wish::Exact(held)).unwrap().address, held);
}
