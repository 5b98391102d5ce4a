//! Docker's built-in bridge driver with our IPAM only: no endpoint call ever comes.

use super::*;

const BRIDGE_POOL: &str = "default/10.50.0.0/26@brcloud";

async fn create_bridge_network(agent: &Agent) {
    let pool = json!({"Pool": "10.50.0.0/26", "SubPool": "", "Options": {"bridge": "brcloud"}, "V6": false});
    assert_eq!(agent.call("/IpamDriver.RequestPool", pool).await["PoolID"], BRIDGE_POOL);
    let gateway = json!({"PoolID": BRIDGE_POOL, "Address": "10.50.0.1",
        "Options": {"RequestAddressType": "com.docker.network.gateway"}});
    assert_eq!(agent.call("/IpamDriver.RequestAddress", gateway).await["Address"], "10.50.0.1/26");
}

async fn ask(agent: &Agent, address: &str) -> Value {
    agent
        .call(
            "/IpamDriver.RequestAddress",
            json!({"PoolID": BRIDGE_POOL, "Address": address, "Options": null}),
        )
        .await
}

async fn release(agent: &Agent, address: &str) {
    let body = json!({"PoolID": BRIDGE_POOL, "Address": address});
    assert_eq!(agent.call("/IpamDriver.ReleaseAddress", body).await, json!({}));
}

#[tokio::test]
async fn an_address_is_routed_when_it_is_asked_for_and_taken_back_when_nobody_shows_it() {
    let agent = Agent::start().await;
    create_bridge_network(&agent).await;
    assert_eq!(ask(&agent, "").await["Address"], "10.50.0.2/26");
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.2"]);
    let through: Vec<String> = agent.observed().await.routes.iter().map(ToString::to_string).collect();
    assert!(through.iter().any(|route| route.starts_with("10.50.0.2/32 through brcloud")), "{through:?}");

    agent.docker_shows(100, vec![container("web", E, "10.50.0.2")]);
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.usage("10.50.0.2"), Some(Usage::Bound(E.into())));

    release(&agent, "10.50.0.2").await;
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), ["10.50.0.2"], "Docker still lists it");
    agent.docker_shows(101, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), [""; 0]);
    agent.reconciler.bring(None).await.unwrap();
    assert!(agent.addresses_answered_for().await.is_empty());
}

#[tokio::test]
async fn an_address_in_use_is_not_given_to_a_second_container() {
    let agent = Agent::start().await;
    create_bridge_network(&agent).await;
    ask(&agent, "10.50.0.9").await;
    expect!["10.50.0.9 is in use behind bridge brcloud; hint: `berth address show 10.50.0.9` says what is known of it"]
        .assert_eq(ask(&agent, "10.50.0.9").await["Error"].as_str().unwrap());
}

#[tokio::test]
async fn a_container_that_restarts_gets_its_own_address_again_at_once() {
    let agent = Agent::start().await;
    create_bridge_network(&agent).await;
    ask(&agent, "10.50.0.9").await;
    agent.docker_shows(100, vec![container("web", E, "10.50.0.9")]);
    agent.reconciler.bring(None).await.unwrap();
    release(&agent, "10.50.0.9").await;
    assert_eq!(ask(&agent, "10.50.0.9").await["Address"], "10.50.0.9/26");
    // The old endpoint's end, seen late, takes nothing from the new one.
    agent.docker_shows(101, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.9"]);
}

#[tokio::test]
async fn a_bridge_that_is_not_there_refuses_the_address_and_gives_it_back() {
    let agent = Agent::start().await;
    agent.kernel.meanwhile(|seen| seen.interfaces.retain(|name, _| name.as_str() != "brcloud"));
    let answer = ask(&agent, "").await;
    assert!(
        answer["Error"].as_str().unwrap().contains("dockerd has not made the bridge brcloud"),
        "{answer}"
    );
    agent.docker_shows(100, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), [""; 0]);
}

/// `docker network create -d bridge --ipam-driver berth`, and Swarm: no option reaches us, and no call says
/// whose network it is.
async fn ask_plainly(agent: &Agent, address: &str) -> Value {
    let body = json!({"PoolID": POOL, "Address": address, "Options": null});
    agent.call("/IpamDriver.RequestAddress", body).await
}

fn their_network() -> SeenNetwork {
    SeenNetwork {
        id: NetworkId(N.to_owned()),
        name: "theirs".to_owned(),
        driver: "bridge".to_owned(),
        ipam_driver: crate::docker::DRIVER.to_owned(),
        subnets: vec!["10.50.0.0/26".parse().unwrap()],
        auxiliary: BTreeMap::new(),
        internal: false,
        mtu: None,
        bridge: IfName::parse("brcloud").ok(),
    }
}

#[tokio::test]
async fn without_an_option_an_address_is_routed_as_soon_as_docker_shows_the_bridge() {
    let agent = Agent::start().await;
    assert_eq!(ask_plainly(&agent, "").await["Address"], "10.50.0.2/26");
    assert!(agent.addresses_answered_for().await.is_empty());
    let again = ask_plainly(&agent, "10.50.0.2").await;
    assert!(
        again["Error"].as_str().unwrap().contains("in use by a container that is being started"),
        "{again}"
    );

    agent.docker_shows_all(100, vec![container("web", E, "10.50.0.2")], vec![their_network()]);
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.2"]);
    assert_eq!(agent.addresses.usage("10.50.0.2"), Some(Usage::Bound(E.into())));
    let again = ask_plainly(&agent, "10.50.0.2").await;
    assert!(again["Error"].as_str().unwrap().contains("in use by container web"), "{again}");
    // From now on the bridge is known.
    assert_eq!(ask_plainly(&agent, "").await["Address"], "10.50.0.3/26");
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.2", "10.50.0.3"]);
}

#[tokio::test]
async fn a_network_of_ours_on_the_same_subnet_keeps_its_containers() {
    let agent = Agent::start().await;
    agent.create_network().await;
    let theirs = SeenNetwork { id: NetworkId("other".to_owned()), ..their_network() };
    agent.docker_shows_all(100, Vec::new(), vec![theirs]);
    agent.run(E, "", json!([])).await;
    assert!(agent.book.pages().lent.is_empty());
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.2"]);
    agent.stop(E, "10.50.0.2").await;
    assert_eq!(agent.addresses.used(), [""; 0]);
}
