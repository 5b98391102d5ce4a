//! The latest changes, for watches: bounded, so that a watch that is too slow must read again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{Change, Event, Prefix, Revision, WatchError};

/// Bytes of changes remembered. A zone's worth of blocks changes many times within this.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Changes remembered: bounds the search of a watch that waits for a rare prefix.
const CHANGES_MAX: usize = 4096;

/// What was committed lately.
pub(crate) struct History {
    recent: Mutex<Recent>,
    news: watch::Sender<()>,
}

struct Recent {
    changes: VecDeque<Change>,
    bytes: usize,
    /// The last commit that is forgotten: everything after it is remembered.
    forgotten: Revision,
    newest: Revision,
}

impl History {
    /// Remembers nothing of what led to `revision`.
    pub(crate) fn starting_at(revision: Revision) -> History {
        let recent = Recent { changes: VecDeque::new(), bytes: 0, forgotten: revision, newest: revision };
        History { recent: Mutex::new(recent), news: watch::Sender::new(()) }
    }

    /// Changes whenever there may be something new to see.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Remembers a commit, and forgets the oldest ones that there is no room for.
    pub(crate) fn record(&self, change: Change) {
        let mut recent = self.lock();
        recent.newest = change.revision;
        recent.bytes += size(&change);
        recent.changes.push_back(change);
        while recent.bytes > BYTES_MAX || recent.changes.len() > CHANGES_MAX {
            let Some(oldest) = recent.changes.pop_front() else { break };
            recent.bytes -= size(&oldest);
            recent.forgotten = oldest.revision;
        }
        drop(recent);
        self.news.send_replace(());
    }

    /// The first change under `prefix` after `after`, if there is one.
    pub(crate) fn after(&self, prefix: &Prefix, after: Revision) -> Result<Option<Change>, WatchError> {
        let recent = self.lock();
        if after < recent.forgotten {
            let oldest = recent.forgotten.next();
            return Err(WatchError::Compacted { prefix: prefix.clone(), after, oldest });
        }
        let unseen = recent.changes.partition_point(|change| change.revision <= after);
        Ok(recent.changes.range(unseen..).find_map(|change| under(prefix, change)))
    }

    /// Forgets everything if `revision` came about without being recorded here.
    pub(crate) fn forget_unless_at(&self, revision: Revision) {
        if self.lock().newest != revision {
            self.forget_up_to(revision);
        }
    }

    /// Forgets every change, as a store does that was compacted at `revision`.
    pub(crate) fn forget_up_to(&self, revision: Revision) {
        *self.lock() = Recent { changes: VecDeque::new(), bytes: 0, forgotten: revision, newest: revision };
        self.news.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `change` did under `prefix`, if anything.
fn under(prefix: &Prefix, change: &Change) -> Option<Change> {
    let events: Vec<Event> =
        change.events.iter().filter(|event| prefix.covers(event.key())).cloned().collect();
    (!events.is_empty()).then_some(Change { revision: change.revision, events })
}

/// About the bytes that a change takes in memory.
fn size(change: &Change) -> usize {
    let event = |event: &Event| {
        let value = match event {
            Event::Put { value, .. } => value.len(),
            Event::Deleted(_) => 0,
        };
        size_of::<Event>() + event.key().as_str().len() + value
    };
    size_of::<Change>() + change.events.iter().map(event).sum::<usize>()
}
