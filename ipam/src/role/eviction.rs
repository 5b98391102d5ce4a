//! When a silent host may be taken for dead, and how what it held comes back.
//!
//! A session that lapsed is no witness: the host may be cut off, and its containers run on. The
//! provider is: it is asked twice with a pause, and says both times that the machine is deleted, or
//! off with its memory lost. Its word may be old, so it is first asked when the host's record and its
//! session have been as they are for longer than the provider's answers may lag behind: what it then
//! says is of this boot of the machine. The eviction compares that this is still so.
//!
//! An eviction raises the host's incarnation. From then on nothing the host sends can gain, lose or
//! publish an address. What it held is swept into quarantine block by block, by the role of each
//! zone; a sweep that was left half done shows in the blocks, and whoever has the role finishes it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{BlockSeen, HostSeen, HostsSeen};
use crate::block::BlockCommand;
use crate::cluster::{Eviction, HostRecord, Published};
use crate::names::{BlockId, HostId, Incarnation, InstanceId, Revision, Timestamp};
use crate::transaction::{Compare, Key, Transaction, Value, Write};

/// Endpoints that one transaction closes, of the 128 operations that a store takes.
const CLOSED_AT_ONCE_MAX: usize = 100;

/// How long to wait before a silent host is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Patience {
    /// R: how far behind the truth an answer of the provider may be, in milliseconds. A named
    /// assumption.
    pub staleness_millis: u64,
    /// Between the two questions, in milliseconds.
    pub pause_millis: u64,
}

/// What the provider says became of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProviderWord {
    /// There is no such machine any more.
    Deleted,
    /// It is off, and its memory is lost.
    Off,
    /// Anything else, in words: running, paused, in a transaction, unknown, or no answer.
    NoWitness(String),
}

impl ProviderWord {
    /// Whether it witnesses that the machine no longer sends and has forgotten what it knew.
    pub fn is_witness(&self) -> bool {
        match self {
            Self::Deleted | Self::Off => true,
            Self::NoWitness(_) => false,
        }
    }
}

impl std::fmt::Display for ProviderWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deleted => f.write_str("deleted"),
            Self::Off => f.write_str("off, its memory lost"),
            Self::NoWitness(word) => f.write_str(word),
        }
    }
}

/// The next step of an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvictionStep {
    /// Ask the provider what became of this machine, and tell the answer with [`Evictions::heard`].
    Ask {
        /// The host.
        host: HostId,
        /// What the provider calls it.
        instance: InstanceId,
    },
    /// There are two witnesses: send what [`raise`] makes of it. Nothing need be told of the outcome.
    Raise {
        /// The host.
        host: HostId,
        /// Whose word it is that the host is dead.
        why: String,
    },
    /// The host was evicted and this block still shows something of its: send what [`sweep`] makes of
    /// it, until that is nothing.
    Sweep {
        /// The host.
        host: HostId,
        /// Its incarnation since.
        below: Incarnation,
        /// The block.
        block: BlockId,
    },
}

/// What the role knows of a silent host, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Since when, by the clock of the host that has the role, its session has been seen absent.
    pub since: Timestamp,
    /// What the provider said last.
    pub said: Option<ProviderWord>,
    /// When the provider is asked next.
    pub next: Timestamp,
}

/// The silent hosts of a zone, as one owner of the role follows them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Evictions {
    patience: Patience,
    silent: BTreeMap<HostId, Silent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Silent {
    /// The record that has stood since.
    revision: Revision,
    since: Timestamp,
    /// The first witness, and when it was heard.
    first: Option<ProviderWord>,
    second: Option<ProviderWord>,
    said: Option<ProviderWord>,
    ask_at: Timestamp,
}

impl Evictions {
    /// Follows nobody yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, silent: BTreeMap::new() }
    }

    /// Takes note of a look at the hosts and at all blocks of the zone; says what is to be done now.
    /// `me`, who has the role, is never suspected.
    ///
    /// `hosts` must have been read before `blocks`: no block then shows a holder in an incarnation
    /// that `hosts` does not know yet as raised.
    #[must_use]
    pub fn look(
        &mut self,
        now: Timestamp,
        me: &HostId,
        hosts: &HostsSeen,
        blocks: &[BlockSeen],
    ) -> Vec<EvictionStep> {
        let suspect =
            |id: &HostId, host: &HostSeen| id != me && !host.alive && has_something(id, host, blocks);
        self.silent.retain(|id, silent| {
            hosts.get(id).is_some_and(|host| host.revision == silent.revision && suspect(id, host))
        });
        let mut steps = sweeps(hosts, blocks);
        for (id, host) in hosts.iter().filter(|(id, host)| suspect(id, host)) {
            let silent = self.silent.entry(id.clone());
            let silent = silent.or_insert_with(|| Silent::new(host.revision, now, self.patience));
            steps.extend(silent.step(now, id, &host.record.instance));
        }
        steps
    }

    /// Takes note of the provider's word on a host. `now` is when it was heard.
    pub fn heard(&mut self, now: Timestamp, host: &HostId, word: ProviderWord) {
        let Some(silent) = self.silent.get_mut(host) else { return };
        silent.said = Some(word.clone());
        match (word.is_witness(), &silent.first) {
            (true, None) => {
                silent.first = Some(word);
                silent.ask_at = now.after(self.patience.pause_millis);
            }
            (true, Some(_)) => silent.second = Some(word),
            (false, _) => {
                (silent.first, silent.second) = (None, None);
                silent.ask_at = now.after(self.patience.staleness_millis);
            }
        }
    }

    /// When somebody is to be asked next.
    pub fn due(&self) -> Option<Timestamp> {
        self.silent.values().map(|silent| silent.ask_at).min()
    }

    /// The silent hosts that have something to lose.
    pub fn suspicions(&self) -> impl Iterator<Item = (&HostId, Suspicion)> {
        self.silent.iter().map(|(host, silent)| {
            let Silent { since, said, ask_at, .. } = silent;
            (host, Suspicion { since: *since, said: said.clone(), next: *ask_at })
        })
    }
}

impl Silent {
    fn new(revision: Revision, now: Timestamp, patience: Patience) -> Self {
        let ask_at = now.after(patience.staleness_millis);
        Self { revision, since: now, first: None, second: None, said: None, ask_at }
    }

    fn step(&self, now: Timestamp, host: &HostId, instance: &InstanceId) -> Option<EvictionStep> {
        let host = host.clone();
        match (&self.first, &self.second) {
            (Some(first), Some(second)) => {
                let why = match first == second {
                    true => format!("the provider said twice that it is {second}"),
                    false => format!("the provider said that it is {first}, then {second}"),
                };
                Some(EvictionStep::Raise { host, why })
            }
            _ if self.ask_at <= now => Some(EvictionStep::Ask { host, instance: instance.clone() }),
            _ => None,
        }
    }
}

/// Whether a host has something in these blocks that only its eviction can bring back: what it holds,
/// and what it gave up by itself without a witness that it does not use it.
fn has_something(id: &HostId, host: &HostSeen, blocks: &[BlockSeen]) -> bool {
    let holds = |seen: &BlockSeen| {
        seen.block.held().values().any(|held| held.by.host == *id && !is_lost(held.by.incarnation, host))
    };
    let left = |seen: &BlockSeen| {
        let mut quarantined = seen.block.quarantined().values();
        quarantined.any(|it| {
            let left_by = it.was.as_ref().filter(|was| was.by.host == *id).map(|was| was.by.incarnation);
            left_by.is_some_and(|in_life| host.witnessed.is_none_or(|raised_to| raised_to <= in_life))
        })
    };
    blocks.iter().any(|seen| holds(seen) || left(seen))
}

fn is_lost(incarnation: Incarnation, host: &HostSeen) -> bool {
    incarnation < host.record.incarnation
}

/// What is left to be swept. Incarnations only grow, so this stays true whatever happens meanwhile.
fn sweeps(hosts: &HostsSeen, blocks: &[BlockSeen]) -> Vec<EvictionStep> {
    let of_block = |seen: &BlockSeen| {
        let holders: BTreeSet<&HostId> = seen.block.held().values().map(|held| &held.by.host).collect();
        let block = seen.block.id();
        let step = |host: &HostId| {
            let below = hosts.get(host)?.record.incarnation;
            let lost = lost_to(&seen.block, host, below).next().is_some();
            lost.then(|| EvictionStep::Sweep { host: host.clone(), below, block })
        };
        holders.into_iter().filter_map(step).collect::<Vec<_>>()
    };
    blocks.iter().flat_map(of_block).collect()
}

/// The addresses of a block that a host holds in an incarnation below this one: lost to an eviction
/// that has not been swept up.
pub fn lost_to<'a>(
    block: &'a crate::block::Block,
    host: &'a HostId,
    below: Incarnation,
) -> impl Iterator<Item = IpAddr> + 'a {
    let lost = move |held: &crate::block::Held| held.by.host == *host && held.by.incarnation < below;
    block.held().iter().filter(move |(_, held)| lost(held)).map(|(address, _)| *address)
}

/// Evicts a host: the transaction that raises its incarnation, to be sent with the compare of the
/// cluster record and, where it is the role that evicts, of its term.
///
/// `seen` is the host as it was *before* the first witness was asked: the transaction compares its
/// record. It compares the session's absence too, unless an operator forces it.
pub fn raise(host: &HostId, seen: &HostSeen, eviction: Eviction, forced: bool) -> Transaction {
    let key = Key::Host(host.clone());
    let mut compares = vec![Compare::At { key: key.clone(), revision: seen.revision }];
    if !forced {
        compares.push(Compare::Absent(Key::Session(host.clone())));
    }
    let incarnation = Incarnation(seen.record.incarnation.0.saturating_add(1));
    let record = HostRecord { incarnation, ..seen.record.clone() };
    let eviction = Eviction { incarnation, ..eviction };
    let writes = vec![
        Write::Put { key, value: Value::Host(record) },
        Write::Put { key: Key::Eviction(host.clone()), value: Value::Eviction(eviction) },
    ];
    Transaction { compares, writes }
}

/// Sweeps a block after an eviction: what the host held goes to quarantine with its epochs, and the
/// endpoints of it are closed, also those of what went to quarantine before. `None` when there is
/// nothing left to sweep.
///
/// `published` is what the host has open in the block, and when that was written. A store takes 128
/// operations at once: where more endpoints are open, the transaction closes some of them and leaves
/// the rest, and the block, to the next.
pub fn sweep(
    seen: &BlockSeen,
    published: Option<&(Published, Revision)>,
    host: &HostId,
    below: Incarnation,
    why: &str,
) -> Option<Transaction> {
    let lost: BTreeSet<IpAddr> = lost_to(&seen.block, host, below).collect();
    let left = seen.block.quarantined().iter().filter(|(_, it)| it.was_of(host));
    let gone: BTreeSet<IpAddr> = left.map(|(address, _)| *address).chain(lost.iter().copied()).collect();
    let open = published.map(|(published, _)| &published.open);
    let open = open.into_iter().flat_map(BTreeMap::keys).filter(|address| gone.contains(*address));
    let closing: BTreeSet<IpAddr> = open.clone().take(CLOSED_AT_ONCE_MAX).copied().collect();
    if lost.is_empty() && closing.is_empty() {
        return None;
    }
    let id = seen.block.id();
    let block_key = Key::Block { zone: seen.zone.clone(), block: id };
    let published_key = Key::Published { host: host.clone(), block: id };
    let mut compares = vec![Compare::At { key: block_key.clone(), revision: seen.revision }];
    compares.push(match published {
        Some((_, revision)) => Compare::At { key: published_key.clone(), revision: *revision },
        None => Compare::Absent(published_key.clone()),
    });
    let mut writes = Vec::new();
    if let Some((published, _)) = published.filter(|_| !closing.is_empty()) {
        let mut published = published.clone();
        published.open.retain(|address, _| !closing.contains(address));
        writes.push(Write::Put { key: published_key, value: Value::Published(published) });
        writes.extend(closing.iter().map(|address| Write::Delete(Key::Endpoint(*address))));
    }
    if closing.len() == open.count() && !lost.is_empty() {
        let sweep = BlockCommand::Sweep { host: host.clone(), below, why: why.to_owned() };
        let block = seen.block.apply(sweep).ok()?.block;
        writes.push(Write::Put { key: block_key, value: Value::Block(block) });
        // It offers nothing any more.
        writes.push(Write::Delete(Key::Surplus { zone: seen.zone.clone(), host: host.clone() }));
    }
    Some(Transaction { compares, writes })
}
