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
    let copied: Vec<Entry> = all.entries.into_iter().filter(is_copied).collect();
    let puts = copied.iter().map(|entry| (entry.key.clone(), Some(entry.value.clone())));
    let (count, puts) = (copied.len(), puts.collect::<Vec<_>>());
    write(store, &claim, puts).await?;
    start(store, &claim, cluster, founding).await?;
    Ok(count)
}

/// The store is being filled by us for as long as this stands.
struct Claim {
    key: Key,
    revision: Revision,
}

impl Claim {
    fn transaction(&self) -> Transaction {
        Transaction::new().unchanged(self.key.clone(), self.revision)
    }
}

/// Makes the store ours to fill, and empty.
async fn claim(store: &dyn Store, cluster: &ClusterRecord) -> Result<Claim, MigrateError> {
    let (key, at) = (Item::Copying.key(), Item::Cluster.key());
    let everything = Under::Everything.prefix();
    loop {
        let found = steadily(|| store.range(&everything)).await?;
        if let Some(copying) = found.find(&key) {
            // Cut short: of whatever cluster, nobody uses it yet.
            let id: String = layout::decode(&key, &copying.value)?;
            if id != cluster.id {
                return Err(MigrateError::NotEmpty { found: key });
            }
            let claim = Claim { key, revision: copying.revision };
            let rest = found.entries.into_iter().filter(|entry| entry.key != claim.key);
            write(store, &claim, rest.map(|entry| (entry.key, None)).collect()).await?;
            return Ok(claim);
        }
        let begin =
            Transaction::new().absent(key.clone()).put(key.clone(), layout::encode(&key, &cluster.id)?);
        let begin = match found.find(&at) {
            Some(left) if was_left(&found, left, cluster)? => {
                begin.unchanged(at.clone(), left.revision).delete(at.clone())
            }
            _ => match found.entries.iter().find(|entry| is_copied(entry) || entry.key == at) {
                Some(entry) => return Err(MigrateError::NotEmpty { found: entry.key.clone() }),
                None => begin.absent(at.clone()).empty(Under::Blocks.prefix()).empty(Under::Hosts.prefix()),
            },
        };
        // Whatever became of it, the next look tells.
        steadily(|| store.commit(begin.clone())).await?;
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
                | Item::Ask { .. }
                | Item::Told { .. }
        )
    )
}

/// Writes in batches, each comparing that the store is still ours to fill. None removes.
async fn write(
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
async fn start(
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
