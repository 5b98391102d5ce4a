//! Incidents of other systems, and traces found in drafts of the protocol, that Berth must survive: those that
//! are decided by the pure machines alone. Those about evictions stand in `evictions.rs`; where each scenario of
//! the museum lives, simulated and real, is told in docs/decisions/0007.

use ipam::*;

use crate::world::*;

mod boots;
mod containers;
mod lost_store;
mod returned;
mod transactions;

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
