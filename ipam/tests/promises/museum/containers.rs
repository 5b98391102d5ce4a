//! What containers, and those who speak for them, did to each other's addresses.

use ipam::*;

use crate::world::*;

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

/// cilium#10065: a repeated late delete freed an address that a living container used.
#[test]
fn late_release() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.bind(0, address, "old").unwrap();
    world.gone(0, "old").unwrap();
    world.release(0, address).unwrap();
    world.pass(COOLING);
    let living = world.assign(0, Wish::Exact(address)).unwrap();
    world.bind(0, address, "living").unwrap();
    for _ in 0..2 {
        // Everything that was said of the old container is said again.
        world.gone(0, "old").unwrap();
        let released = world.call(0, |request| Input::Release { request, address });
        assert!(matches!(released, Ok(Answer::Released(Released::Hint(_)))), "{released:?}");
        let reaped = world.call(0, |request| Input::Reap { request, address, epoch });
        assert_eq!(reaped, Ok(Answer::Released(Released::Nothing)));
    }
    let state = world.state(0, address);
    assert!(matches!(state, AddressState::Assigned { epoch, .. } if epoch == living.epoch), "{state:?}");
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

/// Found by the simulation: a claimed address was forgotten to be known to services. Its release cooled by
/// the timer alone, and it was used again while the cloud still named the container before.
#[test]
fn claimed_and_named() {
    let mut world = World::running(1, SUBNET);
    let Assignment { address, epoch, .. } = world.assign_any(0).unwrap();
    world.bind(0, address, "web").unwrap();
    world.call(0, |request| Input::Publish { request, address, epoch }).unwrap();
    world.name(address);
    world.lose_journal(0);
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
