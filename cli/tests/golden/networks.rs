//! `berth network`: the networks of Docker that are ours.

use crate::fake::FakeAgent;
use api::*;
use expect_test::expect;

fn networks() -> Answer<Vec<Network>> {
    let endpoint = Endpoint {
        id: "e".repeat(64),
        address: Some([10, 11, 4, 18].into()),
        mac: Some("02:42:0a:0b:04:12".into()),
        container: Some("web-7f".into()),
        ports: vec!["49153->80/tcp".into()],
    };
    let network = Network {
        id: "c".repeat(64),
        name: Some("cloud".into()),
        pool: "default".into(),
        subnets: vec!["10.11.4.0/26".parse().expect("a subnet")],
        internal: false,
        bridge: Some("berth-cccccccc".into()),
        endpoints: vec![endpoint],
        in_docker: Some(true),
    };
    Answer::new([Source::Journal, Source::Docker], vec![network])
}

#[test]
fn networks_are_listed_with_their_pools() {
    FakeAgent::new().answers("GET /v1/networks", networks()).check(
        "network list",
        expect![[r#"
        ID            NAME   POOL     SUBNETS       BRIDGE          CONTAINERS  IN DOCKER
        cccccccccccc  cloud  default  10.11.4.0/26  berth-cccccccc           1  yes
        --- exit 0
    "#]],
    );
}

#[test]
fn a_network_is_found_by_the_beginning_of_its_id_and_shows_its_containers() {
    FakeAgent::new().answers("GET /v1/networks", networks()).check(
        "network show cccc",
        expect![[r#"
        network    cloud
        id         cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
        pool       default
        subnets    10.11.4.0/26
        bridge     berth-cccccccc
        internal   no
        in docker  yes

        ADDRESS     CONTAINER  MAC                PORTS          ENDPOINT
        10.11.4.18  web-7f     02:42:0a:0b:04:12  49153->80/tcp  eeeeeeeeeeee
        --- exit 0
    "#]],
    );
}
