//! The first start: makes the cluster record and the pools of a store that has none.
//!
//! A store that one host alone uses is founded by its agent. One that hosts share is founded once, by an
//! operator's word: an agent that met an empty store by mistake would found a second cluster.

use ipam::{ClusterRecord, ClusterState, Generation, Key, Pool, Record};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::layout::{self, Item, Under, ValueError};
use store::{Commit, Entry, Store, StoreError, Transaction};
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
    /// what it knew, and must be given its memory back.
    Lost,
}

/// Under which name the cluster was founded: so that two clusters with one prefix are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundingRecord {
    /// `cluster` of the configuration.
    pub name: String,
    /// When, by the clock of the host that did it.
    pub at: Timestamp,
}

/// The cluster of a store that hosts share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founded {
    /// Its record.
    pub cluster: ClusterRecord,
    /// Its founding; None for one that came from a host's own store.
    pub founding: Option<FoundingRecord>,
}

/// The store could not be asked, or not be written, or is not ours.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// Two clusters with one prefix.
    #[error(
        "the keys in the store belong to the cluster {found:?}, and this host's configuration says \
         `cluster = {ours:?}`; give each cluster its own `prefix` in [store], or put the name right"
    )]
    Another {
        /// Whose they are.
        found: String,
        /// Who we are.
        ours: String,
    },
    /// There is a cluster already.
    #[error(
        "the store has a cluster already: {} of generation {}{}; nothing was changed",
        .0.cluster.id, .0.cluster.generation, since(.0.founding.as_ref())
    )]
    Exists(Box<Founded>),
    /// There is none, but there are its remains.
    #[error(
        "the store has no cluster record, but {found} of one: it has lost what it knew, and a new cluster would \
         give addresses away that are in use; see docs/operating.md, \"A frozen cluster\""
    )]
    Remains {
        /// A key that was found.
        found: store::Key,
    },
    /// Nobody founded a cluster in it yet.
    #[error("the store has no cluster yet; run `berth cluster init` on one of its hosts, once")]
    NotFounded,
    /// Another store is being copied into this one, or that was cut short.
    #[error("the store is being filled from another one, or that was cut short; run the same command again")]
    Copying,
    /// The store did not answer, or would not commit.
    #[error("cannot see to the record of the cluster in the store")]
    Store(#[from] StoreError),
    /// What stands there cannot be read, or a new value not be written.
    #[error("cannot see to the record of the cluster in the store")]
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

/// The cluster of a store that hosts share, if it was founded under our name.
pub async fn find_cluster(store: &dyn Store, ours: &str) -> Result<Option<Founded>, FoundingError> {
    let (cluster, founding) = (item(&Key::Cluster).key(), Item::Founding.key());
    let Some(found) = store.get(&cluster).await?.entry else { return Ok(None) };
    let cluster = layout::decode(&cluster, &found.value)?;
    let founding: Option<FoundingRecord> = match store.get(&founding).await?.entry {
        Some(found) => Some(layout::decode(&founding, &found.value)?),
        None => None,
    };
    match &founding {
        Some(founding) if founding.name != ours => {
            Err(FoundingError::Another { found: founding.name.clone(), ours: ours.to_owned() })
        }
        _ => Ok(Some(Founded { cluster, founding })),
    }
}

/// Founds a cluster in an empty store that hosts share: the operator's word.
///
/// # Errors
/// With the reason where there is a cluster, or remains of one. May be repeated, also when it ended with
/// [`StoreError::UnknownOutcome`]: then it says that there is one.
pub async fn init_cluster(
    store: &dyn Store,
    ours: &str,
    clock: &dyn Clock,
) -> Result<Founded, FoundingError> {
    if let Some(found) = find_cluster(store, ours).await? {
        return Err(FoundingError::Exists(Box::new(found)));
    }
    if let Some(found) = remains(store).await? {
        return Err(match Item::of(&found.key) {
            Some(Item::Copying) => FoundingError::Copying,
            _ => FoundingError::Remains { found: found.key },
        });
    }
    let cluster = new_cluster(clock);
    let founding = FoundingRecord { name: ours.to_owned(), at: clock.wall() };
    let (at, note) = (item(&Key::Cluster).key(), Item::Founding.key());
    let transaction = Transaction::new()
        .absent(at.clone())
        .empty(Under::Blocks.prefix())
        .empty(Under::Hosts.prefix())
        .absent(Item::Copying.key())
        .put(at.clone(), layout::encode(&at, &cluster)?)
        .put(note.clone(), layout::encode(&note, &founding)?);
    match store.commit(transaction).await? {
        Commit::Done { .. } => Ok(Founded { cluster, founding: Some(founding) }),
        // Somebody was faster: what they did is the answer.
        Commit::Conflict { .. } => match find_cluster(store, ours).await? {
            Some(found) => Err(FoundingError::Exists(Box::new(found))),
            None => Err(FoundingError::Copying),
        },
    }
}

/// Something that only a cluster leaves. A host that waits for one writes nothing.
async fn remains(store: &dyn Store) -> Result<Option<Entry>, StoreError> {
    let all = store.range(&Under::Everything.prefix()).await?;
    let matters = |entry: &Entry| !matches!(Item::of(&entry.key), Some(Item::Session(_) | Item::Pool(_)));
    Ok(all.entries.into_iter().find(matters))
}

fn since(founding: Option<&FoundingRecord>) -> String {
    founding.map(|it| format!(", founded as {:?} at {}", it.name, it.at)).unwrap_or_default()
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
