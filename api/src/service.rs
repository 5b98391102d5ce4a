//! Services: named sets of containers, what is reached through them, and who their members are.
//!
//! A service is declared with `berth service apply -f FILE`:
//!
//! ```toml
//! name = "web"
//! selector = { "com.example.tier" = "front" }
//!
//! [[port]]
//! port = 8080
//!
//! [load_balancer]
//! name = "web-lb"
//! [[load_balancer.listener]]
//! port = 80
//! protocol = "http"
//!
//! [[policy]]
//! from = ["10.0.0.0/8", "service/front"]
//! ```

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use crate::{PolicyEntry, PolicyUse};

/// A service as an operator declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name: letters, digits and `-`, at most 63, as one label of a DNS name has them (RFC 1035, section 2.3.1).
    pub name: String,
    /// The labels that a container must have, all of them; without any, `berth.service = NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// Where its members listen; the first is what is meant where no other is named.
    #[serde(default, rename = "port", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// How it is reached from outside, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// What its members accept, if that is not everything.
    #[serde(default, rename = "policy", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyEntry>,
    /// The provider's firewalls that are to let the same in, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<Outside>,
    /// What it is called in DNS, as one label; its name, if nothing is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
}

impl Service {
    /// What it is called in DNS.
    pub fn label(&self) -> &str {
        self.dns.as_deref().unwrap_or(&self.name)
    }
}

/// A port that members of a service listen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePort {
    /// What listeners call it; needed where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port.
    pub port: NonZeroU16,
    /// What is spoken to it.
    #[serde(default)]
    pub transport: Transport,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RFC 9293.
    #[default]
    Tcp,
    /// RFC 768.
    Udp,
}

/// Firewalls of the provider that let in what the policy of a service does, outside of the hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outside {
    /// Zones whose firewall gets a rule for each of the members there. A firewall tells containers apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Security groups that Berth makes, and attaches to the hosts of members. A group tells hosts apart only: a port of
    /// one container is open at the whole host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
}

/// A load balancer of the provider in front of a service. Several services may be behind one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// Its name at the provider.
    pub name: String,
    /// Orders it if there is none of that name, which costs money, for users on this side. Without it, one that is there
    /// already is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Exposure>,
    /// What it listens on for this service.
    #[serde(rename = "listener")]
    pub listeners: Vec<Listener>,
}

/// From where a load balancer can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// From the provider's private network.
    Private,
    /// From everywhere.
    Public,
}

/// What a load balancer listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The port that users connect to.
    pub port: NonZeroU16,
    /// What users speak to it.
    pub protocol: Protocol,
    /// The name of the service's port that it passes on to; the first, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How it finds out which members serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
}

/// What a listener understands of what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Nothing: connections.
    Tcp,
    /// Nothing: datagrams.
    Udp,
    /// Requests.
    Http,
    /// Requests, once it has taken TLS off.
    Https,
}

/// How a load balancer asks a member whether it serves. What is not named is the provider's own choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The path of an HTTP request; without one, a connection is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Seconds between two questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_secs: Option<u16>,
    /// Seconds to wait for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u16>,
    /// How many questions in a row must go unanswered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u8>,
}

/// A service and who is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// As it was declared, or as labels of containers make it.
    pub service: Service,
    /// Whether somebody declared it; else it is there as long as a container has its label.
    pub declared: bool,
    /// The containers in it, by address.
    pub members: Vec<Member>,
    /// The load balancer in front of it, as its owner saw it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancer: Option<BalancerReport>,
    /// The provider's firewalls that it names, as their owners saw them last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firewalls: Vec<FirewallReport>,
    /// How often each entry of its policy was used on the host that answers; nothing where it has no member, or its
    /// kernel was not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_uses: Vec<PolicyUse>,
}

/// A load balancer of the provider, as the agent that looks after it saw it last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerReport {
    /// The host whose agent looks after it; nothing while it is nobody's.
    pub owner: Option<String>,
    /// Where users connect, as the provider says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached_at: Option<String>,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// What is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// Addresses that were members, and are used by nobody before the load balancer has let go of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<IpAddr>,
}

/// A firewall of the provider, as the agent that looks after it saw it last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallReport {
    /// Which: `the firewall of VLAN 1404269`, `security group web`.
    pub name: String,
    /// Whether it tells the containers of one host apart.
    pub tells_containers_apart: bool,
    /// The host whose agent looks after it; nothing while it is nobody's.
    pub owner: Option<String>,
    /// How many rules of ours it has, of whatever service.
    pub rules: u32,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// What is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// Addresses that are still let in, and are used by nobody before the firewall is closed to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<IpAddr>,
}

/// A container at a load balancer, as its owner saw it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtBalancer {
    /// Its weight there; nothing where it is not there yet, or no more.
    pub weight: Option<u8>,
    /// Whether the provider's own health check finds it serving, where it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
}

/// A container in a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its address.
    pub address: IpAddr,
    /// The number under which it has the address.
    pub epoch: String,
    /// Its name.
    pub container: String,
    /// The host it runs on.
    pub host: String,
    /// The zone it is in.
    pub zone: String,
    /// Where it listens, where that is not what the service says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// Its share of what comes, beside others of the same service: 0 to 100.
    pub weight: u8,
    /// What Docker says of it.
    pub readiness: Readiness,
    /// Whether it takes part.
    pub standing: MemberStanding,
    /// How it stands at the service's load balancer, if it was put there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_balancer: Option<AtBalancer>,
}

/// What Docker says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Its HEALTHCHECK says that it is healthy, or it has none and runs.
    Ready,
    /// Its HEALTHCHECK has not said yet.
    Starting,
    /// Its HEALTHCHECK says that it is not healthy.
    Unhealthy,
    /// It is paused or is being restarted.
    Paused,
}

impl Readiness {
    /// As a person says it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "its health check has not said yet whether it is healthy",
            Self::Unhealthy => "its health check says that it is not healthy",
            Self::Paused => "it is paused or being restarted",
        }
    }
}

/// Whether a member takes part in its service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum MemberStanding {
    /// It does.
    In,
    /// It does not.
    Out {
        /// Why.
        because: String,
    },
    /// It does although something speaks against it.
    Kept {
        /// What, and why it is kept all the same.
        because: String,
    },
}

/// A service in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLine {
    /// Its name.
    pub name: String,
    /// Whether somebody declared it.
    pub declared: bool,
    /// Where its members listen.
    pub ports: Vec<ServicePort>,
    /// The load balancer in front of it.
    pub load_balancer: Option<String>,
    /// How many members take part.
    pub members_in: u32,
    /// How many do not.
    pub members_out: u32,
}

/// What applying a declaration would change, or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// The service.
    pub name: String,
    /// What is different, a line each; nothing if it stands so already.
    pub changes: Vec<FieldChange>,
}

/// One thing that a declaration changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Which, as it is called in the declaration.
    pub field: String,
    /// As it stands; nothing if it is new.
    pub from: Option<String>,
    /// As it is to be; nothing if it goes.
    pub to: Option<String>,
}

/// Applies a declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyService {
    /// What is declared.
    pub service: Service,
    /// Says what would change, and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}
