//! When and why the journal is written, for the ledger.

use std::sync::Arc;

use ipam::Input;
use ledger::{Cause, Hearing, Moment};

use crate::clock::Clock;

/// How far a wall clock may drift from the boot-time clock before it is worth a word, in milliseconds.
const OFFSET_MILLIS_MIN: i64 = 1_000;

/// Knows the clocks, and what the host was told last.
pub(super) struct Ear {
    clock: Arc<dyn Clock>,
    /// The wall clock less the boot-time clock, when the agent started.
    first: i64,
    cause: Cause,
}

impl Ear {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let first = booted(&*clock);
        Self { clock, first, cause: Cause::Other }
    }

    /// What the host writes from now on follows from this input.
    pub(super) fn because(&mut self, input: &Input) {
        self.cause = match input {
            Input::Release { .. } => Cause::Release,
            Input::Reap { .. } => Cause::Reap,
            _ => Cause::Other,
        };
    }

    pub(super) fn hearing(&self) -> Hearing {
        let booted = booted(&*self.clock);
        let offset = booted - self.first;
        Hearing {
            cause: self.cause,
            now: moment(self.clock.wall().as_millisecond()),
            offset: if offset.abs() < OFFSET_MILLIS_MIN { 0 } else { offset },
            booted: moment(booted),
        }
    }
}

/// When this boot began, on the wall clock, in milliseconds since 1970.
fn booted(clock: &dyn Clock) -> i64 {
    let since = i64::try_from(clock.now().0).unwrap_or(i64::MAX);
    clock.wall().as_millisecond().saturating_sub(since)
}

fn moment(millis: i64) -> Moment {
    // A clock that stands before 1970 says nothing.
    Moment(u64::try_from(millis).unwrap_or(0))
}
