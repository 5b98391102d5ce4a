//! One host alone: what a container, and an operator, see of it.

use ipam::*;

use crate::world::*;

fn full(world: &mut World) -> Vec<Assignment> {
    (0..5).map(|_| world.assign_any(0).unwrap()).collect()
}

fn shortage(refusal: Refusal) -> Shortage {
    match refusal {
        Refusal::Exhausted(shortage) => *shortage,
        other => panic!("not a shortage: {other}"),
    }
}

fn state_in_the_way(refusal: Refusal) -> AddressState {
    match refusal {
        Refusal::InTheWay { state, .. } => state,
        other => panic!("nothing in the way: {other}"),
    }
}

#[test]
fn the_first_container_gets_an_address_with_subnet_gateway_and_epoch() {
    let mut world = World::running(1, SUBNET);
    let assignment = world.assign_any(0).unwrap();
    assert!(world.subnet.contains(assignment.address));
    assert_eq!(assignment.subnet, world.subnet);
    assert_eq!(assignment.gateway, Some(ip("10.50.0.1")));
    assert!(matches!(world.state(0, assignment.address), AddressState::Assigned { .. }));
}

#[test]
fn exact_fit_every_address_of_the_subnet_can_be_used_the_last_included() {
    let mut world = World::running(1, SUBNET);
    full(&mut world);
    let shortage = shortage(world.assign_any(0).unwrap_err());
    assert_eq!((shortage.assigned, shortage.set_aside, shortage.total), (5, 3, 8));
}

#[test]
fn exact_fit_a_thousand_requests_for_a_thousand_addresses_finish() {
    let mut world = World::running(1, "10.60.0.0/24");
    let requests: Vec<RequestId> = (0..253).map(|_| world.ask(0, Wish::Any(Family::V4))).collect();
    for request in requests {
        world.wait(0, request).unwrap();
    }
    assert_eq!(world.machines[0].in_use.len(), 253);
    assert!(matches!(world.assign_any(0), Err(Refusal::Exhausted(_))));
}

#[test]
fn a_released_address_is_not_assigned_while_it_cools() {
    let mut world = World::running(1, SUBNET);
    let assignments = full(&mut world);
    let address = assignments[2].address;
    assert_eq!(world.release(0, address), Ok(Answer::Released(Released::Closed(assignments[2].epoch))));
    let refused = shortage(world.assign_any(0).unwrap_err());
    assert_eq!((refused.cooling, refused.cooling_next_millis), (1, Some(COOLING)));
    let state = state_in_the_way(world.assign(0, Wish::Exact(address)).unwrap_err());
    assert!(matches!(state, AddressState::Cooling { left_millis: COOLING, .. }), "{state}");
    world.pass(COOLING);
    let again = world.assign_any(0).unwrap();
    assert_eq!(again.address, address);
    assert!(again.epoch > assignments[2].epoch);
}

#[test]
fn an_operator_can_end_a_cooling_before_its_time() {
    let mut world = World::running(1, SUBNET);
    let assignment = full(&mut world)[0];
    let (address, epoch) = (assignment.address, assignment.epoch);
    world.release(0, address).unwrap();
    world.call(0, |request| Input::Uncool { request, address, epoch }).unwrap();
    assert_eq!(world.assign_any(0).unwrap().address, address);
}

#[test]
fn the_address_that_was_free_longest_is_assigned_first() {
    let mut world = World::running(1, SUBNET);
    let assignments = full(&mut world);
    for nth in [3, 0, 4] {
        world.release(0, assignments[nth].address).unwrap();
        world.pass(10);
    }
    world.pass(COOLING);
    let order: Vec<_> = (0..3).map(|_| world.assign_any(0).unwrap().address).collect();
    assert_eq!(order, [3, 0, 4].map(|nth| assignments[nth].address));
}

#[test]
fn an_address_asked_for_exactly_is_taken_from_the_block() {
    let mut world = World::running(1, SUBNET);
    let address = world.block().free().next().unwrap();
    assert_eq!(world.assign(0, Wish::Exact(address)).unwrap().address, address);
}

#[test]
fn an_address_asked_for_exactly_is_refused_with_who_and_why() {
    let mut world = World::running(1, SUBNET);
    let assignment = world.assign_any(0).unwrap();
    world.bind(0, assignment.address, "e1").unwrap();
    let refusal = world.assign(0, Wish::Exact(assignment.address)).unwrap_err();
    assert!(refusal.to_string().contains("in use by endpoint e1"), "{refusal}");
    let refusal = world.assign(0, Wish::Exact(ip("10.50.0.1"))).unwrap_err();
    assert_eq!(refusal.to_string(), "address 10.50.0.1 is set aside: the gateway");
    let refusal = world.assign(0, Wish::Exact(ip("10.99.0.1"))).unwrap_err();
    assert_eq!(state_in_the_way(refusal), AddressState::Outside);
}

#[test]
fn an_unknown_pool_is_refused_with_those_there_are() {
    let mut world = World::running(1, SUBNET);
    let (pool, wish) = (PoolName::from("blue"), Wish::Any(Family::V4));
    let refusal = world.call(0, |request| Input::Assign { request, pool, wish, endpoint: None }).unwrap_err();
    assert_eq!(refusal.to_string(), "there is no pool blue; there are: default");
}

#[test]
fn an_unbound_exact_assignment_is_given_again_and_a_bound_one_is_not() {
    let mut world = World::running(1, SUBNET);
    let wish = Wish::Exact(ip("10.50.0.4"));
    let first = world.assign(0, wish.clone()).unwrap();
    assert_eq!(world.assign(0, wish.clone()), Ok(first));
    world.bind(0, first.address, "e1").unwrap();
    assert!(world.assign(0, wish).is_err());
}

#[test]
fn the_same_endpoint_gets_the_same_answer() {
    let mut world = World::running(1, SUBNET);
    let mut ask = || {
        let (pool, wish, endpoint) = (pool(), Wish::Any(Family::V4), Some(EndpointId::from("e1")));
        world.call(0, |request| Input::Assign { request, pool, wish, endpoint })
    };
    let first = ask().unwrap();
    assert_eq!(ask(), Ok(first));
}

#[test]
fn an_endpoint_binds_only_an_assigned_address_and_only_once() {
    let mut world = World::running(1, SUBNET);
    let address = world.assign_any(0).unwrap().address;
    let bound = world.bind(0, address, "e1").unwrap();
    assert_eq!(world.bind(0, address, "e1"), Ok(bound));
    assert!(world.bind(0, address, "e2").is_err());
    let other = ip(if address == ip("10.50.0.2") { "10.50.0.3" } else { "10.50.0.2" });
    assert_eq!(world.bind(0, other, "e3"), Err(Refusal::NotAssigned { address: other }));
}

#[test]
fn a_release_closes_only_what_no_endpoint_uses() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.bind(0, address, "e1").unwrap();
    let hint = world.call(0, |request| Input::Release { request, address });
    assert_eq!(hint, Ok(Answer::Released(Released::Hint(epoch))));
    let Ok(Answer::Gone(gone)) = world.gone(0, "e1") else { panic!("no answer") };
    assert_eq!(gone.iter().map(|assignment| assignment.address).collect::<Vec<_>>(), [address]);
    assert_eq!(world.release(0, address), Ok(Answer::Released(Released::Closed(epoch))));
    assert_eq!(world.release(0, address), Ok(Answer::Released(Released::Nothing)));
}

#[test]
fn late_release_of_an_older_epoch_changes_nothing() {
    let mut world = World::running(1, SUBNET);
    let old = full(&mut world)[0];
    world.release(0, old.address).unwrap();
    world.pass(COOLING);
    let new = world.assign(0, Wish::Exact(old.address)).unwrap();
    let reap = |epoch| move |request| Input::Reap { request, address: old.address, epoch };
    assert_eq!(world.call(0, reap(old.epoch)), Ok(Answer::Released(Released::Nothing)));
    let to_come = Epoch { counter: new.epoch.counter + 1, ..new.epoch };
    assert!(matches!(world.call(0, reap(to_come)), Err(Refusal::NotYetIssued { .. })));
    assert!(
        matches!(world.state(0, new.address), AddressState::Assigned { epoch, .. } if epoch == new.epoch)
    );
    world.machines[0].in_use.clear();
    assert_eq!(world.call(0, reap(new.epoch)), Ok(Answer::Released(Released::Closed(new.epoch))));
}

#[test]
fn explaining_changes_nothing_and_tells_what_assigning_would_do() {
    let mut world = World::running(1, SUBNET);
    let before = world.view(0);
    let explain = |world: &mut World, wish: Wish| {
        let answer = world.call(0, |request| Input::Explain { request, pool: pool(), wish });
        match answer {
            Ok(Answer::Explained(explanation)) => explanation,
            other => panic!("{other:?}"),
        }
    };
    let Explanation::Here(address) = explain(&mut world, Wish::Any(Family::V4)) else {
        panic!("nothing held")
    };
    let taken = world.block().free().next().unwrap();
    assert_eq!(explain(&mut world, Wish::Exact(taken)), Explanation::Take(world.block_id()));
    assert_eq!(world.view(0), before);
    assert_eq!(world.assign_any(0).unwrap().address, address);
    full_but_one(&mut world);
    assert!(matches!(explain(&mut world, Wish::Any(Family::V4)), Explanation::Refuse(_)));
}

fn full_but_one(world: &mut World) {
    for _ in 0..4 {
        world.assign_any(0).unwrap();
    }
}

#[test]
fn a_busy_host_holds_more_and_an_idle_one_gives_its_surplus_back() {
    let mut world = World::running(1, "10.60.0.0/24");
    let idle = world.view(0).subnets[0].blocks[0].here.free;
    for _ in 0..20 {
        world.assign_any(0).unwrap();
    }
    let busy = world.view(0).subnets[0].blocks[0].here.free;
    for _ in 0..20 {
        world.pass(31_000);
        world.run();
    }
    let quiet = world.view(0).subnets[0].blocks[0].here;
    assert!(idle <= 2 && busy >= 8 && quiet.free <= 2, "{idle} {busy} {quiet:?}");
    assert_eq!((quiet.assigned, world.block().counts().held), (20, 20 + quiet.free));
}

#[test]
fn assigning_from_what_is_held_needs_no_store() {
    let mut world = World::running(1, SUBNET);
    let request = world.ask(0, Wish::Any(Family::V4));
    while world.carry(0, Fate::Unreached) || world.hear(0) {
        if world.machines[0].answers.contains_key(&request) {
            return;
        }
    }
    panic!("never answered");
}

#[test]
fn an_agent_restarted_without_the_store_goes_on_from_its_holdings() {
    let mut world = World::running(1, SUBNET);
    let first = world.assign_any(0).unwrap();
    world.run();
    world.kill(0);
    world.start(0);
    let request = world.ask(0, Wish::Any(Family::V4));
    while !world.machines[0].answers.contains_key(&request) {
        assert!(world.carry(0, Fate::Unreached) | world.hear(0), "never answered");
    }
    let Some(Ok(Answer::Assigned(second))) = world.machines[0].answers.get(&request) else {
        panic!("refused")
    };
    assert!(second.address != first.address && second.gateway.is_some());
    // And says what it knows of them.
    assert!(matches!(world.state(0, first.address), AddressState::Assigned { .. }));
    world.release(0, first.address).unwrap();
}

#[test]
fn disk_full_refuses_and_loses_nothing() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.machines[0].disk_full = true;
    assert_eq!(world.assign_any(0), Err(Refusal::JournalFailed));
    world.release(0, kept.address).unwrap();
    world.machines[0].disk_full = false;
    world.pass(COOLING);
    world.settle();
    world.kill(0);
    world.start(0);
    world.settle();
    assert!(ipam::check::assigned_in(&world.view(0)).is_empty());
    assert_eq!(full(&mut world).len(), 5);
}

#[test]
fn a_reservation_keeps_its_address_from_everyone_who_does_not_ask_for_it() {
    let mut world = World::running(1, SUBNET);
    let name = || ReservationName::from("db");
    let reserve = |address| move |request| Input::Reserve { request, name: name(), pool: pool(), address };
    let Ok(Answer::Reservation(reservation)) = world.call(0, reserve(None)) else { panic!("refused") };
    assert_eq!(world.call(0, reserve(None)), Ok(Answer::Reservation(reservation.clone())));
    let other = world.block().free().find(|address| *address != reservation.address);
    assert!(matches!(world.call(0, reserve(other)), Err(Refusal::NameTaken { .. })));
    for _ in 0..4 {
        assert_ne!(world.assign_any(0).unwrap().address, reservation.address);
    }
    assert_eq!(shortage(world.assign_any(0).unwrap_err()).reserved, 1);
    let kept = world.assign(0, Wish::Exact(reservation.address)).unwrap();
    world.release(0, kept.address).unwrap();
    world.pass(COOLING);
    assert!(world.assign_any(0).is_err());
    world.call(0, |request| Input::Unreserve { request, name: name() }).unwrap();
    assert_eq!(world.assign_any(0).unwrap().address, kept.address);
    let unknown = world.call(0, |request| Input::Unreserve { request, name: name() });
    assert_eq!(unknown, Err(Refusal::UnknownReservation { name: name() }));
}

#[test]
fn a_reserved_address_rests_for_others_but_not_for_who_asks_for_it_again() {
    let mut world = World::running(1, SUBNET);
    let name = ReservationName::from("db");
    let reserved = world.call(0, |request| Input::Reserve { request, name, pool: pool(), address: None });
    let Ok(Answer::Reservation(Reservation { address, .. })) = reserved else { panic!("{reserved:?}") };
    let first = world.assign(0, Wish::Exact(address)).unwrap();
    world.release(0, address).unwrap();
    assert!(matches!(world.state(0, address), AddressState::Cooling { .. }));
    let again = world.assign(0, Wish::Exact(address)).unwrap();
    assert!(again.epoch > first.epoch);
    world.pass(COOLING);
    assert!(matches!(world.state(0, address), AddressState::Assigned { .. }));
}

#[test]
fn an_address_asked_for_exactly_rests_for_others_but_not_for_who_asks_so_again() {
    let mut world = World::running(1, SUBNET);
    let address = ip("10.50.0.4");
    let mut before = world.assign(0, Wish::Exact(address)).unwrap();
    // Docker asks for the `--ip` again a moment after each release, and after a boot.
    for reboot in [false, true, true] {
        if reboot {
            world.run();
            world.power_loss(0, 9);
            world.start(0);
            world.list(0);
            world.run();
        } else {
            world.release(0, address).unwrap();
        }
        assert!(matches!(world.state(0, address), AddressState::Cooling { .. }));
        assert!(all_others(&mut world).iter().all(|other| *other != address));
        let again = world.assign(0, Wish::Exact(address)).unwrap();
        assert!(again.epoch > before.epoch);
        before = again;
        world.pass(COOLING);
        assert!(matches!(world.state(0, address), AddressState::Assigned { .. }));
    }
}

/// Assigns all that can be had without asking for it by address, and releases it again.
fn all_others(world: &mut World) -> Vec<std::net::IpAddr> {
    let mut others = Vec::new();
    while let Ok(assignment) = world.assign_any(0) {
        others.push(assignment.address);
    }
    for address in &others {
        world.release(0, *address).unwrap();
    }
    others
}

#[test]
fn a_draining_subnet_is_left_and_never_taken_from() {
    let mut world = World::running(1, SUBNET);
    let kept = world.assign_any(0).unwrap();
    world.apply(BlockCommand::Drain);
    world.settle();
    assert_eq!(world.block().counts().held, 1);
    assert_eq!(shortage(world.assign_any(0).unwrap_err()).emptying, 4);
    assert!(world.block().apply(BlockCommand::Return).is_err());
    world.release(0, kept.address).unwrap();
    world.pass(COOLING);
    world.settle();
    world.apply(BlockCommand::Return);
    assert!(world.block().apply(BlockCommand::Undrain).is_err());
}

#[test]
fn a_published_address_cools_until_nothing_in_the_cloud_names_it() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.bind(0, address, "e1").unwrap();
    world.call(0, |request| Input::Publish { request, address, epoch }).unwrap();
    assert!(world.store.get(&Key::Endpoint(address)).value.is_some());
    let member = Key::Dependent { address, epoch, object: "member".into() };
    let writers = [HostId::from("h9")].into();
    world.store.put(member.clone(), Value::Dependent(Dependent { writers }));
    world.gone(0, "e1").unwrap();
    world.release(0, address).unwrap();
    world.pass(COOLING);
    world.settle();
    assert_eq!(world.store.get(&Key::Endpoint(address)).value, None);
    let state = world.state(0, address);
    let AddressState::Cooling { left_millis: 0, waits: CoolingWait::Dependents, .. } = state else {
        panic!("{state}")
    };
    world.store.delete(member);
    // It was just asked whether the cloud names it, and is again ten seconds later.
    world.pass(10_000);
    world.settle();
    assert_eq!(world.state(0, address), AddressState::FreeHere);
}

/// Docker's own drivers use addresses of ours, and tell us of no endpoint.
#[test]
fn an_address_that_is_lent_to_another_driver_is_published_too() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.call(0, |request| Input::Publish { request, address, epoch }).unwrap();
    assert!(world.store.get(&Key::Endpoint(address)).value.is_some());
    world.release(0, address).unwrap();
    world.pass(COOLING);
    world.settle();
    assert_eq!(world.store.get(&Key::Endpoint(address)).value, None);
    assert_eq!(world.state(0, address), AddressState::FreeHere);
}

#[test]
fn a_whole_block_is_opened_and_closed_as_transactions_of_etcd_take_it() {
    let mut world = World::running(1, "10.60.0.0/24");
    let all: Vec<_> = (0..250).map(|_| world.assign_any(0).unwrap()).collect();
    for (Assignment { address, epoch, .. }, nth) in all.iter().zip(0..) {
        world.bind(0, *address, &format!("e{nth}")).unwrap();
        let request = world.request();
        world.feed(0, Input::Publish { request, address: *address, epoch: *epoch });
    }
    world.settle();
    let open = |world: &World| {
        all.iter().filter(|it| world.store.get(&Key::Endpoint(it.address)).value.is_some()).count()
    };
    assert_eq!(open(&world), 250);
    // All containers end in one moment.
    world.machines[0].in_use.clear();
    for (Assignment { address, .. }, nth) in all.iter().zip(0..) {
        let endpoint = EndpointId(format!("e{nth}"));
        let request = world.request();
        world.feed(0, Input::EndpointGone { request, endpoint });
        let request = world.request();
        world.feed(0, Input::Release { request, address: *address });
    }
    world.settle();
    assert_eq!(open(&world), 0);
}

#[test]
fn late_open_cannot_undo_a_close() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.bind(0, address, "e1").unwrap();
    world.run();
    let request = world.request();
    world.feed(0, Input::Publish { request, address, epoch });
    while world.machines[0].late.is_empty() {
        assert!(world.carry(0, Fate::Late) | world.hear(0));
    }
    world.hear(0);
    world.gone(0, "e1").unwrap();
    world.release(0, address).unwrap();
    world.pass(COOLING);
    world.settle();
    assert_eq!(world.state(0, address), AddressState::FreeHere);
    world.land(0);
    assert_eq!(world.store.get(&Key::Endpoint(address)).value, None);
}
