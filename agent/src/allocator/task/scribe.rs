//! Writes the journal for the task, on a thread that may wait for the disk.

use ipam::{Durability, Persisted};

use crate::allocator::Line;
use crate::journal::Journal;

/// A journal of this size is worth making anew, once it is also twice as large as it was then: some thousands of
/// assignments, so that they do not wait for it often, and an agent that starts reads it in a moment.
const GROWN_BYTES: u64 = 4 * 1024 * 1024;

/// Has the journal, except while a thread writes to it.
pub(super) struct Scribe {
    /// None after a thread died with it: then nothing is promised any more.
    journal: Option<Journal<Line>>,
    /// Its size when it was last made anew.
    compacted_bytes: u64,
}

impl Scribe {
    pub(super) fn new(journal: Journal<Line>) -> Scribe {
        Scribe { journal: Some(journal), compacted_bytes: 0 }
    }

    /// Appends, and says what became of it.
    pub(super) async fn append(&mut self, records: Vec<Line>, durability: Durability) -> Persisted {
        let appended = match durability {
            // A write to the page cache takes microseconds: less than finding a thread for it.
            Durability::Written => match &mut self.journal {
                Some(journal) => journal.append(&records, durability),
                None => return Persisted::Failed,
            },
            Durability::Synced => {
                match self.waiting(move |journal| journal.append(&records, durability)).await {
                    Some(appended) => appended,
                    None => return Persisted::Failed,
                }
            }
        };
        match appended {
            Ok(()) => Persisted::Done,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "refusing what cannot be written down"
                );
                Persisted::Failed
            }
        }
    }

    /// Makes the journal anew from a snapshot if it has grown enough to be worth it.
    pub(super) async fn compact_if_grown(&mut self, snapshot: impl FnOnce() -> Vec<Line>) {
        let Some(journal) = &self.journal else { return };
        if journal.bytes() < GROWN_BYTES.max(2 * self.compacted_bytes) {
            return;
        }
        let snapshot = snapshot();
        let compacted = self.waiting(move |journal| {
            let compacted = journal.compact(&snapshot);
            // Also after a failure: the next try waits until it has doubled.
            (compacted, journal.bytes())
        });
        let Some((compacted, bytes)) = compacted.await else { return };
        self.compacted_bytes = bytes;
        if let Err(error) = compacted {
            tracing::warn!(error = &error as &dyn std::error::Error, "the journal stays as large as it is");
        }
    }

    /// Leaves nothing to the page cache: the host may be switched off next.
    pub(super) async fn close(mut self) {
        if let Some(Err(error)) = self.waiting(|journal| journal.append(&[], Durability::Synced)).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the journal may not be on the disk yet"
            );
        }
    }

    async fn waiting<T: Send + 'static>(
        &mut self,
        write: impl FnOnce(&mut Journal<Line>) -> T + Send + 'static,
    ) -> Option<T> {
        let mut journal = self.journal.take()?;
        let written = tokio::task::spawn_blocking(move || {
            let written = write(&mut journal);
            (journal, written)
        });
        match written.await {
            Ok((journal, written)) => {
                self.journal = Some(journal);
                Some(written)
            }
            Err(error) => {
                tracing::error!(%error, "the thread that writes the journal died: restart berthd");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ipam::{BootId, Incarnation, Record};
    use tempfile::TempDir;

    use super::*;

    fn boot(text: String) -> Line {
        Line::Record(Record::Boot { boot: BootId(text), incarnation: Incarnation(1) })
    }

    fn scribe(directory: &TempDir) -> Scribe {
        Scribe::new(Journal::open(directory.path().join("test.journal")).unwrap().0)
    }

    /// What the journal holds once the scribe has let go of it.
    async fn closed(scribe: Scribe, directory: &TempDir) -> Vec<Line> {
        scribe.close().await;
        Journal::open(directory.path().join("test.journal")).unwrap().1
    }

    #[tokio::test]
    async fn a_journal_that_has_grown_is_made_anew_from_the_snapshot() {
        let directory = TempDir::new().unwrap();
        let mut scribe = scribe(&directory);
        let large = boot("x".repeat(400_000));
        for durability in [Durability::Written, Durability::Synced] {
            for _ in 0..6 {
                assert_eq!(scribe.append(vec![large.clone()], durability).await, Persisted::Done);
            }
        }
        scribe.compact_if_grown(|| vec![boot("snapshot".into())]).await;
        scribe.append(vec![boot("later".into())], Durability::Written).await;
        let found = closed(scribe, &directory).await;
        assert_eq!(found, [boot("snapshot".into()), boot("later".into())]);
    }

    #[tokio::test]
    async fn a_small_journal_and_one_that_is_all_snapshot_are_left_alone() {
        let directory = TempDir::new().unwrap();
        let mut scribe = scribe(&directory);
        scribe.append(vec![boot("small".into())], Durability::Written).await;
        scribe.compact_if_grown(|| panic!("nothing has grown")).await;
        let large = vec![boot("x".repeat(400_000)); 12];
        scribe.append(large.clone(), Durability::Written).await;
        scribe.compact_if_grown(|| large.clone()).await;
        scribe.append(vec![boot("later".into())], Durability::Written).await;
        scribe.compact_if_grown(|| panic!("it has not doubled")).await;
        let found = closed(scribe, &directory).await;
        assert_eq!(found.len(), large.len() + 1);
    }
}
