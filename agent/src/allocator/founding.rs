//! The first start: makes the cluster record and the pools of a store that has none.

use ipam::{ClusterRecord, ClusterState, Generation, Key, Pool, Record};
use store::layout::{self, ValueError};
use store::{Commit, Store, StoreError, Transaction};
use uuid::Uuid;

use super::words::item;
use crate::clock::Clock;

/// How [`found_cluster`] found the store, and left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founding {
    /// There was a cluster record already.
    Standing,
    /// This call made it.
    Founded(ClusterRecord),
    /// There is none, and none was made: this host's journal belongs to a cluster, so the store has lost
    /// what it knew, and only `berth store rebuild` may make it again.
    Lost,
}

/// The store could not be asked, or not be written.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The store did not answer, or would not commit.
    #[error("cannot found the cluster in the store")]
    Store(#[from] StoreError),
    /// What stands there cannot be read, or a new value not be written.
    #[error("cannot found the cluster in the store")]
    Value(#[from] ValueError),
}

/// Makes the cluster record unless there is one, in a store that this host alone uses (the embedded one).
///
/// `records` is what the allocator's journal had when it was opened. May be repeated, also when it ended
/// with [`StoreError::UnknownOutcome`].
pub async fn found_cluster(
    store: &dyn Store,
    records: &[Record],
    clock: &dyn Clock,
) -> Result<Founding, FoundingError> {
    let key = item(&Key::Cluster).key();
    if store.get(&key).await?.entry.is_some() {
        return Ok(Founding::Standing);
    }
    if records.iter().any(|record| matches!(record, Record::Cluster { .. })) {
        return Ok(Founding::Lost);
    }
    let cluster = new_cluster(clock);
    let value = layout::encode(&key, &cluster)?;
    match store.commit(Transaction::new().absent(key.clone()).put(key, value)).await? {
        Commit::Done { .. } => Ok(Founding::Founded(cluster)),
        Commit::Conflict { .. } => Ok(Founding::Standing),
    }
}

/// Brings the stored policy of `pool` in line with the configuration.
pub async fn write_pool(store: &dyn Store, pool: &Pool) -> Result<(), FoundingError> {
    let key = item(&Key::Pool(pool.name.clone())).key();
    let value = layout::encode(&key, pool)?;
    let stands = store.get(&key).await?.entry;
    if stands.is_none_or(|entry| entry.value != value) {
        store.commit(Transaction::new().put(key, value)).await?;
    }
    Ok(())
}

fn new_cluster(clock: &dyn Clock) -> ClusterRecord {
    let (id, _) = Uuid::new_v4().as_u64_pair();
    // Above every number of a cluster that a rebuild may meet: those are at most Unix seconds too.
    let number = u64::try_from(clock.wall().as_second()).unwrap_or(0);
    ClusterRecord {
        id: Uuid::new_v4().to_string(),
        generation: Generation { number, id },
        state: ClusterState::Open,
    }
}
