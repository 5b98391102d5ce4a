//! `berth host plan`, `berth check` and `berth doctor`: what is to be done.

use crate::fake::FakeAgent;
use api::*;
use expect_test::expect;

#[test]
fn a_plan_with_changes_is_a_no() {
    let plan = HostPlan { changes: vec!["add route 10.11.4.18/32 to berth-cccccccc".into()] };
    let answer = Answer::new([Source::Journal, Source::Kernel], plan);
    FakeAgent::new().answers("GET /v1/host/plan", answer).check(
        "host plan",
        expect![[r#"
        add route 10.11.4.18/32 to berth-cccccccc
        --- exit 1
    "#]],
    );
}

#[test]
fn a_host_that_is_right_has_nothing_to_change() {
    let answer = Answer::new([Source::Journal, Source::Kernel], HostPlan { changes: vec![] });
    FakeAgent::new().answers("GET /v1/host/plan", answer).check(
        "host plan",
        expect![[r#"
        nothing to change: this host is as it should be
        --- exit 0
    "#]],
    );
}

#[test]
fn check_says_who_differs_and_about_what() {
    let finding = Finding {
        promise: Some("L4".into()),
        subject: "10.11.4.19".into(),
        problem: "it has a route and nobody is assigned it".into(),
        words: vec![
            Word::of(Source::Journal, "cooling, epoch 1.3.40"),
            Word::of(Source::Kernel, "route to berth-cccccccc").differing(true),
        ],
        hint: Some("`berth host plan` shows what the agent will do about it".into()),
    };
    let report = CheckReport {
        addresses: 64,
        endpoints: 2,
        findings: vec![finding],
        cost: Some(CheckCost { millis: 34, store_reads: 4 }),
    };
    let answer = Answer::new([Source::Journal, Source::Store, Source::Kernel], report);
    FakeAgent::new().answers("GET /v1/check", answer).check(
        "check",
        expect![[r#"
        1 found in 64 addresses and 2 endpoints, asked journal, store, kernel, in 34 ms with 4 reads of the store

        10.11.4.19  it has a route and nobody is assigned it  breaks L4
          journal  cooling, epoch 1.3.40
          kernel   route to berth-cccccccc  <- differs
        --- exit 1
        hint: `berth host plan` shows what the agent will do about it
    "#]],
    );
}

#[test]
fn check_could_not_tell_while_someone_is_silent() {
    let report = CheckReport { addresses: 64, endpoints: 2, findings: vec![], cost: None };
    let silence = Silence { source: Source::Docker, because: "connection refused".into() };
    let answer = Answer::new([Source::Journal, Source::Store, Source::Docker], report).without(vec![silence]);
    FakeAgent::new().answers("GET /v1/check", answer).check(
        "check",
        expect![[r#"
            those who answered agree: 64 addresses and 2 endpoints, asked journal, store
            --- exit 2
            docker is silent: connection refused
        "#]],
    );
}

#[test]
fn doctor_names_each_trouble_with_its_cure() {
    let examination = |name: &str, verdict, found: &str, cure: Option<&str>| Examination {
        name: name.into(),
        verdict,
        found: found.into(),
        cure: cure.map(Into::into),
    };
    let report = DoctorReport {
        examinations: vec![
            examination("configuration", Verdict::Good, "no mistakes", None),
            examination(
                "forwarding",
                Verdict::Bad,
                "net.ipv4.ip_forward is 0",
                Some("run `sysctl -w net.ipv4.ip_forward=1`"),
            ),
        ],
    };
    let answer = Answer::new([Source::Agent, Source::Kernel], report);
    FakeAgent::new().answers("GET /v1/doctor", answer).check(
        "doctor",
        expect![[r#"
        EXAMINED       VERDICT  FOUND
        configuration  good     no mistakes
        forwarding     bad      net.ipv4.ip_forward is 0
        --- exit 1
        hint: forwarding: run `sysctl -w net.ipv4.ip_forward=1`
    "#]],
    );
}
