//! Opening a delivered subnet: check its addresses, tag it, write its blocks.
//!
//! It is tagged as opened before its blocks are written: a subnet without blocks is only unused, one that two books
//! hand out addresses from is a disaster.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipam::{Block, BlockId, SetAside, Subnet, Zone};
use ipnetwork::IpNetwork;
use provider::{
    Provider, ProviderError,
    order::{DeliveredSubnet, OrderEvent, OrderState},
};
use store::{
    Key, Transaction,
    layout::{self, Item},
};
use tracing::info;

use super::{
    OrderRecord,
    act::{after, block_key, rewritten},
    decide::reason,
    look,
    record::TakesRecord,
    role::Role,
    term::{Term, compared},
    trouble::Trouble,
    view::{At, View},
};

/// Blocks that one transaction can open: two operations each, of the 128 that a store takes.
const BLOCKS_MAX: usize = 48;

impl<P: Provider> Role<P> {
    pub(super) async fn open(&self, term: &Term, view: &View, at: &At<OrderRecord>) -> Result<(), Trouble> {
        let OrderState::Delivered(subnet) = &at.value.order.state else { return Ok(()) };
        check_size(subnet.cidr)?;
        check_overlap(view, subnet.cidr)?;
        let policy = view.pools.iter().find(|policy| policy.name == at.value.pool);
        let excluded = policy.map(|policy| policy.exclude.as_slice()).unwrap_or_default();
        let aside = match self.set_aside(excluded, subnet).await {
            // Taken away before it was opened.
            Err(Trouble::Provider(ProviderError::Gone { .. })) => {
                return self.write_event(term, at, OrderEvent::Returned).await;
            }
            aside => aside?,
        };
        let occupied = self.occupied(subnet.cidr, &aside).await?;
        let aside =
            aside.into_iter().chain(occupied.into_iter().map(|address| (address, SetAside::Occupied)));

        self.check_term(term)?;
        self.parts.provider.edit_tags(&subnet.id, &self.parts.tags.opening()).await?;
        self.write_blocks(term, at, subnet, &aside.collect()).await
    }

    /// What is never handed out: the provider's word, and the operator's.
    pub(super) async fn set_aside(
        &self,
        excluded: &[IpNetwork],
        subnet: &DeliveredSubnet,
    ) -> Result<BTreeMap<IpAddr, SetAside>, Trouble> {
        let addresses = BlockId::all_of(subnet.cidr).flat_map(BlockId::addresses);
        let excluded = addresses.filter(|address| excluded.iter().any(|range| range.contains(*address)));
        let mut aside: BTreeMap<IpAddr, SetAside> =
            excluded.map(|address| (address, SetAside::Excluded)).collect();
        let kept = self.parts.provider.set_aside(&subnet.id).await?;
        aside.extend(kept.iter().map(|kept| (kept.address, reason(kept.set_aside))));
        aside.extend(subnet.gateway.map(|gateway| (gateway, SetAside::Gateway)));
        Ok(aside)
    }

    async fn occupied(
        &self,
        subnet: IpNetwork,
        aside: &BTreeMap<IpAddr, SetAside>,
    ) -> Result<BTreeSet<IpAddr>, Trouble> {
        let candidates = BlockId::all_of(subnet).flat_map(BlockId::addresses);
        let candidates = candidates.filter(|address| !aside.contains_key(address)).collect();
        Ok(self.parts.probe.occupied(self.zone(), subnet, candidates).await?)
    }

    async fn write_blocks(
        &self,
        term: &Term,
        at: &At<OrderRecord>,
        delivered: &DeliveredSubnet,
        aside: &BTreeMap<IpAddr, SetAside>,
    ) -> Result<(), Trouble> {
        let (takes_key, takes) = self.takes().await?;
        let take_above = takes.as_ref().map_or(0, |at| at.value.highest);
        // A return that raises the counter meanwhile makes this fail.
        let mut transaction = compared(Transaction::new(), takes_key, takes.map(|at| at.revision));
        let subnet = Subnet {
            cidr: delivered.cidr,
            pool: at.value.pool.clone(),
            zone: Zone(self.zone().to_string()),
            gateway: delivered.gateway,
        };
        let key = Item::Subnet(delivered.cidr).key();
        transaction = transaction.absent(key.clone()).put(key.clone(), layout::encode(&key, &subnet)?);
        for id in BlockId::all_of(delivered.cidr) {
            let block = Block::open(id, take_above, aside);
            let key = block_key(self.zone(), &block);
            transaction = transaction.absent(key.clone()).put(key.clone(), layout::encode(&key, &block)?);
        }
        let record = after(&at.value, OrderEvent::Opened, self.wall())?;
        self.commit(term, rewritten(at, &record, transaction)?).await?;
        info!(subnet = %delivered.cidr, pool = %at.value.pool, set_aside = aside.len(), "opened a subnet");
        Ok(())
    }

    /// The zone's counter of take numbers.
    pub(super) async fn takes(&self) -> Result<(Key, Option<At<TakesRecord>>), Trouble> {
        let key = Item::Takes(self.zone().to_string()).key();
        let entry = self.parts.store.get(&key).await?.entry;
        Ok((key, entry.as_ref().map(look::read).transpose()?))
    }
}

pub(super) fn check_size(cidr: IpNetwork) -> Result<(), Trouble> {
    if BlockId::all_of(cidr).nth(BLOCKS_MAX).is_none() {
        return Ok(());
    }
    Err(Trouble::Operator {
        reason: format!("subnet {cidr} is too large to be opened at once"),
        hint: "name parts of it, each a /19 (IPv4) or /115 (IPv6) or smaller".to_owned(),
    })
}

/// Two open subnets must not share addresses, whatever the provider says.
fn check_overlap(view: &View, cidr: IpNetwork) -> Result<(), Trouble> {
    let overlaps = |other: &&IpNetwork| other.contains(cidr.network()) || cidr.contains(other.network());
    match view.subnets.keys().find(overlaps) {
        None => Ok(()),
        Some(other) => Err(Trouble::Operator {
            reason: format!("subnet {cidr} shares addresses with {other}, which is open"),
            hint: "return one of them at the provider".to_owned(),
        }),
    }
}
