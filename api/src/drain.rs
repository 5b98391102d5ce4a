//! Draining: a container, or every container of a host, gets nothing new.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Asks for a drain, or takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// A container of this host, by its name or the beginning of its id; or a host, by its id or name.
    pub what: String,
    /// Whether it is to get work again.
    #[serde(default)]
    pub undo: bool,
}

/// What is drained, and how far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// The host, by its id.
    pub host: String,
    /// The container's name; nothing where the whole host is meant.
    pub container: Option<String>,
    /// Its places in services, by service and address.
    pub members: Vec<DrainedMember>,
}

/// A container's place in one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainedMember {
    /// The service.
    pub service: String,
    /// The container's address.
    pub address: IpAddr,
    /// Its name.
    pub container: String,
    /// Whether it gets nothing new, as far as it was asked of the store.
    pub draining: bool,
    /// Its weight at the service's load balancer, as the balancer's owner saw it last; nothing where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
}

impl DrainedMember {
    /// Whether nothing new comes to it any more, or again, whichever is asked.
    pub fn is_settled(&self, undo: bool) -> bool {
        match (undo, self.weight) {
            (false, Some(weight)) => self.draining && weight == 0,
            (false, None) => self.draining,
            (true, _) => !self.draining,
        }
    }
}
