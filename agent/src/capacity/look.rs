//! Reading the store into a view. Every value keeps its revision, to be compared when it is written again.

use std::collections::BTreeMap;

use ipam::role::{BlockSeen, HostSeen, HostsSeen};
use ipam::{Block, BlockId, ClusterRecord, Eviction, HostId, HostRecord, PoolName, Rebuild, Subnet, Surplus};
use serde::de::DeserializeOwned;
use store::{
    Entry, Revision, Store,
    layout::{self, Item, Under},
};

use super::{
    Parts,
    record::OrderRecord,
    trouble::Trouble,
    view::{At, View},
};

/// The cluster's record, and when it was written.
pub(super) async fn cluster(store: &dyn Store) -> Result<Option<At<ClusterRecord>>, Trouble> {
    let entry = store.get(&Item::Cluster.key()).await?.entry;
    entry.as_ref().map(read).transpose()
}

/// The last time that the store was lost and made anew, if it ever was.
pub(super) async fn rebuild(store: &dyn Store) -> Result<Option<At<Rebuild>>, Trouble> {
    let entry = store.get(&Item::Rebuild.key()).await?.entry;
    entry.as_ref().map(read).transpose()
}

/// The hosts of the cluster: their records, whether their sessions stand, and their last evictions.
pub(super) async fn hosts(store: &dyn Store) -> Result<HostsSeen, Trouble> {
    let mut hosts = HostsSeen::new();
    for entry in store.range(&Under::Hosts.prefix()).await?.entries {
        if let Some(Item::Host(id)) = Item::of(&entry.key) {
            let At { value: record, revision } = read::<HostRecord>(&entry)?;
            let revision = ipam::Revision(revision.0);
            hosts.insert(HostId(id), HostSeen { record, revision, alive: false, witnessed: None });
        }
    }
    for entry in store.range(&Under::Sessions.prefix()).await?.entries {
        if let Some(Item::Session(id)) = Item::of(&entry.key)
            && let Some(host) = hosts.get_mut(&HostId(id))
        {
            host.alive = true;
        }
    }
    for entry in store.range(&Under::Evictions.prefix()).await?.entries {
        if let Some(Item::Eviction(id)) = Item::of(&entry.key)
            && let Some(host) = hosts.get_mut(&HostId(id))
        {
            host.witnessed = Some(read::<Eviction>(&entry)?.value.incarnation);
        }
    }
    Ok(hosts)
}

/// One block, if it is there.
pub(super) async fn block(store: &dyn Store, id: BlockId) -> Result<Option<BlockSeen>, Trouble> {
    let entry = store.get(&Item::Block { subnet: id.subnet, index: id.index }.key()).await?.entry;
    let found = entry.as_ref().map(read::<Block>).transpose()?;
    Ok(found.map(|At { value: block, revision }| BlockSeen { block, revision: ipam::Revision(revision.0) }))
}

/// A look at the store; the cloud's part is still empty.
pub(super) async fn store<P>(parts: &Parts<P>, hosts: HostsSeen) -> Result<View, Trouble> {
    let store = &*parts.store;
    let mut orders = BTreeMap::new();
    for entry in store.range(&Under::Orders.prefix()).await?.entries {
        let order: At<OrderRecord> = read(&entry)?;
        if order.value.zone == parts.zone {
            orders.insert(order.value.key(), order);
        }
    }
    let mut subnets = BTreeMap::new();
    for entry in store.range(&Under::Subnets.prefix()).await?.entries {
        let subnet: At<Subnet> = read(&entry)?;
        subnets.insert(subnet.value.cidr, subnet);
    }
    let mut blocks = Vec::new();
    for subnet in subnets.values().filter(|subnet| subnet.value.zone.0 == parts.zone.as_str()) {
        for entry in store.range(&Under::BlocksOf(subnet.value.cidr).prefix()).await?.entries {
            blocks.push(read::<Block>(&entry)?);
        }
    }
    Ok(View {
        tags: parts.tags.clone(),
        network: parts.network,
        pools: parts.pools.clone(),
        orders,
        subnets,
        blocks,
        surplus: surplus(parts).await?,
        hosts,
        rebuild: rebuild(store).await?,
        cloud: Vec::new(),
        now: parts.clock.now(),
    })
}

/// The value of an entry and when it was written.
pub(super) fn read<T: DeserializeOwned>(entry: &Entry) -> Result<At<T>, Trouble> {
    Ok(At { value: layout::decode(&entry.key, &entry.value)?, revision: entry.revision })
}

/// When the entry under a key was written; none if there is none.
pub(super) fn revision_of(entry: Option<&Entry>) -> Option<Revision> {
    entry.map(|entry| entry.revision)
}

async fn surplus<P>(parts: &Parts<P>) -> Result<BTreeMap<PoolName, u32>, Trouble> {
    let mut free: BTreeMap<PoolName, u32> = BTreeMap::new();
    let prefix = Under::SurplusOf { zone: parts.zone.to_string() }.prefix();
    for entry in parts.store.range(&prefix).await?.entries {
        for (pool, count) in read::<Surplus>(&entry)?.value.free {
            *free.entry(pool).or_default() += count;
        }
    }
    Ok(free)
}
