//! What the owner of a firewall does next: a function of what is wanted, what a look showed, and what this cluster put
//! there by the store.
//!
//! All our rules are set in one change, since a firewall may take minutes to apply one. What others wrote is never
//! touched, and nothing of ours makes a firewall that lets everything in drop something.

mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipam::Epoch;
use provider::{Firewall, FirewallChange, FirewallRule, FirewallSeen, Interface, InterfaceSeen, Whose};

use crate::step::Step;
pub use wanted::wanted;

/// What a firewall should let in for us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The rules.
    pub rules: BTreeSet<FirewallRule>,
    /// The containers that rules are about, where the firewall tells them apart, and the number under which each has
    /// its address.
    pub members: BTreeMap<IpAddr, Epoch>,
    /// The interfaces that a group should be attached to.
    pub interfaces: BTreeSet<Interface>,
    /// Whether a service names it, with members or without.
    pub named: bool,
}

impl Wanted {
    /// Whether nothing is asked for.
    pub fn is_nothing(&self) -> bool {
        self.rules.is_empty() && self.members.is_empty() && self.interfaces.is_empty()
    }
}

/// What was seen of a firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It; nothing where there is none.
    pub firewall: Option<FirewallSeen>,
    /// Whether rules that the provider accepted are not shown yet, and may still come.
    pub awaited: bool,
    /// Whether no call that somebody made before the look can still land: only then is what is not there gone.
    pub settled: bool,
}

/// A change of what the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// An address is about to be let in: from now on it waits for us.
    Place(IpAddr, Epoch),
    /// It is let in no more, and waits no more.
    Forget(IpAddr, Epoch),
}

/// The addresses that this cluster let in, or is about to, as the store has them.
pub type Placed = BTreeMap<IpAddr, Epoch>;

/// What to do next.
pub fn next(which: &Firewall, wanted: &Wanted, placed: &Placed, seen: &Seen) -> Step<FirewallChange, Edit> {
    let Some(firewall) = &seen.firewall else { return without(which, wanted, placed, seen) };
    if firewall.whose == Whose::Others {
        let trouble = || format!("{which} was not made by this cluster: choose another name");
        return Step::Rest((!wanted.is_nothing()).then(trouble).into_iter().collect());
    }
    if seen.awaited {
        return Step::Wait("what was accepted is not in force yet".to_owned());
    }
    let edits = edits(wanted, placed, &firewall.ours, seen.settled);
    if !edits.is_empty() {
        return Step::Record(edits);
    }
    if firewall.whose == Whose::Ours && wanted.is_nothing() {
        return taken_down(which, firewall);
    }
    let (rules, left_out) = fitting(wanted, placed, firewall);
    if rules != firewall.ours || firewall.odd > 0 {
        if lets_everything_in(firewall) {
            return Step::Rest(vec![format!(
                "{which} has no rule, so it lets everything in, and with the first one it drops all else: write one there \
                 for what is yours"
            )]);
        }
        return Step::Change(FirewallChange::SetRules(rules));
    }
    let (attachable, mut troubles) = attachable(wanted, firewall);
    if !attachable.is_empty() {
        return Step::Change(FirewallChange::Attach(attachable));
    }
    let (detachable, stuck) = detachable(which, wanted, firewall);
    if !detachable.is_empty() {
        return Step::Change(FirewallChange::Detach(detachable));
    }
    troubles.extend(stuck);
    if left_out > 0 {
        troubles.push(format!(
            "{which} takes {} rules, {} of them are others', and {left_out} more of ours are wanted: let in wider networks, \
             or fewer",
            firewall.rules_max, firewall.foreign
        ));
    }
    Step::Rest(troubles)
}

fn without(which: &Firewall, wanted: &Wanted, placed: &Placed, seen: &Seen) -> Step<FirewallChange, Edit> {
    // Where there is no firewall, nobody is let in by one.
    let gone: Vec<Edit> = edits(wanted, placed, &BTreeSet::new(), seen.settled)
        .into_iter()
        .filter(|edit| matches!(edit, Edit::Forget(..)))
        .collect();
    match which {
        _ if !gone.is_empty() => Step::Record(gone),
        Firewall::Group(_) if !wanted.is_nothing() => Step::Change(FirewallChange::Make),
        Firewall::Group(_) => Step::Rest(Vec::new()),
        Firewall::Zone(_) if !wanted.named => Step::Rest(Vec::new()),
        Firewall::Zone(_) => Step::Rest(vec![format!(
            "{which} is not there: order it at the provider, or take the VLAN out of [firewall]"
        )]),
    }
}

/// An address is placed before a rule names it, and forgotten after none does.
fn edits(wanted: &Wanted, placed: &Placed, ours: &BTreeSet<FirewallRule>, settled: bool) -> Vec<Edit> {
    let let_in: BTreeSet<IpAddr> = ours.iter().filter_map(|rule| rule.to).collect();
    let gone = placed.iter().filter(|(address, epoch)| {
        settled && !let_in.contains(*address) && wanted.members.get(*address) != Some(*epoch)
    });
    let new = wanted.members.iter().filter(|(address, _)| !placed.contains_key(*address));
    let gone = gone.map(|(address, epoch)| Edit::Forget(*address, *epoch));
    gone.chain(new.map(|(address, epoch)| Edit::Place(*address, *epoch))).collect()
}

/// The rules that may be there now, those that are there first, as many as fit; and how many do not.
fn fitting(wanted: &Wanted, placed: &Placed, firewall: &FirewallSeen) -> (BTreeSet<FirewallRule>, usize) {
    // A rule that an earlier user of the address left lets nobody in to the next one.
    let is_placed = |address: IpAddr| {
        placed.get(&address).is_some_and(|epoch| wanted.members.get(&address) == Some(epoch))
    };
    // No firewall takes a rule twice: where somebody else's lets in the same, ours is not needed.
    let missing = |rule: &&FirewallRule| !firewall.let_in_by_others.contains(*rule);
    let possible = || wanted.rules.iter().filter(|rule| rule.to.is_none_or(is_placed)).filter(missing);
    let room = firewall.rules_max.saturating_sub(firewall.foreign);
    let (there, new): (Vec<_>, Vec<_>) = possible().partition(|rule| firewall.ours.contains(rule));
    let rules: BTreeSet<FirewallRule> = there.into_iter().chain(new).take(room).cloned().collect();
    let left_out = possible().count() - rules.len();
    (rules, left_out)
}

/// Whether a first rule would cut off what is let in now.
fn lets_everything_in(firewall: &FirewallSeen) -> bool {
    firewall.whose == Whose::Shared && firewall.foreign == 0 && firewall.ours.is_empty() && firewall.odd == 0
}

/// Interfaces that the group can be attached to; and why not to others. The first group of an interface needs a reboot,
/// and cuts off what no group lets in: it is for a person to attach.
fn attachable(wanted: &Wanted, firewall: &FirewallSeen) -> (BTreeSet<Interface>, Vec<String>) {
    let (mut attachable, mut troubles) = (BTreeSet::new(), Vec::new());
    for interface in &wanted.interfaces {
        let machine = &interface.machine;
        match firewall.interfaces.get(interface) {
            Some(InterfaceSeen { attached: true, .. }) => {}
            Some(InterfaceSeen { others: 0, .. }) => troubles.push(format!(
                "host {machine} has no security group yet, so everything is let in there: attach a first one at the \
                 provider (it needs a reboot), and this one follows"
            )),
            Some(seen) if seen.others >= seen.groups_max => troubles.push(format!(
                "host {machine} has {} security groups already, and its interface takes no more: detach one",
                seen.others
            )),
            Some(_) => drop(attachable.insert(interface.clone())),
            None => troubles.push(format!(
                "host {machine} has no interface that takes a security group (bare metal has none): its own policy alone \
                 guards it"
            )),
        }
    }
    (attachable, troubles)
}

/// Interfaces that the group is at for nobody. Without its last group an interface lets everything in: that one stays.
fn detachable(
    which: &Firewall,
    wanted: &Wanted,
    firewall: &FirewallSeen,
) -> (BTreeSet<Interface>, Vec<String>) {
    let idle = firewall
        .interfaces
        .iter()
        .filter(|(interface, seen)| seen.attached && !wanted.interfaces.contains(*interface));
    let (last, more): (Vec<_>, Vec<_>) = idle.partition(|(_, seen)| seen.others == 0);
    let stuck = last.into_iter().map(|(interface, _)| {
        format!(
            "{which} is the last one at host {}, which would let everything in without it: attach another one there, and \
             this one goes",
            interface.machine
        )
    });
    (more.into_iter().map(|(interface, _)| interface.clone()).collect(), stuck.collect())
}

/// A group that nobody wants goes, once it is nowhere.
fn taken_down(which: &Firewall, firewall: &FirewallSeen) -> Step<FirewallChange, Edit> {
    let nobody = Wanted::default();
    let (detachable, stuck) = detachable(which, &nobody, firewall);
    match () {
        () if !detachable.is_empty() => Step::Change(FirewallChange::Detach(detachable)),
        () if stuck.is_empty() => Step::Change(FirewallChange::Remove),
        () if !firewall.ours.is_empty() || firewall.odd > 0 => {
            Step::Change(FirewallChange::SetRules(BTreeSet::new()))
        }
        () => Step::Rest(stuck),
    }
}

#[cfg(test)]
mod tests;
