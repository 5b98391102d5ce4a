//! The cloud's clock: real time, plus what a test skipped.

use std::time::Duration;

use tokio::time::Instant;

/// A clock that can be put forward, never back.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    skipped: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), skipped: Duration::ZERO }
    }

    /// Time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed() + self.skipped
    }

    pub(crate) fn skip(&mut self, by: Duration) {
        self.skipped += by;
    }
}
