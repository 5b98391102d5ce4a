//! `berth store rebuild`: a store that was lost for good, without a usable backup, is made anew from the provider's
//! word on the subnets; the hosts claim what they use by themselves. See [`ipam::Rebuild`] for what is awaited then.
//!
//! The store is nobody's until all is written, so the command may be cut short and given again, on any host. Two that
//! are given at once take the work from each other, and one of them ends it.

mod error;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ipam::{ClusterRecord, ClusterState, Generation, HostId, Pool, PoolName, Rebuild, Zone};
use ipnetwork::IpNetwork;
use jiff::Timestamp;
use store::layout::{self, Item, Under};
use store::{Entry, Snapshot, Store, Transaction};

use crate::allocator::FoundingRecord;
use crate::capacity::ZoneAnew;
use crate::migrate::{fill, renewed, steadily};

pub use error::LostStoreError;
pub use words::{Plea, Witness, Word, take_words};

/// What this host knows of the cluster whose store was lost.
#[derive(Clone, Debug)]
pub struct Memory {
    /// `cluster` of the configuration.
    pub name: String,
    /// The cluster's id, and the last life of it that the journal knows.
    pub life: (String, Generation),
    /// This host.
    pub host: HostId,
    /// Every host that was ever seen.
    pub hosts: BTreeSet<HostId>,
    /// The pools' policies.
    pub pools: Vec<Pool>,
    /// Whether this host alone uses the store.
    pub alone: bool,
    /// The time of day.
    pub now: Timestamp,
}

/// How a store is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was made anew before: people may have words to say about that.
    Anew,
    /// It is to be made anew.
    Lost,
}

/// What was made anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// The subnets, by zone.
    pub subnets: BTreeMap<Zone, Vec<(IpNetwork, PoolName)>>,
    /// What is not there any more, in words.
    pub left_out: Vec<String>,
}

/// Looks whether the store may be made anew. Changes nothing.
///
/// # Errors
/// The store is whole, or another's, or goes on elsewhere.
pub async fn look(store: &dyn Store, memory: &Memory) -> Result<Standing, LostStoreError> {
    let everything = Under::Everything.prefix();
    let all = steadily(|| store.range(&everything)).await?;
    let Some((_, record)) = cluster(&all)? else { return Ok(Standing::Lost) };
    let (id, _) = &memory.life;
    if record.id != *id {
        return Err(LostStoreError::Another { found: record.id, ours: id.clone() });
    }
    if all.find(&Item::Moved.key()).is_some() {
        return Err(LostStoreError::Moved);
    }
    match record.state {
        ClusterState::Frozen => Ok(Standing::Lost),
        ClusterState::Open if all.find(&Item::Rebuild.key()).is_some() => Ok(Standing::Anew),
        ClusterState::Open => Err(LostStoreError::Whole { generation: record.generation }),
    }
}

/// Makes the store anew, with what these zones have.
///
/// # Errors
/// As [`look`], or somebody else was faster, or the store is away: then it is nobody's, and this is to be done again.
pub async fn make_anew(
    store: &dyn Store,
    memory: &Memory,
    zones: Vec<ZoneAnew>,
) -> Result<Begun, LostStoreError> {
    let Memory { life: (id, life), .. } = memory;
    let everything = Under::Everything.prefix();
    let (claim, found) = loop {
        if look(store, memory).await? == Standing::Anew {
            return Err(LostStoreError::Overtaken);
        }
        let found = steadily(|| store.range(&everything)).await?;
        let claim = match (found.find(&Item::Copying.key()), cluster(&found)?) {
            (Some(begun), _) => fill::Claim::again(store, begun, id).await?,
            (None, Some((entry, _))) => {
                let at = entry.key.clone();
                let begin = Transaction::new().unchanged(at.clone(), entry.revision).delete(at);
                fill::Claim::begin(store, begin, id).await?
            }
            (None, None) => {
                fill::Claim::begin(store, Transaction::new().absent(Item::Cluster.key()), id).await?
            }
        };
        if let Some(claim) = claim {
            break (claim, found);
        }
    };
    let before = cluster(&found)?.map(|(_, record)| record.generation);
    let generation = renewed(before.into_iter().chain([*life]), memory.now);
    let record = ClusterRecord { id: id.clone(), generation, state: ClusterState::Open };
    let begun = Begun { subnets: opened(&zones), left_out: left_out(&found, &zones) };

    let dropped = found.entries.iter().filter(|entry| !outlives(entry) && entry.key != Item::Copying.key());
    let dropped = dropped.map(|entry| (entry.key.clone(), None)).collect();
    fill::write(store, &claim, dropped).await?;
    let mut writes = Vec::new();
    for pool in &memory.pools {
        let key = Item::Pool(pool.name.0.clone()).key();
        let value = layout::encode(&key, pool)?;
        writes.push((key, Some(value)));
    }
    let at = Item::Rebuild.key();
    writes.push((at.clone(), Some(layout::encode(&at, &rebuild(memory, generation, &begun))?)));
    let entries = zones.into_iter().flat_map(|zone| zone.subnets).flat_map(|subnet| subnet.entries);
    writes.extend(entries.map(|(key, value)| (key, Some(value))));
    fill::write(store, &claim, writes).await?;
    let founding = FoundingRecord { name: memory.name.clone(), at: memory.now };
    fill::start(store, &claim, &record, &founding).await?;
    Ok(begun)
}

fn rebuild(memory: &Memory, generation: Generation, begun: &Begun) -> Rebuild {
    let hosts = memory.hosts.iter().chain([&memory.host]);
    Rebuild {
        generation,
        by: memory.host.clone(),
        at: memory.now.to_string(),
        awaited: hosts.map(|host| (host.clone(), None)).collect(),
        no_others: memory.alone.then(|| "the store was this host's alone".to_owned()),
        zones: begun.subnets.keys().cloned().collect(),
    }
}

fn cluster(all: &Snapshot) -> Result<Option<(&Entry, ClusterRecord)>, LostStoreError> {
    let key = Item::Cluster.key();
    let Some(entry) = all.find(&key) else { return Ok(None) };
    Ok(Some((entry, layout::decode(&key, &entry.value)?)))
}

/// What a store that was put back from too old a backup may keep: it is no less true than before. Who holds what, who
/// the hosts are and what was ordered is forgotten.
fn outlives(entry: &Entry) -> bool {
    matches!(
        Item::of(&entry.key),
        Some(
            Item::Founding
                | Item::Takes(_)
                | Item::Dependent { .. }
                | Item::Ledger(_)
                | Item::Segment(_)
                | Item::Keep { .. }
        )
    )
}

fn opened(zones: &[ZoneAnew]) -> BTreeMap<Zone, Vec<(IpNetwork, PoolName)>> {
    let of_zone = |zone: &ZoneAnew| {
        let subnets = zone.subnets.iter().map(|subnet| (subnet.cidr, subnet.pool.clone()));
        (Zone(zone.zone.to_string()), subnets.collect())
    };
    zones.iter().map(of_zone).collect()
}

fn left_out(found: &Snapshot, zones: &[ZoneAnew]) -> Vec<String> {
    let names = found.entries.iter().filter_map(|entry| match Item::of(&entry.key) {
        Some(Item::Reservation(name)) => Some(format!("reservation {name}: reserve it again")),
        _ => None,
    });
    zones.iter().flat_map(|zone| zone.left_out.clone()).chain(names).collect()
}
