//! One host alone: what a container sees of it.

use crate::world::*;
use ipam::*;

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
fn one_host_alone_can_use_every_address_of_the_subnet() {
    let mut world = World::running(1, SUBNET);
    for _ in 0..5 {
        world.assign_any(0).unwrap();
    }
    let refusal = world.assign_any(0).unwrap_err();
    let Refusal::Exhausted(shortage) = &refusal else { panic!("{refusal}") };
    assert_eq!((shortage.assigned, shortage.set_aside, shortage.total), (5, 3, 8));
}
