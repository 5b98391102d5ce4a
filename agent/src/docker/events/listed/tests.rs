use serde_json::{Value, json};

use super::*;

/// Networks as dockerd 20.10.24 lists them, in few words.
fn listed(networks: Value) -> Vec<String> {
    let networks: Vec<ListedNetwork> = serde_json::from_value(networks).unwrap();
    let text = |seen: SeenNetwork| {
        let bridge = seen.bridge.map_or_else(|| "-".to_owned(), |bridge| bridge.to_string());
        let subnets: Vec<String> = seen.subnets.iter().map(ToString::to_string).collect();
        format!("{} {} {} {} {bridge}", seen.name, seen.driver, seen.ipam_driver, subnets.join(" "))
    };
    super::networks(networks).into_iter().map(text).collect()
}

#[test]
fn a_bridge_is_named_by_its_option_or_after_its_network() {
    let ipam = json!({"Driver": "berth", "Options": {}, "Config": [{"Subnet": "10.50.0.0/26"}]});
    let id = "8a48d5a39f588dd7f96d010cdd8e2e069439ef9e5cf6e350d7818f3d0b5aca62";
    let named = json!({"com.docker.network.bridge.name": "brcloud"});
    assert_eq!(
        listed(json!([
            {"Name": "named", "Id": id, "Driver": "bridge", "IPAM": ipam, "Options": named},
            {"Name": "plain", "Id": id, "Driver": "bridge", "IPAM": ipam, "Options": {}},
            {"Name": "ours", "Id": id, "Driver": "berth", "IPAM": ipam, "Options": {}},
        ])),
        [
            "named bridge berth 10.50.0.0/26 brcloud",
            "plain bridge berth 10.50.0.0/26 br-8a48d5a39f58",
            "ours berth berth 10.50.0.0/26 -",
        ]
    );
}

#[test]
fn a_networks_config_says_what_a_swarms_manager_leaves_out() {
    assert_eq!(
        listed(json!([
            {"Name": "cloud", "Id": "71vd8g5kz7ojp9askaghpb6a7", "Scope": "swarm", "Driver": "bridge",
                "IPAM": {"Driver": "", "Options": null, "Config": []},
                "ConfigFrom": {"Network": "cfg"}, "ConfigOnly": false, "Options": null},
            {"Name": "cfg", "Id": "c0e3d486b023167ccdbd181a2155fbb4", "Driver": "null", "ConfigOnly": true,
                "IPAM": {"Driver": "berth", "Options": {}, "Config": [{"Subnet": "10.50.0.0/26"}]},
                "Options": {"com.docker.network.bridge.inhibit_ipv4": "true"}},
        ])),
        ["cloud bridge berth 10.50.0.0/26 br-71vd8g5kz7oj"]
    );
}
