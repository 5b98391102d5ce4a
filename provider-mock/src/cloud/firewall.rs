//! Dedicated firewalls of VLANs: a list of rules that every update replaces as a whole, some time later.
//!
//! Facts: `ibm-cloud-docs/hardware-firewall-dedicated`, softlayer-python's `managers/firewall.py`, SLDN
//! `python/firewalls.md`. There is no version check: who writes last has written.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cloud, Event, Id};

/// The firewall of a VLAN.
#[derive(Clone, Debug, Serialize)]
pub struct VlanFirewall {
    /// Its id. Its interface `outside` has the next one, the list of what comes in there the one after it.
    pub id: Id,
    /// The VLAN behind it.
    pub vlan: Id,
    /// What it does; with none it lets everything pass.
    pub rules: Vec<FirewallRule>,
    /// Updates that it will accept and never apply.
    pub deaf_for: u32,
}

impl VlanFirewall {
    /// The id of its outer interface.
    pub fn outside(&self) -> Id {
        self.id + 1
    }

    /// The id of the access control list of what comes in from outside.
    pub fn list_in(&self) -> Id {
        self.id + 2
    }
}

/// A rule: the first that fits decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallRule {
    /// Its place, from 1.
    pub order: u32,
    /// Whether what fits may pass.
    pub permit: bool,
    /// What it is about.
    pub protocol: FirewallProtocol,
    /// From where; none is anywhere.
    pub source: Ipv4Network,
    /// To where.
    pub destination: Ipv4Network,
    /// Which ports there.
    pub ports: Option<(u16, u16)>,
    /// The customer's words.
    pub notes: String,
}

impl FirewallRule {
    /// Whether it says the same as another one, wherever it stands.
    fn repeats(&self, other: &Self) -> bool {
        let plain = |rule: &Self| Self { order: 0, notes: String::new(), ..rule.clone() };
        plain(self) == plain(other)
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirewallProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// Generic routing encapsulation.
    Gre,
    /// The control connection of PPTP.
    Pptp,
    /// IPsec's authentication header.
    Ah,
    /// IPsec's encapsulation.
    Esp,
}

impl FirewallProtocol {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Gre, Self::Pptp, Self::Ah, Self::Esp];

    /// SoftLayer's spelling.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Gre => "gre",
            Self::Pptp => "pptp",
            Self::Ah => "ah",
            Self::Esp => "esp",
        }
    }

    /// Whether its rules name ports.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

/// A request to replace the rules of a firewall.
#[derive(Clone, Debug, Serialize)]
pub struct FirewallUpdate {
    /// Its id.
    pub id: Id,
    /// The firewall.
    pub firewall: Id,
    /// What it shall do.
    pub rules: Vec<FirewallRule>,
    /// Who asked.
    pub user: Option<Id>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it was applied.
    pub applied: Option<Timestamp>,
}

/// Why an update is not accepted. The texts are ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FirewallRefused {
    /// No such list.
    #[error("Unable to find object with id of '{0}'.")]
    NotFound(Id),
    /// Two rules say the same (release notes of 2018-07-06).
    #[error("Duplicate rules are not allowed: rules {0} and {1}.")]
    Duplicate(u32, u32),
    /// Two rules have one place.
    #[error("The orderValue {0} is given more than once.")]
    Order(u32),
    /// More than a firewall takes.
    #[error("A firewall must not have more than {RULES_MAX} rules.")]
    TooMany,
    /// A rule that cannot be.
    #[error("Rule {order}: {what}")]
    Rule {
        /// Which.
        order: u32,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What `maximumRuleCount` says; the number is ours.
pub const RULES_MAX: usize = 200;

impl Cloud {
    pub(super) fn add_firewall(&mut self, vlan: Id) {
        let id = self.new_id();
        self.next_id += 2;
        self.firewalls.insert(id, VlanFirewall { id, vlan, rules: Vec::new(), deaf_for: 0 });
    }

    /// The firewall of a VLAN.
    pub fn firewall_of(&self, vlan: Id) -> Option<&VlanFirewall> {
        self.firewalls.values().find(|firewall| firewall.vlan == vlan)
    }

    /// The address that a firewall shows: its VLAN's gateway.
    pub(crate) fn firewall_address(&self, firewall: &VlanFirewall) -> Option<Ipv4Addr> {
        let vlan = self.vlans.get(&firewall.vlan)?;
        Some(self.subnets.get(&vlan.primary_subnet)?.gateway())
    }

    /// Accepts an update of the rules, which is applied later. Answers its id.
    pub fn update_firewall(
        &mut self,
        user: Option<Id>,
        list: Id,
        mut rules: Vec<FirewallRule>,
    ) -> Result<Id, FirewallRefused> {
        let found = self.firewalls.values_mut().find(|firewall| firewall.list_in() == list);
        let firewall = found.ok_or(FirewallRefused::NotFound(list))?;
        rules.sort_by_key(|rule| rule.order);
        check(&rules)?;
        let deaf = firewall.deaf_for > 0;
        firewall.deaf_for = firewall.deaf_for.saturating_sub(1);
        let firewall = firewall.id;
        let (id, created) = (self.new_id(), self.today());
        self.firewall_updates
            .insert(id, FirewallUpdate { id, firewall, rules, user, created, applied: None });
        if !deaf {
            self.schedule(self.delays.firewall_ms, Event::FirewallUpdated(id));
            self.happen_now();
        }
        Ok(id)
    }

    /// The next updates of a VLAN's firewall are accepted and never applied; false if it has none.
    pub fn deafen_firewall(&mut self, vlan: Id, updates: u32) -> bool {
        let found = self.firewalls.values_mut().find(|firewall| firewall.vlan == vlan);
        found.map(|firewall| firewall.deaf_for = updates).is_some()
    }

    /// Somebody replaces all rules by hand, at once; false if the VLAN has no firewall.
    pub fn put_firewall_rules(&mut self, vlan: Id, rules: Vec<FirewallRule>) -> bool {
        let found = self.firewalls.values_mut().find(|firewall| firewall.vlan == vlan);
        found.map(|firewall| firewall.rules = rules).is_some()
    }

    pub(super) fn apply_firewall_update(&mut self, id: Id) {
        let today = self.today();
        let Some(update) = self.firewall_updates.get_mut(&id) else { return };
        update.applied = Some(today);
        if let Some(firewall) = self.firewalls.get_mut(&update.firewall) {
            firewall.rules.clone_from(&update.rules);
        }
    }
}

fn check(sorted: &[FirewallRule]) -> Result<(), FirewallRefused> {
    if sorted.len() > RULES_MAX {
        return Err(FirewallRefused::TooMany);
    }
    for (at, rule) in sorted.iter().enumerate() {
        let before = sorted.iter().take(at);
        if let Some(same) = before.clone().find(|other| rule.repeats(other)) {
            return Err(FirewallRefused::Duplicate(same.order, rule.order));
        }
        if before.into_iter().any(|other| other.order == rule.order) {
            return Err(FirewallRefused::Order(rule.order));
        }
    }
    Ok(())
}
