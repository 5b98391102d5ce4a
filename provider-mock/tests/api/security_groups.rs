//! Security groups: rules, interfaces, and the log that tells when a change took effect.

use std::time::Duration;

use provider_mock::Delays;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::Fixture;

const SERVICE: &str = "SoftLayer_Network_SecurityGroup";

impl Fixture {
    async fn group(&self, name: &str) -> Value {
        let answer = self.post(&format!("{SERVICE}/createObject"), json!([{ "name": name }])).await;
        answer["id"].clone()
    }

    /// The private interface of a virtual guest.
    async fn interface(&self, hostname: &str) -> Value {
        let filter = json!({ "virtualGuests": { "hostname": { "operation": hostname } } });
        let mask = "primaryBackendNetworkComponent[id]";
        let path = format!("SoftLayer_Account/getVirtualGuests?objectMask={mask}&objectFilter={filter}");
        self.get(&path).await[0]["primaryBackendNetworkComponent"]["id"].clone()
    }

    async fn on(&self, group: &Value, method: &str, argument: Value) -> Value {
        self.post(&format!("{SERVICE}/{group}/{method}"), json!([argument])).await
    }

    async fn log(&self) -> Value {
        self.get("SoftLayer_Event_Log/getAllObjects").await
    }
}

fn web() -> Value {
    json!({ "direction": "ingress", "protocol": "tcp", "portRangeMin": 80, "portRangeMax": "81", "remoteIp": "10.0.0.0/8" })
}

#[tokio::test]
async fn rules_are_added_edited_field_by_field_and_removed() {
    let it = Fixture::fast().await;
    let group = it.group("web").await;
    let added = it.on(&group, "addRules", json!([web()])).await;
    assert_eq!(added["requestId"].as_str().unwrap().len(), 23);
    let rule = &added["rules"][0];
    assert_eq!((&rule["ethertype"], &rule["portRangeMax"]), (&json!("IPv4"), &json!(81)));
    let edit = json!([{ "id": rule["id"].to_string(), "remoteIp": "", "portRangeMax": 90 }]);
    it.on(&group, "editRules", edit).await;
    let shown = it.get(&format!("{SERVICE}/{group}/getRules")).await;
    assert_eq!(shown[0]["portRangeMin"], 80);
    assert_eq!(shown[0]["portRangeMax"], 90);
    assert_eq!(shown[0]["remoteIp"], Value::Null);
    it.on(&group, "removeRules", json!([rule["id"].to_string()])).await;
    assert_eq!(it.get(&format!("{SERVICE}/{group}/getRules")).await, json!([]));
}

#[tokio::test]
async fn a_rule_that_cannot_be_is_refused_and_nothing_of_its_request_is_taken() {
    let it = Fixture::fast().await;
    let group = it.group("web").await;
    let refused = async |change: &str, to: Value| {
        let mut rule = web();
        rule[change] = to;
        it.on(&group, "addRules", json!([web(), rule])).await["error"].as_str().unwrap().to_owned()
    };
    assert!(refused("direction", json!("sideways")).await.contains("ingress or egress"));
    assert!(refused("remoteGroupId", group.clone()).await.contains("not have both"));
    assert!(refused("portRangeMax", json!(70)).await.contains("not be above"));
    assert!(refused("protocol", json!("gre")).await.contains("tcp, udp, icmp or vrrp"));
    assert_eq!(it.get(&format!("{SERVICE}/{group}/getRules")).await, json!([]));
    let many: Vec<_> = (0..51).map(|_| web()).collect();
    assert!(it.on(&group, "addRules", json!(many)).await["error"].as_str().unwrap().contains("50 rules"));
}

#[tokio::test]
async fn a_change_takes_effect_later_and_the_event_log_tells_when() {
    let it = Fixture::start(|spec| spec.delays = Delays { security_group_ms: 60_000, ..Delays::NONE }).await;
    let group = it.group("web").await;
    let request = it.on(&group, "addRules", json!([web()])).await["requestId"].clone();
    assert_eq!(it.log().await, json!([]));
    it.live().advance(Duration::from_secs(60));
    let log = it.log().await;
    assert_eq!(log[0]["eventName"], "Security Group Rule(s) Added");
    let data: Value = serde_json::from_str(log[0]["metaData"].as_str().unwrap()).unwrap();
    assert_eq!(data["requestId"], request);
    assert_eq!(data["rules"][0]["portRangeMin"], 80);
}

#[tokio::test]
async fn a_group_is_attached_to_guests_only_and_the_first_one_needs_a_reboot() {
    let it = Fixture::fast().await;
    let (group, port) = (it.group("web").await, it.interface("vm1").await);
    let ready = format!("SoftLayer_Virtual_Guest_Network_Component/{port}/securityGroupsReady");
    assert!(
        it.on(&group, "attachNetworkComponents", json!([port.to_string()])).await["requestId"].is_string()
    );
    assert_eq!(it.get(&ready).await, false);
    it.live().begin_transaction("vm1", "REBOOT");
    it.live().tick();
    assert_eq!(it.get(&ready).await, true);
    let bindings = it.get(&format!("{SERVICE}/{group}/getNetworkComponentBindings")).await;
    assert_eq!(bindings[0]["networkComponentId"], port);
    let path = format!("{SERVICE}/{group}/deleteObject");
    let attached = (
        StatusCode::INTERNAL_SERVER_ERROR,
        json!("SoftLayer_Exception_Network_SecurityGroup_DeleteGroupFailed"),
    );
    assert_eq!(it.refusal(&path, None).await, attached);
    assert_eq!(
        it.get(&path).await["error"],
        format!(
            "Security group {group} cannot be deleted because the following network components are attached: ['{port}']"
        )
    );
    it.on(&group, "detachNetworkComponents", json!([port])).await;
    assert_eq!(it.get(&path).await, true);
    let other = it.group("other").await;
    let bare = it.get("SoftLayer_Account/getHardware?objectMask=primaryBackendNetworkComponent[id]").await;
    let bare = &bare[0]["primaryBackendNetworkComponent"]["id"];
    let answer = it.on(&other, "attachNetworkComponents", json!([bare])).await;
    assert_eq!(answer["code"], "SoftLayer_Exception_ObjectNotFound");
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    let it = Fixture::fast().await;
    let port = it.interface("vm1").await;
    for n in 0..5 {
        let group = it.group(&format!("g{n}")).await;
        let answer = it.on(&group, "attachNetworkComponents", json!([port])).await;
        assert!(answer["requestId"].is_string(), "{answer}");
    }
    let sixth = it.group("g6").await;
    let answer = it.on(&sixth, "attachNetworkComponents", json!([port])).await;
    assert!(answer["error"].as_str().unwrap().contains("5 security groups per network interface"));
    let naming = json!({ "direction": "ingress", "remoteGroupId": sixth });
    let five: Vec<_> = (0..5).map(|_| naming.clone()).collect();
    let group = it.group("names").await;
    it.on(&group, "addRules", json!(five)).await;
    assert!(it.on(&group, "addRules", json!([naming])).await["error"].as_str().unwrap().contains("5 rules"));
    let delete = it.get(&format!("{SERVICE}/{sixth}/deleteObject")).await;
    assert!(delete["error"].as_str().unwrap().contains("referenced"), "{delete}");
    let limits = it.get(&format!("{SERVICE}/getLimits")).await;
    assert!(limits.as_array().unwrap().iter().any(|limit| limit["value"] == 500));
}
