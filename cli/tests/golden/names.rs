//! `berth name`: what DNS answers, and on whose word.

use crate::fake::FakeAgent;
use api::*;
use expect_test::expect;

fn web() -> Answer<NameReport> {
    let record = |data: &str| NameRecord {
        name: "web.demo.internal".into(),
        kind: "A".into(),
        data: data.into(),
        ttl_secs: 5,
    };
    let report = NameReport {
        asked: "web.demo.internal".into(),
        answer: "No Error".into(),
        records: vec![record("10.60.0.5"), record("10.60.0.6")],
        word: "the members of service web, as their hosts tell them".into(),
    };
    Answer::new([Source::Agent], report)
}

#[test]
fn a_name_is_shown_with_its_records_and_whose_word_they_are() {
    let agent = || FakeAgent::new().answers("GET /v1/names?name=web.demo.internal", web());
    agent().check(
        "name web.demo.internal",
        expect![[r#"
        web.demo.internal
        answer  No Error
        by      the members of service web, as their hosts tell them

        TYPE  DATA       FOR
        A     10.60.0.5  5 s
        A     10.60.0.6  5 s
        --- exit 0
    "#]],
    );
    agent().check(
        "name web.demo.internal -o json",
        expect![[r#"
        {
          "version": 1,
          "words_of": [
            "agent"
          ],
          "silent": [],
          "answer": {
            "asked": "web.demo.internal",
            "answer": "No Error",
            "records": [
              {
                "name": "web.demo.internal",
                "kind": "A",
                "data": "10.60.0.5",
                "ttl_secs": 5
              },
              {
                "name": "web.demo.internal",
                "kind": "A",
                "data": "10.60.0.6",
                "ttl_secs": 5
              }
            ],
            "word": "the members of service web, as their hosts tell them"
          }
        }
        --- exit 0
    "#]],
    );
}

#[test]
fn a_name_that_nobody_has_is_a_no() {
    let nothing = web().map(|report| NameReport {
        answer: "Non-Existent Domain".into(),
        records: Vec::new(),
        word: "no host has told of such a container".into(),
        ..report
    });
    let agent = FakeAgent::new().answers("GET /v1/names?name=web.demo.internal", nothing);
    agent.check(
        "name web.demo.internal",
        expect![[r#"
        web.demo.internal
        answer  Non-Existent Domain
        by      no host has told of such a container
        --- exit 1
    "#]],
    );
}
