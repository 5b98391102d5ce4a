//! Debts: endpoints that Docker has deleted or released, and the allocator has not yet.
//!
//! Docker never repeats a release. So it is written down first, paid at once if it can be, and otherwise
//! paid by the reconciler, which looks for debts at every pass.

use ipam::Refusal;

use super::addresses::{AddressError, Addresses};
use super::book::Book;
use super::record::{Endpoint, Record, Stage};
use crate::allocator::AllocateError;
use crate::journal::{Durability, JournalError};

/// Why a debt stays unpaid for now.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// The allocator did not take it.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is paid, but that could not be written down; paying twice changes nothing.
    #[error("could not strike a debt from docker.journal")]
    Journal(#[from] JournalError),
}

/// Tells the allocator what Docker said of this endpoint. May be repeated.
pub async fn pay(addresses: &impl Addresses, book: &Book, endpoint: &Endpoint) -> Result<(), PayError> {
    if endpoint.stage < Stage::Deleted {
        return Ok(());
    }
    settled(addresses.endpoint_gone(endpoint.id.clone()).await)?;
    if endpoint.stage < Stage::Released {
        return Ok(());
    }
    // By epoch: a debt that is paid late must not close the address's next assignment.
    settled(addresses.reap(endpoint.address.ip(), endpoint.epoch).await)?;
    book.change(Durability::Written, |_| Ok(vec![Record::EndpointGone(endpoint.id.clone())]))
}

/// That the assignment is over already is what we came for.
fn settled<T>(outcome: Result<T, AddressError>) -> Result<(), AddressError> {
    match outcome {
        Err(AddressError::Allocator(AllocateError::Refused(
            Refusal::Superseded { .. } | Refusal::NotAssigned { .. },
        ))) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}
