//! Opens a zone's subnets anew, after the store was lost: those that the provider shows as this cluster's.
//!
//! The operator's host does it for its own zones before the new life of the cluster begins; the role of every other
//! zone does it for its own then, before it adopts or orders anything there.

use std::collections::{BTreeMap, BTreeSet};

use ipam::{Block, BlockId, PoolName, Rebuild, Subnet, Zone};
use ipnetwork::IpNetwork;
use provider::{
    Cause, CloudSubnet, Provider, ZoneId,
    order::{Order, OrderEvent},
};
use store::{
    Key, Transaction,
    layout::{self, Item},
};
use tracing::{info, warn};

use super::{
    OrderRecord,
    act::after,
    open::check_size,
    role::Role,
    term::Term,
    trouble::Trouble,
    view::{At, View},
};

/// Why an address waits that nobody claimed yet.
pub(crate) const WHY: &str = "the store was lost and made anew; whoever held it has not said so yet";

/// What a zone has in a store that is made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneAnew {
    /// Which zone.
    pub zone: ZoneId,
    /// Its subnets, in order.
    pub subnets: Vec<SubnetAnew>,
    /// What could not be opened, and why.
    pub left_out: Vec<String>,
}

/// What one subnet has there: its record, its order, and its blocks, in which every address waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetAnew {
    /// Which subnet.
    pub cidr: IpNetwork,
    /// The pool that it is for.
    pub pool: PoolName,
    /// What is stored.
    pub entries: Vec<(Key, Vec<u8>)>,
}

/// It is not known what a zone had.
#[derive(Debug, thiserror::Error)]
#[error("it is not known which subnets zone {zone} has")]
pub struct AnewError {
    /// Which zone.
    pub zone: ZoneId,
    /// Why not.
    #[source]
    pub source: Cause,
}

impl<P: Provider> Role<P> {
    /// What the zone has in a store that is made anew. `pools` are those of the subnets that this host knows.
    ///
    /// # Errors
    /// The provider did not say all there is to know.
    pub async fn zone_anew(&self, pools: &BTreeMap<IpNetwork, PoolName>) -> Result<ZoneAnew, AnewError> {
        let found = self.subnets_anew(pools, BTreeMap::new(), &BTreeSet::new()).await;
        found.map_err(|trouble| AnewError { zone: self.zone().clone(), source: trouble.into() })
    }

    /// Opens the zone's subnets anew, if the store was lost and nobody did yet. Answers whether it is done.
    pub(super) async fn open_anew(&self, term: &Term, view: &View) -> Result<bool, Trouble> {
        let zone = Zone(self.zone().to_string());
        let Some(At { value: rebuild, revision }) = &view.rebuild else { return Ok(true) };
        if rebuild.zones.contains(&zone) {
            return Ok(true);
        }
        let open: BTreeSet<IpNetwork> = view.subnets.keys().copied().collect();
        let numbers = view.pools.iter().map(|pool| {
            let last = view.orders_of(&pool.name).map(|record| record.number).max();
            (pool.name.clone(), last.unwrap_or(0))
        });
        let anew = self.subnets_anew(&BTreeMap::new(), numbers.collect(), &open).await?;
        anew.left_out.iter().for_each(|what| warn!(%zone, "left out: {what}"));
        for SubnetAnew { cidr, entries, .. } in anew.subnets {
            let written = entries.into_iter().fold(Transaction::new(), |transaction, (key, value)| {
                transaction.absent(key.clone()).put(key, value)
            });
            self.commit(term, written).await?;
            info!(%zone, subnet = %cidr, "opened a subnet anew: the store was lost");
        }
        let zones = rebuild.zones.iter().cloned().chain([zone]).collect();
        let key = Item::Rebuild.key();
        let value = layout::encode(&key, &Rebuild { zones, ..rebuild.clone() })?;
        self.commit(term, Transaction::new().unchanged(key.clone(), *revision).put(key, value)).await?;
        Ok(false)
    }

    async fn subnets_anew(
        &self,
        pools: &BTreeMap<IpNetwork, PoolName>,
        mut numbers: BTreeMap<PoolName, u64>,
        open: &BTreeSet<IpNetwork>,
    ) -> Result<ZoneAnew, Trouble> {
        let mut anew = ZoneAnew { zone: self.zone().clone(), subnets: Vec::new(), left_out: Vec::new() };
        let shown = self.parts.provider.subnets(&self.parts.zone).await?;
        let known = |cidr: &IpNetwork| pools.contains_key(cidr);
        // A tag may have been lost with the machine that kept it: what is known was opened.
        let ours = shown.iter().filter(|it| self.parts.tags.mark(it) || known(&it.cidr));
        for subnet in ours.filter(|it| !open.contains(&it.cidr)) {
            let Some(pool) = pools.get(&subnet.cidr).or_else(|| self.pool_for(subnet)) else {
                anew.left_out.push(format!("{}: no pool of the configuration is for it", subnet.cidr));
                continue;
            };
            check_size(subnet.cidr)?;
            let number = numbers.entry(pool.clone()).or_default();
            *number += 1;
            let entries = self.subnet_anew(subnet, pool, *number).await?;
            anew.subnets.push(SubnetAnew { cidr: subnet.cidr, pool: pool.clone(), entries });
        }
        let there: BTreeSet<IpNetwork> = shown.iter().map(|it| it.cidr).collect();
        let gone = pools.keys().filter(|cidr| !there.contains(cidr));
        anew.left_out.extend(gone.map(|cidr| format!("{cidr}: the provider does not show it in this zone")));
        Ok(anew)
    }

    /// The pool that a subnet is for as far as the configuration tells: of its size, or at least of its network.
    fn pool_for(&self, subnet: &CloudSubnet) -> Option<&PoolName> {
        let fitting = || self.parts.pools.iter().filter(|pool| pool.network == self.parts.network);
        let of_its_size = fitting().find(|pool| pool.prefix == subnet.cidr.prefix());
        of_its_size.or_else(|| fitting().next()).map(|pool| &pool.name)
    }

    async fn subnet_anew(
        &self,
        subnet: &CloudSubnet,
        pool: &PoolName,
        number: u64,
    ) -> Result<Vec<(Key, Vec<u8>)>, Trouble> {
        let zone = self.zone().clone();
        let order = Order::adopted(subnet, self.wall());
        let delivered = OrderRecord { pool: pool.clone(), zone, number, writer: self.me.clone(), order };
        let record = after(&delivered, OrderEvent::Opened, self.wall())?;
        let Some(found) = record.order.subnet() else { return Err(Trouble::Overtaken) };
        let configured = self.parts.pools.iter().find(|it| it.name == *pool);
        let aside = self.set_aside(configured.map_or(&[], |it| &it.exclude), found).await?;
        if !self.parts.tags.mark_opened(subnet) {
            self.parts.provider.edit_tags(&subnet.id, &self.parts.tags.opening()).await?;
        }
        let opened = Subnet {
            cidr: subnet.cidr,
            pool: pool.clone(),
            zone: Zone(self.zone().to_string()),
            gateway: subnet.gateway,
        };
        let (at, order_at) = (Item::Subnet(subnet.cidr).key(), record.key().key());
        let mut entries = vec![
            (at.clone(), layout::encode(&at, &opened)?),
            (order_at.clone(), layout::encode(&order_at, &record)?),
        ];
        for id in BlockId::all_of(subnet.cidr) {
            let key = Item::Block { zone: self.zone().to_string(), subnet: id.subnet, index: id.index }.key();
            let value = layout::encode(&key, &Block::rebuilt(id, 0, &aside, WHY))?;
            entries.push((key, value));
        }
        Ok(entries)
    }
}
