//! The newest revision that the host was shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipam::{Input, Revision, Seen, Sent};

/// Only grows. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest(Arc<AtomicU64>);

impl Newest {
    pub(super) fn get(&self) -> Revision {
        Revision(self.0.load(Ordering::SeqCst))
    }

    /// Takes note of what an input shows of the store's revision.
    pub(super) fn note(&self, input: &Input) {
        let of = |seen: &[Seen]| seen.iter().map(|seen| seen.revision).max();
        let shown = match input {
            Input::Listed { revision, .. } => Some(*revision),
            Input::Sent { outcome: Sent::Committed { revision }, .. } => Some(*revision),
            Input::Sent { outcome: Sent::Conflict { now }, .. } => of(now),
            Input::Seen(seen) | Input::Read { found: Some(seen), .. } => of(seen),
            _ => None,
        };
        if let Some(Revision(shown)) = shown {
            self.0.fetch_max(shown, Ordering::SeqCst);
        }
    }
}
