//! What Docker's calls mean: each one decided from book and pools, journalled, and then done.
//!
//! A call that fails leaves nothing behind that the reconciler would not find.

use ipam::{AddressState, Assignment, EndpointId, PoolName, Refusal, Subnet, Usage};
use ipnetwork::IpNetwork;

use tokio::sync::watch;

use super::addresses::{AddressError, Addresses};
use super::book::Book;
use super::events::Watched;
use super::record::NetworkId;
use super::wire::Id;
use crate::allocator::AllocateError;
use crate::reconciler::Reconciler;

mod error;
mod ipam_calls;
mod lending;
mod listening;
mod network_calls;
mod offers;
mod ports;

pub(super) use error::CallError;
pub use listening::{Listener, listeners};

/// The pool that is meant where nobody names one.
const POOL_DEFAULT: &str = "default";

/// Both of Docker's drivers, IPAM and network. Clones share everything.
#[derive(Clone)]
pub struct Driver<A> {
    addresses: A,
    book: Book,
    reconciler: Reconciler,
    docker: watch::Receiver<Watched>,
    listeners: fn() -> Vec<Listener>,
    offers: offers::Offers,
}

impl<A: Addresses> Driver<A> {
    /// A driver over these addresses, this book, and the reconciler that brings the host in line.
    ///
    /// `docker` is what was last seen of Docker, which is never called from here; `listeners` says which of
    /// the host's ports are in use.
    pub fn new(
        addresses: A,
        book: Book,
        reconciler: Reconciler,
        docker: watch::Receiver<Watched>,
        listeners: fn() -> Vec<Listener>,
    ) -> Self {
        Self { addresses, book, reconciler, docker, listeners, offers: offers::Offers::default() }
    }

    /// The name of the container that has this endpoint, if Docker has shown it.
    fn container_of(&self, endpoint: &EndpointId) -> Option<String> {
        let sight = self.docker.borrow().sight.clone()?;
        sight.container_of(endpoint).map(|container| container.name.clone())
    }

    /// The refusal with the name of the container that is in the way: people do not know endpoints.
    fn named(&self, error: AddressError) -> CallError {
        let AddressError::Allocator(AllocateError::Refused(Refusal::InTheWay { address, state })) = &error
        else {
            return error.into();
        };
        let AddressState::Assigned { epoch, usage: Usage::Bound(endpoint) } = state else {
            return error.into();
        };
        match self.container_of(endpoint) {
            Some(container) => {
                let by = format!("by container {container} (endpoint {endpoint}, epoch {epoch})");
                CallError::InUse { address: *address, by }
            }
            None => error.into(),
        }
    }

    /// The subnet of that CIDR, or why there is none.
    async fn subnet(&self, pool: Option<&PoolName>, cidr: IpNetwork) -> Result<Subnet, CallError> {
        let subnets = self.addresses.subnets().await?;
        let found =
            subnets.iter().find(|subnet| subnet.cidr == cidr && pool.is_none_or(|it| *it == subnet.pool));
        found.cloned().ok_or_else(|| CallError::NotASubnet {
            cidr,
            pool: pool.cloned(),
            known: known(&subnets, pool),
        })
    }
}

/// The subnets of a pool, or of all, as people read them.
fn known(subnets: &[Subnet], pool: Option<&PoolName>) -> String {
    let mine = subnets.iter().filter(|subnet| pool.is_none_or(|it| *it == subnet.pool));
    let names: Vec<String> = mine.map(|subnet| format!("{} (pool {})", subnet.cidr, subnet.pool)).collect();
    if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
}

/// An address as Docker wants it: with the prefix of its subnet.
fn with_prefix(assignment: &Assignment) -> IpNetwork {
    // A prefix that fitted the subnet fits its addresses, which are of the same family.
    IpNetwork::new(assignment.address, assignment.subnet.prefix())
        .unwrap_or_else(|_| assignment.address.into())
}

fn network_id(id: &Id) -> NetworkId {
    NetworkId(id.as_str().to_owned())
}

fn endpoint_id(id: &Id) -> EndpointId {
    EndpointId(id.as_str().to_owned())
}
