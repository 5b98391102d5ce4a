//! A host's journal as the disk has it: what survives the process, what survives power loss.

use ipam::{Durability, Record};

/// The journal of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// fsync has returned.
    pub(crate) synced: Vec<Record>,
    /// write has returned: survives the process, and perhaps power loss.
    pub(crate) written: Vec<Record>,
    /// What an append that failed may have left: seen by the next process, unless an append came between.
    pub(crate) left_over: Vec<Record>,
    pub(crate) full: bool,
    /// How many records the journal had when it was made anew.
    pub(crate) made_anew: usize,
}

impl Disk {
    /// Appends, or answers false.
    pub(crate) fn append(&mut self, records: &[Record], durability: Durability, left_over: usize) -> bool {
        self.left_over.clear();
        if self.full {
            self.left_over.extend(records.iter().take(left_over).cloned());
            return false;
        }
        self.written.extend_from_slice(records);
        if durability == Durability::Synced {
            self.synced.append(&mut self.written);
        }
        true
    }

    /// The process dies in the middle of an append: the first `kept` records are whole, the next is torn, found
    /// by its checksum and cut off.
    pub(crate) fn tear(&mut self, records: &[Record], kept: usize) {
        self.left_over.clear();
        self.written.extend(records.iter().take(kept).cloned());
    }

    /// What the next process finds, in order.
    pub(crate) fn open(&mut self) -> Vec<Record> {
        self.written.append(&mut self.left_over);
        self.synced.iter().chain(&self.written).cloned().collect()
    }

    /// The journal made anew: durable before the old one is gone.
    pub(crate) fn compact(&mut self, snapshot: Vec<Record>) {
        self.made_anew = snapshot.len();
        self.synced = snapshot;
        self.written.clear();
        self.left_over.clear();
    }

    /// The power goes: of what was not synced, only the first `kept` records are there afterwards. A record
    /// that was being written is torn, found by its checksum and cut off: the same as not kept.
    pub(crate) fn lose_power(&mut self, kept: usize) {
        self.written.append(&mut self.left_over);
        self.written.truncate(kept);
        self.synced.append(&mut self.written);
    }

    /// Everything is gone: another disk.
    pub(crate) fn lose_everything(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.written.len() + self.left_over.len()
    }

    pub(crate) fn records(&self) -> usize {
        self.synced.len() + self.written.len()
    }
}
