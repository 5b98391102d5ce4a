//! What Docker's calls ask of the allocator: a seam, because a `berthd` with a bad configuration has none.

use std::future::Future;
use std::net::IpAddr;

use ipam::{EndpointId, Epoch, PoolName, Subnet, Wish};

use crate::allocator::{AllocateError, Allocator, Assignment};

/// Assigns addresses to Docker's endpoints. [`Allocator`] does; [`OutOfOrder`] says why it cannot.
///
/// Every call may be repeated, and answers within ten seconds.
pub trait Addresses: Clone + Send + Sync + 'static {
    /// Assigns an address of the pool, not yet bound to an endpoint.
    fn assign(
        &self,
        pool: &PoolName,
        wish: Wish,
    ) -> impl Future<Output = Result<Assignment, AddressError>> + Send;

    /// Binds an assigned address to the endpoint that came for it.
    fn bind(
        &self,
        address: IpAddr,
        endpoint: EndpointId,
    ) -> impl Future<Output = Result<Assignment, AddressError>> + Send;

    /// The endpoint is deleted: a release may now close its assignment.
    fn endpoint_gone(&self, endpoint: EndpointId) -> impl Future<Output = Result<(), AddressError>> + Send;

    /// Docker's release, which names no owner: closes an assignment that no endpoint has.
    fn release(&self, address: IpAddr) -> impl Future<Output = Result<(), AddressError>> + Send;

    /// Closes exactly the assignment of that epoch, whoever has it. An older one is nothing to do.
    fn reap(&self, address: IpAddr, epoch: Epoch) -> impl Future<Output = Result<(), AddressError>> + Send;

    /// The subnets of this host's zones that are open to the pools.
    fn subnets(&self) -> impl Future<Output = Result<Vec<Subnet>, AddressError>> + Send;

    /// What this host has assigned now.
    fn assigned(&self) -> impl Future<Output = Result<Vec<Assigned>, AddressError>> + Send;
}

/// An assignment of this host, as far as Docker is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The address.
    pub address: IpAddr,
    /// The epoch under which it is assigned.
    pub epoch: Epoch,
    /// The endpoint that came for it, if one did yet.
    pub endpoint: Option<EndpointId>,
}

/// Why an address could not be assigned, bound or released.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The allocator's own words.
    #[error(transparent)]
    Allocator(#[from] AllocateError),
    /// There is no allocator.
    #[error("berthd assigns nothing: {reason}; hint: `berthd --check` lists what is wrong with its configuration")]
    OutOfOrder {
        /// What keeps the agent from starting.
        reason: String,
    },
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

    async fn bind(&self, _: IpAddr, _: EndpointId) -> Result<Assignment, AddressError> {
        self.refuse()
    }

    async fn endpoint_gone(&self, _: EndpointId) -> Result<(), AddressError> {
        self.refuse()
    }

    async fn release(&self, _: IpAddr) -> Result<(), AddressError> {
        self.refuse()
    }

    async fn reap(&self, _: IpAddr, _: Epoch) -> Result<(), AddressError> {
        self.refuse()
    }

    async fn subnets(&self) -> Result<Vec<Subnet>, AddressError> {
        self.refuse()
    }

    async fn assigned(&self) -> Result<Vec<Assigned>, AddressError> {
        self.refuse()
    }
}
