//! The hosts of the cluster, and what the agent would change on this one.

use crate::Source;
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
