//! Security groups: permissive, stateful rules on the interfaces of virtual guests.
//!
//! Facts: `ibm-cloud-docs/security-groups` and SLDN `rest/*SecurityGroup*.md`. A change is accepted at once and takes
//! effect later; the event log tells when, by the request id that the change was answered with.

mod by_hand;
pub mod refused;
pub mod rule;

use jiff::Timestamp;
use serde::Serialize;

use super::spec::MachineKind;
use super::{Cloud, Event, Id};
pub use refused::SecurityRefused;
pub use rule::{Direction, Remote, RuleProtocol, SecurityRule};

/// A security group.
#[derive(Clone, Debug, Serialize)]
pub struct SecurityGroup {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// What it lets pass; all else is blocked.
    pub rules: Vec<SecurityRule>,
    /// The network components it is attached to.
    pub components: Vec<Id>,
    /// The rules that packets go by.
    pub rules_in_force: Vec<SecurityRule>,
    /// The network components whose packets go by them.
    pub components_in_force: Vec<Id>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// An entry of the account's event log.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedEvent {
    /// What happened, as `Security Group Rule(s) Added`.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The group.
    pub group: Id,
    /// Its name.
    pub label: String,
    /// The user who asked for it.
    pub user: Option<Id>,
    /// What its request was answered with.
    pub request: String,
    /// The rules that it was about.
    pub rules: Vec<SecurityRule>,
    /// The network component that it was about.
    pub component: Option<Id>,
}

/// The limits, by the name of their `typeKey` (ours) and what they count.
pub const LIMITS: [(&str, &str, usize); 5] = [
    ("SECURITY_GROUPS_PER_ACCOUNT", "security groups per account", 500),
    ("RULES_PER_SECURITY_GROUP", "rules per security group", 50),
    ("SECURITY_GROUPS_PER_INTERFACE", "security groups per network interface", 5),
    ("INTERFACES_PER_SECURITY_GROUP", "network interfaces per security group", 100),
    ("REFERENCES_PER_SECURITY_GROUP", "rules that reference one security group", 5),
];

fn within(limit: usize, count: usize) -> Result<(), SecurityRefused> {
    let (_, what, max) = LIMITS[limit];
    if count > max { Err(SecurityRefused::TooMany { what, max }) } else { Ok(()) }
}

/// A change that was accepted and has not taken effect: the group as it will be, and what will be logged.
#[derive(Clone, Debug)]
pub(super) struct Unlogged {
    group: Id,
    rules: Vec<SecurityRule>,
    components: Vec<Id>,
    events: Vec<LoggedEvent>,
}

/// A change of a group that was accepted, to be logged when it takes effect.
struct Accepted<'a> {
    group: Id,
    name: &'a str,
    user: Option<Id>,
    rules: Vec<SecurityRule>,
    components: Vec<Id>,
}

impl Cloud {
    /// The groups that every account has.
    pub(super) fn provide_security_groups(&mut self) {
        let port = |port: u16| (Some(RuleProtocol::Tcp), Some(port));
        let provided = [
            ("allow_ssh", Some(port(22)), false),
            ("allow_http", Some(port(80)), false),
            ("allow_https", Some(port(443)), false),
            ("allow_outbound", None, true),
            ("allow_all", Some((None, None)), true),
        ];
        for (name, ingress, egress) in provided {
            let ingress = ingress.map(|it| (Direction::Ingress, it));
            let egress = egress.then_some((Direction::Egress, (None, None)));
            let wanted: Vec<_> = ingress.into_iter().chain(egress).collect();
            let (id, today) = (self.new_id(), self.today());
            let rules = wanted.into_iter().map(|(direction, (protocol, port))| SecurityRule {
                id: self.new_id(),
                direction,
                ipv6: false,
                protocol,
                port_min: port,
                port_max: port,
                remote: Remote::Anybody,
                created: today,
                modified: today,
            });
            let rules = rules.collect();
            self.insert_group(id, name, "", rules);
        }
    }

    /// The group of this name; the oldest, if there are several.
    pub fn security_group(&self, name: &str) -> Option<&SecurityGroup> {
        self.security_groups.values().find(|group| group.name == name)
    }

    /// Makes a group.
    pub fn create_security_group(&mut self, name: &str, description: &str) -> Result<Id, SecurityRefused> {
        within(0, self.security_groups.len() + 1)?;
        let id = self.new_id();
        self.insert_group(id, name, description, Vec::new());
        Ok(id)
    }

    fn insert_group(&mut self, id: Id, name: &str, description: &str, rules: Vec<SecurityRule>) {
        let (name, description, today) = (name.to_owned(), description.to_owned(), self.today());
        let group = SecurityGroup {
            id,
            name,
            description,
            rules_in_force: rules.clone(),
            rules,
            components: Vec::new(),
            components_in_force: Vec::new(),
            created: today,
            modified: today,
        };
        self.security_groups.insert(id, group);
    }

    /// Deletes a group that is attached nowhere and that no rule of another one names.
    pub fn delete_security_group(&mut self, group: Id) -> Result<(), SecurityRefused> {
        let it = self.security_groups.get(&group).ok_or(SecurityRefused::NotFound(group))?;
        if !it.components.is_empty() {
            return Err(SecurityRefused::Attached { group, components: it.components.clone() });
        }
        let names_it = |other: &&SecurityGroup| {
            other.id != group && other.rules.iter().any(|rule| rule.remote == Remote::Group(group))
        };
        if let Some(by) = self.security_groups.values().find(names_it).map(|other| other.id) {
            return Err(SecurityRefused::Referenced { group, by });
        }
        self.security_groups.remove(&group);
        Ok(())
    }

    /// Adds rules; their ids and dates are given here. Answers the request's id, and the rules.
    pub fn add_security_rules(
        &mut self,
        user: Option<Id>,
        group: Id,
        rules: Vec<SecurityRule>,
    ) -> Result<(String, Vec<SecurityRule>), SecurityRefused> {
        let it = self.security_groups.get(&group).ok_or(SecurityRefused::NotFound(group))?;
        within(1, it.rules.len() + rules.len())?;
        self.check_references(&rules)?;
        let (today, first) = (self.today(), self.next_id);
        let number = |(id, rule)| SecurityRule { id, created: today, modified: today, ..rule };
        let rules: Vec<_> = (first..).zip(rules).map(number).collect();
        self.next_id += rules.len() as u64;
        self.change_group(group, |it| it.rules.extend(rules.iter().cloned()));
        let name = "Security Group Rule(s) Added";
        let accepted = Accepted { group, name, user, rules: rules.clone(), components: Vec::new() };
        Ok((self.accept_security(accepted), rules))
    }

    /// Changes rules, by their ids. Answers the request's id.
    pub fn edit_security_rules(
        &mut self,
        user: Option<Id>,
        group: Id,
        rules: Vec<SecurityRule>,
    ) -> Result<String, SecurityRefused> {
        self.check_references(&rules)?;
        let today = self.today();
        self.change_group(group, |it| {
            for rule in &mut it.rules {
                if let Some(new) = rules.iter().find(|new| new.id == rule.id) {
                    *rule = SecurityRule { modified: today, ..new.clone() };
                }
            }
        });
        let name = "Security Group Rule(s) Edited";
        Ok(self.accept_security(Accepted { group, name, user, rules, components: Vec::new() }))
    }

    /// Removes rules, by their ids. Answers the request's id, and the rules.
    pub fn remove_security_rules(
        &mut self,
        user: Option<Id>,
        group: Id,
        ids: &[Id],
    ) -> Result<(String, Vec<SecurityRule>), SecurityRefused> {
        let it = self.security_groups.get(&group).ok_or(SecurityRefused::NotFound(group))?;
        let found = |id: &Id| {
            let rule = it.rules.iter().find(|rule| rule.id == *id);
            rule.cloned().ok_or(SecurityRefused::NotFound(*id))
        };
        let rules = ids.iter().map(found).collect::<Result<Vec<_>, _>>()?;
        self.change_group(group, |it| it.rules.retain(|rule| !ids.contains(&rule.id)));
        let name = "Security Group Rule(s) Removed";
        let accepted = Accepted { group, name, user, rules: rules.clone(), components: Vec::new() };
        Ok((self.accept_security(accepted), rules))
    }

    /// Attaches a group to interfaces of virtual guests. Answers the request's id.
    pub fn attach_security_group(
        &mut self,
        user: Option<Id>,
        group: Id,
        components: &[Id],
    ) -> Result<String, SecurityRefused> {
        let it = self.security_groups.get(&group).ok_or(SecurityRefused::NotFound(group))?;
        let new: Vec<Id> = components.iter().copied().filter(|id| !it.components.contains(id)).collect();
        within(3, it.components.len() + new.len())?;
        for component in &new {
            self.check_component(*component)?;
            let has = |group: &&SecurityGroup| group.components.contains(component);
            within(2, self.security_groups.values().filter(has).count() + 1)?;
        }
        self.change_group(group, |it| it.components.extend(new.iter().copied()));
        let name = "Network Component Added to Security Group";
        Ok(self.accept_security(Accepted { group, name, user, rules: Vec::new(), components: new }))
    }

    /// Detaches a group from interfaces. Answers the request's id.
    pub fn detach_security_group(
        &mut self,
        user: Option<Id>,
        group: Id,
        components: &[Id],
    ) -> Result<String, SecurityRefused> {
        let it = self.security_groups.get(&group).ok_or(SecurityRefused::NotFound(group))?;
        if let Some(id) = components.iter().find(|id| !it.components.contains(id)) {
            return Err(SecurityRefused::NotFound(*id));
        }
        self.change_group(group, |it| it.components.retain(|id| !components.contains(id)));
        let name = "Network Component Removed from Security Group";
        let components = components.to_vec();
        Ok(self.accept_security(Accepted { group, name, user, rules: Vec::new(), components }))
    }

    /// Only virtual guests have security groups, and not while something is done to them.
    fn check_component(&self, component: Id) -> Result<(), SecurityRefused> {
        let owns = |machine: &&super::machine::Machine| {
            machine.kind == MachineKind::Virtual && machine.ports.iter().any(|port| port.id == component)
        };
        let machine = self.machines.values().find(owns).ok_or(SecurityRefused::NotFound(component))?;
        if machine.transaction.is_some() {
            return Err(SecurityRefused::InTransaction(component));
        }
        Ok(())
    }

    /// A group that a rule names must be there, and not be named too often.
    fn check_references(&self, rules: &[SecurityRule]) -> Result<(), SecurityRefused> {
        for rule in rules {
            let Remote::Group(named) = rule.remote else { continue };
            if !self.security_groups.contains_key(&named) {
                return Err(SecurityRefused::NotFound(named));
            }
            let standing = self.security_groups.values().flat_map(|group| &group.rules);
            let others = standing.filter(|it| rules.iter().all(|new| new.id != it.id));
            within(4, others.chain(rules).filter(|it| it.remote == rule.remote).count())?;
        }
        Ok(())
    }

    fn change_group(&mut self, group: Id, change: impl FnOnce(&mut SecurityGroup)) {
        let today = self.today();
        if let Some(it) = self.security_groups.get_mut(&group) {
            change(it);
            it.modified = today;
        }
    }

    /// Answers the request's id: 23 hexadecimal digits, as recorded ones have. The event log tells when it took
    /// effect, of several interfaces in an entry for each.
    fn accept_security(&mut self, accepted: Accepted<'_>) -> String {
        let id = self.new_id();
        let request = format!("53d0b91d3928{id:011x}");
        let Accepted { group, name, user, rules, components } = accepted;
        let event = LoggedEvent {
            name: name.to_owned(),
            at: self.today(),
            group,
            label: self.security_groups.get(&group).map(|it| it.name.clone()).unwrap_or_default(),
            user,
            request: request.clone(),
            rules,
            component: None,
        };
        let each = components.into_iter().map(|id| LoggedEvent { component: Some(id), ..event.clone() });
        let mut events: Vec<_> = each.collect();
        if events.is_empty() {
            events.push(event);
        }
        if let Some(it) = self.security_groups.get(&group) {
            let (rules, components) = (it.rules.clone(), it.components.clone());
            self.unlogged.insert(id, Unlogged { group, rules, components, events });
        }
        self.schedule(self.delays.security_group_ms, Event::SecurityApplied(id));
        self.happen_now();
        request
    }

    pub(super) fn log_security(&mut self, id: Id) {
        let at = self.today();
        let Some(Unlogged { group, rules, components, events }) = self.unlogged.remove(&id) else { return };
        if let Some(it) = self.security_groups.get_mut(&group) {
            (it.rules_in_force, it.components_in_force) = (rules, components);
        }
        self.event_log.extend(events.into_iter().map(|event| LoggedEvent { at, ..event }));
    }

    /// A reboot makes the interfaces of a guest ready for the groups attached to them; the first one needs it.
    pub(super) fn ready_for_security(&mut self, machine: Id) {
        let attached: Vec<Id> =
            self.security_groups.values().flat_map(|it| it.components.iter().copied()).collect();
        for port in self.machines.get_mut(&machine).into_iter().flat_map(|machine| &mut machine.ports) {
            port.security_ready |= attached.contains(&port.id);
        }
    }
}
