use serde_json::json;

use super::*;

fn parse<T: DeserializeOwned>(body: Value) -> T {
    read(body.to_string().as_bytes()).unwrap()
}

#[test]
fn nothing_is_an_empty_string_or_null_or_absent() {
    let nothing = RequestPool { pool: None, sub_pool: None, options: BTreeMap::new(), v6: false };
    for body in [
        json!({"AddressSpace": "berthlocal", "Pool": "", "SubPool": "", "Options": {}, "V6": false}),
        json!({"Pool": null, "SubPool": null, "Options": null}),
        json!({}),
    ] {
        assert_eq!(parse::<RequestPool>(body), nothing);
    }
}

#[test]
fn a_gateway_is_told_from_a_container_by_its_option_alone() {
    let request = |options: Value| -> RequestAddress {
        parse(json!({"PoolID": "default/10.50.0.0/26", "Address": "10.50.0.1", "Options": options}))
    };
    assert!(request(json!({"RequestAddressType": "com.docker.network.gateway"})).is_for_the_gateway());
    assert!(!request(json!({"RequestAddressType": "other"})).is_for_the_gateway());
    assert!(!request(Value::Null).is_for_the_gateway());
}

#[test]
fn published_ports_and_a_chosen_hardware_address_come_as_docker_sends_them() {
    let call: CreateEndpoint = parse(json!({"NetworkID": "ab12", "EndpointID": "cd34",
        "Interface": {"Address": "10.50.0.10/26", "AddressIPv6": "", "MacAddress": "02:00:00:00:00:01"},
        "Options": {"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}],
            "com.docker.network.endpoint.macaddress": "AgAAAAAB",
            "com.docker.network.portmap": [
                {"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}]}}));
    assert_eq!(call.interface.mac_address, Some(Mac([2, 0, 0, 0, 0, 1])));
    assert_eq!(call.interface.address, Some("10.50.0.10/26".parse().unwrap()));
    let port = PortRequest { proto: 6, port: 80, host_ip: None, host_port: 8080, host_port_end: 8080 };
    assert_eq!(call.options.ports, Some(vec![port]));
}

#[test]
fn swarms_short_identifiers_are_taken_and_paths_are_not() {
    for (id, good) in
        [("uqp0w7k1h2m3n4p5q6r7s8t9u", true), ("", false), ("../../etc", false), (&*"a".repeat(65), false)]
    {
        let call = read::<DeleteNetwork>(json!({"NetworkID": id}).to_string().as_bytes());
        assert_eq!(call.is_ok(), good, "{id}");
    }
}

#[test]
fn ipam_errors_and_network_errors_have_different_names() {
    assert_eq!(Form::of("/IpamDriver.RequestPool").error("no"), json!({"Error": "no"}));
    assert_eq!(Form::of("/NetworkDriver.Join").error("no"), json!({"Err": "no"}));
    assert_eq!(Form::of("/Plugin.Activate").error("no"), json!({"Err": "no"}));
}
