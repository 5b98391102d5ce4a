//! The firewall of a VLAN: each update is the whole list, and applied later, or never.

use std::time::Duration;

use provider_mock::Delays;
use serde_json::{Value, json};

use crate::Fixture;

const UPDATE: &str = "SoftLayer_Network_Firewall_Update_Request/createObject";

impl Fixture {
    /// The list of what comes in from outside, and the firewall it is of.
    async fn list(&self) -> (Value, Value) {
        let mask = "networkVlanFirewall[id],firewallInterfaces[name,firewallContextAccessControlLists[id,direction]]";
        let vlan = self.get(&format!("SoftLayer_Network_Vlan/1235/getObject?objectMask={mask}")).await;
        let outside = &vlan["firewallInterfaces"][0];
        assert_eq!(
            (&outside["name"], &outside["firewallContextAccessControlLists"][0]["direction"]),
            (&json!("outside"), &json!("in"))
        );
        (
            outside["firewallContextAccessControlLists"][0]["id"].clone(),
            vlan["networkVlanFirewall"]["id"].clone(),
        )
    }

    async fn update(&self, list: &Value, rules: Value) -> Value {
        let template = json!({ "firewallContextAccessControlListId": list, "rules": rules });
        self.post(UPDATE, json!([template])).await
    }

    async fn rules(&self, firewall: &Value) -> Value {
        self.get(&format!("SoftLayer_Network_Vlan_Firewall/{firewall}/getRules")).await
    }

    async fn applied(&self, update: &Value) -> Value {
        let path = format!("SoftLayer_Network_Firewall_Update_Request/{}/getObject", update["id"]);
        self.get(&path).await["applyDate"].clone()
    }
}

fn rule(order: u32, port: u32) -> Value {
    json!({
        "orderValue": order, "action": "permit", "protocol": "tcp", "version": 4,
        "sourceIpAddress": "any", "destinationIpAddress": "203.0.113.5", "destinationIpCidr": 32,
        "destinationPortRangeStart": port, "destinationPortRangeEnd": port,
    })
}

#[tokio::test]
async fn an_update_is_applied_later_and_replaces_the_whole_list() {
    let it = Fixture::start(|spec| spec.delays = Delays { firewall_ms: 60_000, ..Delays::NONE }).await;
    let (list, firewall) = it.list().await;
    let first = it.update(&list, json!([rule(2, 443), rule(1, 80)])).await;
    assert_eq!(it.applied(&first).await, Value::Null);
    assert_eq!(it.rules(&firewall).await, json!([]));
    it.live().advance(Duration::from_secs(60));
    assert!(it.applied(&first).await.is_string());
    let rules = it.rules(&firewall).await;
    assert_eq!((&rules[0]["orderValue"], &rules[1]["orderValue"]), (&json!(1), &json!(2)));
    it.update(&list, json!([rule(1, 22)])).await;
    it.live().advance(Duration::from_secs(60));
    assert_eq!(it.rules(&firewall).await.as_array().unwrap().len(), 1);
    it.update(&list, json!([])).await;
    it.live().advance(Duration::from_secs(60));
    assert_eq!(it.rules(&firewall).await, json!([]));
}

#[tokio::test]
async fn an_update_can_be_accepted_and_never_applied() {
    let it = Fixture::fast().await;
    let (list, firewall) = it.list().await;
    assert!(it.live().deafen_firewall(1235, 1));
    let lost = it.update(&list, json!([rule(1, 80)])).await;
    it.live().advance(Duration::from_secs(3600));
    assert_eq!(it.applied(&lost).await, Value::Null);
    assert_eq!(it.rules(&firewall).await, json!([]));
    it.update(&list, json!([rule(1, 80)])).await;
    assert_eq!(it.rules(&firewall).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_update_that_cannot_be_is_refused() {
    let it = Fixture::fast().await;
    let (list, firewall) = it.list().await;
    let refused = async |rules: Value| it.update(&list, rules).await["error"].as_str().unwrap().to_owned();
    assert!(refused(json!([rule(1, 80), rule(2, 80)])).await.contains("Duplicate"));
    assert!(refused(json!([rule(1, 80), rule(1, 81)])).await.contains("more than once"));
    let with = |name: &str, to: Value| {
        let mut rule = rule(1, 80);
        rule[name] = to;
        json!([rule])
    };
    assert!(refused(with("action", json!("allow"))).await.contains("permit or deny"));
    assert!(refused(with("protocol", json!("icmp"))).await.contains("only tcp and udp have ports"));
    assert!(refused(with("destinationIpAddress", json!("nowhere"))).await.contains("not valid"));
    // What was read must not be sent back as it is.
    assert!(refused(with("status", json!("ALLOW_EDIT"))).await.contains("'status'"));
    assert_eq!(it.rules(&firewall).await, json!([]));
    assert_eq!(it.update(&json!(1), json!([])).await["code"], "SoftLayer_Exception_ObjectNotFound");
}
