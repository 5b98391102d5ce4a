//! Copies entries into a store that is nobody's meanwhile: it has a cluster record only once it is whole.

use ipam::{ClusterRecord, ClusterState};
use store::layout::{self, Item, Under};
use store::{Commit, Entry, Key, Revision, Snapshot, Store, Transaction};

use super::error::MigrateError;
use super::steady::steadily;
use crate::allocator::FoundingRecord;

/// Writes in one transaction: well below what any store takes.
const BATCH_ENTRIES: usize = 64;

/// Bytes in one transaction.
const BATCH_BYTES: usize = 512 * 1024;

/// Copies what `all` has and writes `cluster` last. Answers how many entries were copied.
pub(super) async fn fill(
    store: &dyn Store,
    all: Snapshot,
    cluster: &ClusterRecord,
    founding: &FoundingRecord,
) -> Result<usize, MigrateError> {
    let claim = claim(store, cluster).await?;
    claim.empty(store).await?;
    let copied: Vec<Entry> = all.entries.into_iter().filter(is_copied).collect();
    let puts = copied.iter().map(|entry| (entry.key.clone(), Some(entry.value.clone())));
    let (count, puts) = (copied.len(), puts.collect::<Vec<_>>());
    write(store, &claim, puts).await?;
    start(store, &claim, cluster, founding).await?;
    Ok(count)
}

/// The store is being filled by us for as long as this stands.
pub(crate) struct Claim {
    key: Key,
    revision: Revision,
}

impl Claim {
    /// Takes over what somebody else began, or was cut short: whatever that one writes from now on fails.
    pub(crate) async fn again(
        store: &dyn Store,
        begun: &Entry,
        cluster: &str,
    ) -> Result<Option<Claim>, MigrateError> {
        let key = begun.key.clone();
        let id: String = layout::decode(&key, &begun.value)?;
        if id != cluster {
            return Err(MigrateError::NotEmpty { found: key });
        }
        let again = Transaction::new()
            .unchanged(key.clone(), begun.revision)
            .put(key.clone(), layout::encode(&key, &cluster)?);
        Ok(match steadily(|| store.commit(again.clone())).await? {
            Commit::Done { revision } => Some(Claim { key, revision }),
            Commit::Conflict { .. } => None,
        })
    }

    /// Begins with a transaction that makes the store ours, or not, if it is not as it was looked at.
    pub(crate) async fn begin(
        store: &dyn Store,
        begin: Transaction,
        cluster: &str,
    ) -> Result<Option<Claim>, MigrateError> {
        let key = Item::Copying.key();
        let begin = begin.absent(key.clone()).put(key.clone(), layout::encode(&key, &cluster)?);
        // An answer that was lost is found by the next look, which takes it over.
        Ok(match steadily(|| store.commit(begin.clone())).await? {
            Commit::Done { revision } => Some(Claim { key, revision }),
            Commit::Conflict { .. } => None,
        })
    }

    /// Removes everything else.
    async fn empty(&self, store: &dyn Store) -> Result<(), MigrateError> {
        let everything = Under::Everything.prefix();
        let found = steadily(|| store.range(&everything)).await?;
        let rest = found.entries.into_iter().filter(|entry| entry.key != self.key);
        write(store, self, rest.map(|entry| (entry.key, None)).collect()).await
    }

    fn transaction(&self) -> Transaction {
        Transaction::new().unchanged(self.key.clone(), self.revision)
    }
}

/// Makes the store ours to fill.
async fn claim(store: &dyn Store, cluster: &ClusterRecord) -> Result<Claim, MigrateError> {
    let (key, at) = (Item::Copying.key(), Item::Cluster.key());
    let everything = Under::Everything.prefix();
    loop {
        let found = steadily(|| store.range(&everything)).await?;
        let claim = match (found.find(&key), found.find(&at)) {
            // Cut short: nobody uses it yet.
            (Some(begun), _) => Claim::again(store, begun, &cluster.id).await?,
            (None, Some(left)) if was_left(&found, left, cluster)? => {
                let begin = Transaction::new().unchanged(at.clone(), left.revision).delete(at.clone());
                Claim::begin(store, begin, &cluster.id).await?
            }
            _ => match found.entries.iter().find(|entry| is_copied(entry) || entry.key == at) {
                Some(entry) => return Err(MigrateError::NotEmpty { found: entry.key.clone() }),
                None => {
                    let begin = Transaction::new().absent(at.clone());
                    let begin = begin.empty(Under::Blocks.prefix()).empty(Under::Hosts.prefix());
                    Claim::begin(store, begin, &cluster.id).await?
                }
            },
        };
        if let Some(claim) = claim {
            return Ok(claim);
        }
    }
}

/// Whether this is the same cluster's former store, frozen when it moved away.
fn was_left(found: &Snapshot, record: &Entry, cluster: &ClusterRecord) -> Result<bool, MigrateError> {
    let before: ClusterRecord = layout::decode(&record.key, &record.value)?;
    let moved = found.find(&Item::Moved.key()).is_some();
    let earlier = before.id == cluster.id && before.generation < cluster.generation;
    Ok(moved && earlier && before.state == ClusterState::Frozen)
}

/// Signs of life, hints and wants are of the moment; the rest is what the cluster knows.
fn is_copied(entry: &Entry) -> bool {
    !matches!(
        Item::of(&entry.key),
        Some(
            Item::Cluster
                | Item::Copying
                | Item::Moved
                | Item::Session(_)
                | Item::Surplus { .. }
                | Item::Want { .. }
        )
    )
}

/// Writes in batches, each comparing that the store is still ours to fill. None removes.
pub(crate) async fn write(
    store: &dyn Store,
    claim: &Claim,
    writes: Vec<(Key, Option<Vec<u8>>)>,
) -> Result<(), MigrateError> {
    let mut writes = writes.into_iter().peekable();
    while writes.peek().is_some() {
        let (mut batch, mut bytes) = (claim.transaction(), 0);
        while let Some((key, value)) = writes.next_if(|(_, value)| {
            let size = value.as_ref().map_or(0, Vec::len);
            batch.writes.is_empty() || (batch.writes.len() < BATCH_ENTRIES && bytes + size <= BATCH_BYTES)
        }) {
            bytes += value.as_ref().map_or(0, Vec::len);
            batch = match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            };
        }
        if let Commit::Conflict { .. } = steadily(|| store.commit(batch.clone())).await? {
            return Err(MigrateError::Disturbed);
        }
    }
    Ok(())
}

/// Writes the cluster record: from here on the store is the cluster's.
pub(crate) async fn start(
    store: &dyn Store,
    claim: &Claim,
    cluster: &ClusterRecord,
    founding: &FoundingRecord,
) -> Result<(), MigrateError> {
    let (at, note) = (Item::Cluster.key(), Item::Founding.key());
    let value = layout::encode(&at, cluster)?;
    let mut transaction =
        claim.transaction().absent(at.clone()).put(at.clone(), value.clone()).delete(claim.key.clone());
    if steadily(|| store.get(&note)).await?.entry.is_none() {
        transaction = transaction.put(note.clone(), layout::encode(&note, founding)?);
    }
    match steadily(|| store.commit(transaction.clone())).await? {
        Commit::Done { .. } => Ok(()),
        // A first try whose answer was lost may have done it.
        Commit::Conflict { now } if now.find(&at).is_some_and(|found| found.value == value) => Ok(()),
        Commit::Conflict { .. } => Err(MigrateError::Disturbed),
    }
}
