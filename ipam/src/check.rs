//! What must always hold: the oracle of tests, of `berth check`, and of an agent that starts.
//!
//! Each function answers with what is wrong, in words that name the rule; nothing if all is well.
//! S1 (one endpoint per address) needs all hosts at once and is checked where those are: over the
//! blocks here ([`shared_by_two`]), over kernels in whole-system tests.

pub mod history;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::block::Block;
use crate::epoch::Epoch;
use crate::host::Host;
use crate::names::{BlockId, HostId};
use crate::refusal::AddressState;
use crate::view::{HoldingCounts, View};

/// Panics when a step broke a block: a bug of ours, stopped before it is committed.
pub(crate) fn step(before: &Block, after: &Block) {
    let broken = step_broken(before, after);
    assert!(broken.is_empty(), "a step broke block {}: {broken:?}; before: {before:?}", after.id());
}

/// What is wrong with a block (S2, S3, S5).
pub fn block_broken(block: &Block) -> Vec<String> {
    let mut broken = Vec::new();
    let counts = block.counts();
    if counts.set_aside + counts.quarantined + counts.held + counts.free != counts.total {
        broken
            .push(format!("S5: set aside, quarantined, held and free do not make up the block: {counts:?}"));
    }
    for (address, held) in block.held() {
        if held.take > block.take_number() {
            broken.push(format!(
                "S2: {address} is held under take number {}, above the block's {}",
                held.take,
                block.take_number()
            ));
        }
        if block.set_aside().contains_key(address) {
            broken.push(format!("S3: {address} is set aside and held by {}", held.by));
        }
    }
    for address in block.unwanted().keys() {
        if !block.held().contains_key(address) && !block.quarantined().contains_key(address) {
            broken.push(format!("S5: {address} is to be set aside when it comes back, and is not away"));
        }
    }
    broken
}

/// What is wrong with a step from one value of a block to the next (S2, S5).
pub fn step_broken(before: &Block, after: &Block) -> Vec<String> {
    let mut broken = block_broken(after);
    if after.take_number() < before.take_number() {
        broken.push("S2: the take number fell".to_owned());
    }
    for (address, held) in after.held() {
        let kept = before.held().get(address) == Some(held);
        if !kept && held.take <= before.take_number() {
            broken.push(format!("S2: {address} was gained under the old take number {}", held.take));
        }
    }
    broken
}

/// What is wrong with what a host says of itself (S5): what it holds is partitioned, and is what the
/// blocks show, unless an operation is under way.
pub fn view_broken(view: &View) -> Vec<String> {
    let mut broken = Vec::new();
    for block in view.subnets.iter().flat_map(|subnet| &subnet.blocks) {
        let HoldingCounts { free, assigned, cooling, leaving, not_retaken } = block.here;
        let here = free + assigned + cooling + leaving + not_retaken;
        let shown = block.holders.get(&view.host).copied().unwrap_or(0);
        // Before a re-take the journal may still show what was given away in the boot before.
        let settled = block.operation.is_none() && not_retaken == 0 && view.not_ready.is_none();
        if settled {
            broken.extend(more_than_held(block.id, here, shown, block.counts.quarantined));
        }
    }
    broken
}

/// The same as [`view_broken`], asked of the host itself, and whether it finds what it holds: for who looks
/// after every step.
pub fn host_broken(host: &Host) -> Vec<String> {
    let settled = host.settled_holdings();
    let astray = host.lookups_astray().into_iter();
    settled
        .filter_map(|(id, here, shown, quarantined)| more_than_held(id, here, shown, quarantined))
        .chain(astray.map(|what| format!("S5: {what} are looked up otherwise than they are held")))
        .collect()
}

/// What running containers use after a rebuild waits in quarantine until it is claimed.
fn more_than_held(id: BlockId, here: u32, shown: u32, quarantined: u32) -> Option<String> {
    (here > shown + quarantined)
        .then(|| format!("S5: {here} addresses of {id} are used as held, the block shows {shown}"))
}

/// The assignments of a view: what containers of that host may use.
pub fn assigned_in(view: &View) -> BTreeMap<IpAddr, Epoch> {
    let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    let addresses = blocks.flat_map(|block| &block.addresses);
    addresses
        .filter_map(|address| match &address.state {
            AddressState::Assigned { epoch, .. } => Some((address.address, *epoch)),
            _ => None,
        })
        .collect()
}

/// Addresses that two hosts have assigned at once (S1).
pub fn shared_by_two<'a>(views: impl IntoIterator<Item = &'a View>) -> Vec<String> {
    let mut users: BTreeMap<IpAddr, HostId> = BTreeMap::new();
    let mut broken = Vec::new();
    for view in views {
        for address in assigned_in(view).into_keys() {
            if let Some(other) = users.insert(address, view.host.clone()) {
                broken.push(format!("S1: {address} is assigned on {other} and on {}", view.host));
            }
        }
    }
    broken
}
