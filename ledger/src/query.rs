//! What is asked of the ledger.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::HostId;

use crate::interval::{Interval, Moment};

/// Digits from which on a text may name a container by the beginning of its id.
const ID_DIGITS_MIN: usize = 4;

/// Which intervals are asked for: those for which everything that is said holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this address.
    pub address: Option<IpAddr>,
    /// Of containers with this name, or with an id that begins so.
    pub container: Option<String>,
    /// Of this host.
    pub host: Option<HostId>,
    /// That were at any moment between these two, both included.
    pub during: Option<(Moment, Moment)>,
}

impl Query {
    /// Whether this interval is asked for.
    pub fn wants(&self, interval: &Interval) -> bool {
        self.address.is_none_or(|address| interval.address == address)
            && self.host.as_ref().is_none_or(|host| interval.host == *host)
            && self.during.is_none_or(|(first, last)| interval.overlaps(first, last))
            && self.container.as_ref().is_none_or(|named| is_named(interval, named))
    }
}

fn is_named(interval: &Interval, named: &str) -> bool {
    let by_id = |id: &str| named.len() >= ID_DIGITS_MIN && id.starts_with(named);
    interval.container.as_ref().is_some_and(|it| it.name == named || by_id(&it.id))
}

/// What several sources say, once each, in the order of addresses and epochs.
///
/// Where two tell of the same assignment, the one that knows its end knows more, and then the one that
/// knows the container.
pub fn merged(intervals: impl IntoIterator<Item = Interval>) -> Vec<Interval> {
    let mut merged: BTreeMap<_, Interval> = BTreeMap::new();
    for interval in intervals {
        match merged.entry(interval.order()) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(interval);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                if knowledge(&interval) > knowledge(entry.get()) {
                    entry.insert(interval);
                }
            }
        }
    }
    merged.into_values().collect()
}

fn knowledge(interval: &Interval) -> (bool, bool, bool) {
    (interval.end.is_some(), interval.container.is_some(), interval.endpoint.is_some())
}
