use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::json;

use super::call::HttpRequest;
use super::*;
use crate::cloud::spec::CloudSpec;

fn cloud() -> Cloud {
    let mut spec = CloudSpec::small();
    spec.delays = crate::cloud::spec::Delays::NONE;
    let subnet = json!({ "vlan": 1234, "cidr": "10.50.3.0/28", "tags": ["berth:demo", "x"], "note": "grüß" });
    spec.subnets.push(serde_json::from_value(subnet).unwrap());
    let mut cloud = Cloud::new(spec, "2026-01-02T03:04:05Z".parse().unwrap()).unwrap();
    let caller = caller(&cloud);
    let order = json!({
        "complexType": "SoftLayer_Container_Product_Order_Network_Subnet",
        "packageId": 0, "prices": [{ "id": 13_985 }], "quantity": 1, "endPointVlanId": 1234,
    });
    let call = Call {
        service: "SoftLayer_Product_Order".to_owned(),
        method: "placeOrder".to_owned(),
        parameters: vec![order],
        ..Call::default()
    };
    change(&mut cloud, &caller, &call).unwrap();
    let subnet = cloud.vlans[&1234].primary_subnet;
    let balancer = json!({
        "complexType": "SoftLayer_Container_Product_Order_Network_LoadBalancer_AsAService",
        "packageId": 805, "prices": [{ "id": 10_805 }], "useHourlyPricing": true, "name": "web",
        "subnets": [{ "id": subnet }], "serverInstancesInformation": [{ "privateIpAddress": "10.50.0.5" }],
        "protocolConfigurations": [{
            "frontendProtocol": "HTTP", "frontendPort": 80, "backendProtocol": "HTTP", "backendPort": 8080,
            "sessionType": "SOURCE_IP",
        }],
    });
    change(&mut cloud, &caller, &Call { parameters: vec![balancer], ..call }).unwrap();
    cloud.begin_transaction("vm1", "REBOOT");
    cloud.begin_transaction("metal1", "REBOOT");
    cloud
}

fn caller(cloud: &Cloud) -> Caller {
    Caller { user: cloud.users.keys().next().copied(), source: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

fn get(path: &str, query: &[(&str, &str)]) -> Result<Reply, ApiError> {
    let cloud = cloud();
    let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let call = Call::read(&HttpRequest { verb: "GET", path, query: &query, body: b"" })?;
    read(&cloud, &caller(&cloud), &call)
}

/// The private subnets that a filter keeps, by their first address.
fn filtered(filter: Value) -> Vec<String> {
    let query = [("objectFilter", &*filter.to_string()), ("objectMask", "networkIdentifier")];
    let reply = get("SoftLayer_Account/getPrivateSubnets", &query).unwrap();
    reply.body.as_array().unwrap().iter().map(|item| item["networkIdentifier"].to_string()).collect()
}

#[test]
fn every_property_that_a_datatype_promises_can_be_read() {
    let cloud = cloud();
    let mut seen = BTreeSet::new();
    let mut waiting = vec![service_object(&cloud, "SoftLayer_Account", None)];
    waiting.push(service_object(&cloud, "SoftLayer_Product_Package", Some("0")));
    let balancer = cloud.balancer("web").unwrap().id.to_string();
    waiting.push(service_object(&cloud, "SoftLayer_Network_LBaaS_LoadBalancer", Some(&balancer)));
    while let Some(object) = waiting.pop() {
        let class = object.class();
        let id = render(object.as_ref(), &Mask::parse("id").unwrap(), None)["id"].as_u64();
        if !seen.insert((class.name, id)) {
            continue;
        }
        for name in
            class.locals.iter().chain(class.automatic).chain(class.always_empty).chain(class.always_null)
        {
            assert!(look_up(object.as_ref(), name).is_some(), "{}.{name}", class.name);
        }
        for (name, _) in class.relations {
            match look_up(object.as_ref(), name).unwrap_or_else(|| panic!("{}.{name}", class.name)) {
                Reading::One(inner) => waiting.extend(inner),
                Reading::Many(list) => waiting.extend(list),
                Reading::Value(_) => (),
            }
        }
    }
    for class in [
        "SoftLayer_Billing_Order",
        "SoftLayer_Tag_Reference",
        "SoftLayer_Network_Component",
        "SoftLayer_Network_LBaaS_SessionAffinity",
        "SoftLayer_Network_LBaaS_HealthMonitor",
        "SoftLayer_Network_SecurityGroup",
        "SoftLayer_Network_Firewall_AccessControlList",
    ] {
        assert!(seen.iter().any(|(name, _)| *name == class), "the walk did not reach {class}");
    }
}

fn service_object<'c>(cloud: &'c Cloud, service: &str, id: Option<&str>) -> Object<'c> {
    let service = SERVICES.iter().find(|known| known.name() == service).unwrap();
    service.find(cloud, &caller(cloud), id).unwrap()
}

#[test]
fn naming_a_local_drops_the_others_and_naming_only_relations_keeps_them() {
    let path = "SoftLayer_Network_Vlan/1234/getObject.json";
    let reply = get(path, &[("objectMask", "mask[id,primaryRouter[hostname]]")]).unwrap();
    assert_eq!(reply.body, json!({ "id": 1234, "primaryRouter": { "hostname": "bcr01a.dal05" } }));
    let reply = get(path, &[("objectMask", "primaryRouter.hostname")]).unwrap();
    assert_eq!(reply.body["vlanNumber"], 777);
    assert_eq!(reply.body["primaryRouter"], json!({ "hostname": "bcr01a.dal05" }));
}

#[test]
fn a_field_for_another_datatype_is_left_out() {
    let mask = "mask(SoftLayer_Hardware_Server)[id],mask(SoftLayer_Network_Vlan)[vlanNumber]";
    let reply = get("SoftLayer_Network_Vlan/1234", &[("objectMask", mask)]).unwrap();
    assert_eq!(reply.body, json!({ "vlanNumber": 777 }));
}

#[test]
fn a_property_that_does_not_exist_is_refused_even_where_nothing_is() {
    let mask = ("objectMask", "mask[subnets[userData]]");
    let error = get("SoftLayer_Account/getNetworkVlans", &[mask]).unwrap_err();
    assert_eq!(error.code, "SoftLayer_Exception_WebService_ObjectMask");
    assert_eq!(error.text, "Property 'userData' not valid for 'SoftLayer_Network_Subnet'.");
}

#[test]
fn counts_of_relations_can_be_asked_for() {
    let mask = "subnetCount,hardwareCount,virtualGuestCount,tagReferenceCount,firewallInterfaceCount";
    let reply = get("SoftLayer_Network_Vlan/1234", &[("objectMask", mask)]).unwrap();
    assert_eq!(reply.body["subnetCount"], 3);
    assert_eq!(reply.body["hardwareCount"], 1);
    assert_eq!(reply.body["virtualGuestCount"], 2);
    assert_eq!(reply.body["tagReferenceCount"], 0);
    assert_eq!(reply.body["firewallInterfaceCount"], 0);
}

#[test]
fn every_operation_of_a_filter_is_understood() {
    let all = ["\"10.40.0.0\"", "\"10.50.3.0\"", "\"10.50.0.0\""];
    let cases = [
        (json!({ "subnetType": { "operation": "SECONDARY_ON_VLAN" } }), vec![all[1], all[2]]),
        (json!({ "subnetType": { "operation": "_= secondary_on_vlan" } }), vec![all[1], all[2]]),
        (json!({ "subnetType": { "operation": "!= PRIMARY" } }), vec![all[1], all[2]]),
        (json!({ "subnetType": { "operation": "!=PRIMARY" } }), vec![all[1], all[2]]),
        (json!({ "networkIdentifier": { "operation": "^= 10.50" } }), vec![all[1], all[2]]),
        (json!({ "networkIdentifier": { "operation": "!^= 10.50" } }), vec![all[0]]),
        (json!({ "networkIdentifier": { "operation": "$= .3.0" } }), vec![all[1]]),
        (json!({ "networkIdentifier": { "operation": "*= 40" } }), vec![all[0]]),
        (json!({ "networkIdentifier": { "operation": "!*= 40" } }), vec![all[1], all[2]]),
        (json!({ "networkIdentifier": { "operation": "~ ^10\\.50\\.[03]" } }), vec![all[1], all[2]]),
        (json!({ "cidr": { "operation": 26 } }), vec![all[2]]),
        (json!({ "cidr": { "operation": "26" } }), vec![all[2]]),
        (json!({ "cidr": { "operation": "> 24" } }), vec![all[1], all[2]]),
        (json!({ "cidr": { "operation": "<= 26" } }), vec![all[0], all[2]]),
        (json!({ "totalIpAddresses": { "operation": ">= 64" } }), vec![all[0], all[2]]),
        (json!({ "note": { "operation": "is null" } }), vec![all[0], all[2]]),
        (json!({ "billingItem": { "operation": "not null" } }), vec![all[1], all[2]]),
        (json!({ "billingItem": { "id": { "operation": "not null" } } }), vec![all[1], all[2]]),
        (json!({ "networkVlan": { "networkSpace": { "operation": "_= private" } } }), all.to_vec()),
        (json!({ "tagReferences": { "tag": { "name": { "operation": "berth:demo" } } } }), vec![all[1]]),
        (
            json!({ "cidr": { "operation": "in", "options": [{ "name": "data", "value": [24, "28"] }] } }),
            vec![all[0], all[1]],
        ),
        (
            json!({ "cidr": { "operation": "not in", "options": [{ "name": "data", "value": [24] }] } }),
            vec![all[1], all[2]],
        ),
        (
            json!({ "cidr": { "operation": "or", "options": [{ "name": "data", "value": ["< 25", "> 27"] }] } }),
            vec![all[0], all[1]],
        ),
        (
            json!({ "cidr": { "operation": "and", "options": [{ "name": "data", "value": ["> 25", "< 27"] }] } }),
            vec![all[2]],
        ),
        (json!({ "modifyDate": { "operation": "> sysdate - 1" } }), all.to_vec()),
        (json!({ "modifyDate": { "operation": "< currentDate - 1" } }), vec![]),
        (
            json!({ "modifyDate": { "operation": "greaterThanDate", "options": [{ "name": "date", "value": ["01/01/2026 00:00:00"] }] } }),
            all.to_vec(),
        ),
        (
            json!({ "modifyDate": { "operation": "lessThanDate", "options": [{ "name": "date", "value": ["01/01/2026 00:00:00"] }] } }),
            vec![],
        ),
        (json!({ "nonsense": { "operation": "x" } }), all.to_vec()),
        (json!({ "cidr": { "operation": "in", "options": "broken" } }), all.to_vec()),
        (json!({ "networkIdentifier": { "operation": "~ (" } }), all.to_vec()),
    ];
    for (filter, expected) in cases {
        assert_eq!(filtered(json!({ "privateSubnets": filter })), expected, "{filter}");
    }
}

#[test]
fn a_filter_with_another_root_filters_nothing() {
    let filter = json!({ "subnets": { "cidr": { "operation": 26 } }, "id": { "operation": 1 } });
    assert_eq!(filtered(filter).len(), 3);
}

#[test]
fn lists_are_sorted_as_asked() {
    let order = |direction: &str| {
        let order = json!({ "operation": "orderBy", "options": [{ "name": "sort", "value": [direction] }] });
        filtered(json!({ "privateSubnets": { "cidr": order } }))
    };
    assert_eq!(order("ASC"), ["\"10.40.0.0\"", "\"10.50.0.0\"", "\"10.50.3.0\""]);
    assert_eq!(order("DESC"), ["\"10.50.3.0\"", "\"10.50.0.0\"", "\"10.40.0.0\""]);
}

#[test]
fn a_filtered_mask_filters_inside_relations_and_a_mask_does_not() {
    let filter = json!({ "networkVlans": { "subnets": { "cidr": { "operation": 26 } } } }).to_string();
    let shown = |mask: &str| {
        let query = [("objectFilter", filter.as_str()), ("objectMask", mask)];
        let reply = get("SoftLayer_Account/getNetworkVlans", &query).unwrap();
        reply.body[0]["subnets"].as_array().unwrap().len()
    };
    assert_eq!(shown("mask[id,subnets[id]]"), 3);
    assert_eq!(shown("filteredMask[id,subnets[id]]"), 1);
}

#[test]
fn relations_can_be_chained_in_the_path_and_the_get_left_out() {
    let whole = get("SoftLayer_Account/Hardware.json", &[("objectMask", "id")]).unwrap();
    let id = whole.body[0]["id"].to_string();
    let path = format!("SoftLayer_Account/getHardware/{id}/getNetworkComponents.json");
    let components = get(&path, &[("objectMask", "port")]).unwrap();
    assert_eq!(components.body, json!([{ "port": 0 }]));
    let nobody = get("SoftLayer_Account/getHardware/7/getNetworkComponents", &[]).unwrap_err();
    assert_eq!(nobody.text, "Unable to find object with id of '7'.");
}

#[test]
fn decimals_are_strings_and_dates_carry_dallas_time() {
    let filter = json!({ "privateSubnets": { "cidr": { "operation": 26 } } }).to_string();
    let reply = get("SoftLayer_Account/getPrivateSubnets", &[("objectFilter", &filter)]).unwrap();
    assert_eq!(reply.body[0]["totalIpAddresses"], "64");
    assert_eq!(reply.body[0]["usableIpAddressCount"], "61");
    assert_eq!(reply.body[0]["cidr"], 26);
    assert_eq!(reply.body[0]["modifyDate"], "2026-01-01T21:04:05-06:00");
}

#[test]
fn unknown_services_and_methods_are_refused_as_softlayer_does() {
    assert_eq!(get("SoftLayer_Nonsense/getObject", &[]).unwrap_err().text, "Service does not exist");
    let error = get("SoftLayer_Account/getNonsense", &[]).unwrap_err();
    assert_eq!(error.text, "Function (\"getNonsense\") is not a valid method for this service.");
    assert_eq!(get("SoftLayer_Network_Subnet/getObject", &[]).unwrap_err().status, 500);
}
