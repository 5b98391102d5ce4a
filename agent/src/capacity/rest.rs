//! How long nothing is tried again after a failure, and what ends that before its time.

use std::time::Duration;

use ipam::Timestamp;

use super::{Timing, decide::millis, trouble::Trouble};

/// A time before which something is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    until: Timestamp,
    /// The same where somebody waits for it.
    soonest: Timestamp,
}

impl Rest {
    /// After the last of so many failures in a row.
    pub(super) fn after(now: Timestamp, trouble: &Trouble, failures: u32, timing: &Timing) -> Self {
        let pause = pause_after(trouble, failures, timing);
        let soonest = trouble.asked_by_provider().max(timing.demand_pause).min(pause);
        Self { until: now.after(millis(pause)), soonest: now.after(millis(soonest)) }
    }

    /// A wait that is due to no failure, and that nobody can shorten.
    pub(super) fn until(time: Timestamp) -> Self {
        Self { until: time, soonest: time }
    }

    /// Somebody waits for it: it ends as soon as the provider allows.
    pub(super) fn cut_short(&mut self) {
        self.until = self.until.min(self.soonest);
    }

    /// When it ends.
    pub(super) fn end(self) -> Timestamp {
        self.until
    }

    /// Whether it has ended.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        self.until <= now
    }

    /// How long it lasts from `now`.
    pub(super) fn left(self, now: Timestamp) -> Duration {
        Duration::from_millis(self.until.0.saturating_sub(now.0))
    }
}

/// Grows with each failure, within what the provider asked for and the longest that we wait.
fn pause_after(trouble: &Trouble, failures: u32, timing: &Timing) -> Duration {
    let backoff = timing.retry_first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let longest = match trouble {
        // Nobody counts how often these are asked, and whoever waits for an address waits for them.
        Trouble::Store(_) | Trouble::Value(_) | Trouble::Probe(_) | Trouble::Overtaken => {
            timing.near_retry_max
        }
        Trouble::Provider(_) | Trouble::Waiting(_) | Trouble::Operator { .. } => timing.retry_max,
    };
    let (asked, _) = trouble.advice();
    backoff.max(asked).min(longest.max(asked))
}
