//! How a block is written down: each holder once, and addresses that are alike and lie side by side as one run.
//!
//! Hosts take many addresses at a time, so a full block is some hundred bytes instead of twenty thousand. Whoever
//! takes writes it, and every host of the zone reads it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Block, BlockState, Held, Quarantined, SetAside};
use crate::names::{BLOCK_ADDRESSES_MAX, BlockId, Holder, HostId, ReservationName, address_of, number_of};

/// The first address, how many follow it with it included, and what they all are.
type Run<T> = (IpAddr, u32, T);

/// The holder's place among the holders, and the take number.
type HeldAs = (usize, u64);

/// Who held an address, where that is known, and why it rests.
type RestsAs = (Option<HeldAs>, String);

/// A block as it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    id: BlockId,
    state: BlockState,
    opened: u64,
    take: u64,
    set_aside: Vec<Run<SetAside>>,
    holders: Vec<Holder>,
    held: Vec<Run<HeldAs>>,
    quarantined: Vec<Run<RestsAs>>,
    reserved: BTreeMap<IpAddr, ReservationName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unwanted: Vec<Run<SetAside>>,
    operations: BTreeMap<HostId, u64>,
}

/// What is stored is no block.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unpackable {
    #[error("a holder is named by number {0}, and there is none")]
    Holder(usize),
    #[error("{count} addresses from {first} on do not lie in block {id}")]
    Run { id: BlockId, first: IpAddr, count: u32 },
}

impl From<Block> for Packed {
    fn from(block: Block) -> Self {
        let mut holders = Holders::default();
        let held = block.held.into_iter().map(|(address, held)| (address, holders.spell(held)));
        let held = runs(held.collect::<Vec<_>>());
        let quarantined = block.quarantined.into_iter().map(|(address, quarantined)| {
            (address, (quarantined.was.map(|was| holders.spell(was)), quarantined.why))
        });
        let quarantined = runs(quarantined.collect::<Vec<_>>());
        Self {
            id: block.id,
            state: block.state,
            opened: block.opened,
            take: block.take,
            set_aside: runs(block.set_aside),
            holders: holders.all,
            held,
            quarantined,
            reserved: block.reserved,
            unwanted: runs(block.unwanted),
            operations: block.operations,
        }
    }
}

impl TryFrom<Packed> for Block {
    type Error = Unpackable;

    fn try_from(packed: Packed) -> Result<Self, Unpackable> {
        let Packed { id, state, opened, take, holders, reserved, operations, .. } = packed;
        let holders: Vec<Arc<Holder>> = holders.into_iter().map(Arc::new).collect();
        let held_by = |holder: usize, take: u64| {
            let by = holders.get(holder).cloned().ok_or(Unpackable::Holder(holder))?;
            Ok(Held { by, take })
        };
        // In order already: made in one go, which every host does with every take of every other.
        let held = spread(id, packed.held)?.into_iter();
        let held = held.map(|(address, (holder, take))| Ok((address, held_by(holder, take)?)));
        let held = held.collect::<Result<BTreeMap<_, _>, Unpackable>>()?;
        let mut quarantined = BTreeMap::new();
        for (address, (was, why)) in spread(id, packed.quarantined)? {
            let was = was.map(|(holder, take)| held_by(holder, take)).transpose()?;
            quarantined.insert(address, Quarantined { was, why });
        }
        let set_aside = spread(id, packed.set_aside)?.into_iter().collect();
        let unwanted = spread(id, packed.unwanted)?.into_iter().collect();
        Ok(Self { id, state, opened, take, set_aside, held, quarantined, reserved, unwanted, operations })
    }
}

/// Who holds anything, each once.
#[derive(Default)]
struct Holders {
    all: Vec<Holder>,
    places: BTreeMap<Arc<Holder>, usize>,
}

impl Holders {
    fn spell(&mut self, held: Held) -> HeldAs {
        let Held { by, take } = held;
        if let Some(place) = self.places.get(&by) {
            return (*place, take);
        }
        let place = self.all.len();
        self.all.push(Holder::clone(&by));
        self.places.insert(by, place);
        (place, take)
    }
}

/// Addresses in order, as runs.
fn runs<T: PartialEq>(all: impl IntoIterator<Item = (IpAddr, T)>) -> Vec<Run<T>> {
    let mut runs: Vec<Run<T>> = Vec::new();
    for (address, what) in all {
        match runs.last_mut() {
            Some((first, count, same))
                if *same == what && number_of(*first) + u128::from(*count) == number_of(address) =>
            {
                *count += 1;
            }
            _ => runs.push((address, 1, what)),
        }
    }
    runs
}

/// The addresses of runs, all of which lie in this block.
fn spread<T: Clone>(id: BlockId, runs: Vec<Run<T>>) -> Result<Vec<(IpAddr, T)>, Unpackable> {
    let mut all = Vec::new();
    for (first, count, what) in runs {
        let last = number_of(first).checked_add(u128::from(count.saturating_sub(1)));
        let last = last.filter(|_| (1..=BLOCK_ADDRESSES_MAX).contains(&count) && id.contains(first));
        let last = last.filter(|last| id.contains(address_of(*last, first.is_ipv4())));
        let Some(last) = last else { return Err(Unpackable::Run { id, first, count }) };
        all.extend(
            (number_of(first)..=last).map(|number| (address_of(number, first.is_ipv4()), what.clone())),
        );
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::block::BlockCommand;
    use crate::names::Incarnation;

    fn block() -> Block {
        let id = BlockId { subnet: "10.0.0.0/24".parse().unwrap(), index: 0 };
        let mut block = Block::open(id, 7, &BTreeMap::new());
        for (number, host) in ["h1", "h2", "h1"].into_iter().enumerate() {
            let holder = Holder { host: host.into(), incarnation: Incarnation(1) };
            let addresses: BTreeSet<IpAddr> = block.free().take(80).collect();
            let take = BlockCommand::Take { holder, addresses, operation: number as u64 + 1 };
            block = block.apply(take).unwrap().block;
        }
        let sweep = BlockCommand::Sweep { host: "h2".into(), below: Incarnation(2), why: "off".into() };
        block.apply(sweep).unwrap().block
    }

    #[test]
    fn a_full_block_is_written_in_few_bytes_and_read_as_it_was() {
        let block = block();
        let written = serde_json::to_string(&block).unwrap();
        assert_eq!(serde_json::from_str::<Block>(&written).unwrap(), block);
        assert!(written.len() < 600, "{} bytes: {written}", written.len());
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let written = serde_json::to_string(&block()).unwrap();
        for (from, to) in [("[0,9]", "[5,9]"), ("\"10.0.0.1\",80", "\"10.0.0.1\",4000000000")] {
            let wrong = written.replace(from, to);
            assert_ne!(wrong, written, "{written}");
            assert!(serde_json::from_str::<Block>(&wrong).is_err(), "{wrong}");
        }
    }
}
