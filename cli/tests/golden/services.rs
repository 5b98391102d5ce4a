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
    };
    let report = ServiceReport { service, declared: true, members: vec![member], policy_uses };
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

            ADDRESS     CONTAINER  HOST       ZONE  PORT  WEIGHT  TAKES PART  BECAUSE
            10.11.4.18  web-7f     virtual-1  1234  -     50      no          it is being drained
            --- exit 0
        "#]],
        );
}
