//! What a search came to see: a promise that holds because nothing happened is worth nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that must have happened somewhere in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Assigned,
    Taken,
    WantPlaced,
    Granted,
    GivenBack,
    Cooled,
    Evicted,
    Swept,
    QuarantineEnded,
    LandedLate,
    MadeToFail,
    Settled,
    RetakenAfterBoot,
    Claimed,
    Reaped,
    LateRelease,
    Opened,
    Closed,
    Named,
    Drained,
    Rebuilt,
    Refused,
}

impl Event {
    pub(crate) const ALL: [Self; 22] = [
        Self::Assigned,
        Self::Taken,
        Self::WantPlaced,
        Self::Granted,
        Self::GivenBack,
        Self::Cooled,
        Self::Evicted,
        Self::Swept,
        Self::QuarantineEnded,
        Self::LandedLate,
        Self::MadeToFail,
        Self::Settled,
        Self::RetakenAfterBoot,
        Self::Claimed,
        Self::Reaped,
        Self::LateRelease,
        Self::Opened,
        Self::Closed,
        Self::Named,
        Self::Drained,
        Self::Rebuilt,
        Self::Refused,
    ];
}

/// How often each event happened, counted over transitions: what happened on the way to a world is no
/// part of the world, or one world would be many.
#[derive(Debug, Default)]
pub(crate) struct Reached([AtomicU64; Event::ALL.len()]);

impl Reached {
    pub(crate) fn note(&self, event: Event) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, event: Event) -> u64 {
        self.0[event as usize].load(Ordering::Relaxed)
    }
}
