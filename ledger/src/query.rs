//! What is asked of the ledger.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::HostId;
use serde::{Deserialize, Serialize};

use crate::interval::{Interval, Moment};

/// Digits from which on a text may name a container by the beginning of its id.
pub(crate) const ID_DIGITS_MIN: usize = 4;

/// Which intervals are asked for: those for which everything that is said holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Of this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Of containers with this name, or with an id that begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// That were at any moment between these two, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<(Moment, Moment)>,
}

impl Query {
    /// The same without the times: what ended elsewhere may still stand somewhere as running, and is told by who
    /// knows its end.
    pub fn of_any_time(&self) -> Self {
        Self { during: None, ..self.clone() }
    }

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
