//! The firewall of a VLAN with real packets: nftables on the router.

use serde_json::{Value, json};

use crate::{Fabric, as_root, until};

impl Fabric {
    /// Replaces the rules before the public VLAN, and waits until they are in force.
    fn replace_rules(&self, rules: &Value) {
        let mask = "firewallInterfaces[firewallContextAccessControlLists[id]]";
        let vlan = self.api(&format!("SoftLayer_Network_Vlan/1235/getObject?objectMask={mask}"), None);
        let list = &vlan["firewallInterfaces"][0]["firewallContextAccessControlLists"][0]["id"];
        let template = json!({ "firewallContextAccessControlListId": list, "rules": rules });
        let answer =
            self.api("SoftLayer_Network_Firewall_Update_Request/createObject", Some(json!([template])));
        assert!(answer["id"].is_number(), "{answer}");
        // Answered when the wires have followed.
        self.control("POST", "/clock/advance", json!({ "secs": 0 }));
    }
}

#[test]
fn a_firewall_lets_in_what_its_rules_permit_and_its_guests_reach_everything() {
    as_root("firewalls::a_firewall_lets_in_what_its_rules_permit_and_its_guests_reach_everything", || {
        let fabric = Fabric::start("wall", |_| ());
        let public = "198.51.100.20";
        assert!(fabric.pings("client", "", public), "without rules everything passes");
        let rule = |order: u32, action: &str, source: &str| {
            json!({
                "orderValue": order, "action": action, "protocol": "icmp", "version": 4,
                "sourceIpAddress": source, "sourceIpCidr": 32,
                "destinationIpAddress": "198.51.100.0", "destinationIpCidr": 26,
            })
        };
        fabric.replace_rules(&json!([rule(1, "permit", "203.0.113.99")]));
        until("nobody else gets in", || !fabric.pings("client", "", public));
        assert!(fabric.pings("vm1", "", "192.0.2.10"), "from inside everything passes, and its answers");
        fabric.replace_rules(&json!([rule(1, "permit", "192.0.2.10"), rule(2, "deny", "192.0.2.11")]));
        assert!(fabric.pings("client", "", public));
        fabric.replace_rules(&json!([]));
        assert!(fabric.pings("client", "", public));
    });
}
