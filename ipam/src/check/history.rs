//! The oracle over what is past: every value that blocks had, beside every record that hosts wrote.
//!
//! At each moment the store names one holder for an address, and only while it is named may a host use it. So
//! no two endpoints had one address at once (S1) if each assignment lies within a holding of its host, and each
//! holding ended only after its last assignment had. Wall clocks play no part.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::step_broken;
use crate::block::{Block, Held};
use crate::epoch::{Epoch, Generation};
use crate::names::{BlockId, BootId, Holder, HostId, Incarnation};
use crate::record::{Holding, Life, Record};

/// What a fleet wrote down, from its first word to its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Every value that any block had, each block's in order.
    pub blocks: Vec<Block>,
    /// Every record of each host's journal, in order and none compacted away.
    pub journals: BTreeMap<HostId, Vec<Record>>,
}

/// One holding of one address, as the store named it.
type Gain = (IpAddr, Holder, u64);

impl History {
    /// What is wrong (S1, S2, S3); nothing if all was well.
    pub fn broken(&self) -> Vec<String> {
        let (gains, mut broken) = self.follow_blocks();
        let mut users: BTreeMap<(IpAddr, Epoch), &HostId> = BTreeMap::new();
        for (host, records) in &self.journals {
            let mut reader = Reader::new(host, &gains);
            records.iter().for_each(|record| reader.read(record));
            broken.append(&mut reader.broken);
            for used in reader.epochs {
                let (address, epoch) = used;
                if let Some(other) = users.insert(used, host) {
                    broken.push(format!("S2: {address} was assigned under {epoch} on {other} and on {host}"));
                }
            }
            broken.extend(self.let_go_in_use(host, &reader.last));
        }
        broken
    }

    /// How many assignments the journals tell of.
    pub fn assignments(&self) -> usize {
        let epochs = |records: &Vec<Record>| {
            let assigned = records.iter().filter_map(|record| match record {
                Record::Address { address, holding: Some(holding), .. } => match &holding.state {
                    Life::Assigned { epoch, .. } => Some((*address, *epoch)),
                    _ => None,
                },
                _ => None,
            });
            assigned.collect::<BTreeSet<_>>().len()
        };
        self.journals.values().map(epochs).sum()
    }

    /// Every holding there ever was.
    fn follow_blocks(&self) -> (BTreeSet<Gain>, Vec<String>) {
        let mut now: BTreeMap<BlockId, &Block> = BTreeMap::new();
        let (mut gains, mut broken) = (BTreeSet::new(), Vec::new());
        for block in &self.blocks {
            if let Some(before) = now.insert(block.id(), block) {
                broken.extend(step_broken(before, block));
            }
            gains.extend(block.held().iter().map(|(address, held)| gain(*address, held)));
        }
        (gains, broken)
    }

    /// Holdings that ended in the store while the last word of their host was that they are in use.
    fn let_go_in_use(&self, host: &HostId, last: &BTreeMap<Gain, Epoch>) -> Vec<String> {
        let mut now: BTreeMap<BlockId, &Block> = BTreeMap::new();
        now.extend(self.blocks.iter().map(|block| (block.id(), block)));
        let stands = |(address, holder, take): &Gain| {
            now.values().any(|block| {
                let held = block.held().get(address).map(|held| gain(*address, held));
                let kept = block.quarantined().get(address).and_then(|it| it.was.as_ref());
                let kept = kept.map(|was| gain(*address, was));
                [held, kept].contains(&Some((*address, holder.clone(), *take)))
            })
        };
        let lost = last.iter().filter(|(gain, _)| !stands(gain));
        let words = lost.map(|((address, _, take), epoch)| {
            format!("S1: {host} let {address} go, held under take {take}, while assigned under {epoch}")
        });
        words.collect()
    }
}

fn gain(address: IpAddr, held: &Held) -> Gain {
    (address, Holder::clone(&held.by), held.take)
}

/// Reads one host's journal.
struct Reader<'a> {
    host: &'a HostId,
    gains: &'a BTreeSet<Gain>,
    boot: Option<(BootId, Incarnation)>,
    /// The newest epoch of each address.
    newest: BTreeMap<IpAddr, Epoch>,
    /// What each address is assigned under now, and in which holding and boot.
    open: BTreeMap<IpAddr, (Epoch, Gain)>,
    epochs: BTreeSet<(IpAddr, Epoch)>,
    /// Holdings whose last word is that they are in use.
    last: BTreeMap<Gain, Epoch>,
    broken: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(host: &'a HostId, gains: &'a BTreeSet<Gain>) -> Self {
        let (newest, open, epochs, last, broken) = Default::default();
        Self { host, gains, boot: None, newest, open, epochs, last, broken }
    }

    fn read(&mut self, record: &Record) {
        match record {
            Record::Boot { boot, incarnation } => {
                let this = Some((boot.clone(), *incarnation));
                // What ran in the boot before, or under a revoked incarnation, is gone.
                if self.boot.is_some() && self.boot != this {
                    self.open.clear();
                    self.last.clear();
                }
                self.boot = this;
            }
            Record::Address { address, holding: Some(holding), .. } => self.held(*address, holding),
            Record::Address { address, holding: None, .. } => self.free(*address, "was let go"),
            _ => (),
        }
    }

    fn held(&mut self, address: IpAddr, holding: &Holding) {
        match &holding.state {
            Life::Assigned { epoch, .. } => self.assigned(address, *epoch, holding),
            Life::Cooling { epoch, .. } => self.cools(address, *epoch),
            Life::Free { .. } => self.free(address, "became free"),
            Life::Leaving { .. } => self.free(address, "was leaving"),
        }
    }

    fn cools(&mut self, address: IpAddr, epoch: Epoch) {
        // Said again, or after a boot.
        let Some((open, gain)) = self.open.remove(&address) else { return };
        self.last.remove(&gain);
        if open != epoch {
            self.say("S2", address, &format!("cools after {epoch}, and was assigned under {open}"));
        }
    }

    fn assigned(&mut self, address: IpAddr, epoch: Epoch, holding: &Holding) {
        if self.open.get(&address).is_some_and(|(open, _)| *open == epoch) {
            // Bound, or its endpoint gone.
            return;
        }
        if let Some((open, _)) = self.open.get(&address) {
            self.say("S1", address, &format!("was assigned under {epoch} while assigned under {open}"));
        }
        if self.newest.get(&address).is_some_and(|newest| *newest >= epoch) {
            self.say("S2", address, &format!("was assigned under {epoch}, not above the one before"));
        }
        let holder = Holder { host: self.host.clone(), incarnation: holding.incarnation };
        let gain = (address, holder, holding.take);
        if !self.gains.contains(&gain) {
            self.say(
                "S3",
                address,
                &format!("was assigned under {epoch}, and the store never showed it held so"),
            );
        }
        if !within(epoch, holding.generation, holding.take) {
            self.say(
                "S2",
                address,
                &format!("was assigned under {epoch} in a holding of take {}", holding.take),
            );
        }
        self.newest.insert(address, epoch);
        self.epochs.insert((address, epoch));
        self.last.insert(gain.clone(), epoch);
        self.open.insert(address, (epoch, gain));
    }

    fn free(&mut self, address: IpAddr, what: &str) {
        if let Some((open, gain)) = self.open.remove(&address) {
            self.last.remove(&gain);
            self.say("S1", address, &format!("{what} while assigned under {open}"));
        }
    }

    fn say(&mut self, promise: &str, address: IpAddr, problem: &str) {
        self.broken.push(format!("{promise}: on {} {address} {problem}", self.host));
    }
}

fn within(epoch: Epoch, generation: Generation, take: u64) -> bool {
    epoch.generation == generation && epoch.take == take
}

#[cfg(test)]
mod tests;
