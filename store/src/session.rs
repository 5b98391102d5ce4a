//! A sign of life.

use std::time::Duration;

use crate::Key;

/// A key that stays only while its holder gives signs of life. etcd calls it a lease.
///
/// It is a plain name: dropping it ends nothing. A session whose holder died lapses by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    key: Key,
    number: u64,
    ttl: Duration,
}

impl Session {
    /// A session of this number; for implementations of [`crate::Store`].
    pub fn new(key: Key, number: u64, ttl: Duration) -> Session {
        Session { key, number, ttl }
    }

    /// The key that the session keeps.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// How long the key stays after a sign of life.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// What tells it from others under the same key; for implementations of [`crate::Store`].
    pub fn number(&self) -> u64 {
        self.number
    }
}
