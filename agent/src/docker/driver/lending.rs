//! Addresses for containers of other drivers than ours: Docker's built-in bridge driver, as Swarm needs it.
//!
//! No endpoint call comes for them, and no option says who asks: a pool whose network was never created at
//! our driver is another's. Route, proxy and announcement are made when the address is asked for if the
//! bridge is known, and otherwise as soon as Docker shows it.

use std::net::IpAddr;

use hostnet::IfName;
use ipam::{Assignment, EndpointId, Wish};
use ipnetwork::IpNetwork;

use super::{CallError, Driver};
use crate::docker::addresses::Addresses;
use crate::docker::pool_id::PoolId;
use crate::docker::record::{Lent, Record};
use crate::reconciler::Needed;

/// Who borrows addresses of a pool.
pub(super) enum Borrower {
    /// The containers behind this bridge, whose name stands in the PoolID: it has to be there.
    Named(IfName),
    /// The containers of the only network that Docker shows on this subnet, behind this bridge.
    Shown(IfName),
    /// Nobody whose bridge is known yet.
    Unknown,
}

impl Borrower {
    fn bridge(&self) -> Option<IfName> {
        match self {
            Self::Named(bridge) | Self::Shown(bridge) => Some(bridge.clone()),
            Self::Unknown => None,
        }
    }
}

impl<A: Addresses> Driver<A> {
    /// Who borrows from this pool; nobody if only networks of our own driver are on its subnet.
    pub(super) fn borrower(&self, from: &PoolId) -> Option<Borrower> {
        if let Some(bridge) = &from.bridge {
            return Some(Borrower::Named(bridge.clone()));
        }
        let is_here =
            |network: &crate::docker::Network| network.pool == from.pool && network.subnet == from.subnet;
        let ours = self.book.read(|pages| pages.networks.values().any(is_here));
        let sight = self.docker.borrow().sight.clone();
        let networks = sight.iter().flat_map(|sight| &sight.networks);
        let mut theirs = networks.filter(|it| it.is_lent_to() && it.subnets.contains(&from.subnet));
        match (ours, theirs.next(), theirs.next()) {
            (true, None, _) => None,
            (false, Some(network), None) => Some(match &network.bridge {
                Some(bridge) => Borrower::Shown(bridge.clone()),
                None => Borrower::Unknown,
            }),
            _ => Some(Borrower::Unknown),
        }
    }

    /// Assigns an address to a container of another driver, and routes it at once if it is known where to.
    pub(super) async fn lend(
        &self,
        from: &PoolId,
        borrower: Borrower,
        asked: Option<IpAddr>,
    ) -> Result<IpNetwork, CallError> {
        let former = self.end_former(asked).await?;
        let lent = Lent { former, ..self.lend_anew(from, &borrower, asked).await? };
        self.write(Record::Lent(lent.clone()))?;
        let address = lent.address;
        if let Err(error) = self.route(&lent, &borrower).await {
            self.write(Record::Lent(Lent { released: true, ..lent }))?;
            self.reconciler.nudge();
            return Err(error);
        }
        Ok(address)
    }

    /// A container that restarts asks for its `--ip` again before anybody could look whether it is gone: the
    /// assignment that Docker has released is closed now, in the reconciler's place. Answers whose it was.
    async fn end_former(&self, asked: Option<IpAddr>) -> Result<Option<EndpointId>, CallError> {
        let Some(address) = asked else { return Ok(None) };
        let _turn = self.book.lending().await;
        let Some(lent) = self.book.read(|pages| pages.lent.get(&address).cloned()) else { return Ok(None) };
        if !lent.released {
            return Err(self.lent_already(&lent));
        }
        if let Some(endpoint) = lent.endpoint.clone() {
            self.addresses.endpoint_gone(endpoint).await?;
        }
        self.addresses.reap(address, lent.epoch).await?;
        self.write(Record::LentGone(address))?;
        Ok(lent.endpoint)
    }

    async fn lend_anew(
        &self,
        from: &PoolId,
        borrower: &Borrower,
        asked: Option<IpAddr>,
    ) -> Result<Lent, CallError> {
        let zone = self.subnet(Some(&from.pool), from.subnet).await?.zone;
        // Such a network knows one gateway, so the address must come from its own subnet.
        let wish = asked.map_or(Wish::Within(from.subnet), Wish::Exact);
        let assigned = self.addresses.assign(&from.pool, wish).await.map_err(|error| self.named(error))?;
        let Assignment { address, gateway, epoch, .. } = assigned;
        let prefixed = IpNetwork::new(address, from.subnet.prefix()).unwrap_or_else(|_| address.into());
        let bridge = borrower.bridge();
        let (endpoint, former) = (None, None);
        Ok(Lent { address: prefixed, gateway, epoch, zone, bridge, endpoint, former, released: false })
    }

    fn lent_already(&self, lent: &Lent) -> CallError {
        let address = lent.address.ip();
        let container = lent.endpoint.as_ref().and_then(|endpoint| self.container_of(endpoint));
        let by = match (container, &lent.bridge) {
            (Some(container), _) => format!("by container {container}"),
            (None, Some(bridge)) => format!("behind bridge {bridge}"),
            (None, None) => "by a container that is being started".to_owned(),
        };
        CallError::InUse { address, by }
    }

    async fn route(&self, lent: &Lent, borrower: &Borrower) -> Result<(), CallError> {
        let needed = lent.bridge.clone();
        let needed = needed.map(|bridge| Needed { links: vec![bridge], address: lent.address.ip() });
        match (borrower, self.reconciler.bring(needed.as_ref()).await) {
            (Borrower::Named(_), Err(error)) => Err(error.into()),
            // What Docker showed may be old, and what it does not show yet comes when it does.
            (Borrower::Shown(_) | Borrower::Unknown, Err(error)) => {
                tracing::warn!(address = %lent.address, %error, "nothing leads to a lent address yet");
                Ok(())
            }
            (_, Ok(())) => Ok(()),
        }
    }
}
