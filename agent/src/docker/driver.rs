//! What Docker's calls mean: each one decided from book and pools, journalled, and then done.
//!
//! A call that fails leaves nothing behind that the reconciler would not find.

use ipam::{Assignment, EndpointId, PoolName, Subnet};
use ipnetwork::IpNetwork;

use super::addresses::Addresses;
use super::book::Book;
use super::record::NetworkId;
use super::wire::Id;
use crate::reconciler::Reconciler;

mod error;
mod ipam_calls;
mod network_calls;
mod offers;
mod ports;

pub(super) use error::CallError;

/// The pool that is meant where nobody names one.
const POOL_DEFAULT: &str = "default";

/// Both of Docker's drivers, IPAM and network. Clones share everything.
#[derive(Clone)]
pub struct Driver<A> {
    addresses: A,
    book: Book,
    reconciler: Reconciler,
    offers: offers::Offers,
}

impl<A: Addresses> Driver<A> {
    /// A driver over these addresses, this book, and the reconciler that brings the host in line.
    pub fn new(addresses: A, book: Book, reconciler: Reconciler) -> Self {
        Self { addresses, book, reconciler, offers: offers::Offers::default() }
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
