//! One assignment of one address, from its opening to its end.

use std::fmt;
use std::net::IpAddr;

use ipam::{EndpointId, Epoch, HostId};
use serde::{Deserialize, Serialize};

/// A moment on the wall clock of the host that says so: milliseconds since 1970-01-01T00:00:00Z.
///
/// Clocks of two hosts differ; what came first is decided by epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment(pub u64);

/// One assignment of one address. No two have the same address and epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// The address.
    pub address: IpAddr,
    /// The number under which it was assigned. Where the use is unknown, the counter is the greatest
    /// there is: after everything that the host said of this holding.
    pub epoch: Epoch,
    /// The host that had it.
    pub host: HostId,
    /// The Docker endpoint, once it was bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// The container, once Docker showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// When it was assigned.
    pub from: Moment,
    /// How far the host's wall clock had moved by then against its boot-time clock, in milliseconds,
    /// since the agent first looked in that boot. Under a second is not recorded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from_offset: i64,
    /// It began earlier; `from` is when the ledger first heard of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub earlier: bool,
    /// The host held the address, and never told what it did with it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unknown: bool,
    /// How it ended; `None` while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// The end of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When, at the latest.
    pub at: Moment,
    /// As [`Interval::from_offset`], at the end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: i64,
    /// Why.
    pub why: Why,
}

/// Why an assignment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Docker released it.
    Released,
    /// Docker never released it; Docker and the kernel showed at two looks that nothing uses it.
    Reaped,
    /// The host rebooted; `at` is when the new boot began, its containers were gone before.
    Reboot,
    /// The host was evicted. It may have used the address until then.
    Evicted,
    /// The host lost its memory and went on under a new one. The container may have gone on too.
    MemoryLost,
}

/// A container, as Docker showed it while it had the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Docker's id, 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The Docker network's name.
    pub network: String,
}

impl Interval {
    /// What orders the intervals of all addresses: of one address, the order in which they were.
    pub fn order(&self) -> (IpAddr, Epoch) {
        (self.address, self.epoch)
    }

    /// When it ended; `None` while it runs.
    pub fn until(&self) -> Option<Moment> {
        self.end.map(|end| end.at)
    }

    /// Whether it was at any moment from `first` to `last`, both included. One without length counts
    /// at its moment.
    pub fn overlaps(&self, first: Moment, last: Moment) -> bool {
        self.from <= last && self.until().is_none_or(|until| until > first || self.from >= first)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Reaped => "reaped",
            Self::Reboot => "reboot",
            Self::Evicted => "evicted",
            Self::MemoryLost => "memory lost",
        })
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}
