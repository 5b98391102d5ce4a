//! Which hosts are taken for silent.
//!
//! A host that gives no sign of life is not believed dead at once: where many fall silent together it is the store or
//! the network that failed, and their containers serve on. Signs of life lapse one after the other even then, as far
//! apart as their words are: so it is waited a moment for others before any is judged.

use std::collections::{BTreeMap, BTreeSet};

use ipam::{HostId, Timestamp, Zone};

/// How long it is waited for others, in milliseconds: longer than the time between two words of a host.
pub const TOGETHER_MILLIS: u64 = 3_000;

/// The hosts that fell silent, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vigil {
    /// Judged: what is theirs is out.
    silent: BTreeSet<HostId>,
    /// Not judged yet, or spared because too many are.
    fresh: BTreeMap<HostId, Timestamp>,
    /// Of those, who is spared.
    spared: BTreeSet<HostId>,
}

impl Vigil {
    /// Takes note of who lives now, of the hosts of each zone.
    ///
    /// If more than a third of a zone, and more than one host of it, fell silent and was not judged before, nothing
    /// changes there: who was judged stays so, everybody else is spared. A host is judged in all its zones together:
    /// it is spared if it is spared in one of them.
    pub fn look(
        &mut self,
        now: Timestamp,
        zones: &BTreeMap<Zone, BTreeSet<HostId>>,
        alive: &BTreeSet<HostId>,
    ) {
        let lapsed: BTreeSet<&HostId> =
            zones.values().flatten().filter(|host| !alive.contains(*host)).collect();
        self.silent.retain(|host| lapsed.contains(host));
        self.fresh.retain(|host, _| lapsed.contains(host));
        for host in lapsed.into_iter().filter(|host| !self.silent.contains(*host)) {
            self.fresh.entry(host.clone()).or_insert(now);
        }
        let of_zone =
            |hosts: &BTreeSet<HostId>| hosts.iter().filter(|host| self.fresh.contains_key(*host)).count();
        let mass = zones.values().filter(|hosts| {
            let fresh = of_zone(hosts);
            fresh > 1 && fresh * 3 > hosts.len()
        });
        self.spared = mass.flatten().filter(|host| self.fresh.contains_key(*host)).cloned().collect();
        let due = |since: &Timestamp| since.after(TOGETHER_MILLIS) <= now;
        let judged = self.fresh.iter().filter(|(host, since)| due(since) && !self.spared.contains(*host));
        let judged: Vec<HostId> = judged.map(|(host, _)| host.clone()).collect();
        for host in judged {
            self.fresh.remove(&host);
            self.silent.insert(host);
        }
    }

    /// Whether a host is judged silent.
    pub fn is_silent(&self, host: &HostId) -> bool {
        self.silent.contains(host)
    }

    /// Whether a host gave a sign of life when it was looked last, whatever may be made of it if not.
    pub fn gives_signs(&self, host: &HostId) -> bool {
        !self.silent.contains(host) && !self.fresh.contains_key(host)
    }

    /// Whether it is silent with too many others.
    pub fn is_spared(&self, host: &HostId) -> bool {
        self.spared.contains(host)
    }

    /// When to look again, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let waiting = self.fresh.iter().filter(|(host, _)| !self.spared.contains(*host));
        waiting.map(|(_, since)| since.after(TOGETHER_MILLIS)).min()
    }
}

#[cfg(test)]
mod tests;
