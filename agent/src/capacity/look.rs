//! Reading the store into a view. Every value keeps its revision, to be compared when it is written again.

use std::collections::BTreeMap;

use ipam::role::{BlockSeen, HostSeen, HostsSeen};
use ipam::{
    Block, BlockId, ClusterRecord, Eviction, HostId, HostRecord, PoolName, Rebuild, Subnet, Surplus, Zone,
};
use provider::ZoneId;
use serde::de::DeserializeOwned;
use store::{
    Entry, Revision, Store,
    layout::{self, Item, Under},
};

use crate::tenure::OwnerRecord;

use super::{
    Parts,
    policy::PolicyRecord,
    record::{OrderRecord, zone_of},
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

/// One host, if it is there.
pub(super) async fn host(store: &dyn Store, id: &HostId) -> Result<Option<HostSeen>, Trouble> {
    let name = || id.to_string();
    let Some(entry) = store.get(&Item::Host(name()).key()).await?.entry else { return Ok(None) };
    let At { value: record, revision } = read::<HostRecord>(&entry)?;
    let alive = store.get(&Item::Session(name()).key()).await?.entry.is_some();
    let eviction = store.get(&Item::Eviction(name()).key()).await?.entry;
    let witnessed = eviction.as_ref().map(read::<Eviction>).transpose()?.map(|at| at.value.incarnation);
    Ok(Some(HostSeen { record, revision: ipam::Revision(revision.0), alive, witnessed }))
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
pub(super) async fn block(store: &dyn Store, zone: Zone, id: BlockId) -> Result<Option<BlockSeen>, Trouble> {
    let key = Item::Block { zone: zone.0.clone(), subnet: id.subnet, index: id.index }.key();
    let entry = store.get(&key).await?.entry;
    let found = entry.as_ref().map(read::<Block>).transpose()?;
    Ok(found.map(|At { value: block, revision }| {
        let revision = ipam::Revision(revision.0);
        BlockSeen { zone, block, revision }
    }))
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
    let in_zone = Under::BlocksIn { zone: parts.zone.to_string() }.prefix();
    let blocks = store.range(&in_zone).await?.entries.iter().map(read::<Block>).collect::<Result<_, _>>()?;
    let (policies, owners) = (policies(store).await?, owners(store).await?);
    let mut view = View {
        tags: parts.tags.clone(),
        network: parts.network,
        pools: parts.pools.clone(),
        orders,
        subnets,
        blocks,
        surplus: surplus(parts).await?,
        hosts,
        rebuild: rebuild(store).await?,
        policies,
        owners,
        cloud: None,
        now: parts.clock.now(),
    };
    view.follow_policies(&parts.host, &parts.zone);
    Ok(view)
}

/// What the cluster goes by for each pool.
async fn policies(store: &dyn Store) -> Result<BTreeMap<PoolName, At<PolicyRecord>>, Trouble> {
    let mut policies = BTreeMap::new();
    for entry in store.range(&Under::Policies.prefix()).await?.entries {
        if let Some(Item::Policy(pool)) = Item::of(&entry.key) {
            policies.insert(PoolName(pool), read(&entry)?);
        }
    }
    Ok(policies)
}

/// Who has the capacity role of each zone.
async fn owners(store: &dyn Store) -> Result<BTreeMap<ZoneId, HostId>, Trouble> {
    let mut owners = BTreeMap::new();
    for entry in store.range(&Under::Owners.prefix()).await?.entries {
        if let Some(zone) = zone_of(&entry.key) {
            owners.insert(zone, read::<OwnerRecord>(&entry)?.value.owner.host);
        }
    }
    Ok(owners)
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
