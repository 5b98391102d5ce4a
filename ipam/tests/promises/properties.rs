//! Any sequence of requests, faults, crashes, reboots and evictions, on few addresses so that things
//! collide. What must always hold is checked after every act; at the end everything heals, and every
//! address must be within reach of one host.

use std::net::IpAddr;

use ipam::*;
use proptest::prelude::*;

use crate::world::*;

/// One act of the world. Machines and addresses are small numbers, so that things collide.
#[derive(Clone, Debug)]
enum Act {
    Ask(usize),
    AskExactly(usize, u8),
    Stop(usize, usize),
    Late(usize, u8),
    Carry(usize, Fate),
    Hear(usize),
    Watch(usize),
    Run(usize),
    Pass(u64),
    Land(usize),
    Kill(usize),
    PowerLoss(usize, usize),
    Start(usize),
    List(usize),
    Reconcile(usize),
    Evict(usize),
    Sweep(usize),
    EndQuarantine,
    Drain(bool),
    DiskFull(usize, bool),
    Publish(usize, usize),
    Name(u8),
    Unname,
}

fn acts(machines: usize) -> impl Strategy<Value = Act> {
    let machine = 0..machines;
    let fate = prop_oneof![
        8 => Just(Fate::Known),
        1 => Just(Fate::LandedUnheard),
        1 => Just(Fate::Lost),
        2 => Just(Fate::Late),
        1 => Just(Fate::Unreached),
    ];
    prop_oneof![
        6 => machine.clone().prop_map(Act::Ask),
        4 => (machine.clone(), 2u8..6).prop_map(|(m, a)| Act::AskExactly(m, a)),
        6 => (machine.clone(), 0usize..4).prop_map(|(m, n)| Act::Stop(m, n)),
        2 => (machine.clone(), 2u8..6).prop_map(|(m, a)| Act::Late(m, a)),
        16 => (machine.clone(), fate).prop_map(|(m, f)| Act::Carry(m, f)),
        12 => machine.clone().prop_map(Act::Hear),
        8 => machine.clone().prop_map(Act::Watch),
        6 => machine.clone().prop_map(Act::Run),
        8 => prop_oneof![Just(10u64), Just(150), Just(1_100), Just(31_000)].prop_map(Act::Pass),
        3 => machine.clone().prop_map(Act::Land),
        2 => machine.clone().prop_map(Act::Kill),
        2 => (machine.clone(), 0usize..3).prop_map(|(m, k)| Act::PowerLoss(m, k)),
        6 => machine.clone().prop_map(Act::Start),
        5 => machine.clone().prop_map(Act::List),
        2 => machine.clone().prop_map(Act::Reconcile),
        2 => machine.clone().prop_map(Act::Evict),
        2 => machine.clone().prop_map(Act::Sweep),
        1 => Just(Act::EndQuarantine),
        1 => any::<bool>().prop_map(Act::Drain),
        1 => (machine.clone(), any::<bool>()).prop_map(|(m, full)| Act::DiskFull(m, full)),
        3 => (machine, 0usize..4).prop_map(|(m, n)| Act::Publish(m, n)),
        3 => (2u8..6).prop_map(Act::Name),
        1 => Just(Act::Unname),
    ]
}

fn act(world: &mut World, act: Act) {
    match act {
        Act::Ask(machine) => {
            world.ask(machine, Wish::Any(Family::V4));
        }
        Act::AskExactly(machine, last) => {
            world.ask(machine, Wish::Exact(address(last)));
        }
        Act::Stop(machine, nth) => world.stop(machine, nth),
        Act::Late(machine, last) => {
            // A repeated, late release: of an epoch long over.
            let Some(epoch) = world.epochs.get(&address(last)).copied() else { return };
            if world.machines.iter().all(|m| m.in_use.get(&address(last)) != Some(&epoch)) {
                let request = world.request();
                world.feed(machine, Input::Reap { request, address: address(last), epoch });
            }
        }
        Act::Carry(machine, fate) => {
            world.carry(machine, fate);
        }
        Act::Hear(machine) => {
            world.hear(machine);
        }
        Act::Watch(machine) => {
            world.watch(machine);
        }
        Act::Run(machine) => {
            for _ in 0..12 {
                world.carry(machine, Fate::Known);
                world.hear(machine);
            }
        }
        Act::Pass(millis) => world.pass(millis),
        Act::Land(machine) => world.land(machine),
        Act::Kill(machine) => world.kill(machine),
        Act::PowerLoss(machine, kept) => world.power_loss(machine, kept),
        Act::Start(machine) => world.start(machine),
        Act::List(machine) => world.list(machine),
        Act::Reconcile(machine) => world.reconcile(machine),
        Act::Evict(machine) => world.evict(machine),
        Act::Sweep(machine) => world.sweep(machine),
        Act::EndQuarantine => world.end_quarantine(),
        Act::Drain(draining) => {
            world.apply(if draining { BlockCommand::Drain } else { BlockCommand::Undrain });
        }
        Act::DiskFull(machine, full) => world.machines[machine].disk_full = full,
        Act::Publish(machine, nth) => world.publish(machine, nth),
        Act::Name(last) => world.name(address(last)),
        Act::Unname => world.unname(),
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 50, 0, last])
}

/// Faults end. Every host must come back, nothing may be lost, and one host can have every address.
fn heal(world: &mut World) {
    world.apply(BlockCommand::Undrain);
    world.unname();
    for machine in 0..world.machines.len() {
        world.machines[machine].disk_full = false;
        while !world.machines[machine].late.is_empty() {
            world.land(machine);
        }
        world.start(machine);
    }
    world.settle();
    for machine in 0..world.machines.len() {
        world.sweep(machine);
    }
    world.settle();
    for machine in 0..world.machines.len() {
        let view = world.view(machine);
        assert_eq!(view.not_ready, None, "machine {machine} did not come back");
        while !world.machines[machine].in_use.is_empty() {
            world.stop(machine, 0);
        }
        world.run();
        world.reconcile(machine);
    }
    world.end_quarantine();
    world.settle();
    world.pass(COOLING);
    world.settle();
    // Whether the cloud still names an address is looked at that often.
    world.pass(10_000);
    world.settle();
    let usable = world.block().counts().total - world.block().counts().set_aside;
    for nth in 0..usable {
        if let Err(refusal) = world.assign_any(0) {
            panic!("L2: only {nth} of {usable} addresses are within reach: {refusal}\n{:#?}", world.view(0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_hosts_keep_every_promise_under_any_sequence(sequence in prop::collection::vec(acts(2), 1..120)) {
        let mut world = World::running(2, SUBNET);
        for next in sequence {
            act(&mut world, next);
        }
        heal(&mut world);
    }

    #[test]
    fn three_hosts_that_have_never_started_keep_them_too(sequence in prop::collection::vec(acts(3), 1..120)) {
        let mut world = World::new(3, SUBNET);
        for next in sequence {
            act(&mut world, next);
        }
        heal(&mut world);
    }
}
