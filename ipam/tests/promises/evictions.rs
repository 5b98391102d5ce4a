//! The museum's evictions, decided by the machines of the capacity role.

use ipam::role::ProviderWord;
use ipam::*;

use crate::world::*;

const ANY: Wish = Wish::Any(Family::V4);

fn off(_: &HostId) -> ProviderWord {
    ProviderWord::Off
}

fn running(_: &HostId) -> ProviderWord {
    ProviderWord::NoWitness("running".into())
}

fn never(host: &HostId) -> ProviderWord {
    panic!("the provider is asked about {host}")
}

/// Longer than two witnesses take, and shorter than a rest.
const WITNESSED: u64 = STALENESS + PAUSE + 30_000;

fn incarnation(world: &World, machine: usize) -> Incarnation {
    world.hosts_seen()[&world.machines[machine].identity.host].record.incarnation
}

fn holds_nothing(world: &World, machine: usize) -> bool {
    let host = &world.machines[machine].identity.host;
    world.block().held().values().all(|held| held.by.host != *host)
}

/// Two machines, of which the first used an address and lost its power.
fn with_a_dead_machine() -> (World, Assignment, Role) {
    let mut world = World::running(2, SUBNET);
    let assignment = world.assign_any(0).unwrap();
    world.run();
    world.power_loss(0, 9);
    (world, assignment, Role::new())
}

/// L1: a dead host's addresses are usable again within R, the pause and the rest.
#[test]
fn a_dead_hosts_addresses_come_back_within_a_bound() {
    let (mut world, lost, mut role) = with_a_dead_machine();
    world.role_watches(&mut role, WITNESSED, off);
    assert!(holds_nothing(&world, 0) && world.block().quarantined().contains_key(&lost.address));
    world.role_watches(&mut role, REST, off);
    assert!(world.block().quarantined().is_empty());
    let again = world.assign(1, Wish::Exact(lost.address)).unwrap();
    assert!(again.epoch > lost.epoch);
}

/// A reservation keeps its address through eviction and quarantine: free then, for who asks for it alone.
#[test]
fn a_reserved_address_of_a_dead_host_goes_to_who_asks_for_it_and_to_nobody_else() {
    let mut world = World::running(2, SUBNET);
    let name = ReservationName::from("db");
    let reserve = |request| Input::Reserve { request, name, pool: pool(), address: None };
    let Ok(Answer::Reservation(reserved)) = world.call(0, reserve) else { panic!("refused") };
    let lost = world.assign(0, Wish::Exact(reserved.address)).unwrap();
    world.run();
    world.power_loss(0, 9);
    let mut role = Role::new();
    world.role_watches(&mut role, WITNESSED, off);
    assert!(world.assign(1, Wish::Exact(lost.address)).is_err(), "it is in quarantine");
    world.role_watches(&mut role, REST, off);
    while let Ok(other) = world.assign_any(1) {
        assert_ne!(other.address, lost.address);
    }
    let again = world.assign(1, Wish::Exact(lost.address)).unwrap();
    assert!(again.epoch > lost.epoch);
}

/// flannel#1289: a host back after its lease expired takes its old range again.
#[test]
fn returning_host() {
    let (mut world, lost, mut role) = with_a_dead_machine();
    world.role_watches(&mut role, WITNESSED + REST, off);
    world.assign(1, Wish::Exact(lost.address)).unwrap();
    world.start(0);
    world.settle();
    assert_eq!(world.state(0, lost.address), AddressState::Held("h2".into()));
    assert_eq!(world.assign(0, ANY).map(|it| it.address != lost.address), Ok(true));
    world.role_watches(&mut role, WITNESSED, never);
    assert_eq!(incarnation(&world, 0), Incarnation(2));
}

/// weave rmpeer: two administrators remove the same peer at once.
#[test]
fn evict_twice() {
    let (mut world, _, mut one) = with_a_dead_machine();
    let mut other = Role::new();
    // Both hear both witnesses before either acts.
    for role in [&mut one, &mut other] {
        let (me, blocks) = ("elsewhere".into(), vec![]);
        let _ = role.evictions.look(world.now, &me, &world.hosts_seen(), &blocks);
    }
    let before = world.hosts_seen();
    let eviction = |by: &str| Eviction {
        incarnation: Incarnation(0),
        by: by.into(),
        at: String::new(),
        word: EvictionWord::Operator { who: by.into(), said: "it is off".into() },
    };
    let host = world.machines[0].identity.host.clone();
    let raised = |by: &str| ipam::role::raise(&host, &before[&host], eviction(by), false);
    assert!(matches!(world.store.commit(&raised("ann")), Sent::Committed { .. }));
    assert!(matches!(world.store.commit(&raised("bob")), Sent::Conflict { .. }));
    for role in [&mut one, &mut other] {
        world.role_watches(role, WITNESSED, never);
    }
    assert_eq!(incarnation(&world, 0), Incarnation(2));
    assert!(holds_nothing(&world, 0));
}

/// The machine boots while the provider is asked: exactly one of boot and eviction takes effect.
#[test]
fn evict_races_boot() {
    for boots_first in [true, false] {
        let (mut world, kept, mut role) = with_a_dead_machine();
        // Both witnesses are heard; the decision is not sent yet.
        world.role_watches(&mut role, STALENESS, off);
        let before = world.hosts_seen();
        let host = world.machines[0].identity.host.clone();
        let word = EvictionWord::Provider { said: "off".into() };
        let (by, at) = ("elsewhere".into(), String::new());
        let decided = ipam::role::raise(
            &host,
            &before[&host],
            Eviction { incarnation: Incarnation(0), by, at, word },
            false,
        );
        if boots_first {
            world.start(0);
            world.settle();
            assert!(matches!(world.store.commit(&decided), Sent::Conflict { .. }));
            world.role_watches(&mut role, WITNESSED, never);
            assert_eq!(world.holder(kept.address), Some(host));
        } else {
            assert!(matches!(world.store.commit(&decided), Sent::Committed { .. }));
            world.start(0);
            world.settle();
            assert_eq!(incarnation(&world, 0), Incarnation(2));
            assert!(world.assign(0, Wish::Exact(kept.address)).is_err());
        }
        world.assign_any(0).unwrap();
    }
}

/// The asker was evicted before its want was seen.
#[test]
fn a_want_of_the_evicted_is_not_served() {
    let mut world = World::running(2, SUBNET);
    let held = world.held_by("h1");
    // The giver hears nothing for now; the asker's want arrives, and then the asker dies.
    world.ask(1, Wish::Exact(held));
    while !world.has_a_want() {
        assert!(world.carry(1, Fate::Known) | world.hear(1), "nothing is asked");
    }
    let want = world.store.history.len();
    world.power_loss(1, 9);
    let mut role = Role::new();
    for _ in 0..(WITNESSED / 10_000) {
        world.role_pass(&mut role, off);
        world.now = world.now.after(10_000);
    }
    assert_eq!(incarnation(&world, 1), Incarnation(2));
    // Now the giver's watch shows the want, and what became of the asker only later.
    while world.machines[0].watched < want {
        world.watch(0);
    }
    while world.carry(0, Fate::Known) | world.hear(0) {}
    world.was_not_granted(held, "h2");
}

/// A suspended machine's session lapses like a dead one's; it may go on at any moment.
#[test]
fn suspended_host() {
    let mut world = World::running(2, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.run();
    world.lapse(0);
    let mut role = Role::new();
    let states = ["paused", "suspended", "in a transaction", "unknown"];
    for (turn, state) in states.iter().cycle().take(120).enumerate() {
        // Now and then it looks as if it were off, in the middle of a migration.
        let word = |host: &HostId| match turn % 3 {
            0 => off(host),
            _ => ProviderWord::NoWitness((*state).to_owned()),
        };
        world.role_pass(&mut role, word);
        world.now = world.now.after(PAUSE - 1_000);
    }
    world.sign(0);
    world.settle();
    assert_eq!(incarnation(&world, 0), Incarnation(1));
    assert_eq!(world.holder(kept.address).map(|host| host.0), Some("h1".into()));
}

/// aws vpc cni#3887, #3019: the provider answers from before. It still says `off` of a machine that has
/// booted; it may lag by R, not more.
#[test]
fn stale_provider_read() {
    let (mut world, kept, mut role) = with_a_dead_machine();
    world.role_watches(&mut role, STALENESS / 2, never);
    // It boots and registers, and then loses the store: silent again, with containers that run.
    world.start(0);
    world.settle();
    world.lapse(0);
    let booted = world.now;
    for _ in 0..40 {
        let now = world.now;
        // The provider's answers lag by R, less a moment.
        let stale = move |host: &HostId| match now < booted.after(STALENESS - 1) {
            true => off(host),
            false => running(host),
        };
        world.role_pass(&mut role, stale);
        world.now = world.now.after(5_000);
    }
    assert_eq!(incarnation(&world, 0), Incarnation(1));
    assert_eq!(world.holder(kept.address).map(|host| host.0), Some("h1".into()));
}

/// Evicted while off, boots without the store, crashes, starts again: still cannot use anything.
#[test]
fn booted_cut_off() {
    let (mut world, lost, mut role) = with_a_dead_machine();
    world.role_watches(&mut role, WITNESSED + REST, off);
    world.assign(1, Wish::Exact(lost.address)).unwrap();
    for _ in 0..2 {
        world.start(0);
        world.lapse(0);
        for wish in [Wish::Exact(lost.address), ANY] {
            let request = world.ask(0, wish);
            world.pass(REQUEST_PATIENCE_MILLIS);
            while world.carry(0, Fate::Unreached) | world.hear(0) {}
            assert!(matches!(world.machines[0].answers.get(&request), Some(Err(_))));
        }
        world.kill(0);
    }
    world.start(0);
    world.settle();
    world.assign_any(0).unwrap();
}

/// The role changes hands in the middle of a sweep; the next owner finishes it.
#[test]
fn a_half_done_sweep_is_finished_by_the_next_owner() {
    let (mut world, lost, role) = with_a_dead_machine();
    world.evict(0);
    assert!(!holds_nothing(&world, 0), "raised, and nothing swept");
    drop(role);
    let mut next = Role::new();
    world.role_pass(&mut next, never);
    assert!(holds_nothing(&world, 0));
    world.role_watches(&mut next, REST + 20_000, never);
    world.assign(1, Wish::Exact(lost.address)).unwrap();
}

/// The trap of S1: a host that lost its journals evicts itself while its containers run on.
#[test]
fn what_the_containers_of_a_self_evicted_host_use_is_not_given_to_others() {
    let mut world = World::running(2, SUBNET);
    let used = world.assign_any(0).unwrap();
    world.run();
    world.lose_journal(0);
    world.start(0);
    world.settle();
    assert!(world.block().quarantined().contains_key(&used.address));
    let (hosts, me) = (world.hosts_seen(), HostId::from("h1"));
    assert!(hosts[&me].witnessed.is_none());
    let blocks = [ipam::role::BlockSeen { zone: ZONE.into(), block: world.block(), revision: Revision(1) }];
    let mut quarantines = ipam::role::Quarantines::new(REST);
    for round in 0..20 {
        let now = Timestamp(round * REST);
        for address in quarantines.look(now, &blocks, &hosts).into_values().flatten() {
            let by = "the wire: 02:00:00:00:00:01 answers for it".to_owned();
            quarantines.heard(now, address, ipam::role::UseWord::Used(by));
        }
        assert_eq!(quarantines.endings(now, &blocks), vec![]);
    }
}
