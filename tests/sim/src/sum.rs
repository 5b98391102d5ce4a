//! What many stories came to together.

use std::fmt;

use crate::{Coverage, Ended};

/// The sum over many stories.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    coverage: Coverage,
    host_millis: u64,
    steps: u64,
    acts: usize,
    faults: u64,
}

impl Sum {
    /// Adds a story.
    pub fn add(&mut self, ended: &Ended) {
        self.coverage.add(&ended.coverage);
        self.host_millis += ended.millis * ended.hosts as u64;
        self.steps += ended.steps;
        self.acts += ended.acts;
        self.faults += ended.faults;
    }

    /// What was reached.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host_millis, steps, acts, faults, .. } = self;
        let hours = host_millis / 3_600_000;
        let each = steps / hours.max(1);
        write!(
            f,
            "{hours} simulated host-hours, {steps} steps of hosts ({each} an hour), {acts} acts, {faults} of them faults"
        )
    }
}
