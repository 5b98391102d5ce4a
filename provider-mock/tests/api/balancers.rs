//! Load balancers as a service: one change at a time, each in force only after a while.

use std::time::Duration;

use provider_mock::{CloudSpec, Delays, LiveCloud};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::Fixture;

const SERVICE: &str = "SoftLayer_Network_LBaaS_LoadBalancer";
const ADD: &str = "SoftLayer_Network_LBaaS_Member/addLoadBalancerMembers";
const EDIT: &str = "SoftLayer_Network_LBaaS_Member/updateLoadBalancerMembers";
const DROP: &str = "SoftLayer_Network_LBaaS_Member/deleteLoadBalancerMembers";
const PROTOCOLS: &str = "SoftLayer_Network_LBaaS_Listener/updateLoadBalancerProtocols";
const DROP_PROTOCOLS: &str = "SoftLayer_Network_LBaaS_Listener/deleteLoadBalancerProtocols";
const MONITORS: &str = "SoftLayer_Network_LBaaS_HealthMonitor/updateLoadBalancerHealthMonitors";

fn slow(spec: &mut CloudSpec) {
    spec.delays = Delays {
        balancer_create_ms: 60_000,
        balancer_update_ms: 60_000,
        balancer_delete_ms: 60_000,
        ..Delays::NONE
    };
}

fn a_minute(live: &LiveCloud) {
    live.advance(Duration::from_secs(60));
}

impl Fixture {
    /// The order of a private balancer with one HTTP listener in the primary subnet of the private VLAN.
    async fn balancer_order(&self, name: &str) -> Value {
        let subnets = self.get("SoftLayer_Account/getPrivateSubnets?objectMask=id").await;
        json!({
            "complexType": "SoftLayer_Container_Product_Order_Network_LoadBalancer_AsAService",
            "packageId": 805, "prices": [{ "id": 10_805 }], "useHourlyPricing": true,
            "name": name, "subnets": [{ "id": subnets[0]["id"] }],
            "protocolConfigurations": [{
                "frontendProtocol": "HTTP", "frontendPort": 80, "backendProtocol": "HTTP", "backendPort": 8080,
                "loadBalancingMethod": "WEIGHTED_RR",
            }],
        })
    }

    async fn order_balancer(&self, name: &str) -> String {
        let order = self.balancer_order(name).await;
        let receipt = self.post("SoftLayer_Product_Order/placeOrder", json!([order])).await;
        assert!(receipt["orderId"].is_number(), "{receipt}");
        let filter = json!({ "name": { "operation": name } });
        let found = self.get(&format!("{SERVICE}/getAllObjects?objectFilter={filter}")).await;
        found[0]["uuid"].as_str().unwrap().to_owned()
    }

    async fn balancer(&self, uuid: &str) -> Value {
        let mask =
            "mask[healthMonitors,members,listeners[defaultPool[healthMonitor,members,sessionAffinity]]]";
        self.post(&format!("{SERVICE}/getLoadBalancer?objectMask={mask}"), json!([uuid])).await
    }

    /// The text of a refusal.
    async fn text(&self, path: &str, arguments: Value) -> String {
        let answer = self.post(path, arguments).await;
        answer["error"].as_str().unwrap_or_else(|| panic!("{path} succeeded: {answer}")).to_owned()
    }
}

#[tokio::test]
async fn an_ordered_balancer_is_found_by_name_pending_and_offline_until_it_is_made() {
    let it = Fixture::start(slow).await;
    let uuid = it.order_balancer("web").await;
    let pending = it.balancer(&uuid).await;
    assert_eq!(pending["provisioningStatus"], "CREATE_PENDING");
    assert_eq!(pending["operatingStatus"], "OFFLINE");
    assert_eq!(pending["type"], 0);
    a_minute(it.live());
    let made = it.balancer(&uuid).await;
    assert_eq!(made["provisioningStatus"], "ACTIVE");
    assert_eq!(made["operatingStatus"], "ONLINE");
    assert_eq!(made["address"], "web-307608-dal05.clb.appdomain.cloud");
    let listener = &made["listeners"][0];
    assert_eq!((&listener["protocol"], &listener["protocolPort"]), (&json!("HTTP"), &json!(80)));
    assert_eq!(listener["defaultPool"]["protocolPort"], 8080);
    assert_eq!(listener["defaultPool"]["healthMonitor"]["interval"], 5);
    assert_eq!(it.live().dump()["balancers"][0]["front"]["address"], "10.40.0.254");
}

#[tokio::test]
async fn a_change_is_pending_and_no_other_is_taken_until_it_is_in_force() {
    let it = Fixture::start(slow).await;
    let uuid = it.order_balancer("web").await;
    a_minute(it.live());
    let both =
        json!([{ "privateIpAddress": "10.50.0.5", "weight": 80 }, { "privateIpAddress": "10.50.0.6" }]);
    let answer = it.post(ADD, json!([uuid, both])).await;
    assert_eq!(answer["provisioningStatus"], "UPDATE_PENDING");
    assert_eq!(answer["members"].as_array().unwrap().len(), 2);
    assert_eq!(answer["members"][1]["weight"], 50);
    assert_eq!(answer["members"][0]["provisioningStatus"], "CREATE_PENDING");
    assert_eq!(it.live().dump()["balancers"][0]["in_force"]["members"], json!([]));

    let more = json!([uuid, [{ "privateIpAddress": "10.50.0.7" }]]);
    let busy =
        (StatusCode::INTERNAL_SERVER_ERROR, json!("SoftLayer_Exception_Network_LBaaS_ObjectInInvalidState"));
    assert_eq!(it.refusal(ADD, Some(more.clone())).await, busy);
    assert_eq!(
        it.text(ADD, more.clone()).await,
        format!("Load balancer uuid={uuid} cannot be updated. The object is in state UPDATE_PENDING.")
    );
    // Reads work.
    assert_eq!(it.balancer(&uuid).await["members"].as_array().unwrap().len(), 2);
    a_minute(it.live());
    assert_eq!(it.balancer(&uuid).await["members"][0]["provisioningStatus"], "ACTIVE");
    assert_eq!(it.live().dump()["balancers"][0]["in_force"]["members"].as_array().unwrap().len(), 2);
    assert_eq!(it.post(ADD, more).await["members"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_deleted_member_is_shown_as_going_until_it_is_gone() {
    let it = Fixture::start(slow).await;
    let uuid = it.order_balancer("web").await;
    a_minute(it.live());
    let member =
        it.post(ADD, json!([uuid, [{ "privateIpAddress": "10.50.0.5" }]])).await["members"][0].clone();
    a_minute(it.live());
    let answer = it.post(DROP, json!([uuid, [member["uuid"]]])).await;
    assert_eq!(answer["members"][0]["provisioningStatus"], "DELETE_PENDING");
    a_minute(it.live());
    assert_eq!(it.balancer(&uuid).await["members"], json!([]));
    let gone = (StatusCode::NOT_FOUND, json!("SoftLayer_Exception_Network_LBaaS_ObjectNotFound"));
    assert_eq!(it.refusal(DROP, Some(json!([uuid, [member["uuid"]]]))).await, gone);
}

#[tokio::test]
async fn weights_protocols_and_health_checks_can_be_changed_and_are_checked() {
    let it = Fixture::fast().await;
    let uuid = it.order_balancer("web").await;
    let member =
        it.post(ADD, json!([uuid, [{ "privateIpAddress": "10.50.0.5" }]])).await["members"][0].clone();
    let edit = |weight: i64| json!([uuid, [{ "uuid": member["uuid"], "weight": weight }]]);
    it.post(EDIT, edit(0)).await;
    let shown = it.get(&format!("SoftLayer_Network_LBaaS_Member/{}/getObject", member["id"])).await;
    assert_eq!(shown["weight"], 0);
    assert_eq!(
        it.text(EDIT, edit(101)).await,
        format!(
            "Member weight 101 is provided for member {}. The allowed weight value is 0-100",
            member["uuid"].as_str().unwrap()
        )
    );
    let protocol = |front: u32, frontend: &str, backend: &str, back: u32| json!([uuid, [{ "frontendProtocol": frontend, "frontendPort": front, "backendProtocol": backend, "backendPort": back }]]);
    assert_eq!(it.text(PROTOCOLS, protocol(80, "TCP", "TCP", 81)).await, "Frontend port 80 is already used.");
    assert_eq!(
        it.text(PROTOCOLS, protocol(81, "TCP", "HTTP", 81)).await,
        "Backend protocol HTTP is not compatible with frontend protocol TCP."
    );
    assert_eq!(
        it.text(PROTOCOLS, protocol(81, "TCP", "TCP", 56_510)).await,
        "Back-end port must be an integer between 1 and 65535 excluding the range 56500-56520."
    );
    let two = it.post(PROTOCOLS, protocol(81, "TCP", "TCP", 9090)).await;
    assert_eq!(two["listeners"].as_array().unwrap().len(), 2);
    // One health check for each back end.
    assert_eq!(two["healthMonitors"].as_array().unwrap().len(), 2);
    let listener = &two["listeners"][1]["uuid"];
    let moved = it.post(PROTOCOLS, json!([uuid, [{ "listenerUuid": listener, "frontendPort": 82 }]])).await;
    assert_eq!(moved["listeners"][1]["protocolPort"], 82);
    assert_eq!(moved["listeners"][1]["defaultPool"]["protocolPort"], 9090);
    let monitor = &two["listeners"][1]["defaultPool"]["healthMonitor"]["uuid"];
    let health = |interval: u32, timeout: u32| json!([uuid, [{ "healthMonitorUuid": monitor, "backendProtocol": "TCP", "backendPort": 9090, "interval": interval, "timeout": timeout, "maxRetries": 3 }]]);
    let healthy = it.post(MONITORS, health(30, 10)).await;
    assert_eq!(healthy["listeners"][1]["defaultPool"]["healthMonitor"]["interval"], 30);
    assert!(it.text(MONITORS, health(61, 10)).await.contains("between 2 and 60"));
    assert!(it.text(MONITORS, health(5, 5)).await.contains("between 1 and 4"));
    let one = it.post(DROP_PROTOCOLS, json!([uuid, [listener]])).await;
    assert_eq!(one["listeners"].as_array().unwrap().len(), 1);
    assert_eq!(one["healthMonitors"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_member_needs_the_address_of_its_network_and_has_one_place() {
    let it = Fixture::fast().await;
    let uuid = it.order_balancer("web").await;
    let public = json!([uuid, [{ "publicIpAddress": "198.51.100.20" }]]);
    assert_eq!(it.text(ADD, public).await, "privateIpAddress must be a string");
    let member = json!([uuid, [{ "privateIpAddress": "10.50.0.5" }]]);
    it.post(ADD, member.clone()).await;
    assert!(it.text(ADD, member).await.contains("already exists"));
    let many: Vec<_> = (1..=50).map(|n| json!({ "privateIpAddress": format!("10.60.0.{n}") })).collect();
    assert_eq!(it.text(ADD, json!([uuid, many])).await, "The number of members must not exceed 50.");
    // What was refused has changed nothing.
    assert_eq!(it.balancer(&uuid).await["members"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_cancelled_balancer_goes_later_and_cannot_be_cancelled_twice() {
    let it = Fixture::start(slow).await;
    let uuid = it.order_balancer("web").await;
    let cancel = format!("{SERVICE}/cancelLoadBalancer");
    assert!(it.text(&cancel, json!([uuid])).await.contains("CREATE_PENDING"));
    a_minute(it.live());
    assert_eq!(it.post(&cancel, json!([uuid])).await, true);
    assert!(it.text(&cancel, json!([uuid])).await.contains("DELETE_PENDING"));
    assert_eq!(it.balancer(&uuid).await["provisioningStatus"], "DELETE_PENDING");
    a_minute(it.live());
    let gone = (StatusCode::NOT_FOUND, json!("SoftLayer_Exception_Network_LBaaS_ObjectNotFound"));
    assert_eq!(it.refusal(&format!("{SERVICE}/getLoadBalancer"), Some(json!([uuid]))).await, gone);
    assert_eq!(it.get(&format!("{SERVICE}/getAllObjects")).await, json!([]));
}

#[tokio::test]
async fn an_order_of_a_balancer_that_cannot_be_is_refused_with_the_reason() {
    let it = Fixture::fast().await;
    it.order_balancer("Web").await;
    let good = it.balancer_order("web2").await;
    let verify = async |change: &str, to: Value| {
        let mut order = good.clone();
        order[change] = to;
        it.text("SoftLayer_Product_Order/verifyOrder", json!([order])).await
    };
    let verified = it.post("SoftLayer_Product_Order/verifyOrder", json!([good])).await;
    assert_eq!(verified["prices"][0]["item"]["keyName"], "LOAD_BALANCER_AS_A_SERVICE");
    assert_eq!(
        verify("name", json!("wEB")).await,
        "Load balancer with the same name (case insensitive) already exists."
    );
    assert!(verify("name", json!("a_b")).await.contains("1 to 40"));
    assert_eq!(verify("prices", json!([{ "id": 1 }])).await, "Price # 1 does not exist.");
    assert!(verify("subnets", json!([{ "id": 77 }])).await.contains("could not be found"));
    assert!(verify("useHourlyPricing", json!(false)).await.contains("hourly"));
    assert!(verify("locationObject", json!({ "id": 1 })).await.contains("not in the location"));
    assert_eq!(it.get(&format!("{SERVICE}/getAllObjects")).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_others_do_to_a_balancer_can_be_asked_for() {
    let it = Fixture::start(slow).await;
    let uuid = it.order_balancer("web").await;
    a_minute(it.live());
    assert!(it.live().keep_balancer_busy("web", 180_000));
    a_minute(it.live());
    assert_eq!(it.balancer(&uuid).await["provisioningStatus"], "UPDATE_PENDING");
    it.live().advance(Duration::from_secs(120));
    it.live().put_balancer_member("web", "10.50.0.9", Some(7)).unwrap();
    let by_hand = it.balancer(&uuid).await;
    assert_eq!(by_hand["members"][0]["weight"], 7);
    assert_eq!(by_hand["provisioningStatus"], "ACTIVE");
    it.live().put_balancer_member("web", "10.50.0.9", Some(8)).unwrap();
    it.live().put_balancer_member("web", "10.50.0.9", None).unwrap();
    assert_eq!(it.balancer(&uuid).await["members"], json!([]));
    it.post(ADD, json!([uuid, [{ "privateIpAddress": "10.50.0.5" }]])).await;
    assert!(it.live().fail_balancer("web", "Could not update the members."));
    a_minute(it.live());
    let failed = it.balancer(&uuid).await;
    assert_eq!(failed["members"], json!([]));
    assert_eq!(failed["previousErrorText"], "Could not update the members.");
    assert!(it.live().delete_balancer("web"));
    assert_eq!(it.get(&format!("{SERVICE}/getAllObjects")).await, json!([]));
}
