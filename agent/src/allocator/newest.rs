//! The newest revision that the host was shown since a listing was asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipam::{Input, Prefix, Revision, Seen, Sent};

/// By the prefix of the listing. Since that was asked for and not since ever, because revisions begin again where
/// the store is made anew. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest(Arc<Mutex<BTreeMap<Prefix, Revision>>>);

impl Newest {
    /// A listing is about to be asked for.
    pub(super) fn ask(&self, prefix: &Prefix) {
        self.since().insert(prefix.clone(), Revision(0));
    }

    /// Whether the host was shown something newer than this listing since it was asked for.
    pub(super) fn overtook(&self, prefix: &Prefix, listed: Revision) -> bool {
        self.since().get(prefix).is_some_and(|shown| listed < *shown)
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
        if let Some(shown) = shown {
            self.since().values_mut().for_each(|newest| *newest = shown.max(*newest));
        }
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<Prefix, Revision>> {
        // A map of numbers is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::Token;

    fn committed(revision: u64) -> Input {
        Input::Sent { token: Token(1), outcome: Sent::Committed { revision: Revision(revision) } }
    }

    #[test]
    fn a_listing_of_a_lost_store_is_overtaken_by_a_commit_in_the_one_made_anew() {
        let (newest, prefix) = (Newest::default(), Prefix::Pools);
        newest.note(&committed(900));
        newest.ask(&prefix);
        newest.note(&committed(5));
        assert!(newest.overtook(&prefix, Revision(0)));
        assert!(!newest.overtook(&prefix, Revision(5)));
    }

    #[test]
    fn a_listing_asked_for_after_a_commit_that_it_lacks_is_not_overtaken() {
        let (newest, prefix) = (Newest::default(), Prefix::Pools);
        newest.note(&committed(900));
        newest.ask(&prefix);
        assert!(!newest.overtook(&prefix, Revision(3)), "the store went back, and the host is to hear it");
    }
}
