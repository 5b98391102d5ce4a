//! Brings open subnets in line with what the operator excludes: what is free is set aside at once, what is in use
//! stays with its user and is set aside when it comes back; what is excluded no more is handed out again.

use std::{collections::BTreeSet, net::IpAddr};

use ipam::{Block, BlockCommand, SetAside};
use ipnetwork::IpNetwork;
use provider::Provider;
use store::{
    Transaction,
    layout::{self},
};
use tracing::info;

use super::{act::block_key, role::Role, term::Term, trouble::Trouble, view::View};

/// A block as it should be, given what the operator excludes; `None` if it is.
///
/// `kept` are addresses that somebody else excludes; if that is not known, nothing is handed out again.
fn in_line(block: &Block, exclude: &[IpNetwork], kept: Option<&BTreeSet<IpAddr>>) -> Option<Block> {
    let why = SetAside::Excluded;
    let mut changed = block.clone();
    for address in block.id().addresses() {
        let aside = block.set_aside().get(&address).or(block.unwanted().get(&address));
        let command = match (exclude.iter().any(|range| range.contains(address)), aside) {
            (true, None) => BlockCommand::SetAside { address, why },
            (false, Some(SetAside::Excluded)) if kept.is_some_and(|kept| !kept.contains(&address)) => {
                BlockCommand::Include { address }
            }
            _ => continue,
        };
        // Both are allowed of every address that gets here.
        changed = changed.apply(command).ok()?.block;
    }
    (changed != *block).then_some(changed)
}

impl<P: Provider> Role<P> {
    /// Brings every open block of the zone in line with its pool's policy.
    pub(super) async fn exclude(&self, term: &Term, view: &View) -> Result<(), Trouble> {
        for policy in view.pools.iter().filter(|policy| policy.network == view.network) {
            let of_pool = view.subnets.values().filter(|at| at.value.pool == policy.name);
            for subnet in of_pool.map(|at| at.value.cidr) {
                let differ = |kept: Option<&BTreeSet<IpAddr>>| {
                    view.blocks_of(subnet).any(|at| in_line(&at.value, &policy.exclude, kept).is_some())
                };
                // Whether somebody else excludes it is asked only where something might be handed out again.
                let kept =
                    if differ(Some(&BTreeSet::new())) { self.kept(view, subnet).await } else { continue };
                for at in view.blocks_of(subnet) {
                    let Some(block) = in_line(&at.value, &policy.exclude, kept.as_ref()) else { continue };
                    let key = block_key(self.zone(), &block);
                    let value = layout::encode(&key, &block)?;
                    let transaction = Transaction::new().unchanged(key.clone(), at.revision).put(key, value);
                    self.commit(term, transaction).await?;
                    let (aside, in_use) = (block.set_aside().len(), block.unwanted().len());
                    info!(block = %block.id(), aside, in_use, "what is excluded of a block changed");
                }
            }
        }
        Ok(())
    }

    /// What the provider's own configuration excludes of a subnet; `None` where it cannot be asked.
    async fn kept(&self, view: &View, cidr: IpNetwork) -> Option<BTreeSet<IpAddr>> {
        let known = view.orders.values().filter_map(|at| at.value.order.subnet());
        let id = known.filter(|subnet| subnet.cidr == cidr).map(|subnet| subnet.id.clone()).next()?;
        let aside = self.parts.provider.set_aside(&id).await.ok()?;
        let excluded = aside.iter().filter(|it| it.set_aside == provider::SetAside::Excluded);
        Some(excluded.map(|it| it.address).collect())
    }
}
