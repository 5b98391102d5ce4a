//! The hosts of the cluster, and what the agent would change on this one.

use crate::Source;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A machine that runs containers and one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its stable id.
    pub id: String,
    /// Whether it is the one that answers.
    pub this: bool,
    /// Its host name.
    pub hostname: Option<String>,
    /// The provider's id of the machine.
    pub instance: Option<String>,
    /// Virtual or bare metal.
    pub kind: Option<MachineKind>,
    /// The failure domain it is in.
    pub datacenter: Option<String>,
    /// Grows when the host is evicted.
    pub incarnation: u64,
    /// The boot under which it is registered.
    pub boot_id: Option<String>,
    /// The zones it is in.
    pub attachments: Vec<Attachment>,
    /// Whose word its identity is: the cloud's, or the journal's if the cloud was silent at start.
    pub identity_from: Source,
    /// Whether it lives, as far as the store shows it.
    #[serde(default)]
    pub life: HostLife,
    /// Addresses that it holds.
    #[serde(default)]
    pub holds: u32,
    /// Addresses that it held when it was evicted and that are still to go to quarantine: the sweep is half
    /// done.
    #[serde(default)]
    pub unswept: u32,
    /// Its last eviction by others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction: Option<Eviction>,
}

/// Whether a host lives, as far as the store shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostLife {
    /// The store has not told.
    #[default]
    Unknown,
    /// Its session stands.
    Alive,
    /// Its session is absent. It may be dead, cut off, or without its agent.
    Silent {
        /// Since when the host that has the zone's role has seen it so; absent: another host knows.
        since: Option<Timestamp>,
        /// What the provider said of it last.
        said: Option<String>,
        /// When the provider is asked next.
        next: Option<Timestamp>,
    },
    /// It was evicted, and has not come back since.
    Evicted,
}

impl HostLife {
    /// Its name in one word, as tables show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "-",
            Self::Alive => "alive",
            Self::Silent { .. } => "silent",
            Self::Evicted => "evicted",
        }
    }
}

/// When and on whose word a host was evicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eviction {
    /// When, by the clock of the host that did it.
    pub at: String,
    /// The host whose agent did it.
    pub by: String,
    /// Whose word it was that the host is dead, and what was said.
    pub why: String,
}

/// Asks for an eviction. Only root may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evict {
    /// The host's id.
    pub host: String,
    /// Who asks, for the record.
    pub who: String,
    /// States that the machine is powered off, where the provider cannot say.
    #[serde(default)]
    pub powered_off: bool,
    /// Evict it whatever speaks against it, for this reason, which goes on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<String>,
}

/// Virtual or bare metal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineKind {
    /// A virtual machine.
    Virtual,
    /// A server of its own.
    BareMetal,
}

/// A host's place on one of the provider's networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The zone.
    pub zone: String,
    /// `private` or `public`.
    pub network: String,
    /// The local interface.
    pub interface: Option<String>,
    /// The provider's VLAN number, where it has VLANs.
    pub vlan: Option<u32>,
}

/// What the agent would change on this host now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// The changes in the order they would be made, one sentence each. Empty: the host is right.
    pub changes: Vec<String>,
}
