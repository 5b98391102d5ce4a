//! What happened, in sentences; kept only where somebody will read it.

use crate::Moment;

/// The sentences of one run.
#[derive(Clone, Debug, Default)]
pub struct Story {
    told: Option<Vec<String>>,
}

impl Story {
    /// A story to be read.
    pub fn told() -> Self {
        Self { told: Some(Vec::new()) }
    }

    /// A run that nobody reads.
    pub fn silent() -> Self {
        Self::default()
    }

    pub(crate) fn say(&mut self, now: Moment, what: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            let (seconds, millis) = (now / 1_000, now % 1_000);
            told.push(format!("{:>3}:{:02}.{millis:03}  {}", seconds / 60, seconds % 60, what()));
        }
    }

    /// The sentences, in order.
    pub fn lines(&self) -> &[String] {
        self.told.as_deref().unwrap_or_default()
    }
}
