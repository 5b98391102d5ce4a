//! What users do, and what Docker then calls.

use super::*;

#[tokio::test]
async fn dockerd_shakes_hands_without_a_body_and_without_a_host() {
    let agent = Agent::start().await;
    let mut answers = String::new();
    for path in [
        "/Plugin.Activate",
        "/IpamDriver.GetCapabilities",
        "/IpamDriver.GetDefaultAddressSpaces",
        "/NetworkDriver.GetCapabilities",
    ] {
        let (status, answer) = send(&agent.socket(), path, b"").await;
        answers += &format!("{status} {path} {answer}\n");
    }
    expect![[r#"
        200 /Plugin.Activate {"Implements":["IpamDriver","NetworkDriver"]}
        200 /IpamDriver.GetCapabilities {"RequiresMACAddress":false,"RequiresRequestReplay":false}
        200 /IpamDriver.GetDefaultAddressSpaces {"GlobalDefaultAddressSpace":"berthglobal","LocalDefaultAddressSpace":"berthlocal"}
        200 /NetworkDriver.GetCapabilities {"ConnectivityScope":"global","Scope":"local"}
    "#]]
    .assert_eq(&answers);
}

#[tokio::test]
async fn a_container_is_attached_at_join_and_gone_at_leave() {
    let agent = Agent::start().await;
    agent.create_network().await;
    let joined = agent.run(E, "", json!([])).await;
    assert_eq!(joined["InterfaceName"], json!({"SrcName": "berth-caa11c9a5", "DstPrefix": "eth"}));
    assert_eq!(joined["Gateway"], "10.50.0.1");
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.2"]);
    assert_eq!(agent.addresses.usage("10.50.0.2"), Some(Usage::Bound(E.into())));

    agent.stop(E, "10.50.0.2").await;
    let observed = agent.observed().await;
    assert!(observed.ports.is_empty() && observed.proxies.is_empty(), "{observed:?}");
    assert_eq!(agent.addresses.used(), [""; 0]);
    assert!(agent.book.pages().endpoints.is_empty());
}

#[tokio::test]
async fn the_hardware_address_follows_from_the_address_unless_it_was_chosen() {
    let agent = Agent::start().await;
    agent.create_network().await;
    for (address, mac, answer) in [
        ("10.50.0.10", "", json!({"MacAddress": "02:42:0a:32:00:0a"})),
        // Docker refuses a driver that answers what it settled itself.
        ("10.50.0.11", "02:00:00:00:00:01", json!({})),
    ] {
        let request = json!({"PoolID": POOL, "Address": address, "Options": null});
        let given = agent.call("/IpamDriver.RequestAddress", request).await["Address"].clone();
        let endpoint = if mac.is_empty() { E } else { E2 };
        let created = agent
            .call("/NetworkDriver.CreateEndpoint", endpoint_call(endpoint, given, mac, &json!([])))
            .await;
        assert_eq!(created["Interface"], answer);
    }
    let chosen = agent.book.pages().endpoints.values().map(|it| it.mac.to_string()).collect::<Vec<_>>();
    assert_eq!(chosen, ["02:42:0a:32:00:0a", "02:00:00:00:00:01"]);
}

#[tokio::test]
async fn ports_are_open_from_program_to_revoke() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "10.50.0.10", port(8080, 80)).await;
    let published = agent.reconciler.report().borrow().wanted.published.clone();
    let shown: Vec<String> = published.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["tcp any 8080 to 10.50.0.10 80"]);

    agent.call("/NetworkDriver.RevokeExternalConnectivity", json!({"NetworkID": N, "EndpointID": E})).await;
    assert!(agent.reconciler.report().borrow().wanted.published.is_empty());
}

#[tokio::test]
async fn a_host_port_is_given_to_one_container_only() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "10.50.0.10", port(8080, 80)).await;
    agent.docker_shows(100, vec![container("web", E, "10.50.0.10")]);
    agent.run(E2, "10.50.0.11", json!([])).await;
    let open = |endpoint| {
        let options = json!({"com.docker.network.portmap": port(8080, 81)});
        let body = json!({"NetworkID": N, "EndpointID": endpoint, "Options": options});
        agent.call("/NetworkDriver.ProgramExternalConnectivity", body)
    };
    expect!["host port 8080 is taken by container web (10.50.0.10); hint: `berth network show` and `ss -lntup` show who has which; choose another with -p"]
        .assert_eq(open(E2).await["Err"].as_str().unwrap());
    // Docker moves a container's ports from one of its networks to another: they are closed first.
    agent.call("/NetworkDriver.RevokeExternalConnectivity", json!({"NetworkID": N, "EndpointID": E})).await;
    assert_eq!(open(E2).await, json!({}));
    let published = agent.reconciler.report().borrow().wanted.published.clone();
    let shown: Vec<String> = published.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["tcp any 8080 to 10.50.0.11 81"]);
}

#[tokio::test]
async fn a_refusal_names_the_container_that_is_in_the_way() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "10.50.0.10", json!([])).await;
    agent.docker_shows(100, vec![container("web", E, "10.50.0.10")]);
    let again = json!({"PoolID": POOL, "Address": "10.50.0.10", "Options": null});
    let refused = agent.call("/IpamDriver.RequestAddress", again).await;
    let expected = format!("10.50.0.10 is in use by container web (endpoint {E}, epoch 1-0001/1/1)");
    assert!(refused["Error"].as_str().unwrap().starts_with(&expected), "{refused}");
}

#[tokio::test]
async fn a_networks_mtu_is_kept_and_nonsense_refused() {
    let agent = Agent::start().await;
    let with = |mtu: &str| json!({"com.docker.network.generic": {"com.docker.network.driver.mtu": mtu}});
    for nonsense in ["", "big", "67", "65536"] {
        let answer = agent.call("/NetworkDriver.CreateNetwork", network(with(nonsense), json!({}))).await;
        assert!(answer["Err"].as_str().unwrap().contains("is no MTU"), "{answer}");
    }
    agent.create_network_with(with("1400")).await;
    assert_eq!(agent.book.pages().networks[&NetworkId(N.into())].mtu, Some(1400));
}

#[tokio::test]
async fn an_internal_network_has_no_gateway_and_no_place_on_the_vlan() {
    let agent = Agent::start().await;
    agent.create_network_with(json!({"com.docker.network.internal": true})).await;
    let joined = agent.run(E, "", json!([])).await;
    assert_eq!((joined.get("Gateway"), &joined["DisableGatewayService"]), (None, &json!(true)));
    let observed = agent.observed().await;
    assert_eq!((observed.ports.len(), observed.proxies.len()), (1, 0));
}

#[tokio::test]
async fn a_network_outlives_its_subnet_and_joins_with_the_gateway_of_the_next() {
    let addresses = FakeAddresses::with(&["10.50.0.0/30"]);
    let agent = Agent::over(addresses.clone(), kernel(), tempfile::tempdir().unwrap(), CALL_DEADLINE).await;
    let pool = json!({"Pool": "", "SubPool": "", "Options": {}, "V6": false});
    let answer = agent.call("/IpamDriver.RequestPool", pool).await;
    assert_eq!(answer, json!({"PoolID": "default/10.50.0.0/30", "Pool": "10.50.0.0/30", "Data": {}}));
    let body = json!({"NetworkID": N, "Options": {"com.docker.network.generic": null}, "IPv6Data": null,
        "IPv4Data": [{"AddressSpace": "berthlocal", "Gateway": "10.50.0.1/30", "Pool": "10.50.0.0/30"}]});
    assert_eq!(agent.call("/NetworkDriver.CreateNetwork", body).await, json!({}));
    let small = "default/10.50.0.0/30";
    assert_eq!(agent.run_from(small, E, "", json!([])).await["Gateway"], "10.50.0.1");
    addresses.add("default", "10.60.7.0/26");
    assert_eq!(agent.run_from(small, E2, "", json!([])).await["Gateway"], "10.60.7.1");
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.2", "10.60.7.2"]);
}

#[tokio::test]
async fn networks_and_endpoints_outlive_the_agent_and_nothing_is_changed_by_its_return() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    let before = agent.kernel.made().len();
    let agent = agent.restart().await;
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.kernel.made().len(), before);
    // dockerd does not tell of the network again.
    agent.run(E2, "", json!([])).await;
    agent.stop(E, "10.50.0.2").await;
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.3"]);
}

#[tokio::test]
async fn an_auxiliary_address_is_kept_from_containers_until_its_network_goes() {
    let agent = Agent::start().await;
    agent
        .call("/IpamDriver.RequestAddress", json!({"PoolID": POOL, "Address": "10.50.0.5", "Options": null}))
        .await;
    let create = network(json!({}), json!({"printer": "10.50.0.5/26"}));
    assert_eq!(agent.call("/NetworkDriver.CreateNetwork", create).await, json!({}));
    let asked = json!({"PoolID": POOL, "Address": "10.50.0.5", "Options": null});
    assert!(agent.call("/IpamDriver.RequestAddress", asked).await["Error"].is_string());

    agent.call("/IpamDriver.ReleaseAddress", json!({"PoolID": POOL, "Address": "10.50.0.1"})).await;
    agent.call("/IpamDriver.ReleaseAddress", json!({"PoolID": POOL, "Address": "10.50.0.5"})).await;
    assert_eq!(agent.addresses.used(), ["10.50.0.5"]);
    agent.call("/IpamDriver.ReleasePool", json!({"PoolID": POOL})).await;
    agent.call("/NetworkDriver.DeleteNetwork", json!({"NetworkID": N})).await;
    assert_eq!(agent.addresses.used(), [""; 0]);
}

#[tokio::test]
async fn a_removed_network_takes_its_bridge_and_what_a_crash_left_with_it() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    // dockerd was killed, and forgot the endpoint; the network is removed all the same.
    agent.call("/NetworkDriver.DeleteNetwork", json!({"NetworkID": N})).await;
    let observed = agent.observed().await;
    assert!(observed.bridges.is_empty() && observed.ports.is_empty() && observed.proxies.is_empty());
    assert_eq!(agent.addresses.used(), [""; 0]);
}

#[tokio::test]
async fn swarms_news_of_nodes_is_taken() {
    let agent = Agent::start().await;
    let node = json!({"DiscoveryType": 1, "DiscoveryData": {"Address": "10.40.0.13", "BindAddress": "10.40.0.13", "Self": true}});
    assert_eq!(agent.call("/NetworkDriver.DiscoverNew", node).await, json!({}));
}

#[tokio::test]
async fn a_dockerd_that_turns_down_every_subnet_is_told_to_name_one_and_not_fed_for_ever() {
    let agent = Agent::start().await;
    agent.addresses.add("default", "10.60.7.0/26");
    let pool = json!({"Pool": "", "SubPool": "", "Options": {}, "V6": false});
    let mut answers = String::new();
    for _ in 0..4 {
        let answer = agent.call("/IpamDriver.RequestPool", pool.clone()).await;
        answers += &format!("{} {}\n", answer["Pool"], answer["Error"]);
    }
    expect![[r#"
        "10.50.0.0/26" null
        "10.60.7.0/26" null
        null "routes of this host overlap with 10.50.0.0/26, as they do once it has containers, and Docker then wants the subnet named; hint: add `--subnet 10.50.0.0/26`"
        "10.50.0.0/26" null
    "#]]
    .assert_eq(&answers);
}

#[tokio::test]
async fn two_networks_one_after_the_other_may_share_a_subnet() {
    let agent = Agent::start().await;
    let pool = json!({"Pool": "", "SubPool": "", "Options": {}, "V6": false});
    let gateway = json!({"PoolID": POOL, "Address": "", "Options": {"RequestAddressType": "com.docker.network.gateway"}});
    for _ in 0..2 {
        assert_eq!(agent.call("/IpamDriver.RequestPool", pool.clone()).await["PoolID"], POOL);
        assert_eq!(
            agent.call("/IpamDriver.RequestAddress", gateway.clone()).await["Address"],
            "10.50.0.1/26"
        );
    }
}

/// What a newer dockerd calls, which tells the container's name (moby/moby#50586).
#[tokio::test]
async fn a_container_whose_name_keeps_an_address_is_given_that_one() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.addresses.reserve("db", "10.50.0.9");
    agent.addresses.reserve("elsewhere", "10.99.0.9");
    let ask = async |name: &str, address: &str| {
        let options = json!({ "com.docker.network.endpoint.name": name });
        let request = json!({ "PoolID": POOL, "Address": address, "Options": options });
        agent.call("/IpamDriver.RequestAddress", request).await
    };
    assert_eq!(ask("db", "").await["Address"], "10.50.0.9/26");
    let taken = ask("db", "").await["Error"].to_string();
    assert!(taken.contains("10.50.0.9"), "{taken}");
    // A name that keeps nothing, or something in another subnet, which Docker would not take; and `--ip` goes first.
    assert_eq!(ask("web", "").await["Address"], "10.50.0.2/26");
    assert_eq!(ask("elsewhere", "").await["Address"], "10.50.0.3/26");
    assert_eq!(ask("db", "10.50.0.12").await["Address"], "10.50.0.12/26");
}
