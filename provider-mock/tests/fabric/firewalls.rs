//! Firewalls with real packets: that of a VLAN is nftables on the router, security groups are in the wires of machines.

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

#[test]
fn a_security_group_blocks_what_it_does_not_permit_once_the_guest_was_rebooted() {
    as_root("firewalls::a_security_group_blocks_what_it_does_not_permit_once_the_guest_was_rebooted", || {
        let fabric = Fabric::start("group", |_| ());
        fabric.order();
        // A portable address behind the interface is guarded, too.
        fabric.must("vm1", "ip address add 10.50.0.5/26 dev eth0");
        let service = "SoftLayer_Network_SecurityGroup";
        let group =
            fabric.api(&format!("{service}/createObject"), Some(json!([{ "name": "web" }])))["id"].clone();
        let rule = |what: Value| {
            let path = format!("{service}/{group}/addRules");
            let answer = fabric.api(&path, Some(json!([[what]])));
            fabric.control("POST", "/clock/advance", json!({ "secs": 0 }));
            answer["rules"][0]["id"].clone()
        };
        let guests =
            fabric.api("SoftLayer_Account/getVirtualGuests?objectMask=hostname,networkComponents[id]", None);
        let vm1 = guests.as_array().unwrap().iter().find(|it| it["hostname"] == "vm1").unwrap();
        let port = &vm1["networkComponents"][0]["id"];
        let attached =
            fabric.api(&format!("{service}/{group}/attachNetworkComponents"), Some(json!([[port]])));
        assert!(attached["requestId"].is_string(), "{attached}");
        rule(json!({ "direction": "egress", "remoteIp": "10.40.0.0/24" }));
        assert!(fabric.pings("metal1", "", "10.50.0.5"), "the first group waits for a reboot");
        fabric.control("POST", "/machines/vm1/transactions", json!({ "name": "REBOOT" }));
        fabric.control("POST", "/clock/advance", json!({ "secs": 1 }));
        for address in ["10.50.0.5", "10.40.0.20"] {
            assert!(!fabric.pings("metal1", "", address), "{address}");
        }
        // What is permitted outwards is answered.
        let metal1 = fabric.must("metal1", "hostname -I");
        assert!(fabric.pings("vm1", "", metal1.trim()));
        assert!(!fabric.pings("vm1", "", "10.0.80.11"), "the rule is about the primary subnet");
        let icmp = rule(json!({ "direction": "ingress", "protocol": "icmp", "remoteIp": "10.40.0.0/24" }));
        assert!(fabric.pings("metal1", "", "10.50.0.5"));
        fabric.api(&format!("{service}/{group}/removeRules"), Some(json!([[icmp]])));
        fabric.control("POST", "/clock/advance", json!({ "secs": 0 }));
        assert!(!fabric.pings("metal1", "", "10.50.0.5"));
        fabric.api(&format!("{service}/{group}/detachNetworkComponents"), Some(json!([[port]])));
        fabric.control("POST", "/clock/advance", json!({ "secs": 0 }));
        assert!(fabric.pings("metal1", "", "10.50.0.5"));
    });
}
