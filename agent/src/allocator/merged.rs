//! Of several commits that wait to be shown, what is still so: the newest of each key.
//!
//! A host that is busy, or behind, reads a block once and not as often as it was written meanwhile. That is a watch
//! that lags, which hosts bear.

use std::collections::BTreeSet;

use futures::FutureExt;
use store::{Change, Watch, WatchError};

/// Commits that are put together at most: a watch that never pauses is shown all the same.
const TOGETHER_MAX: usize = 256;

/// The next change, and with it whatever else was committed and is there already; in the order of the commits.
pub(super) async fn next(watch: &mut Watch) -> Result<Vec<Change>, WatchError> {
    let mut changes = vec![watch.next().await?];
    while changes.len() < TOGETHER_MAX
        && let Some(change) = watch.next().now_or_never()
    {
        changes.push(change?);
    }
    Ok(newest(changes))
}

fn newest(mut changes: Vec<Change>) -> Vec<Change> {
    if changes.len() == 1 {
        return changes;
    }
    let mut known = BTreeSet::new();
    for change in changes.iter_mut().rev() {
        // Of one commit every event counts: it has each key once.
        change.events.retain(|event| !known.contains(event.key()));
        known.extend(change.events.iter().map(|event| event.key().clone()));
    }
    changes.retain(|change| !change.events.is_empty());
    changes
}

#[cfg(test)]
mod tests {
    use store::layout::Item;
    use store::{Event, Key, Revision};

    use super::*;

    fn key(host: &str) -> Key {
        Item::Host(host.into()).key()
    }

    fn put(revision: u64, host: &str) -> Change {
        let event = Event::Put { key: key(host), value: revision.to_string().into_bytes() };
        Change { revision: Revision(revision), events: vec![event] }
    }

    #[test]
    fn of_each_key_the_newest_is_shown_in_the_order_of_the_commits() {
        let deleted = Change { revision: Revision(4), events: vec![Event::Deleted(key("h1"))] };
        let shown = newest(vec![put(2, "h1"), put(3, "h2"), deleted.clone(), put(5, "h3"), put(6, "h2")]);
        assert_eq!(shown, [deleted, put(5, "h3"), put(6, "h2")]);
    }
}
