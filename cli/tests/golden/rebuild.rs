//! A store that was lost, as an operator sees it made anew.

use api::{Answer, Awaited, Source, StoreRebuild};
use expect_test::expect;

use crate::fake::FakeAgent;

fn awaited(host: &str, gone: Option<&str>, accounted: bool) -> Awaited {
    Awaited { host: host.into(), gone: gone.map(Into::into), accounted }
}

fn rebuild(awaited: Vec<Awaited>, no_others: Option<&str>, over: bool) -> Answer<StoreRebuild> {
    let rebuild = StoreRebuild {
        generation: "1763827200-beef".into(),
        by: "vm-1001".into(),
        at: "2026-11-22T16:00:00Z".parse().ok(),
        began: !over,
        zones: vec!["vlan-1234".into()],
        subnets: vec!["10.11.4.0/26".parse().expect("a subnet")],
        left_out: vec!["reservation db: reserve it again".into()],
        awaited,
        no_others: no_others.map(Into::into),
        over,
    };
    Answer::new([Source::Store], rebuild)
}

#[test]
fn a_store_made_anew_says_what_is_lost_and_who_is_awaited() {
    let hosts = vec![awaited("vm-1001", None, true), awaited("vm-1002", None, false)];
    FakeAgent::new()
        .answers(
            r#"POST /v1/store/rebuild {"who":"ann","no_others":false,"gone":[]}"#,
            rebuild(hosts, None, false),
        )
        .check(
            "store rebuild",
            expect![[r#"
            generation  1763827200-beef
            begun       2026-11-22 16:00:00 by vm-1001
            zones       vlan-1234
            no others   -
            over        no
            opened anew: 10.11.4.0/26
            not there any more: reservation db: reserve it again
            HOST     STATE
            vm-1001  has answered
            vm-1002  awaited
            --- exit 1
            hint: a host answers once its berthd runs; of one that is powered off for good say `--gone HOST`
        "#]],
        );
}

#[test]
fn the_end_of_the_waiting_is_told_with_whose_word_it_was() {
    let gone = "ann says that it is powered off (the provider's word: unknown)";
    let hosts = vec![awaited("vm-1001", None, true), awaited("vm-1002", Some(gone), true)];
    FakeAgent::new()
        .answers(
            r#"POST /v1/store/rebuild {"who":"ann","no_others":true,"gone":["vm-1002"]}"#,
            rebuild(hosts, Some("ann"), true),
        )
        .check(
            "store rebuild --no-others --gone vm-1002",
            expect![[r#"
            generation  1763827200-beef
            begun       2026-11-22 16:00:00 by vm-1001
            zones       vlan-1234
            no others   ann
            over        yes
            HOST     STATE
            vm-1001  has answered
            vm-1002  gone: ann says that it is powered off (the provider's word: unknown)
            --- exit 0
            hint: addresses that nobody claimed come back after their rest in quarantine
        "#]],
        );
}
