//! `berth status`: what is well, what is not, and what somebody should put right.

use crate::fake::FakeAgent;
use crate::given::{at, counts};
use crate::hosts::{evicted_host, silent_host};
use api::*;
use expect_test::expect;

fn failing_order() -> Order {
    Order {
        id: "default-1404267-1".into(),
        provider_order: Some("83211".into()),
        pool: "default".into(),
        zone: "vlan-1234".into(),
        prefix: 26,
        state: OrderState::Placed,
        trouble: Some("SoftLayer is not answering".into()),
        subnet: None,
        since: Some(at("14:02:00")),
        next_try: Some(at("14:05:00")),
    }
}

pub(crate) fn status() -> Answer<Status> {
    let part = |part, what: &str| Part { part, what: what.into(), condition: Condition::Good };
    let cloud = Part {
        part: Source::Cloud,
        what: "softlayer at https://api.service.softlayer.com/rest/v3.1/".into(),
        condition: Condition::Failing {
            problem: "SoftLayer refused the API key of user demo".into(),
            hint: Some("put a valid key into /etc/berth/softlayer.toml".into()),
            since: at("14:02:00"),
            next_try: Some(at("14:05:00")),
        },
    };
    let status = Status {
        agent: "0.1.0".into(),
        cluster: "demo".into(),
        host: Some("vm-1001".into()),
        started: at("14:00:00"),
        mode: Mode::Serving,
        parts: vec![
            part(Source::Journal, "/var/lib/berth/allocator.journal"),
            part(Source::Store, "embedded, /var/lib/berth/store.redb"),
            part(Source::Docker, "20.10.24 at /var/run/docker.sock"),
            cloud,
        ],
        pools: vec![PoolLine { pool: "default".into(), zone: "vlan-1234".into(), counts: counts() }],
        orders: vec![failing_order()],
        hosts: Vec::new(),
        quarantine: Vec::new(),
        names: Some(NamesLine {
            domain: "demo.internal".into(),
            at: vec!["10.0.0.5:53".parse().expect("an address")],
        }),
        notices: Vec::new(),
    };
    Answer::new([Source::Agent], status)
}

#[test]
fn status_shows_what_is_not_well_and_the_next_try() {
    FakeAgent::new().answers("GET /v1/status", status()).check("status", expect![[r#"
        cluster  demo
        host     vm-1001
        agent    0.1.0, since 2026-11-22 14:00:00
        mode     serving
        names    demo.internal at 10.0.0.5:53

        PART     CONDITION  WHAT
        journal  good       /var/lib/berth/allocator.journal
        store    good       embedded, /var/lib/berth/store.redb
        docker   good       20.10.24 at /var/run/docker.sock
        cloud    failing    softlayer at https://api.service.softlayer.com/rest/v3.1/
        cloud: SoftLayer refused the API key of user demo, since 2026-11-22 14:02:00; next try 2026-11-22 14:05:00

        POOL     ZONE       ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
        default  vlan-1234         2        1    29      28          0        0             0            0          4

        ORDER              POOL     ZONE       SIZE  STATE   SUBNET  NEXT TRY             TROUBLE
        default-1404267-1  default  vlan-1234  /26   placed  -       2026-11-22 14:05:00  SoftLayer is not answering
        --- exit 1
        hint: put a valid key into /etc/berth/softlayer.toml
    "#]]);
}

#[test]
fn status_of_an_agent_with_a_bad_configuration_lists_the_mistakes() {
    let reasons = vec!["line 3, column 1: `clutser` is not an option; write `cluster`".into()];
    let mut answer = status();
    answer.answer.mode = Mode::ReleasesOnly { reasons };
    answer.answer.host = None;
    answer.answer.parts.clear();
    answer.answer.pools.clear();
    answer.answer.orders.clear();
    FakeAgent::new().answers("GET /v1/status", answer).check(
        "status",
        expect![[r#"
            cluster  demo
            host     -
            agent    0.1.0, since 2026-11-22 14:00:00
            mode     releases only, because of
              line 3, column 1: `clutser` is not an option; write `cluster`
            names    demo.internal at 10.0.0.5:53
            --- exit 1
        "#]],
    );
}

#[test]
fn the_status_names_hosts_and_quarantines_that_need_a_look() {
    let kept = Quarantined {
        address: "10.11.4.18".parse().expect("an address"),
        was: Some("vm-1002".into()),
        why: "the host evicted itself".into(),
        state: "still used, says this host: Docker shows a container with it on network cloud".into(),
        kept: true,
        next: Some(at("14:05:00")),
    };
    let answer = status().map(|status| Status {
        orders: Vec::new(),
        parts: Vec::new(),
        pools: Vec::new(),
        hosts: vec![silent_host(), evicted_host()],
        quarantine: vec![kept],
        ..status
    });
    FakeAgent::new().answers("GET /v1/status", answer).check("status", expect![[r#"
        cluster  demo
        host     vm-1001
        agent    0.1.0, since 2026-11-22 14:00:00
        mode     serving
        names    demo.internal at 10.0.0.5:53

        HOST     HOSTNAME  MACHINE  DATACENTER  ZONES      LIFE     HOLDS  INCARNATION
        vm-1002  docker1   virtual  dal05       vlan-1234  silent       3            1
        vm-1003  docker1   virtual  dal05       vlan-1234  evicted      0            2
        vm-1002 has been silent since 2026-11-22 14:02:00; the provider says: paused or suspended; asked next 2026-11-22 14:05:00
        vm-1003 was evicted 2026-11-22T14:02:00Z by vm-1001: forced by ann: the rack burnt down
        vm-1003: 2 addresses still to go to quarantine; the zone's role does it by itself

        QUARANTINED  HELD BY  HOW IT STANDS                                                                  LOOKED AT            BECAUSE
        10.11.4.18   vm-1002  still used, says this host: Docker shows a container with it on network cloud  2026-11-22 14:05:00  the host evicted itself
        --- exit 0
    "#]]);
}

#[test]
fn what_should_be_put_right_is_a_no_with_its_cure() {
    let notice = api::Notice {
        about: "pool default".into(),
        problem: "this host's configuration is not what the cluster goes by".into(),
        hint: "make it the same on all hosts".into(),
    };
    let answer = status().map(|status| Status {
        orders: Vec::new(),
        parts: Vec::new(),
        pools: Vec::new(),
        notices: vec![notice],
        ..status
    });
    FakeAgent::new().answers("GET /v1/status", answer).check(
        "status",
        expect![[r#"
            cluster  demo
            host     vm-1001
            agent    0.1.0, since 2026-11-22 14:00:00
            mode     serving
            names    demo.internal at 10.0.0.5:53

            pool default: this host's configuration is not what the cluster goes by
            --- exit 1
            hint: pool default: make it the same on all hosts
        "#]],
    );
}
