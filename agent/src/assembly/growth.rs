//! Between the allocator and the capacity roles: the one says when addresses become few, the others what
//! they do about it. And the figures of both.

use crate::allocator::Allocator;
use crate::api::by_pool_and_zone;
use crate::capacity::{self, Capacity, PoolPolicy, Timing};
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::config::{Config, Network, PoolConfig};
use crate::identity::Known;
use crate::metrics::Metrics;
use crate::own_use::OwnUse;
use crate::probe::ArpProbe;
use crate::roll::Roll;
use futures::future::join_all;
use ipam::{BootId, ClusterState, PoolName, View};
use provider::{ClusterTags, MalformedClusterName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio_util::sync::CancellationToken;

/// Changes come in bursts: one look serves them all.
const BURST: Duration = Duration::from_millis(500);

/// What the roles are made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) known: &'a Known,
    pub(super) boot: &'a BootId,
    pub(super) roll: &'a Arc<Roll>,
    pub(super) cloud: Arc<Cloud>,
    pub(super) used_here: OwnUse,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) clock: &'a Arc<dyn Clock>,
}

/// Starts the capacity role of each zone that this machine is in.
pub(super) fn start(
    parts: Parts<'_>,
    stop: &CancellationToken,
) -> Result<Vec<Capacity>, MalformedClusterName> {
    let Parts { config, known, boot, roll, cloud, used_here, store, clock } = parts;
    let tags = ClusterTags::of(&config.cluster)?;
    let identity = known.host(boot.clone());
    let probe = Arc::new(ArpProbe::on(known.interfaces.clone()));
    let used_here = Arc::new(used_here);
    let role = |at: &provider::Attachment| {
        let parts = capacity::Parts {
            tags: tags.clone(),
            host: identity.host.clone(),
            instance: identity.instance.clone(),
            boot: boot.clone(),
            roll: Arc::clone(roll),
            zone: at.zone.clone(),
            network: at.network,
            pools: config.pools.iter().map(policy).collect(),
            store: Arc::clone(store),
            provider: Arc::clone(&cloud),
            probe: Arc::<ArpProbe>::clone(&probe),
            used_here: Arc::<OwnUse>::clone(&used_here),
            clock: Arc::clone(clock),
            timing: timing(config),
        };
        capacity::start(parts, stop.clone())
    };
    Ok(known.identity.attachments.iter().map(role).collect())
}

fn timing(config: &Config) -> Timing {
    Timing {
        quarantine: config.quarantine,
        staleness_max: config.staleness,
        witness_pause: capacity::witness_pause(config.staleness),
        ..Timing::default()
    }
}

/// What the configuration says of a pool.
pub(crate) fn policy(pool: &PoolConfig) -> PoolPolicy {
    PoolPolicy {
        name: PoolName(pool.name.clone()),
        network: match pool.network {
            Network::Private => provider::Network::Private,
            Network::Public => provider::Network::Public,
        },
        prefix: pool.prefix,
        subnets_max: pool.subnets_max,
        free_min: pool.free_min,
        exclude: pool.exclude.clone(),
        cooling_millis: u64::try_from(pool.cooling.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Tells the roles when addresses may have become few and when somebody was refused one, and the allocator what the roles do about it, for
/// as long as both run.
pub(super) async fn pass_words(roles: &[Capacity], allocator: &Allocator) {
    let to_allocator = join_all(roles.iter().map(|role| tell_allocator(role, allocator)));
    let to_roles = async {
        let mut changes = allocator.changes();
        while changes.changed().await.is_ok() {
            roles.iter().for_each(Capacity::nudge);
            tokio::time::sleep(BURST).await;
        }
    };
    let demands = async {
        let mut unserved = allocator.unserved();
        while unserved.changed().await.is_ok() {
            roles.iter().for_each(Capacity::demand);
            tokio::time::sleep(BURST).await;
        }
    };
    tokio::join!(to_allocator, to_roles, demands);
}

/// Notes which hosts there are: if the store is lost, they are awaited. Whether it could be written.
fn note(roll: &Roll, view: &View) -> bool {
    let (Some((life, ClusterState::Open)), Some((cluster, known))) = (&view.cluster, &view.journalled) else {
        return false;
    };
    // Another cluster's hosts are not this one's.
    if life != known {
        return false;
    }
    match roll.note(cluster, view.hosts.keys()) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "cannot note which hosts there are; a store that is lost could not be told who is awaited");
            false
        }
    }
}

async fn tell_allocator(role: &Capacity, allocator: &Allocator) {
    let mut status = role.status();
    let mut told = BTreeMap::new();
    loop {
        let pools = status.borrow_and_update().pools.clone();
        for (pool, capacity) in &pools {
            // Said only when it is news: each word is a change that nudges the roles again.
            if told.get(pool) == Some(capacity) {
                continue;
            }
            if let Err(error) = allocator.capacity(pool.clone(), capacity.clone()).await {
                tracing::debug!(%error, "the allocator hears nothing more of pool sizes");
                return;
            }
        }
        told = pools;
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps the figures of the addresses in line, and the roll of the hosts.
pub(super) async fn count(allocator: &Allocator, metrics: &Metrics, roll: &Roll) {
    let mut changes = allocator.changes();
    let mut noted = BTreeMap::new();
    loop {
        let Ok(view) = allocator.view().await else { return };
        if view.hosts != noted && note(roll, &view) {
            noted = view.hosts.clone();
        }
        for ((pool, zone), (_, counts)) in by_pool_and_zone(&view) {
            metrics.addresses(&pool, &zone, &counts);
        }
        tokio::time::sleep(BURST).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}
