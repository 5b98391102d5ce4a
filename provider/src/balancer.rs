//! What Berth asks of a cloud's load balancers.
//!
//! A [`Balancers`] shows a load balancer as it stands and makes one change to it at a time. Which changes lead from
//! what stands to what should be is not its business: that is decided by a pure function of both, elsewhere.

use std::future::Future;
use std::net::IpAddr;

use crate::error::ProviderError;
use crate::subnet::ZoneId;

/// A load balancer's name at the provider, as an operator wrote it.
pub type BalancerName = str;

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
    /// Whether it takes a change now; if not, the provider's word for why.
    pub busy: Option<String>,
    /// What the provider says of its last failure, if it says something.
    pub complaint: Option<String>,
    /// What it listens on, ours or not.
    pub listeners: Vec<ListenerSeen>,
    /// Whom it passes on to, ours or not.
    pub members: Vec<MemberSeen>,
}

/// What a load balancer listens on, as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSeen {
    /// The provider's id.
    pub id: ListenerId,
    /// What it does.
    pub spec: ListenerSpec,
}

/// What a listener should do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerSpec {
    /// The port that users connect to.
    pub port: u16,
    /// What users speak to it.
    pub protocol: ListenerProtocol,
    /// The port of the members that it passes on to.
    pub to_port: u16,
    /// How it finds out which members serve; nothing where that is left to the provider.
    pub health: Option<HealthSpec>,
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

/// Which listeners a member serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// All of the load balancer's: a member has no port of its own there.
    All,
    /// The one on this port.
    Listener(u16),
}

/// A member as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSeen {
    /// The provider's id.
    pub id: MemberId,
    /// What it is.
    pub spec: MemberSpec,
    /// What the provider's own health check says of it; nothing where it does not say.
    pub up: Option<bool>,
}

/// What a member should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberSpec {
    /// Which listeners it serves.
    pub place: Place,
    /// Where it is.
    pub address: IpAddr,
    /// The port it listens on, where `place` is one listener; the listeners' own otherwise.
    pub port: Option<u16>,
    /// Its share beside others, 0 to 100; with 0 it gets nothing new.
    pub weight: u8,
}

/// From where a load balancer that is to be made can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exposure {
    /// From the provider's private network.
    Private,
    /// From everywhere.
    Public,
}

/// One change to one load balancer. A batch is one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalancerChange {
    /// Order it, with what it listens on. It is there, and busy, after that.
    Create {
        /// From where it can be reached.
        exposure: Exposure,
        /// In which zone's subnets it gets its own addresses.
        zone: ZoneId,
        /// What it listens on.
        listeners: Vec<ListenerSpec>,
    },
    /// Listen on these as well; none of their ports is listened on yet.
    AddListeners(Vec<ListenerSpec>),
    /// Change what these listeners of ours do.
    ChangeListeners(Vec<(ListenerId, ListenerSpec)>),
    /// Listen on these no more.
    RemoveListeners(Vec<ListenerId>),
    /// Pass on to these as well.
    AddMembers(Vec<MemberSpec>),
    /// Give these another share.
    WeighMembers(Vec<(MemberId, MemberSpec)>),
    /// Pass on to these no more. One that is gone already is not an error.
    RemoveMembers(Vec<MemberId>),
}

/// The load balancers of a cloud.
pub trait Balancers: Send + Sync + 'static {
    /// The load balancer of this name as it stands; nothing if there is none.
    fn balancer(
        &self,
        name: &BalancerName,
    ) -> impl Future<Output = Result<Option<BalancerSeen>, ProviderError>> + Send;

    /// Makes one change.
    ///
    /// An implementation never repeats it by itself: whether it was made is seen by looking.
    ///
    /// # Errors
    /// [`ProviderError::Busy`] while another change is under way, and nothing was changed; [`ProviderError::InDoubt`]
    /// when it may have been made, or may still be; any other error says that it was not.
    fn change_balancer(
        &self,
        name: &BalancerName,
        change: &BalancerChange,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;
}
