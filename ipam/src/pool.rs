//! What users ask addresses from: pools, their subnets, and reservations.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::names::{PoolName, ReservationName, Zone};

/// How long a released address cools where its pool does not say: longer than neighbours keep a
/// dead entry by themselves (Linux: 30 s to stale), shorter than a person waits.
pub const COOLING_MILLIS_DEFAULT: u64 = 30_000;

/// A pool: a name and its policy. Its subnets name it, not the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pool {
    /// What users call it.
    pub name: PoolName,
    /// How long a released address is held back, in milliseconds.
    pub cooling_millis: u64,
}

/// A portable subnet that any host of its zone may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subnet {
    /// Its network address and prefix.
    pub cidr: IpNetwork,
    /// The pool it feeds.
    pub pool: PoolName,
    /// Where it can be used.
    pub zone: Zone,
    /// The provider's router in it, if it has one.
    pub gateway: Option<IpAddr>,
}

/// A named address that outlives containers and can move between hosts of its zone.
///
/// A mark, not a state: a reserved address is free, held or quarantined as any other, but is
/// assigned only to who asks for it by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reservation {
    /// Its name, unique in the cluster.
    pub name: ReservationName,
    /// The address kept under that name.
    pub address: IpAddr,
    /// The pool of the address's subnet.
    pub pool: PoolName,
}
