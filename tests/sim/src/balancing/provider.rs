//! A load balancer at a provider, and the calls on their way to it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::Epoch;
use provider::{BalancerChange, BalancerSeen, BalancerState, MemberId, MemberSeen};

use super::CALL_MAX;
use crate::Moment;
use crate::chance::Chance;

#[derive(Clone, Debug)]
struct Place {
    id: u64,
    weight: u8,
    /// Which user of the address it was made for.
    made_for: Epoch,
}

/// A call that will land, whatever becomes of its sender.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) lands: Moment,
    pub(super) change: BalancerChange,
    /// For whom its members are.
    pub(super) made_for: BTreeMap<IpAddr, Epoch>,
    pub(super) sender: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Provider {
    members: BTreeMap<IpAddr, Place>,
    busy_until: Moment,
    last_id: u64,
    calls: Vec<Call>,
}

impl Provider {
    /// Sends a call, which lands within D.
    pub(super) fn send(&mut self, now: Moment, chance: &mut Chance, mut call: Call) -> Moment {
        call.lands = now + chance.skewed(CALL_MAX);
        let lands = call.lands;
        self.calls.push(call);
        lands
    }

    /// Lets the calls land whose time has come; how many of them were sent by one that is not the owner any more.
    pub(super) fn land(&mut self, now: Moment, chance: &mut Chance, owner: Option<(u64, usize)>) -> u64 {
        let (mut due, later): (Vec<Call>, Vec<Call>) = self.calls.drain(..).partition(|it| it.lands <= now);
        self.calls = later;
        due.sort_by_key(|call| call.lands);
        let mut late = 0;
        for call in due {
            late += u64::from(owner.is_none_or(|(process, _)| process != call.sender));
            if self.busy_until <= call.lands && self.apply(&call) {
                self.busy_until = call.lands + chance.skewed(2_000);
            }
        }
        late
    }

    /// Whether it was accepted: all of it, or nothing.
    fn apply(&mut self, call: &Call) -> bool {
        match &call.change {
            BalancerChange::AddMembers { members, .. } => {
                if members.keys().any(|at| self.members.contains_key(at)) {
                    return false;
                }
                for (at, weight) in members {
                    self.last_id += 1;
                    let Some(made_for) = call.made_for.get(at).copied() else { continue };
                    self.members.insert(*at, Place { id: self.last_id, weight: *weight, made_for });
                }
            }
            BalancerChange::WeighMembers(members) => {
                for (id, weight) in members {
                    for place in self.members.values_mut().filter(|it| id_of(it) == *id) {
                        place.weight = *weight;
                    }
                }
            }
            BalancerChange::RemoveMembers(ids) => {
                self.members.retain(|_, place| !ids.contains(&id_of(place)));
            }
            // Nothing else is asked for where no listener is.
            _ => {}
        }
        true
    }

    pub(super) fn look(&self, now: Moment) -> BalancerSeen {
        let busy = self.busy_until > now;
        let member = |(at, place): (&IpAddr, &Place)| MemberSeen {
            id: id_of(place),
            address: *at,
            weight: place.weight,
            behind: None,
        };
        BalancerSeen {
            reached_at: None,
            state: if busy { BalancerState::Busy("UPDATE_PENDING".into()) } else { BalancerState::Ready },
            complaint: None,
            listeners: Vec::new(),
            members: self.members.iter().map(member).collect(),
        }
    }

    /// Somebody's hands: a member is gone, or weighs otherwise.
    pub(super) fn is_meddled_with(&mut self, chance: &mut Chance) {
        if !chance.one_in(10) || self.members.is_empty() {
            return;
        }
        let nth = chance.place(self.members.len());
        let Some(at) = self.members.keys().nth(nth).copied() else { return };
        match self.members.get_mut(&at) {
            Some(place) if chance.one_in(2) => place.weight = 3,
            _ => drop(self.members.remove(&at)),
        }
    }

    /// Every place, and for whom it was made.
    pub(super) fn places(&self) -> impl Iterator<Item = (IpAddr, Epoch)> {
        self.members.iter().map(|(at, place)| (*at, place.made_for))
    }
}

fn id_of(place: &Place) -> MemberId {
    MemberId(place.id.to_string())
}
