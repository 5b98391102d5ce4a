//! When a quarantine ends.
//!
//! An address rests for a while since this owner of the role first saw it in quarantine. Then the role
//! asks whether anybody uses it: this very host (which does not answer its own ARP requests for what
//! it proxies), and the wire. Only if nobody does, a transaction frees it, which compares that the
//! block is unchanged, that the address' endpoint is closed, and that nothing in the cloud names it.
//!
//! What a host gave up by itself, because it lost its journals, is not witnessed: the host lives, and
//! its containers may too. The wire's silence counts for it only while the host's session stands, so
//! that it would answer; a host that fell silent since must first be evicted with a witness.
//!
//! What nobody claimed after the store was made anew is witnessed once that rebuild is over
//! ([`Rebuild::is_over`](crate::Rebuild::is_over)).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{BlockSeen, HostsSeen};
use crate::block::{BlockCommand, Quarantined};
use crate::names::{BlockId, HostId, Timestamp};
use crate::transaction::{Compare, Key, Prefix, Sent, Transaction, Value, Write};

/// How long before an address is asked about again, where nobody could be asked or the cloud still
/// names it, in milliseconds.
const AGAIN_MILLIS: u64 = 15_000;

/// For how long an answer that nobody uses an address is good, in milliseconds.
const ANSWER_GOOD_MILLIS: u64 = 30_000;

/// Addresses that one transaction frees: two compares each, of the 128 operations that a store takes.
const ENDED_AT_ONCE_MAX: usize = 48;

/// The quarantines of a zone, as one owner of the role follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantines {
    rest_millis: u64,
    /// Whether nobody is left who may claim what a rebuild of the store put into quarantine.
    rebuild_is_over: bool,
    followed: BTreeMap<IpAddr, Followed>,
}

/// One address in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Followed {
    record: Quarantined,
    /// Since when it rests: when it was first seen so, or found in use.
    since: Timestamp,
    not_before: Timestamp,
    /// When it was last heard that nobody uses it.
    unused: Option<Timestamp>,
    found: Option<Found>,
}

/// What keeps an address in quarantine although its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    InUse(String),
    Unasked(String),
    Endpoint,
    Dependents,
    HolderSilent(HostId),
    Rebuilt,
}

/// Whether anybody uses an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UseWord {
    /// Neither this host nor anybody on the wire.
    Nobody,
    /// Somebody: who, and whose word that is.
    Used(String),
    /// It could not be found out, and why.
    Unknown(String),
}

/// How a quarantine stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuarantineState {
    /// It rests.
    Rests {
        /// When that ends.
        until: Timestamp,
    },
    /// Its rest is over, and it is about to be asked about, or to be freed.
    Ends,
    /// Somebody uses it: it rests anew.
    InUse {
        /// Who, and whose word that is.
        by: String,
        /// When it is asked about again.
        again: Timestamp,
    },
    /// It could not be found out whether somebody uses it.
    Unasked {
        /// Why not.
        why: String,
        /// When it is asked about again.
        again: Timestamp,
    },
    /// Its endpoint is still open in the store.
    EndpointOpen {
        /// When that is looked at again.
        again: Timestamp,
    },
    /// The cloud still names it.
    Named {
        /// When that is looked at again.
        again: Timestamp,
    },
    /// Its last holder gave it up by itself and is silent since: only a witness can say that it does
    /// not use it.
    HolderSilent {
        /// Which host.
        host: HostId,
    },
    /// The store was made anew, and a host that may have held it has not answered yet.
    Unclaimed,
}

/// Quarantines of one block that can end, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The block.
    pub block: BlockId,
    /// What becomes free.
    pub addresses: BTreeSet<IpAddr>,
    /// To be sent with the compares of the role's term and of the cluster record.
    pub transaction: Transaction,
}

impl Quarantines {
    /// Follows none yet. Each rests for `rest_millis`.
    pub fn new(rest_millis: u64) -> Self {
        Self { rest_millis, rebuild_is_over: false, followed: BTreeMap::new() }
    }

    /// Takes note of whether the rebuild of the store is over. Until it was said, it is not.
    pub fn rebuild_is_over(&mut self, over: bool) {
        self.rebuild_is_over = over;
    }

    /// Takes note of a look at all blocks of the zone; says which addresses are to be asked about
    /// now, by their blocks. What is heard is told with [`Quarantines::heard`].
    #[must_use]
    pub fn look(
        &mut self,
        now: Timestamp,
        blocks: &[BlockSeen],
        hosts: &HostsSeen,
    ) -> BTreeMap<BlockId, BTreeSet<IpAddr>> {
        let shown: BTreeMap<IpAddr, &Quarantined> =
            blocks.iter().flat_map(|seen| seen.block.quarantined()).map(|(a, q)| (*a, q)).collect();
        // Take numbers never repeat: another quarantine of the same address is another record.
        self.followed.retain(|address, followed| shown.get(address) == Some(&&followed.record));
        for (address, record) in shown {
            self.followed.entry(address).or_insert_with(|| Followed::new(record.clone(), now));
        }
        let (rest, over) = (self.rest_millis, self.rebuild_is_over);
        let mut due: BTreeMap<BlockId, BTreeSet<IpAddr>> = BTreeMap::new();
        for seen in blocks {
            for address in seen.block.quarantined().keys() {
                let Some(followed) = self.followed.get_mut(address) else { continue };
                if followed.is_due(now, rest, hosts, over) {
                    due.entry(seen.block.id()).or_default().insert(*address);
                }
            }
        }
        due
    }

    /// Takes note of who uses an address.
    pub fn heard(&mut self, now: Timestamp, address: IpAddr, word: UseWord) {
        let Some(followed) = self.followed.get_mut(&address) else { return };
        followed.unused = None;
        match word {
            UseWord::Nobody => (followed.unused, followed.found) = (Some(now), None),
            UseWord::Used(by) => (followed.since, followed.found) = (now, Some(Found::InUse(by))),
            UseWord::Unknown(why) => followed.held_back(now, Found::Unasked(why)),
        }
    }

    /// What can end now, given what was heard: at most one transaction for each block. `blocks` is
    /// the look that [`Quarantines::look`] took note of. The outcome is told with
    /// [`Quarantines::ended`].
    #[must_use]
    pub fn endings(&self, now: Timestamp, blocks: &[BlockSeen]) -> Vec<Ending> {
        let ready = |address: &&IpAddr| {
            let unused = self.followed.get(*address).and_then(|followed| followed.unused);
            unused.is_some_and(|heard| now < heard.after(ANSWER_GOOD_MILLIS))
        };
        let of_block = |seen: &BlockSeen| {
            let ready = seen.block.quarantined().keys().filter(ready).take(ENDED_AT_ONCE_MAX);
            let addresses: BTreeSet<IpAddr> = ready.copied().collect();
            ending(seen, addresses)
        };
        blocks.iter().filter_map(of_block).collect()
    }

    /// Takes note of what became of an ending. Whatever is left in quarantine shows in the next look.
    pub fn ended(&mut self, now: Timestamp, ending: &Ending, outcome: &Sent) {
        let Sent::Conflict { now: stands } = outcome else { return };
        for seen in stands.iter().filter(|seen| seen.value.is_some()) {
            let (address, found) = match &seen.key {
                Key::Endpoint(address) => (address, Found::Endpoint),
                Key::Dependent { address, .. } => (address, Found::Dependents),
                _ => continue,
            };
            if let Some(followed) =
                self.followed.get_mut(address).filter(|_| ending.addresses.contains(address))
            {
                followed.unused = None;
                followed.held_back(now, found);
            }
        }
    }

    /// When a rest is over next, or something is to be looked at again.
    pub fn due(&self) -> Option<Timestamp> {
        self.followed.values().filter_map(|followed| followed.due(self.rest_millis)).min()
    }

    /// How each quarantine stands, and since when it is followed or was last found in use.
    pub fn states(&self, now: Timestamp) -> impl Iterator<Item = (IpAddr, &Quarantined, QuarantineState)> {
        let rest = self.rest_millis;
        self.followed.iter().map(move |(address, it)| (*address, &it.record, it.state(now, rest)))
    }
}

impl Followed {
    fn new(record: Quarantined, now: Timestamp) -> Self {
        Self { record, since: now, not_before: now, unused: None, found: None }
    }

    /// Whether it is to be asked about now.
    fn is_due(&mut self, now: Timestamp, rest: u64, hosts: &HostsSeen, over: bool) -> bool {
        if now < self.since.after(rest) || now < self.not_before {
            return false;
        }
        if let Some(silent) = self.unaccounted(hosts, over) {
            self.unused = None;
            self.found = Some(silent);
            return false;
        }
        if matches!(self.found, Some(Found::HolderSilent(_) | Found::Rebuilt)) {
            self.found = None;
        }
        self.unused.is_none_or(|heard| heard.after(ANSWER_GOOD_MILLIS) <= now)
    }

    /// Why the wire's silence says nothing yet of the last holder: it is neither witnessed, nor does it live.
    fn unaccounted(&self, hosts: &HostsSeen, rebuild_is_over: bool) -> Option<Found> {
        let Some(was) = &self.record.was else { return (!rebuild_is_over).then_some(Found::Rebuilt) };
        let was = &was.by;
        let accounted = hosts.get(&was.host).is_some_and(|host| {
            host.alive || host.witnessed.is_some_and(|raised_to| was.incarnation < raised_to)
        });
        (!accounted).then(|| Found::HolderSilent(was.host.clone()))
    }

    fn held_back(&mut self, now: Timestamp, found: Found) {
        self.not_before = now.after(AGAIN_MILLIS);
        self.found = Some(found);
    }

    fn due(&self, rest: u64) -> Option<Timestamp> {
        match self.found {
            Some(Found::HolderSilent(_) | Found::Rebuilt) => None,
            _ => Some(self.since.after(rest).max(self.not_before)),
        }
    }

    fn state(&self, now: Timestamp, rest: u64) -> QuarantineState {
        let until = self.since.after(rest);
        let again = self.not_before;
        match &self.found {
            Some(Found::InUse(by)) => QuarantineState::InUse { by: by.clone(), again: until },
            Some(Found::Unasked(why)) => QuarantineState::Unasked { why: why.clone(), again },
            Some(Found::Endpoint) => QuarantineState::EndpointOpen { again },
            Some(Found::Dependents) => QuarantineState::Named { again },
            Some(Found::HolderSilent(host)) => QuarantineState::HolderSilent { host: host.clone() },
            Some(Found::Rebuilt) => QuarantineState::Unclaimed,
            None if now < until => QuarantineState::Rests { until },
            None => QuarantineState::Ends,
        }
    }
}

/// The transaction that frees these addresses of a block; `None` if there are none.
fn ending(seen: &BlockSeen, addresses: BTreeSet<IpAddr>) -> Option<Ending> {
    let mut block = seen.block.clone();
    let key = Key::Block { zone: seen.zone.clone(), block: block.id() };
    let mut compares = vec![Compare::At { key: key.clone(), revision: seen.revision }];
    for address in &addresses {
        block = block.apply(BlockCommand::EndQuarantine { address: *address }).ok()?.block;
        compares.push(Compare::Absent(Key::Endpoint(*address)));
        compares.push(Compare::Empty(Prefix::Dependents(*address)));
    }
    let changed = block != seen.block;
    let id = block.id();
    let writes = vec![Write::Put { key, value: Value::Block(block) }];
    changed.then_some(Ending { block: id, addresses, transaction: Transaction { compares, writes } })
}
