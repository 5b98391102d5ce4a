//! What befalls balancers and firewalls past their customers' API.

use super::LiveCloud;
use crate::cloud::Id;
use crate::cloud::balancer::BalancerRefused;
use crate::cloud::firewall::FirewallRule;
use crate::cloud::local::{LocalRefused, ServerEdit};

impl LiveCloud {
    /// The cloud is busy with a balancer for this long, as for maintenance; false if there is none of this name.
    pub fn keep_balancer_busy(&self, name: &str, for_ms: u64) -> bool {
        self.change(|cloud| cloud.keep_balancer_busy(name, for_ms))
    }

    /// The pending change of a balancer will fail with this text; false if there is none of this name.
    pub fn fail_balancer(&self, name: &str, text: &str) -> bool {
        self.change(|cloud| cloud.fail_balancer(name, text))
    }

    /// A balancer breaks: it can only be cancelled; false if there is none of this name.
    pub fn break_balancer(&self, name: &str) -> bool {
        self.change(|cloud| cloud.break_balancer(name))
    }

    /// A balancer says that it works, or not; false if there is none of this name.
    pub fn set_balancer_online(&self, name: &str, online: bool) -> bool {
        self.change(|cloud| cloud.set_balancer_online(name, online))
    }

    /// A balancer is gone at once; false if there is none of this name.
    pub fn delete_balancer(&self, name: &str) -> bool {
        self.change(|cloud| cloud.delete_balancer(name))
    }

    /// Somebody gives a member this weight by hand, or removes it; one that was none becomes one. At once.
    pub fn put_balancer_member(
        &self,
        name: &str,
        address: &str,
        weight: Option<i64>,
    ) -> Result<bool, BalancerRefused> {
        self.change(|cloud| cloud.put_balancer_member(name, address, weight))
    }

    /// Somebody edits the first local load balancer, as by its API.
    pub fn edit_local_balancer(&self, edits: &[ServerEdit]) -> Result<(), LocalRefused> {
        self.change(|cloud| {
            let id = cloud.local_balancer().map_or(0, |it| it.id);
            cloud.edit_local_balancer(id, edits)
        })
    }

    /// The next updates of a VLAN's firewall are accepted and never applied; false if it has no firewall.
    pub fn deafen_firewall(&self, vlan: Id, updates: u32) -> bool {
        self.change(|cloud| cloud.deafen_firewall(vlan, updates))
    }

    /// Somebody replaces all rules of a VLAN's firewall by hand, at once; false if it has no firewall.
    pub fn put_firewall_rules(&self, vlan: Id, rules: Vec<FirewallRule>) -> bool {
        self.change(|cloud| cloud.put_firewall_rules(vlan, rules))
    }

    /// Somebody attaches a security group to a guest, and reboots it; false if there is no such group or guest.
    pub fn put_security_group(&self, group: &str, hostname: &str) -> bool {
        self.change(|cloud| cloud.put_security_group(group, hostname))
    }
}
