//! What somebody does to the cloud by hand, at once.

use super::super::Cloud;

impl Cloud {
    /// Attaches a group to all interfaces of a virtual guest, in force at once as after a reboot; false if there is no
    /// such group or guest.
    pub fn put_security_group(&mut self, group: &str, hostname: &str) -> bool {
        let Some(machine) = self.machines.values_mut().find(|machine| machine.hostname == hostname) else {
            return false;
        };
        let Some(group) = self.security_groups.values_mut().find(|it| it.name == group) else { return false };
        for port in &mut machine.ports {
            port.security_ready = true;
            for components in [&mut group.components, &mut group.components_in_force] {
                if !components.contains(&port.id) {
                    components.push(port.id);
                }
            }
        }
        true
    }
}
