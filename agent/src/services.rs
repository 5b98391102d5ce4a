//! Services on this host: which of its containers are in which, and what is declared.
//!
//! The decisions are those of the crate `services`; here is what reads Docker and the store for them, and what
//! writes. A member is written only after its address was published: from then on its release waits for whoever
//! knows of it.

pub(crate) mod abilities;
pub(crate) mod catalogue;
mod declared;
pub(crate) mod drains;
mod followed;
pub mod policing;
mod registrar;
pub(crate) mod vigilance;

#[cfg(test)]
mod tests;

pub use declared::{Declared, declarations};
pub(crate) use followed::{Stands, follow};
pub use registrar::{Parts, Registrar, Report};
pub(crate) use vigilance::living_in;

use std::net::IpAddr;
use std::time::Duration;

use ipam::Epoch;
use store::layout::ValueError;
use store::{Key, StoreError};

use crate::allocator::words;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Services could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// The store did not do what it was asked.
    #[error("cannot read or write services in the store")]
    Store(#[from] StoreError),
    /// The store took too long.
    #[error("the store does not answer")]
    Late,
    /// A value cannot be read or written.
    #[error("a value of a service cannot be understood")]
    Value(#[from] ValueError),
}

/// The key that says that an address waits for an object, under the epoch for which that was written.
pub(crate) fn dependent(address: IpAddr, epoch: Epoch, object: String) -> Key {
    words::item(&ipam::Key::Dependent { address, epoch, object }).key()
}

/// The store's answer, or that there was none.
pub(crate) async fn in_time<T>(
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, ServicesError> {
    Ok(tokio::time::timeout(PATIENCE, asked).await.map_err(|_| ServicesError::Late)??)
}
