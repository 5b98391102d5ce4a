//! What Docker's calls ask of the allocator: a seam, because a `berthd` with a bad configuration has none.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;

use ipam::{
    AddressState, AddressView, Assignment, EndpointId, Epoch, PoolName, Released, ReservationName, Subnet,
    View, Wish,
};

use crate::allocator::{AllocateError, Allocator};

/// Assigns addresses to Docker's endpoints. The allocator does; [`OutOfOrder`] says why it cannot.
///
/// Every call may be repeated, and answers within ten seconds.
pub trait Addresses: Clone + Send + Sync + 'static {
    /// Assigns an address of the pool, not yet bound to an endpoint.
    fn assign(
        &self,
        pool: &PoolName,
        wish: Wish,
    ) -> impl Future<Output = Result<Assignment, AddressError>> + Send;

    /// The address that a reservation of this name keeps, if there is one.
    fn reserved_as(&self, name: &str) -> impl Future<Output = Result<Option<IpAddr>, AddressError>> + Send;

    /// Binds an assigned address to the endpoint that came for it.
    fn bind(
        &self,
        address: IpAddr,
        endpoint: EndpointId,
    ) -> impl Future<Output = Result<Assignment, AddressError>> + Send;

    /// The endpoint is deleted: a release may now close its assignment.
    fn endpoint_gone(&self, endpoint: EndpointId) -> impl Future<Output = Result<(), AddressError>> + Send;

    /// Docker's release, which names no owner: closes an assignment that no endpoint has.
    fn release(&self, address: IpAddr) -> impl Future<Output = Result<Released, AddressError>> + Send;

    /// Closes exactly the assignment of that epoch, whoever has it. An older one is nothing to do.
    fn reap(&self, address: IpAddr, epoch: Epoch) -> impl Future<Output = Result<(), AddressError>> + Send;

    /// The subnets of this host's zones that are open to the pools.
    fn subnets(&self) -> impl Future<Output = Result<Vec<Subnet>, AddressError>> + Send;

    /// What this host has assigned now, and what was taken from it.
    fn in_use(&self) -> impl Future<Output = Result<InUse, AddressError>> + Send;

    /// A revoked address has fallen silent on this host.
    fn silenced(&self, address: IpAddr) -> impl Future<Output = Result<(), AddressError>> + Send;
}

/// The addresses of this host that containers may use, and those they must not use any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    /// Assigned.
    pub assigned: Vec<Assigned>,
    /// Known not to be assigned here. An address in neither set is one of which nothing is known yet:
    /// an agent that has just started has not read the store.
    pub unassigned: BTreeSet<IpAddr>,
    /// Taken from this host while in use (it was evicted): they must fall silent.
    pub revoked: Vec<IpAddr>,
}

/// An assignment of this host, as far as Docker is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The address.
    pub address: IpAddr,
    /// The epoch under which it is assigned.
    pub epoch: Epoch,
}

/// Why an address could not be assigned, bound or released.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The reason why not, in the allocator's words.
    #[error(transparent)]
    Allocator(#[from] AllocateError),
    /// There is no allocator yet.
    #[error("berthd is starting: {reason}; hint: `berth status` shows what it waits for")]
    NotYet {
        /// What the agent waits for.
        reason: String,
    },
    /// There is no allocator.
    #[error("berthd assigns nothing: {reason}")]
    OutOfOrder {
        /// What keeps the agent from starting, and what to do about it.
        reason: String,
    },
}

impl Addresses for Allocator {
    async fn assign(&self, pool: &PoolName, wish: Wish) -> Result<Assignment, AddressError> {
        Ok(Allocator::assign(self, pool, wish).await?)
    }

    async fn reserved_as(&self, name: &str) -> Result<Option<IpAddr>, AddressError> {
        Ok(Allocator::reserved_as(self, ReservationName(name.to_owned())).await?)
    }

    async fn bind(&self, address: IpAddr, endpoint: EndpointId) -> Result<Assignment, AddressError> {
        Ok(Allocator::bind(self, address, endpoint).await?)
    }

    async fn endpoint_gone(&self, endpoint: EndpointId) -> Result<(), AddressError> {
        Allocator::endpoint_gone(self, endpoint).await?;
        Ok(())
    }

    async fn release(&self, address: IpAddr) -> Result<Released, AddressError> {
        Ok(Allocator::release(self, address).await?)
    }

    async fn reap(&self, address: IpAddr, epoch: Epoch) -> Result<(), AddressError> {
        Allocator::reap(self, address, epoch).await?;
        Ok(())
    }

    async fn subnets(&self) -> Result<Vec<Subnet>, AddressError> {
        let seen = self.view().await?.subnets.into_iter();
        Ok(seen.filter(|seen| seen.in_reach).map(|seen| seen.subnet).collect())
    }

    async fn in_use(&self) -> Result<InUse, AddressError> {
        // What is assigned is the journal's word: a view is empty until the store has been read.
        let assigned: Vec<Assigned> = self.assigned().await?.into_iter().map(Assigned::from).collect();
        let view = self.view().await?;
        let mut unassigned = not_assigned(&view);
        unassigned.extend(&view.revoked);
        unassigned.retain(|address| assigned.iter().all(|it| it.address != *address));
        Ok(InUse { assigned, unassigned, revoked: view.revoked })
    }

    async fn silenced(&self, address: IpAddr) -> Result<(), AddressError> {
        Ok(Allocator::silenced(self, address).await?)
    }
}

/// The addresses that a view knows, and knows not to be assigned.
fn not_assigned(view: &View) -> BTreeSet<IpAddr> {
    let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    let idle = |seen: &&AddressView| !matches!(seen.state, AddressState::Assigned { .. });
    blocks.flat_map(|block| &block.addresses).filter(idle).map(|seen| seen.address).collect()
}

impl From<(IpAddr, Epoch)> for Assigned {
    fn from((address, epoch): (IpAddr, Epoch)) -> Self {
        Self { address, epoch }
    }
}

/// Stands where the allocator would, while the agent cannot start: refuses everything with the reason.
///
/// Releases are then kept in `docker.journal` and paid by the next agent that can.
#[derive(Debug, Clone)]
pub struct OutOfOrder {
    /// What keeps the agent from starting.
    pub reason: String,
}

impl OutOfOrder {
    fn refuse<T>(&self) -> Result<T, AddressError> {
        Err(AddressError::OutOfOrder { reason: self.reason.clone() })
    }
}

impl Addresses for OutOfOrder {
    async fn assign(&self, _: &PoolName, _: Wish) -> Result<Assignment, AddressError> {
        self.refuse()
    }

    async fn reserved_as(&self, _: &str) -> Result<Option<IpAddr>, AddressError> {
        self.refuse()
    }

    async fn bind(&self, _: IpAddr, _: EndpointId) -> Result<Assignment, AddressError> {
        self.refuse()
    }

    async fn endpoint_gone(&self, _: EndpointId) -> Result<(), AddressError> {
        self.refuse()
    }

    async fn release(&self, _: IpAddr) -> Result<Released, AddressError> {
        self.refuse()
    }

    async fn reap(&self, _: IpAddr, _: Epoch) -> Result<(), AddressError> {
        self.refuse()
    }

    async fn subnets(&self) -> Result<Vec<Subnet>, AddressError> {
        self.refuse()
    }

    async fn in_use(&self) -> Result<InUse, AddressError> {
        self.refuse()
    }

    async fn silenced(&self, _: IpAddr) -> Result<(), AddressError> {
        self.refuse()
    }
}
