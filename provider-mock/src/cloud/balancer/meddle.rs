//! What happens to a balancer past its customers' API: maintenance, failures, and other people's hands.

use super::change::{Change, MemberEdit, MemberWanted, Stamp};
use super::setup::uuid;
use super::{Balancer, BalancerRefused, Status};
use crate::cloud::Cloud;

impl Cloud {
    /// The cloud itself is busy with a balancer, for maintenance: pending for this long. False if there is none of
    /// this name.
    pub fn keep_balancer_busy(&mut self, name: &str, for_ms: u64) -> bool {
        let Some(id) = self.balancer(name).map(|balancer| balancer.id) else { return false };
        if let Some(balancer) = self.balancers.get_mut(&id) {
            balancer.status = Status::UpdatePending;
        }
        self.settle_balancer_after(id, for_ms);
        true
    }

    /// Somebody gives a member this weight, or removes it; one that was none becomes one. At once, past the API.
    /// False if there is no balancer of this name.
    pub fn put_balancer_member(
        &mut self,
        name: &str,
        address: &str,
        weight: Option<i64>,
    ) -> Result<bool, BalancerRefused> {
        let Some(balancer) = self.balancer(name) else { return Ok(false) };
        let (id, kind) = (balancer.id, balancer.kind);
        let member = balancer.in_force.members.iter().find(|it| it.address.to_string() == address);
        let named = member.map(|member| uuid(member.id));
        let change = match (named, weight) {
            (Some(uuid), Some(weight)) => Change::EditMembers(vec![MemberEdit { uuid, weight }]),
            (Some(uuid), None) => Change::DropMembers(vec![uuid]),
            (None, None) => return Ok(true),
            (None, Some(_)) => {
                let address = Some(address.to_owned());
                Change::AddMembers(vec![MemberWanted { private: address.clone(), public: address, weight }])
            }
        };
        let mut stamp = Stamp { next: self.next_id, today: self.today() };
        let setup = change.apply(kind, &balancer.in_force, &mut stamp)?;
        self.next_id = stamp.next;
        if let Some(balancer) = self.balancers.get_mut(&id) {
            (balancer.wanted, balancer.in_force) = (setup.clone(), setup);
            balancer.modified = stamp.today;
        }
        Ok(true)
    }

    /// A balancer breaks: it can only be cancelled. False if there is none of this name.
    pub fn break_balancer(&mut self, name: &str) -> bool {
        let Some(id) = self.balancer(name).map(|balancer| balancer.id) else { return false };
        let found = self.balancers.get_mut(&id);
        // The end of a pending change does not mend it.
        let breaks = |it: &mut Balancer| (it.status, it.online, it.pending) = (Status::Error, false, 0);
        found.map(breaks).is_some()
    }

    /// A balancer says that it works, or not; false if there is none of this name.
    pub fn set_balancer_online(&mut self, name: &str, online: bool) -> bool {
        let Some(id) = self.balancer(name).map(|balancer| balancer.id) else { return false };
        self.balancers.get_mut(&id).map(|balancer| balancer.online = online).is_some()
    }

    /// Deletes a balancer at once; false if there is none of this name.
    pub fn delete_balancer(&mut self, name: &str) -> bool {
        let id = self.balancer(name).map(|balancer| balancer.id);
        id.and_then(|id| self.balancers.remove(&id)).is_some()
    }

    /// Lets the pending change of a balancer fail when it ends, with this text; false if there is none of this name.
    pub fn fail_balancer(&mut self, name: &str, text: &str) -> bool {
        let Some(id) = self.balancer(name).map(|balancer| balancer.id) else { return false };
        let Some(balancer) = self.balancers.get_mut(&id) else { return false };
        balancer.wanted = balancer.in_force.clone();
        balancer.previous_error = Some(text.to_owned());
        true
    }
}
