//! What a host writes of a container that is in a service.

use std::net::IpAddr;
use std::num::NonZeroU16;

use api::Readiness;
use ipam::{Epoch, HostId, Zone};
use serde::{Deserialize, Serialize};

/// A container in a service, as its host has it: the value at `members/<service>/<address>`.
///
/// It is written while `endpoints/<address>` is open under the same epoch, and depends on its address: so nobody takes the
/// address while it stands, also if its host is dead (docs/decisions, 13).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its address.
    pub address: IpAddr,
    /// The number under which it has the address.
    pub epoch: Epoch,
    /// Its name.
    pub container: String,
    /// The host it runs on.
    pub host: HostId,
    /// The zone it is in.
    pub zone: Zone,
    /// Where it listens, where its label says so.
    pub port: Option<NonZeroU16>,
    /// Its share beside others, 0 to 100.
    pub weight: u8,
    /// What Docker says of it.
    pub readiness: Readiness,
    /// Whether it is being let go of: it gets nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining: Option<Draining>,
}

/// Why a member gets nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Draining {
    /// An operator said so, of the container or of its host.
    Asked,
    /// Docker sent it the signal to end.
    Ending,
}

impl Member {
    /// What the member is called among those that depend on its address (docs/decisions, 13).
    pub fn object(service: &str) -> String {
        format!("{OBJECT}{service}")
    }

    /// The service of a dependent that is a member; nothing for other dependents.
    pub fn service_of(object: &str) -> Option<&str> {
        object.strip_prefix(OBJECT)
    }
}

/// How the names of such dependents begin; the service follows.
const OBJECT: &str = "member-";
