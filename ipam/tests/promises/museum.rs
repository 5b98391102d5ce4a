//! The museum.
use crate::world::*;
use ipam::*;

#[test]
fn dbg() {
    let mut world = World::running(2, SUBNET);
    world.ask(1, Wish::Exact(ip("10.50.0.2")));
    for _ in 0..12 {
        world.carry(1, Fate::Known);
        world.hear(1);
    }
    world.power_loss(1, 0);
    world.start(1);
    world.settle();
    println!("{:#?}", world.view(1).subnets[0].blocks[0].addresses);
    world.machines[1].in_use.clear();
    world.reconcile(1);
    world.settle();
    world.pass(COOLING);
    world.settle();
    for a in world.view(1).subnets[0].blocks[0].addresses.iter() {
        println!("{} {}", a.address, a.state);
    }
    println!("{:?} {:?}", world.machines[1].users, world.machines[1].in_use);
}
