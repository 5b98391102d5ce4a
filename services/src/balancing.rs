//! What the owner of a load balancer does next.
//!
//! A pass is a function of three values: what is wanted (declarations, members, who lives), what a look at the provider
//! showed, and what this cluster put there, by the store. Its outcome is one [`Step`]. Everything that is known at a
//! time goes into one change, so that two hundred containers started together are one change or two.
//!
//! What is nobody of ours is never touched: **ours** is a listener that the store names, and a member that the store
//! names or whose address only containers of this cluster have.

mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipam::Epoch;
use provider::{
    BalancerChange, BalancerSeen, BalancerState, Exposure, HealthSpec, ListenerId, ListenerSeen,
    ListenerSpec, MemberId, MemberSeen, ZoneId,
};
use serde::{Deserialize, Serialize};

use crate::step::Step;
pub use wanted::wanted;

/// What a load balancer should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether to order it if it is not there.
    pub order: Option<Exposure>,
    /// What it should listen on, by port, and how it should find out which members serve.
    pub listeners: BTreeMap<u16, (ListenerSpec, Option<HealthSpec>)>,
    /// Whom it should pass on to.
    pub members: BTreeMap<IpAddr, MemberWanted>,
}

/// Whom a load balancer should pass on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberWanted {
    /// The number under which the container has its address.
    pub epoch: Epoch,
    /// Its share, 0 to 100. With 0 it gets nothing new, and is not put there for that.
    pub weight: u8,
}

/// What this cluster put at a load balancer, as the store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The ports of our listeners.
    pub listeners: BTreeSet<u16>,
    /// Our members.
    pub placed: BTreeMap<IpAddr, Placed>,
}

/// A member that an owner put at a load balancer, or is about to: the value at `balancers/<name>/<address>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The number under which the container has its address.
    pub epoch: Epoch,
    /// Its weight there, as the provider showed it last; nothing where it did not show it.
    pub weight: Option<u8>,
    /// Whether the provider's own health check finds it serving, as it said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
}

/// What was seen at the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The load balancer; nothing where there is none.
    pub balancer: Option<BalancerSeen>,
    /// Which members it finds serving, where it was asked.
    pub health: BTreeMap<MemberId, bool>,
    /// Of its members, those whose address only containers of this cluster have.
    pub ours: BTreeSet<IpAddr>,
    /// Members of the last change, if nobody says whether it is in force: they may still get more than is shown.
    pub unproven: BTreeSet<IpAddr>,
    /// Whether no call that somebody made before the look can still land: only then is what is not there gone.
    pub settled: bool,
}

/// What the provider's load balancers take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members at one load balancer.
    pub members: usize,
    /// Listeners in an order.
    pub listeners_ordered: usize,
    /// Where its own addresses are taken from when it is ordered.
    pub zone: Option<ZoneId>,
}

/// A change of what the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A member is about to be put there: from now on its address waits for us.
    Place(IpAddr, Epoch),
    /// What the provider showed of a member is different.
    Note(IpAddr, Placed),
    /// A member is gone: its address waits no more.
    Forget(IpAddr, Epoch),
    /// A listener of this port is about to be ours.
    Claim(u16),
    /// A listener of this port is gone.
    Disclaim(u16),
}

/// What to do next.
pub fn next(wanted: &Wanted, known: &Known, seen: &Seen, limits: &Limits) -> Step<BalancerChange, Edit> {
    let pass = Pass { wanted, known, seen, limits };
    let Some(balancer) = &seen.balancer else { return pass.without_a_balancer() };
    let ready = balancer.state == BalancerState::Ready;
    // Who is to get nothing more goes first: it waits for nothing that is written.
    if let Some(change) = pass.removal().or_else(|| pass.weighing()).filter(|_| ready) {
        return Step::Change(change);
    }
    let edits = pass.edits();
    if !edits.is_empty() {
        return Step::Record(edits);
    }
    match &balancer.state {
        BalancerState::Busy(word) => return Step::Wait(word.clone()),
        BalancerState::Broken(word) => {
            return Step::Rest(vec![format!(
                "it is broken ({word}): cancel it at the provider, and make it anew"
            )]);
        }
        BalancerState::Ready => {}
    }
    match pass.listening(balancer).or_else(|| pass.addition(balancer)) {
        Some(change) => Step::Change(change),
        None => Step::Rest(pass.in_the_way(balancer)),
    }
}

struct Pass<'a> {
    wanted: &'a Wanted,
    known: &'a Known,
    seen: &'a Seen,
    limits: &'a Limits,
}

impl<'a> Pass<'a> {
    fn without_a_balancer(&self) -> Step<BalancerChange, Edit> {
        let edits = self.edits();
        if !edits.is_empty() {
            return Step::Record(edits);
        }
        let listeners = self.wanted.listeners.values().map(|(spec, _)| spec.clone());
        let listeners: Vec<_> = listeners.take(self.limits.listeners_ordered).collect();
        match (self.wanted.order, &self.limits.zone) {
            _ if listeners.is_empty() => Step::Rest(Vec::new()),
            (Some(exposure), Some(zone)) => {
                Step::Change(BalancerChange::Order { exposure, zone: zone.clone(), listeners })
            }
            (Some(_), None) => Step::Rest(vec![
                "it is to be ordered, and this host is on no private network whose addresses it could get".to_owned(),
            ]),
            (None, _) => Step::Rest(vec![
                "the provider has no load balancer of this name: make it there or, where one can be ordered, add order = \
                 \"private\" or \"public\" to [load_balancer]"
                    .to_owned(),
            ]),
        }
    }

    /// Our members there.
    fn ours(&self) -> impl Iterator<Item = &'a MemberSeen> {
        let (seen, known) = (self.seen, self.known);
        let members = seen.balancer.iter().flat_map(|balancer| &balancer.members);
        members.filter(move |it| known.placed.contains_key(&it.address) || seen.ours.contains(&it.address))
    }

    fn removal(&self) -> Option<BalancerChange> {
        let stays = |member: &&MemberSeen| {
            let placed = self.known.placed.get(&member.address);
            let wanted = self.wanted.members.get(&member.address);
            // One that an earlier user of the address left passes nothing on to the next one.
            wanted.is_some_and(|wanted| placed.is_none_or(|placed| placed.epoch == wanted.epoch))
        };
        let gone: Vec<_> = self.ours().filter(|it| !stays(it)).map(|it| it.id.clone()).collect();
        (!gone.is_empty()).then_some(BalancerChange::RemoveMembers(gone))
    }

    fn weighing(&self) -> Option<BalancerChange> {
        let differs = |member: &MemberSeen| {
            let wanted = self.wanted.members.get(&member.address)?;
            (wanted.weight != member.weight).then(|| (member.id.clone(), wanted.weight))
        };
        let others: Vec<_> = self.ours().filter_map(differs).collect();
        (!others.is_empty()).then_some(BalancerChange::WeighMembers(others))
    }

    /// What a look showed counts once it is in force: while a change is under way, some of it is not yet.
    fn is_in_force(&self) -> bool {
        let busy = |it: &BalancerSeen| matches!(it.state, BalancerState::Busy(_));
        !self.seen.balancer.as_ref().is_some_and(busy)
    }

    fn edits(&self) -> Vec<Edit> {
        let mut edits = if self.is_in_force() { self.read_back() } else { Vec::new() };
        edits.extend(self.places());
        edits.extend(self.claims());
        edits
    }

    /// What the look shows otherwise than the store has it.
    fn read_back(&self) -> Vec<Edit> {
        let there: BTreeMap<IpAddr, &MemberSeen> = self.ours().map(|it| (it.address, it)).collect();
        let mut edits = Vec::new();
        for (address, placed) in &self.known.placed {
            let unproven = self.seen.unproven.contains(address);
            let wanted = self.wanted.members.get(address).is_some_and(|it| it.epoch == placed.epoch);
            match there.get(address) {
                // It may still get something.
                None if unproven => {}
                Some(member) if unproven && member.weight < placed.weight.unwrap_or_default() => {}
                None if !wanted && self.seen.settled => edits.push(Edit::Forget(*address, placed.epoch)),
                None if placed.weight.is_some() => {
                    edits.push(Edit::Note(*address, Placed { weight: None, up: None, ..*placed }));
                }
                None => {}
                Some(member) => {
                    let up = self.seen.health.get(&member.id).copied().or(placed.up);
                    let now = Placed { weight: Some(member.weight), up, ..*placed };
                    edits.extend((now != *placed).then_some(Edit::Note(*address, now)));
                }
            }
        }
        let is_there = |port: &u16| self.listeners().any(|it| it.port == *port);
        let listens = |port: &&u16| self.wanted.listeners.contains_key(*port) || is_there(port);
        let gone = self.known.listeners.iter().filter(|port| self.seen.settled && !listens(port));
        edits.extend(gone.map(|port| Edit::Disclaim(*port)));
        edits
    }

    /// Members that are to be put there. One that is there already was, before the store was made anew.
    fn places(&self) -> impl Iterator<Item = Edit> {
        let there: BTreeSet<IpAddr> = self.ours().map(|it| it.address).collect();
        let new = self.wanted.members.iter().filter(move |(address, wanted)| {
            let due = wanted.weight > 0 || there.contains(*address);
            due && !self.known.placed.contains_key(*address)
        });
        new.map(|(address, wanted)| Edit::Place(*address, wanted.epoch))
    }

    fn claims(&self) -> impl Iterator<Item = Edit> {
        let there: BTreeSet<u16> = self.listeners().map(|it| it.port).collect();
        let known = &self.known.listeners;
        let new = self.wanted.listeners.keys();
        let new = new.filter(move |port| !known.contains(*port) && !there.contains(*port));
        new.map(|port| Edit::Claim(*port))
    }

    fn listeners(&self) -> impl Iterator<Item = &'a ListenerSeen> {
        self.seen.balancer.iter().flat_map(|balancer| &balancer.listeners)
    }

    /// Brings what it listens on one change nearer.
    fn listening(&self, balancer: &BalancerSeen) -> Option<BalancerChange> {
        let ours = || balancer.listeners.iter().filter(|it| self.known.listeners.contains(&it.port));
        let gone: Vec<ListenerId> = ours()
            .filter(|it| !self.wanted.listeners.contains_key(&it.port))
            .map(|it| it.id.clone())
            .collect();
        let should = |it: &ListenerSeen| self.wanted.listeners.get(&it.port).cloned();
        let other = |it: &ListenerSeen| {
            let (spec, _) = should(it)?;
            (!it.does(&spec) || !it.weighs).then(|| (it.id.clone(), spec))
        };
        let others: Vec<_> = ours().filter_map(other).collect();
        let is_there = |port: &u16| balancer.listeners.iter().any(|it| it.port == *port);
        let new = self.wanted.listeners.iter().filter(|(port, _)| !is_there(port));
        let new: Vec<_> = new.map(|(_, (spec, _))| spec.clone()).collect();
        let unhealthy = |it: &ListenerSeen| {
            let (_, health) = should(it)?;
            health.filter(|health| it.health.as_ref() != Some(health)).map(|health| (it.id.clone(), health))
        };
        let checks: Vec<_> = ours().filter_map(unhealthy).collect();
        match () {
            () if !gone.is_empty() => Some(BalancerChange::RemoveListeners(gone)),
            () if !others.is_empty() => Some(BalancerChange::ChangeListeners(others)),
            () if !new.is_empty() => Some(BalancerChange::AddListeners(new)),
            () if !checks.is_empty() => Some(BalancerChange::CheckHealth(checks)),
            () => None,
        }
    }

    /// As many members as there is room for, each of which is in the store already.
    fn addition(&self, balancer: &BalancerSeen) -> Option<BalancerChange> {
        let room = self.limits.members.saturating_sub(balancer.members.len());
        let missing: BTreeMap<IpAddr, u8> = self.missing(balancer).take(room).collect();
        let listeners = self.wanted.listeners.values().map(|(spec, _)| spec.clone()).collect();
        (!missing.is_empty()).then_some(BalancerChange::AddMembers { members: missing, listeners })
    }

    fn missing(&self, balancer: &BalancerSeen) -> impl Iterator<Item = (IpAddr, u8)> {
        // One that serves some of our listeners is there once it serves all of them.
        let ours = balancer.listeners.iter().filter(|it| self.wanted.listeners.contains_key(&it.port));
        let ours: Vec<&ListenerId> = ours.map(|it| &it.id).collect();
        let serves = |it: &&MemberSeen| {
            it.behind.as_ref().is_none_or(|behind| ours.iter().all(|id| behind.contains(*id)))
        };
        let there: BTreeSet<IpAddr> = balancer.members.iter().filter(serves).map(|it| it.address).collect();
        let placed = |address: &IpAddr, epoch| {
            self.known.placed.get(address).is_some_and(|placed| placed.epoch == epoch)
        };
        let due = self.wanted.members.iter().filter(move |(address, wanted)| {
            wanted.weight > 0 && !there.contains(*address) && placed(address, wanted.epoch)
        });
        due.map(|(address, wanted)| (*address, wanted.weight))
    }

    /// What is not as it should be, and cannot be mended by us.
    fn in_the_way(&self, balancer: &BalancerSeen) -> Vec<String> {
        let foreign = balancer.listeners.iter().filter(|it| !self.known.listeners.contains(&it.port));
        let conflict = |it: &ListenerSeen| {
            let (wanted, _) = self.wanted.listeners.get(&it.port)?;
            (!it.does(wanted)).then(|| {
                format!(
                    "its listener {} takes {} and passes on to port {}, and was not made by this cluster, which wants \
                     {} to port {}: remove it, or declare another port",
                    it.port, it.protocol, it.to_port.unwrap_or_default(), wanted.protocol, wanted.to_port
                )
            })
        };
        let mut words: Vec<String> = foreign.filter_map(conflict).collect();
        let left_out = self.missing(balancer).count();
        if left_out > 0 {
            words.push(format!(
                "it takes {} members, and {left_out} more of ours are ready: name another load balancer for some",
                self.limits.members
            ));
        }
        words.extend(
            balancer.complaint.iter().map(|it| format!("the provider says of its last change: {it}")),
        );
        words
    }
}

#[cfg(test)]
mod tests;
