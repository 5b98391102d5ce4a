//! The intervals of one host, derived from what it writes into its journal.
//!
//! A note goes into the journal in the same append as the records it follows from: both are there, or
//! neither. So a crash loses no opening and no end, and replaying a note twice does no harm: it says how
//! an interval *is*.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::{BlockId, Epoch, HostId, Life, Record, Usage};
use serde::{Deserialize, Serialize};

use crate::interval::{Container, End, Interval, Moment, Why};

/// What the journal says beside the records of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// How an interval stands.
    Interval(Box<Entry>),
    /// The ledger has this interval, which has ended: it need not be remembered here.
    Written {
        /// Its address.
        address: IpAddr,
        /// Its epoch.
        epoch: Epoch,
    },
}

/// An interval, and where its address belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The block.
    pub block: BlockId,
    /// The interval.
    pub interval: Interval,
    /// Docker deleted its endpoint: what is left is to close it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// What made the host write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Docker released an address that no endpoint uses.
    Release,
    /// The assignment was closed by its epoch: on Docker's word, or by two witnesses.
    Reap,
    /// Anything else.
    Other,
}

/// When and why something was heard.
#[derive(Clone, Copy, Debug)]
pub struct Hearing {
    /// What made the host write.
    pub cause: Cause,
    /// The wall clock's word.
    pub now: Moment,
    /// See [`Interval::from_offset`].
    pub offset: i64,
    /// When this boot began.
    pub booted: Moment,
}

/// The intervals of one host that run, and those that ended and are not in the ledger yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    host: HostId,
    running: BTreeMap<IpAddr, Entry>,
    ended: BTreeMap<(IpAddr, Epoch), Entry>,
}

impl Tally {
    /// What these notes tell of `host`, in the order in which they were written.
    pub fn replay<'a>(host: HostId, notes: impl IntoIterator<Item = &'a Note>) -> Self {
        let mut tally = Self { host, running: BTreeMap::new(), ended: BTreeMap::new() };
        notes.into_iter().for_each(|note| tally.learn(note));
        tally
    }

    /// What is to be noted with these records. Nothing is learnt yet: the append may fail.
    pub fn consider(&self, records: &[Record], hearing: &Hearing) -> Vec<Note> {
        let mut draft = self.draft();
        draft.consider(records, hearing);
        draft.notes
    }

    /// The same for several sets of records that are appended at once, each for a reason of its own.
    pub fn draft(&self) -> Draft<'_> {
        Draft { tally: self, running: BTreeMap::new(), notes: Vec::new() }
    }

    /// What is to be noted when the agent starts: what ran in an earlier boot is gone, and what runs
    /// unheard of is heard of now. `records` is how the host stands; `assigned` of it, what is of this boot.
    pub fn consider_start(
        &self,
        records: &[Record],
        assigned: &BTreeMap<IpAddr, Epoch>,
        hearing: &Hearing,
    ) -> Vec<Note> {
        let gone = self.running.values().filter(|entry| {
            assigned.get(&entry.interval.address).is_none_or(|epoch| *epoch != entry.interval.epoch)
        });
        let mut notes: Vec<Note> = gone.map(|entry| ended(entry, Why::Reboot, hearing)).collect();
        let of_this_boot = records.iter().filter(
            |record| matches!(record, Record::Address { address, .. } if assigned.contains_key(address)),
        );
        let of_this_boot: Vec<Record> = of_this_boot.cloned().collect();
        let mut unheard = self.clone();
        notes.iter().for_each(|note| unheard.learn(note));
        notes.extend(unheard.consider(&of_this_boot, hearing).into_iter().map(|note| match note {
            Note::Interval(mut entry) if entry.interval.end.is_none() => {
                entry.interval.earlier |= !self.running.contains_key(&entry.interval.address);
                Note::Interval(entry)
            }
            other => other,
        }));
        notes
    }

    /// What is to be noted once Docker showed which container has an address under an epoch.
    pub fn consider_name(&self, address: IpAddr, epoch: Epoch, container: &Container) -> Option<Note> {
        let running = self.running.get(&address);
        let entry = running.filter(|entry| entry.interval.epoch == epoch);
        let mut entry = entry.or_else(|| self.ended.get(&(address, epoch)))?.clone();
        if entry.interval.container.as_ref() == Some(container) {
            return None;
        }
        entry.interval.container = Some(container.clone());
        Some(Note::Interval(Box::new(entry)))
    }

    /// Takes in a note that is in the journal.
    pub fn learn(&mut self, note: &Note) {
        match note {
            Note::Interval(entry) => {
                let Interval { address, epoch, end, .. } = &entry.interval;
                if self.running.get(address).is_some_and(|it| it.interval.epoch == *epoch) {
                    self.running.remove(address);
                }
                match end {
                    Some(_) => self.ended.insert((*address, *epoch), (**entry).clone()),
                    None => self.running.insert(*address, (**entry).clone()),
                };
            }
            Note::Written { address, epoch } => {
                self.ended.remove(&(*address, *epoch));
            }
        }
    }

    /// The notes from which [`Tally::replay`] makes this again.
    pub fn snapshot(&self) -> Vec<Note> {
        let entries = self.ended.values().chain(self.running.values());
        entries.map(|entry| Note::Interval(Box::new(entry.clone()))).collect()
    }

    /// The intervals that run.
    pub fn running(&self) -> impl Iterator<Item = &Entry> {
        self.running.values()
    }

    /// The intervals that ended and are not in the ledger yet.
    pub fn ended(&self) -> impl Iterator<Item = &Entry> {
        self.ended.values()
    }
}

/// What records do to a tally, before it learns of it.
#[derive(Debug)]
pub struct Draft<'a> {
    tally: &'a Tally,
    /// What runs now where that differs from the tally: the place of the note that says so.
    running: BTreeMap<IpAddr, Option<usize>>,
    notes: Vec<Note>,
}

impl Draft<'_> {
    /// Adds what is to be noted with these records, which come after those considered before.
    pub fn consider(&mut self, records: &[Record], hearing: &Hearing) {
        for record in records {
            if let Record::Address { block, address, holding } = record {
                let life = holding.as_ref().map(|holding| &holding.state);
                self.becomes(*block, *address, life, hearing);
            }
        }
    }

    /// What is to be noted, in the order of the records.
    pub fn into_notes(self) -> Vec<Note> {
        self.notes
    }

    fn running(&self, address: IpAddr) -> Option<&Entry> {
        match self.running.get(&address) {
            Some(noted) => match self.notes.get((*noted)?)? {
                Note::Interval(entry) => Some(entry),
                Note::Written { .. } => None,
            },
            None => self.tally.running.get(&address),
        }
    }

    fn becomes(&mut self, block: BlockId, address: IpAddr, life: Option<&Life>, hearing: &Hearing) {
        let assigned = match life {
            Some(Life::Assigned { epoch, usage, .. }) => Some((*epoch, usage)),
            _ => None,
        };
        match (self.running(address), assigned) {
            (Some(entry), Some((epoch, usage))) if entry.interval.epoch == epoch => {
                let endpoint = endpoint(usage).or_else(|| entry.interval.endpoint.clone());
                let gone = matches!(usage, Usage::Gone(_));
                if endpoint != entry.interval.endpoint || gone != entry.gone {
                    let interval = Interval { endpoint, ..entry.interval.clone() };
                    self.runs(Entry { block: entry.block, interval, gone });
                }
            }
            (before, assigned) => {
                if let Some(note) = before.map(|entry| ended(entry, why(entry, life, hearing), hearing)) {
                    self.notes.push(note);
                    self.running.insert(address, None);
                }
                if let Some((epoch, usage)) = assigned {
                    let interval = self.opened(address, epoch, usage, hearing);
                    self.runs(Entry { block, interval, gone: matches!(usage, Usage::Gone(_)) });
                }
            }
        }
    }

    fn opened(&self, address: IpAddr, epoch: Epoch, usage: &Usage, hearing: &Hearing) -> Interval {
        Interval {
            address,
            epoch,
            host: self.tally.host.clone(),
            endpoint: endpoint(usage),
            container: None,
            from: hearing.now,
            from_offset: hearing.offset,
            earlier: false,
            unknown: false,
            end: None,
        }
    }

    fn runs(&mut self, entry: Entry) {
        self.running.insert(entry.interval.address, Some(self.notes.len()));
        self.notes.push(Note::Interval(Box::new(entry)));
    }
}

fn endpoint(usage: &Usage) -> Option<ipam::EndpointId> {
    match usage {
        Usage::Unbound => None,
        Usage::Bound(endpoint) | Usage::Gone(endpoint) => Some(endpoint.clone()),
    }
}

fn ended(entry: &Entry, why: Why, hearing: &Hearing) -> Note {
    let mut entry = entry.clone();
    let (at, offset) = match why {
        // What an earlier boot ran had ended when this one began, unless the clock says otherwise.
        Why::Reboot if hearing.booted > entry.interval.from => (hearing.booted, 0),
        _ => (hearing.now, hearing.offset),
    };
    entry.interval.end = Some(End { at, offset, why });
    Note::Interval(Box::new(entry))
}

fn why(entry: &Entry, after: Option<&Life>, hearing: &Hearing) -> Why {
    match (after, hearing.cause) {
        (None, _) => Why::Evicted,
        (_, Cause::Release) => Why::Released,
        (_, Cause::Reap) if entry.gone => Why::Released,
        (_, Cause::Reap) => Why::Reaped,
        (_, Cause::Other) if entry.interval.from < hearing.booted => Why::Reboot,
        // A release that the journal could not take at once is written with whatever comes next.
        (_, Cause::Other) => Why::Released,
    }
}
