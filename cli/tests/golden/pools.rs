//! `berth pool` and `berth subnet`: whose addresses there are, and how many.

use crate::fake::FakeAgent;
use crate::given::counts;
use api::*;
use expect_test::expect;

fn pools() -> Answer<Vec<Pool>> {
    let pool = Pool {
        name: "default".into(),
        network: "private".into(),
        watermarks: Watermarks { free_min: 8, subnets_max: 2, prefix: 26 },
        cooling_secs: 30,
        exclude: vec!["10.11.4.8/30".parse().expect("a range")],
        zones: vec![PoolZone {
            zone: "vlan-1234".into(),
            subnets: vec!["10.11.4.0/26".parse().expect("a subnet")],
            counts: counts(),
        }],
    };
    Answer::new([Source::Journal, Source::Store], vec![pool])
}

fn subnets() -> Answer<Vec<Subnet>> {
    let subnet = Subnet {
        subnet: "10.11.4.0/26".parse().expect("a subnet"),
        gateway: Some("10.11.4.1".parse().expect("an address")),
        zone: "vlan-1234".into(),
        pool: Some("default".into()),
        provider_id: Some("77201".into()),
        state: SubnetState::Open,
        in_cloud: Some(true),
        blocks: 1,
        counts: counts(),
        holders: [("vm-1001".to_owned(), 9), ("vm-1002".to_owned(), 3)].into(),
        quarantine: Vec::new(),
    };
    Answer::new([Source::Store, Source::Cloud], vec![subnet])
}

#[test]
fn pools_are_listed_with_their_addresses_by_state() {
    FakeAgent::new().answers("GET /v1/pools", pools()).check(
        "pool list",
        expect![[r#"
            POOL     NETWORK  SUBNETS  ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
            default  private  1 of 2          2        1    29      28          0        0             0            0          4
            --- exit 0
        "#]],
    );
}

#[test]
fn a_pool_shows_its_limits() {
    FakeAgent::new().answers("GET /v1/pools", pools()).check(
        "pool show default",
        expect![[r#"
            pool      default
            network   private
            orders    a /26 when fewer than 8 are free
            limit     2 subnets a zone
            cooling   30 s
            excluded  10.11.4.8/30

            ZONE       SUBNETS       ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
            vlan-1234  10.11.4.0/26         2        1    29      28          0        0             0            0          4
            --- exit 0
        "#]],
    );
}

#[test]
fn a_pool_that_is_not_there_is_a_no() {
    FakeAgent::new().answers("GET /v1/pools", pools()).check(
        "pool show blue",
        expect![[r#"
        --- exit 1
        error: there is no pool blue
        hint: `berth pool list` shows those there are
    "#]],
    );
}

#[test]
fn subnets_are_listed_with_the_clouds_word() {
    FakeAgent::new().answers("GET /v1/subnets", subnets()).check("subnet list", expect![[r#"
        SUBNET        POOL     ZONE       STATE  IN THE CLOUD  ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
        10.11.4.0/26  default  vlan-1234  open   yes                  2        1    29      28          0        0             0            0          4
        --- exit 0
    "#]]);
}

#[test]
fn a_subnet_shows_its_gateway_and_its_id_at_the_provider() {
    FakeAgent::new().answers("GET /v1/subnets", subnets()).check(
        "subnet show 10.11.4.0/26",
        expect![[r#"
            subnet        10.11.4.0/26
            pool          default
            zone          vlan-1234
            gateway       10.11.4.1
            state         open
            in the cloud  yes, id 77201
            blocks        1

            ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
                   2        1    29      28          0        0             0            0          4

            HOLDER   HOLDS
            vm-1001      9
            vm-1002      3
            --- exit 0
        "#]],
    );
}
