//! `berthd --migrate-store OLD` and `berthd --restore-store FILE`: fill the store of the configuration from
//! another one or from a backup, and start it as a new generation of the same cluster.
//!
//! No container is touched: berthd is stopped meanwhile, and hosts that meet the new generation take again,
//! by transaction, what their journals know. Either command may be cut short and run again.

mod error;
pub(crate) mod fill;
mod steady;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use ipam::{ClusterRecord, ClusterState, Generation, Record};
use jiff::Timestamp;
use store::layout::{self, Item, Under};
use store::{Commit, Snapshot, Store, Transaction, backup};

use crate::allocator::{self, FoundingRecord, Line};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, StoreKind};
use crate::journal::Journal;
use crate::shared;

pub use error::MigrateError;
pub(crate) use steady::steadily;

/// What was done, for the operator.
#[derive(Debug)]
pub struct Filled {
    entries: usize,
    cluster: String,
    before: Generation,
    after: Generation,
}

/// Freezes the store that `old` names, copies it into the one that `new` names, and starts that.
pub async fn migrate(old: &Config, new: &Config) -> Result<Filled, MigrateError> {
    if old.cluster != new.cluster {
        return Err(MigrateError::Names { old: old.cluster.clone(), new: new.cluster.clone() });
    }
    if (&old.store, old.rim.host.store_file()) == (&new.store, new.rim.host.store_file()) {
        return Err(MigrateError::Same);
    }
    let (from, to) = (shared::open(old).await?, shared::open(new).await?);
    let cluster = freeze(&*from).await?;
    let everything = Under::Everything.prefix();
    let all = steadily(|| from.range(&everything)).await?;
    only_one_host_if_embedded(new, &all)?;
    fill_and_start(to, new, all, cluster).await
}

/// Puts a backup into an empty store, if nothing can have happened since it was taken.
///
/// That can be told only where this host alone used the store: its journal knows everything it did.
pub async fn restore(file: &Path, config: &Config) -> Result<Filled, MigrateError> {
    let unreadable = |source| MigrateError::Backup { path: file.to_owned(), source };
    let opened = File::open(file).map_err(|error| unreadable(error.into()))?;
    let all = backup::read(&mut BufReader::new(opened)).map_err(unreadable)?;
    let cluster = cluster_of(&all)?.ok_or(MigrateError::NoCluster)?;
    // Held open: a berthd that runs is noticed here.
    let (_journal, lines) = Journal::<Line>::open(config.rim.host.allocator_journal())?;
    nothing_happened_since(&all, &allocator::records(&lines))?;
    fill_and_start(shared::open(config).await?, config, all, cluster).await
}

async fn fill_and_start(
    to: Arc<dyn Store>,
    config: &Config,
    all: Snapshot,
    cluster: ClusterRecord,
) -> Result<Filled, MigrateError> {
    let before = cluster.generation;
    let after = ClusterRecord {
        generation: renewed([before], SystemClock.wall()),
        state: ClusterState::Open,
        ..cluster
    };
    let founding = FoundingRecord { name: config.cluster.clone(), at: SystemClock.wall() };
    let entries = fill::fill(&*to, all, &after, &founding).await?;
    Ok(Filled { entries, cluster: config.cluster.clone(), before, after: after.generation })
}

/// Freezes the cluster, so that nothing is taken or given any more. May be repeated.
async fn freeze(store: &dyn Store) -> Result<ClusterRecord, MigrateError> {
    let (key, moved) = (Item::Cluster.key(), Item::Moved.key());
    loop {
        let found = steadily(|| store.get(&key)).await?.entry.ok_or(MigrateError::NoCluster)?;
        let cluster: ClusterRecord = layout::decode(&key, &found.value)?;
        let by_us = steadily(|| store.get(&moved)).await?.entry.is_some();
        match (cluster.state, by_us) {
            (ClusterState::Frozen, true) => return Ok(cluster),
            (ClusterState::Frozen, false) => return Err(MigrateError::Frozen),
            (ClusterState::Open, _) => {}
        }
        let frozen = ClusterRecord { state: ClusterState::Frozen, ..cluster };
        let transaction = Transaction::new()
            .unchanged(key.clone(), found.revision)
            .put(key.clone(), layout::encode(&key, &frozen)?)
            .put(moved.clone(), layout::encode(&moved, &SystemClock.wall())?);
        // Whatever became of it, a look tells.
        if let Commit::Done { .. } = steadily(|| store.commit(transaction.clone())).await? {
            return Ok(frozen);
        }
    }
}

/// A generation after these, and after every other that was begun before now.
pub(crate) fn renewed(before: impl IntoIterator<Item = Generation>, now: Timestamp) -> Generation {
    let (id, _) = uuid::Uuid::new_v4().as_u64_pair();
    ipam::next_generation(before, u64::try_from(now.as_second()).unwrap_or(0), id)
}

fn cluster_of(all: &Snapshot) -> Result<Option<ClusterRecord>, MigrateError> {
    let key = Item::Cluster.key();
    Ok(match all.find(&key) {
        Some(found) => Some(layout::decode(&key, &found.value)?),
        None => None,
    })
}

fn only_one_host_if_embedded(new: &Config, all: &Snapshot) -> Result<(), MigrateError> {
    match hosts(all) {
        hosts if hosts > 1 && new.store == StoreKind::Embedded => Err(MigrateError::Several { hosts }),
        _ => Ok(()),
    }
}

fn hosts(all: &Snapshot) -> usize {
    all.entries.iter().filter(|entry| matches!(Item::of(&entry.key), Some(Item::Host(_)))).count()
}

/// Compares the backup with all that this host did since its cluster began.
fn nothing_happened_since(all: &Snapshot, records: &[Record]) -> Result<(), MigrateError> {
    let hosts = hosts(all);
    if hosts > 1 {
        return Err(MigrateError::OthersMayKnowMore { hosts });
    }
    let cluster = cluster_of(all)?.ok_or(MigrateError::NoCluster)?;
    // A journal is a log: what it says last counts, and only within the generation of the backup.
    let (mut life, mut blocks) = (None, BTreeMap::new());
    for record in records {
        match record {
            Record::Cluster { id, generation, .. } => life = Some((id, generation)),
            Record::Block { id, zone, generation, acted, .. } => {
                blocks.insert(id, (zone, generation, acted));
            }
            _ => {}
        }
    }
    match life {
        Some(life) if life == (&cluster.id, &cluster.generation) => {}
        // Nobody ever stood in that cluster.
        None if hosts == 0 => {}
        _ => return Err(MigrateError::AnotherLife),
    }
    let in_this_life = |(_, (_, life, _)): &(_, (_, &Generation, _))| **life == cluster.generation;
    for (id, (zone, _, acted)) in blocks.into_iter().filter(in_this_life) {
        let key = Item::Block { zone: zone.0.clone(), subnet: id.subnet, index: id.index }.key();
        let backed_up = all.find(&key).map(|entry| entry.revision.0);
        if backed_up.is_none_or(|revision| revision < acted.0) {
            return Err(MigrateError::Stale { block: key });
        }
    }
    Ok(())
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, cluster, before, after } = self;
        writeln!(f, "copied {entries} entries of the cluster {cluster:?}; generation {before} -> {after}")?;
        write!(f, "start berthd with this configuration; what was copied from stays as it was, frozen")
    }
}
