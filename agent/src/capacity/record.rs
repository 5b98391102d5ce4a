//! What the role keeps in the store.

use std::fmt;

use ipam::PoolName;
use provider::{ZoneId, order::Order};
use serde::{Deserialize, Serialize};
use store::{Key, layout::Item};

use crate::tenure::Writer;

/// Names an order in the store: `default-1404267-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderKey(pub String);

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OrderKey {
    /// The key of a pool's n-th order in a zone.
    pub(super) fn new(pool: &PoolName, zone: &ZoneId, number: u64) -> Self {
        Self(format!("{pool}-{zone}-{number}"))
    }

    pub(super) fn key(&self) -> Key {
        Item::Order(self.0.clone()).key()
    }
}

/// `orders/<key>`: one subnet's life, and who wrote its intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// The pool that it is for.
    pub pool: PoolName,
    /// The zone that it is in.
    pub zone: ZoneId,
    /// Which of the pool's orders in this zone, from 1.
    pub number: u64,
    /// Who intended it: the one who may have sent it.
    pub writer: Writer,
    /// How far it is.
    pub order: Order,
}

impl OrderRecord {
    /// What it is called in the store.
    pub fn key(&self) -> OrderKey {
        OrderKey::new(&self.pool, &self.zone, self.number)
    }
}

/// `takes/<zone>`: every take number of a block that is gone is at most this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TakesRecord {
    pub(super) highest: u64,
}

/// What the names of capacity roles begin with; the zone follows.
const CAPACITY: &str = "capacity-";

/// The key of a zone's capacity role.
pub(super) fn owner_key(zone: &ZoneId) -> Key {
    Item::Owner(format!("{CAPACITY}{zone}")).key()
}

/// The zone of a capacity role's key; none for other roles.
pub(super) fn zone_of(key: &Key) -> Option<ZoneId> {
    match Item::of(key)? {
        Item::Owner(object) => object.strip_prefix(CAPACITY).map(ZoneId::new),
        _ => None,
    }
}
