//! What Berth asks of a cloud's firewalls.
//!
//! A [`Firewalls`] shows a firewall as it stands and makes one change to it at a time. It tells our rules from others',
//! and leaves those as they are, in their order. What should be open is decided elsewhere (crate `services`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::error::ProviderError;
use crate::identity::InstanceId;
use crate::subnet::ZoneId;

/// A firewall of the provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Firewall {
    /// The one in front of a zone. It tells containers apart, and everybody's rules are in one list.
    Zone(ZoneId),
    /// A group of rules at the interfaces of machines, by its name. It tells machines apart and not containers, and is
    /// one cluster's alone.
    Group(String),
}

const ZONE: &str = "zone-";
const GROUP: &str = "group-";

impl Firewall {
    /// What it is called in one word: `zone-1404269`, `group-web`.
    pub fn key(&self) -> String {
        match self {
            Self::Zone(zone) => format!("{ZONE}{}", zone.as_str()),
            Self::Group(name) => format!("{GROUP}{name}"),
        }
    }

    /// The firewall that is called so.
    pub fn of_key(key: &str) -> Option<Self> {
        let zone = key.strip_prefix(ZONE).map(|zone| Self::Zone(ZoneId::new(zone)));
        zone.or_else(|| key.strip_prefix(GROUP).map(|name| Self::Group(name.to_owned())))
    }
}

impl fmt::Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(zone) => write!(f, "the firewall of VLAN {}", zone.as_str()),
            Self::Group(name) => write!(f, "security group {name}"),
        }
    }
}

/// A firewall as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallSeen {
    /// Who writes to it.
    pub whose: Whose,
    /// Our rules.
    pub ours: BTreeSet<FirewallRule>,
    /// Rules that are marked as ours, and say what we never write: somebody edited them.
    pub odd: usize,
    /// What others let in by rules that say just what one of ours would.
    pub let_in_by_others: BTreeSet<FirewallRule>,
    /// How many rules others wrote.
    pub foreign: usize,
    /// How many rules it takes, others' included.
    pub rules_max: usize,
    /// Interfaces that it stands before, and those that were asked for. One that is not there cannot have it.
    pub interfaces: BTreeMap<Interface, InterfaceSeen>,
}

/// Who writes to a firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Everybody.
    Shared,
    /// This cluster alone.
    Ours,
    /// Somebody else alone.
    Others,
}

/// Something that is let in. Nothing of ours ever forbids: what is others' might be cut off by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FirewallRule {
    /// Where to; nothing where a firewall does not tell containers apart.
    pub to: Option<IpAddr>,
    /// TCP or UDP.
    pub transport: FirewallTransport,
    /// The port.
    pub port: u16,
    /// Who may; everybody is the network of prefix 0.
    pub from: IpNetwork,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FirewallTransport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl fmt::Display for FirewallTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A machine's interface in a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface {
    /// The machine.
    pub machine: InstanceId,
    /// The zone.
    pub zone: ZoneId,
}

/// How an interface stands to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceSeen {
    /// Whether the group is attached to it.
    pub attached: bool,
    /// How many other groups are. With none at all everything is let in, and the first one needs a reboot.
    pub others: usize,
    /// How many groups it takes.
    pub groups_max: usize,
}

/// One change to one firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirewallChange {
    /// Make the group, without rules.
    Make,
    /// Replace all rules of ours by these.
    SetRules(BTreeSet<FirewallRule>),
    /// Attach the group to these interfaces.
    Attach(BTreeSet<Interface>),
    /// Detach it from these.
    Detach(BTreeSet<Interface>),
    /// Delete the group, with its rules.
    Remove,
}

impl fmt::Display for FirewallChange {
    /// As a person says what is being done: `setting our 3 rules`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |count: usize, what: &str| {
            if count == 1 { format!("one {what}") } else { format!("{count} {what}s") }
        };
        match self {
            Self::Make => f.write_str("making it"),
            Self::SetRules(rules) => write!(f, "setting our {}", some(rules.len(), "rule")),
            Self::Attach(list) => write!(f, "attaching it to {}", some(list.len(), "interface")),
            Self::Detach(list) => write!(f, "detaching it from {}", some(list.len(), "interface")),
            Self::Remove => f.write_str("deleting it"),
        }
    }
}

/// The firewalls of a cloud.
pub trait Firewalls: Send + Sync + 'static {
    /// A firewall as it stands, and how these interfaces stand to it; nothing if there is none.
    fn firewall(
        &self,
        firewall: &Firewall,
        cluster: &str,
        interfaces: &BTreeSet<Interface>,
    ) -> impl Future<Output = Result<Option<FirewallSeen>, ProviderError>> + Send;

    /// Makes one change in the name of a cluster.
    ///
    /// Where the provider takes nothing but a whole list, that is read, merged and written in this call. An
    /// implementation never repeats a change by itself: whether it was made, and is in force, is seen by looking.
    ///
    /// # Errors
    /// [`ProviderError::Busy`] while another change is under way, and nothing was changed; [`ProviderError::InDoubt`]
    /// when it may have been made, or may still be; any other error says that it was not.
    fn change_firewall(
        &self,
        firewall: &Firewall,
        cluster: &str,
        change: &FirewallChange,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;
}
