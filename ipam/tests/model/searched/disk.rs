//! A host's journal on its disk: what power loss leaves, and what only the process's death leaves.
//!
//! Both are kept compacted, the newest statement about each thing: a journal is replayed, never
//! searched, and its production twin is compacted as well. So equal knowledge is one state.

use std::net::IpAddr;

use ipam::{BlockId, BootId, Durability, Record};

/// Two prefixes of one journal, the longer compacted over the shorter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// What fsync(2) has confirmed.
    synced: Vec<Record>,
    /// Everything written, the synced part included.
    written: Vec<Record>,
}

impl Disk {
    pub(crate) fn with(records: Vec<Record>) -> Self {
        Self { synced: records.clone(), written: records }
    }

    pub(crate) fn append(&mut self, records: &[Record], durability: Durability) {
        for record in records {
            note(&mut self.written, record);
        }
        if durability == Durability::Synced {
            self.synced = self.written.clone();
        }
    }

    /// What an agent that starts finds.
    pub(crate) fn records(&self) -> &[Record] {
        &self.written
    }

    /// Whether power loss can lose anything.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.synced != self.written
    }

    pub(crate) fn power_loss(&mut self, kept: bool) {
        if kept {
            self.synced = self.written.clone();
        } else {
            self.written = self.synced.clone();
        }
    }
}

/// What a record is about; of two with one subject the later counts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Cluster,
    Counter,
    Boot(BootId),
    Pool(String),
    Subnet(String),
    Block(BlockId),
    Address(IpAddr),
}

fn subject(record: &Record) -> Subject {
    match record {
        Record::Cluster { .. } => Subject::Cluster,
        Record::Counter(_) => Subject::Counter,
        Record::Boot { boot, .. } => Subject::Boot(boot.clone()),
        Record::Pool(pool) => Subject::Pool(pool.name.to_string()),
        Record::Subnet(subnet) => Subject::Subnet(subnet.cidr.to_string()),
        Record::Block { id, .. } => Subject::Block(*id),
        Record::Address { address, .. } => Subject::Address(*address),
    }
}

/// Replaces the earlier statement about the same thing. The counter of assignments outlives the
/// assignments that show it.
fn note(records: &mut Vec<Record>, record: &Record) {
    if let Some(counter) = record.counter() {
        let known = records.iter().filter_map(|record| match record {
            Record::Counter(known) => Some(*known),
            _ => None,
        });
        let counter = known.max().unwrap_or(0).max(counter);
        place(records, Record::Counter(counter));
    }
    place(records, record.clone());
}

fn place(records: &mut Vec<Record>, record: Record) {
    let of = subject(&record);
    match records.iter_mut().find(|known| subject(known) == of) {
        Some(known) => *known = record,
        None => {
            let at = records.partition_point(|known| subject(known) < of);
            records.insert(at, record);
        }
    }
}
