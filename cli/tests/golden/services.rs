//! `berth service`: who is in it, and who may reach it.

use crate::fake::FakeAgent;
use api::*;
use expect_test::expect;

#[test]
fn a_service_shows_what_it_accepts_and_how_often_that_was_used() {
    let text = r#"{"name": "web", "port": [{"port": 80, "name": "http"}, {"port": 8080, "name": "admin"}],
        "policy": [{"from": ["any"], "port": "http"}, {"from": ["10.0.0.0/8", "service/ops"], "port": "admin"}]}"#;
    let service: Service = serde_json::from_str(text).expect("the test's own text");
    let policy_uses = service
        .policies
        .iter()
        .zip([17, 0])
        .map(|(it, packets)| PolicyUse { entry: it.clone(), packets })
        .collect();
    let member = Member {
        address: [10, 11, 4, 18].into(),
        epoch: "1.9.2.3".into(),
        container: "web-7f".into(),
        host: "virtual-1".into(),
        zone: "1234".into(),
        port: None,
        weight: 50,
        readiness: Readiness::Ready,
        standing: MemberStanding::Out { because: "it is being drained".into() },
        at_balancer: None,
    };
    let report = ServiceReport {
        service,
        declared: true,
        members: vec![member],
        balancer: None,
        firewalls: Vec::new(),
        policy_uses,
    };
    FakeAgent::new()
        .answers("GET /v1/services/web", Answer::new([Source::Store, Source::Kernel], report))
        .check(
            "service show web",
            expect![[r#"
                web
                  by               declaration
                  containers with  berth.service=web
                  listen on        http 80/tcp, admin 8080/tcp
                  accept from      any to http; 17 connections begun here
                  accept from      10.0.0.0/8, service/ops to admin; 0 connections begun here

                ADDRESS     CONTAINER  HOST       ZONE  PORT  WEIGHT  TAKES PART  AT BALANCER  BECAUSE
                10.11.4.18  web-7f     virtual-1  1234  -     50      no          -            it is being drained
                --- exit 0
            "#]],
        );
}

#[test]
fn a_service_shows_how_each_member_stands_at_its_load_balancer_and_what_is_under_way() {
    let text = r#"{"name": "web", "port": [{"port": 8080}],
        "load_balancer": {"name": "web-lb", "listener": [{"port": 80, "protocol": "http"}]}}"#;
    let service: Service = serde_json::from_str(text).expect("the test's own text");
    let member = |last: u8, at_balancer| Member {
        address: [10, 11, 4, last].into(),
        epoch: "1.9.2.3".into(),
        container: format!("web-{last}"),
        host: "virtual-1".into(),
        zone: "1234".into(),
        port: None,
        weight: 50,
        readiness: Readiness::Ready,
        standing: MemberStanding::In,
        at_balancer,
    };
    let members = vec![
        member(18, Some(AtBalancer { weight: Some(50), up: Some(true) })),
        member(19, Some(AtBalancer { weight: Some(50), up: Some(false) })),
        member(20, Some(AtBalancer { weight: None, up: None })),
    ];
    let balancer = BalancerReport {
        owner: Some("virtual-2".into()),
        reached_at: Some("web-lb.example".into()),
        pending: Some("adding one member (UPDATE_PENDING)".into()),
        troubles: vec!["its listener 81 is somebody else's".into()],
        leaving: vec![[10, 11, 4, 17].into()],
    };
    let zone = FirewallReport {
        name: "the firewall of VLAN 1405".into(),
        tells_containers_apart: true,
        owner: Some("virtual-2".into()),
        rules: 3,
        pending: Some("setting our 2 rules (what was accepted is not in force yet)".into()),
        leaving: vec![[10, 11, 4, 16].into()],
        ..FirewallReport::default()
    };
    let group = FirewallReport {
        name: "security group web".into(),
        troubles: vec!["host virtual-1 has no security group yet".into()],
        ..FirewallReport::default()
    };
    let report = ServiceReport {
        service,
        declared: true,
        members,
        balancer: Some(balancer),
        firewalls: vec![zone, group],
        policy_uses: Vec::new(),
    };
    FakeAgent::new().answers("GET /v1/services/web", Answer::new([Source::Store], report)).check(
        "service show web",
        expect![[r#"
            web
              by               declaration
              containers with  berth.service=web
              listen on        8080/tcp
              load balancer    web-lb: 80 http
              looked after by  host virtual-2
              reached at       web-lb.example
              under way        adding one member (UPDATE_PENDING)
              still there      10.11.4.17: not used again before that is over
              in the way       its listener 81 is somebody else's
              outside          the firewall of VLAN 1405: 3 rules of ours; it tells containers apart
              looked after by  host virtual-2
              under way        setting our 2 rules (what was accepted is not in force yet)
              still let in     10.11.4.16: not used again before that is over
              outside          security group web: 0 rules of ours; it sees hosts: a port is open at all containers of a host, whom their own policy guards
              looked after by  nobody yet
              in the way       host virtual-1 has no security group yet

            ADDRESS     CONTAINER  HOST       ZONE  PORT  WEIGHT  TAKES PART  AT BALANCER      BECAUSE
            10.11.4.18  web-18     virtual-1  1234  -     50      yes         weight 50, up    -
            10.11.4.19  web-19     virtual-1  1234  -     50      yes         weight 50, down  -
            10.11.4.20  web-20     virtual-1  1234  -     50      yes         not there        -
            --- exit 0
        "#]],
    );
}
