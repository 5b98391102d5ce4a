//! What Berth asks of a cloud's load balancers.
//!
//! A [`Balancers`] shows a load balancer as it stands and makes one change to it at a time. Which changes lead from
//! what stands to what should be is not its business: that is decided by a pure function of both (crate `services`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::ProviderError;
use crate::subnet::ZoneId;

/// The provider's own id of a listener.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub String);

/// The provider's own id of a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub String);

/// A load balancer as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerSeen {
    /// Where users connect: a host name or an address, as the provider says it. Nothing while it is being made.
    pub reached_at: Option<String>,
    /// Whether it takes a change now.
    pub state: BalancerState,
    /// What the provider says of the last change that failed, if it says something.
    pub complaint: Option<String>,
    /// What it listens on, ours or not.
    pub listeners: Vec<ListenerSeen>,
    /// Whom it passes on to, ours or not. No address twice.
    pub members: Vec<MemberSeen>,
}

/// Whether a load balancer takes a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalancerState {
    /// It does.
    Ready,
    /// Not now; the provider's word for why.
    Busy(String),
    /// Never again; the provider's word for why.
    Broken(String),
}

/// What a load balancer listens on, as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSeen {
    /// The provider's id.
    pub id: ListenerId,
    /// The port that users connect to.
    pub port: u16,
    /// What users speak to it.
    pub protocol: ListenerProtocol,
    /// The port of the members that it passes on to; nothing where that is theirs to have, and there is none yet.
    pub to_port: Option<u16>,
    /// Whether it shares out what comes by the members' weights.
    pub weighs: bool,
    /// How it finds out which members serve; nothing where the provider does not say.
    pub health: Option<HealthSpec>,
}

impl ListenerSeen {
    /// Whether it does this, as far as it does anything yet.
    pub fn does(&self, spec: &ListenerSpec) -> bool {
        let seen = (self.port, self.protocol, self.to_port.unwrap_or(spec.to_port));
        seen == (spec.port, spec.protocol, spec.to_port)
    }
}

/// What a listener should do. It shares out what comes by the members' weights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerSpec {
    /// The port that users connect to.
    pub port: u16,
    /// What users speak to it.
    pub protocol: ListenerProtocol,
    /// The port of the members that it passes on to.
    pub to_port: u16,
}

/// What a listener understands of what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListenerProtocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
    /// Requests.
    Http,
    /// Requests within TLS.
    Https,
}

impl fmt::Display for ListenerProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// How a member is asked whether it serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HealthSpec {
    /// The path of an HTTP request; nothing if a connection is enough.
    pub path: Option<String>,
    /// Seconds between two questions.
    pub interval_secs: u16,
    /// Seconds to wait for an answer.
    pub timeout_secs: u16,
    /// How many questions in a row must go unanswered.
    pub retries: u8,
}

/// A member as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSeen {
    /// The provider's id.
    pub id: MemberId,
    /// Where it is.
    pub address: IpAddr,
    /// Its share beside others, 0 to 100; with 0 it gets nothing new.
    pub weight: u8,
    /// The listeners that it serves; nothing where a member serves them all.
    pub behind: Option<BTreeSet<ListenerId>>,
}

/// From where a load balancer that is to be made can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// From the provider's private network.
    Private,
    /// From everywhere.
    Public,
}

/// One change to one load balancer. A batch is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalancerChange {
    /// Order it, with what it listens on first. It is there, and busy, after that.
    Order {
        /// From where it can be reached.
        exposure: Exposure,
        /// In which zone it gets its own addresses, from subnets that are not for containers.
        zone: ZoneId,
        /// What it listens on: as many as the provider takes in an order.
        listeners: Vec<ListenerSpec>,
    },
    /// Listen on these as well; none of their ports is listened on yet.
    AddListeners(Vec<ListenerSpec>),
    /// Change what these listeners do.
    ChangeListeners(Vec<(ListenerId, ListenerSpec)>),
    /// Listen on these no more.
    RemoveListeners(Vec<ListenerId>),
    /// Ask members of these listeners so whether they serve.
    CheckHealth(Vec<(ListenerId, HealthSpec)>),
    /// Pass on to these as well, each with its weight; at these listeners, where a member is not at all of them by itself.
    AddMembers {
        /// Whom to.
        members: BTreeMap<IpAddr, u8>,
        /// At which.
        listeners: Vec<ListenerSpec>,
    },
    /// Give these another weight.
    WeighMembers(Vec<(MemberId, u8)>),
    /// Pass on to these no more.
    RemoveMembers(Vec<MemberId>),
}

impl fmt::Display for BalancerChange {
    /// As a person says what is being done: `adding 3 members`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |count: usize, what: &str| {
            if count == 1 { format!("one {what}") } else { format!("{count} {what}s") }
        };
        match self {
            Self::Order { .. } => f.write_str("ordering it"),
            Self::AddListeners(list) => write!(f, "adding {}", some(list.len(), "listener")),
            Self::ChangeListeners(list) => write!(f, "changing {}", some(list.len(), "listener")),
            Self::RemoveListeners(list) => write!(f, "removing {}", some(list.len(), "listener")),
            Self::CheckHealth(list) => {
                write!(f, "changing the health checks of {}", some(list.len(), "listener"))
            }
            Self::AddMembers { members, .. } => write!(f, "adding {}", some(members.len(), "member")),
            Self::WeighMembers(list) => write!(f, "weighing {}", some(list.len(), "member")),
            Self::RemoveMembers(list) => write!(f, "removing {}", some(list.len(), "member")),
        }
    }
}

/// The load balancers of a cloud.
pub trait Balancers: Send + Sync + 'static {
    /// The load balancer of this name as it stands; nothing if there is none.
    fn balancer(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<BalancerSeen>, ProviderError>> + Send;

    /// Which members its own health checks find serving, for every listener; a member that it says nothing of is not
    /// in it.
    fn balancer_health(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<BTreeMap<MemberId, bool>, ProviderError>> + Send;

    /// Whether a load balancer of this name says when a change is in force: it is busy until then. Of one that does not,
    /// a look shows what was accepted, and nobody knows more than that the change before was in force when it was.
    fn says_when_in_force(&self, name: &str) -> bool;

    /// Makes one change.
    ///
    /// An implementation never repeats it by itself: whether it was made is seen by looking.
    ///
    /// # Errors
    /// [`ProviderError::Busy`] while another change is under way, and nothing was changed; [`ProviderError::InDoubt`]
    /// when it may have been made, or may still be; any other error says that it was not.
    fn change_balancer(
        &self,
        name: &str,
        change: &BalancerChange,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;
}
