//! What must always hold.

use crate::block::Block;

/// Panics when a step broke a block: a bug of ours, stopped before it is committed.
pub(crate) fn block(after: &Block, before: Option<&Block>) {
    let broken = block_broken(after, before);
    assert!(broken.is_empty(), "a step broke block {}: {broken:?}; before: {before:?}", after.id());
}

/// What is wrong with a block, and with a step from an earlier value of it (S2, S5).
pub fn block_broken(after: &Block, before: Option<&Block>) -> Vec<String> {
    let mut broken = Vec::new();
    let counts = after.counts();
    if counts.set_aside + counts.quarantined + counts.held + counts.free != counts.total {
        broken.push(format!("S5: set aside, quarantined, held and free do not add up: {counts:?}"));
    }
    for (address, held) in after.held() {
        if held.take > after.take_number() {
            broken.push(format!(
                "S2: {address} is held under take {} above {}",
                held.take,
                after.take_number()
            ));
        }
    }
    if let Some(before) = before {
        if after.take_number() < before.take_number() {
            broken.push("S2: the take number fell".to_owned());
        }
        for (address, held) in after.held() {
            let kept = before.held().get(address) == Some(held);
            if !kept && held.take <= before.take_number() {
                broken.push(format!("S2: {address} was gained under the old take number {}", held.take));
            }
        }
    }
    broken
}
