//! The subnets offered to a `docker network create` that names none.
//!
//! dockerd compares what it is offered with the host's routes, which lead to our own containers, too. If
//! they overlap it asks again, at once and for ever (libnetwork's `requestPoolHelper`), until it gets
//! another subnet or an error.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipam::PoolName;
use ipnetwork::IpNetwork;

/// dockerd asks again within a millisecond; a person who repeats a command does not.
const AGAIN: Duration = Duration::from_secs(1);

/// What was offered a moment ago and not taken. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Offers(Arc<Mutex<Option<Offered>>>);

#[derive(Debug)]
struct Offered {
    pool: PoolName,
    subnets: Vec<IpNetwork>,
    last: Instant,
}

impl Offers {
    /// The first of these subnets that dockerd has not just turned down; if it did so with all of them,
    /// the first as an error.
    pub(super) fn next(
        &self,
        pool: &PoolName,
        subnets: &[IpNetwork],
    ) -> Option<Result<IpNetwork, IpNetwork>> {
        let mut offered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = offered.take().filter(|it| it.pool == *pool && now.duration_since(it.last) < AGAIN);
        let mut tried = before.map(|it| it.subnets).unwrap_or_default();
        let Some(next) = subnets.iter().find(|subnet| !tried.contains(subnet)).copied() else {
            return subnets.first().copied().map(Err);
        };
        tried.push(next);
        *offered = Some(Offered { pool: pool.clone(), subnets: tried, last: now });
        Some(Ok(next))
    }

    /// dockerd asks for the gateway: it took the offer.
    pub(super) fn taken(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
