//! What Berth asks of a cloud's firewalls.
//!
//! A firewall is a list of rules, of which some are ours. A [`Firewalls`] shows them and replaces ours; what others
//! wrote is left as it is, to the byte and in its order.

use std::future::Future;

use ipnetwork::IpNetwork;

use crate::error::ProviderError;

/// What a firewall is called, as an operator wrote it: what kind it is and which, `security-group/web`,
/// `vlan-firewall/1404269`.
pub type FirewallName = str;

/// What a firewall can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It knows the address that a packet goes to: a container.
    Container,
    /// It knows the interface that a packet goes to: a host, with all its containers.
    Host,
}

/// A firewall as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallRules {
    /// What it can tell apart.
    pub access: Access,
    /// Whether it takes a change now; if not, the provider's word for why.
    pub busy: Option<String>,
    /// The rules that are ours.
    pub ours: Vec<RuleSeen>,
    /// How many rules others wrote.
    pub foreign: usize,
    /// How many rules there may be in all, where the provider says so.
    pub rules_max: Option<usize>,
}

/// A rule of ours as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSeen {
    /// The provider's id; where rules have none, their place in the list.
    pub id: String,
    /// What it allows.
    pub spec: RuleSpec,
}

/// Something that is allowed. Nothing of ours ever forbids at a provider: what is foreign might be cut off by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleSpec {
    /// Who may.
    pub from: Peers,
    /// Where to; not told apart by a firewall whose access is [`Access::Host`].
    pub to: IpNetwork,
    /// TCP or UDP.
    pub transport: RuleTransport,
    /// The port.
    pub port: u16,
}

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peers {
    /// Everybody.
    Anybody,
    /// These.
    Network(IpNetwork),
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleTransport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// The firewalls of a cloud.
pub trait Firewalls: Send + Sync + 'static {
    /// The firewall of this name as it stands; nothing if there is none.
    fn firewall(
        &self,
        name: &FirewallName,
    ) -> impl Future<Output = Result<Option<FirewallRules>, ProviderError>> + Send;

    /// Replaces all rules of ours by these, and leaves all others.
    ///
    /// Where the provider takes the whole list, it is read, merged and written in this call. That it was applied is
    /// seen by looking again.
    ///
    /// # Errors
    /// As [`change_balancer`](crate::Balancers::change_balancer).
    fn replace_rules(
        &self,
        name: &FirewallName,
        rules: &[RuleSpec],
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;
}
