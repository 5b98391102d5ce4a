//! A store that was lost for good, made anew: pure.
//!
//! Subnets are known from the provider, their users from nobody but the hosts. So every address of every
//! block begins in quarantine, of nobody ([`Block::rebuilt`]), under a new generation. Each host that meets
//! that generation gains back from there, by transaction, what its journal shows as its own in this boot:
//! nobody else can, because two hosts never hold one address. When nothing of an earlier generation is left
//! with it, and its agent says that its journal tells all that its containers use, it writes so into its
//! record ([`HostRecord::answered`]).
//!
//! What nobody claimed stays in quarantine until no host is left that might: every host that is remembered
//! has answered or is gone, on a witness' word, and an operator says that there is no other. No timer ever
//! decides that. Then it ends like any other quarantine, after a rest, and if nobody uses the address.
//!
//! [`Block::rebuilt`]: crate::Block::rebuilt
//! [`HostRecord::answered`]: crate::HostRecord::answered

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::epoch::Generation;
use crate::names::{HostId, Zone};
use crate::role::HostsSeen;

/// The one record of a rebuild; it stays when it is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rebuild {
    /// The generation that it began.
    pub generation: Generation,
    /// The host whose agent did it.
    pub by: HostId,
    /// When, by that host's time of day (RFC 3339): for people.
    pub at: String,
    /// The hosts that may use addresses since before: all that are remembered. And, where somebody said
    /// that one of them uses nothing any more, whose word that is.
    pub awaited: BTreeMap<HostId, Option<String>>,
    /// Whose word it is that no other host uses addresses since before. Nothing is freed without it.
    pub no_others: Option<String>,
    /// The zones whose subnets were opened anew.
    pub zones: BTreeSet<Zone>,
}

impl Rebuild {
    /// The hosts that have neither answered nor are gone, in order.
    pub fn silent<'a>(&'a self, hosts: &'a HostsSeen) -> impl Iterator<Item = &'a HostId> {
        let awaited = self.awaited.iter().filter(|(_, gone)| gone.is_none());
        awaited.map(|(host, _)| host).filter(|host| !self.is_accounted_for(host, hosts))
    }

    /// Whether nobody is left who might claim an address: what is still in quarantine was free, or its holder
    /// is gone.
    pub fn is_over(&self, hosts: &HostsSeen) -> bool {
        self.no_others.is_some() && self.silent(hosts).next().is_none()
    }

    fn is_accounted_for(&self, host: &HostId, hosts: &HostsSeen) -> bool {
        let gone = self.awaited.get(host).is_some_and(Option::is_some);
        let seen = hosts.get(host);
        let answered = seen.and_then(|seen| seen.record.answered).is_some_and(|at| at >= self.generation);
        // Evictions from before the rebuild went with the store.
        gone || answered || seen.is_some_and(|seen| seen.witnessed.is_some())
    }
}

/// The generation of a store that is made anew or filled from another one: above every one that is known,
/// and, because nobody knows them all, not below the time of day, which every earlier one began at or
/// before. `id` is random: two rebuilds that choose one number differ by it.
pub fn next_generation(
    known: impl IntoIterator<Item = Generation>,
    unix_seconds: u64,
    id: u64,
) -> Generation {
    let above = known.into_iter().map(|generation| generation.number.saturating_add(1)).max();
    Generation { number: above.unwrap_or(0).max(unix_seconds), id }
}
