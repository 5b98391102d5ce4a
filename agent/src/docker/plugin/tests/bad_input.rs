//! What is not dockerd, or not dockerd at its best.

use proptest::prelude::*;

use super::*;

/// Every route that reads a body, and some that do not exist.
const ROUTES: [&str; 21] = [
    "/IpamDriver.RequestPool",
    "/IpamDriver.ReleasePool",
    "/IpamDriver.RequestAddress",
    "/IpamDriver.ReleaseAddress",
    "/NetworkDriver.CreateNetwork",
    "/NetworkDriver.DeleteNetwork",
    "/NetworkDriver.CreateEndpoint",
    "/NetworkDriver.EndpointOperInfo",
    "/NetworkDriver.DeleteEndpoint",
    "/NetworkDriver.Join",
    "/NetworkDriver.Leave",
    "/NetworkDriver.ProgramExternalConnectivity",
    "/NetworkDriver.RevokeExternalConnectivity",
    "/NetworkDriver.DiscoverNew",
    "/NetworkDriver.DiscoverDelete",
    "/NetworkDriver.AllocateNetwork",
    "/IpamDriver.Nonsense",
    "/Plugin.Nonsense",
    "/",
    "//",
    "/%ff",
];

/// The error of an answer, if it has the one form that Docker reads on this route.
fn error_of(path: &str, answer: &Value) -> Option<String> {
    let key = if path.starts_with("/IpamDriver.") { "Error" } else { "Err" };
    let only = answer.as_object().is_some_and(|fields| fields.len() == 1);
    if only { answer[key].as_str().map(ToOwned::to_owned) } else { None }
}

#[tokio::test]
async fn a_call_repeated_with_an_empty_body_is_refused_and_changes_nothing() {
    let agent = Agent::start().await;
    agent.create_network().await;
    let before = agent.book.pages();
    for path in &ROUTES[..15] {
        for body in [&b""[..], b" \n"] {
            let (status, answer) = send(&agent.socket(), path, body).await;
            let error = error_of(path, &answer).unwrap();
            assert!(
                status == 200 && error.contains("without a body") && error.contains("hint: "),
                "{path} {error}"
            );
        }
    }
    assert_eq!(agent.book.pages(), before);
}

#[tokio::test]
async fn malformed_bodies_and_wrong_types_are_named_in_dockers_form() {
    let agent = Agent::start().await;
    let mut answers = String::new();
    for (path, body) in [
        ("/IpamDriver.RequestPool", r#"{"Pool": "10.50.0.0/99"}"#),
        ("/IpamDriver.RequestPool", r#"{"Pool": 7}"#),
        ("/IpamDriver.RequestAddress", r#"{"PoolID": "default/10.50.0.0/26", "Address": "10.50.0"}"#),
        ("/IpamDriver.ReleaseAddress", r#"{"PoolID": "default/10.50.0.0/26", "Address": ""}"#),
        ("/NetworkDriver.CreateNetwork", r#"{"NetworkID": "../../etc"}"#),
        ("/NetworkDriver.Join", r#"{"NetworkID": "ab""#),
        ("/NetworkDriver.CreateEndpoint", r#"[]"#),
    ] {
        let (status, answer) = send(&agent.socket(), path, body.as_bytes()).await;
        let error = error_of(path, &answer).unwrap();
        let reason = error.split("; hint: ").next().unwrap().rsplit("says: ").next().unwrap();
        answers += &format!("{status} {path}: {reason}\n");
    }
    expect![[r#"
        200 /IpamDriver.RequestPool: "10.50.0.0/99": invalid address: 10.50.0.0/99 at line 1 column 24
        200 /IpamDriver.RequestPool: invalid type: integer `7`, expected a string at line 1 column 10
        200 /IpamDriver.RequestAddress: "10.50.0": invalid IP address syntax at line 1 column 56
        200 /IpamDriver.ReleaseAddress: invalid IP address syntax at line 1 column 48
        200 /NetworkDriver.CreateNetwork: an identifier has 1 to 64 letters and digits at line 1 column 26
        200 /NetworkDriver.Join: EOF while parsing an object at line 1 column 18
        200 /NetworkDriver.CreateEndpoint: invalid length 0, expected struct CreateEndpoint with 4 elements at line 1 column 2
    "#]].assert_eq(&answers);
}

#[tokio::test]
async fn what_users_ask_wrongly_is_refused_with_what_to_do() {
    let agent = Agent::start().await;
    agent.addresses.add("web", "10.70.0.0/26");
    let mut answers = String::new();
    let gateway = json!({"RequestAddressType": "com.docker.network.gateway"});
    for (path, body) in [
        ("/IpamDriver.RequestPool", json!({"Pool": "10.99.0.0/24", "Options": {}})),
        ("/IpamDriver.RequestPool", json!({"Pool": "10.50.0.0/26", "Options": {"pool": "web"}})),
        ("/IpamDriver.RequestPool", json!({"Pool": "", "Options": {"pool": "none"}})),
        ("/IpamDriver.RequestPool", json!({"Pool": "", "Options": {}, "V6": true})),
        (
            "/IpamDriver.RequestPool",
            json!({"Pool": "10.50.0.0/26", "SubPool": "10.50.0.16/28", "Options": {}}),
        ),
        ("/IpamDriver.RequestPool", json!({"Pool": "10.50.0.0/26", "Options": {"vlan": "1234"}})),
        ("/IpamDriver.RequestAddress", json!({"PoolID": POOL, "Address": "10.50.0.9", "Options": gateway})),
        ("/IpamDriver.RequestAddress", json!({"PoolID": "cloud", "Address": "", "Options": null})),
        ("/NetworkDriver.CreateNetwork", json!({"NetworkID": N, "IPv4Data": [{"Pool": "172.18.0.0/16"}]})),
        ("/NetworkDriver.CreateNetwork", json!({"NetworkID": N, "IPv4Data": []})),
        (
            "/NetworkDriver.CreateNetwork",
            network(json!({"com.docker.network.generic": {"mtu": "9000"}}), json!({})),
        ),
        (
            "/NetworkDriver.CreateNetwork",
            network(json!({"com.docker.network.generic": {"berth.pool": "web"}}), json!({})),
        ),
        ("/NetworkDriver.CreateEndpoint", endpoint_call(E, json!("10.50.0.9/26"), "", &json!([]))),
        ("/NetworkDriver.Join", json!({"NetworkID": N, "EndpointID": E})),
    ] {
        let (_, answer) = send(&agent.socket(), path, body.to_string().as_bytes()).await;
        answers +=
            &format!("{}\n", error_of(path, &answer).unwrap_or_else(|| panic!("{path} {body}: {answer}")));
    }
    expect![[r#"
        10.99.0.0/24 is no subnet of any pool: there is 10.50.0.0/26 (pool default), 10.70.0.0/26 (pool web); hint: `berth subnet list` shows which can be named, and `berth order list` what is on its way
        10.50.0.0/26 is no subnet of pool web: there is 10.70.0.0/26 (pool web); hint: `berth subnet list` shows which can be named, and `berth order list` what is on its way
        pool none has no IPv4 subnet on this host yet; hint: `berth pool list` shows the pools, `berth order list` what is on its way
        pool default has no IPv6 subnet on this host yet; hint: `berth pool list` shows the pools, `berth order list` what is on its way
        --ip-range 10.50.0.16/28 is not supported: hosts share every address of a subnet; hint: leave it out, or keep addresses from containers with `exclude` in the pool's configuration
        unknown option vlan; hint: berth knows pool=NAME, and bridge=NAME for a network of Docker's own bridge driver
        the gateway of 10.50.0.0/26 is 10.50.0.1, the cloud's router, and cannot be 10.50.0.9; hint: leave --gateway out
        "cloud" is not a PoolID that berth gave out; hint: remove the Docker network and create it again
        the network has no subnet of a pool; hint: create it with `--ipam-driver berth`
        the network has no subnet of a pool; hint: create it with `--ipam-driver berth`
        unknown option mtu; hint: berth knows berth.pool=NAME and com.docker.network.driver.mtu=BYTES
        10.50.0.0/26 belongs to pool default, not to web; hint: choose the pool with `--ipam-opt pool=web`
        network 4f1c9a52e0b7 is not known to berthd; hint: its journal may have been lost: `docker network rm` and create it again
        endpoint aa11c9a52e0b is not known to berthd; hint: start the container again
    "#]].assert_eq(&answers);
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let agent = Agent::start().await;
    let body = vec![b' '; BODY_BYTES_MAX + 1];
    let (status, answer) = send(&agent.socket(), "/IpamDriver.RequestPool", &body).await;
    assert_eq!(status, 200);
    assert!(answer["Error"].as_str().unwrap().contains("262144 bytes"), "{answer}");
}

#[tokio::test]
async fn unknown_calls_are_not_found_so_that_docker_takes_them_for_optional() {
    let agent = Agent::start().await;
    let (status, answer) = send(&agent.socket(), "/NetworkDriver.AllocateNetwork", b"{}").await;
    assert_eq!(status, 404);
    assert!(answer["Err"].as_str().unwrap().contains("/NetworkDriver.AllocateNetwork"), "{answer}");
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just(String::new()),
        "[a-f0-9./:@]{0,40}",
        Just(POOL.to_owned()),
        Just("10.50.0.9".to_owned()),
        Just("10.50.0.9/26".to_owned()),
        Just(N.to_owned()),
        Just(E.to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    let keys = prop::sample::select(vec![
        "PoolID",
        "Address",
        "Pool",
        "SubPool",
        "Options",
        "V6",
        "NetworkID",
        "EndpointID",
        "Interface",
        "IPv4Data",
        "IPv6Data",
        "Gateway",
        "AuxAddresses",
        "MacAddress",
        "com.docker.network.portmap",
        "Proto",
        "Port",
        "HostPort",
        "HostPortEnd",
        "com.docker.network.generic",
        "RequestAddressType",
        "DiscoveryType",
    ]);
    let tree = leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone(), inner, 0..8)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        ]
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        tree.prop_map(|value| value.to_string().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_anywhere_is_answered_and_harms_nothing(
        calls in prop::collection::vec((prop::sample::select(&ROUTES[..]), bodies()), 1..12)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let agent = Agent::start().await;
            agent.create_network().await;
            for (path, body) in calls {
                let (status, answer) = send(&agent.socket(), path, &body).await;
                prop_assert!(status == 200 || status == 404, "{path} {status} {answer}");
                prop_assert!(answer.is_object(), "{path} {answer}");
                let error = error_of(path, &answer).unwrap_or_default();
                prop_assert!(!error.contains("failed inside"), "{path} {error}");
            }
            // Still the same agent.
            let (status, _) = send(&agent.socket(), "/Plugin.Activate", b"").await;
            prop_assert_eq!(status, 200);
            Ok(())
        })?;
    }
}
