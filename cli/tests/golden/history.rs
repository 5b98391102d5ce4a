use crate::fake::{FakeAgent, berth, nobody};
use api::*;
use expect_test::expect;
use jiff::Timestamp;

fn at(time: &str) -> Timestamp {
    format!("2026-11-20T{time}Z").parse().expect("a time of day")
}

fn web() -> Assignment {
    Assignment {
        address: [10, 11, 4, 18].into(),
        epoch: "1-0007/3/41".into(),
        host: "vm-1001".into(),
        endpoint: Some("e".repeat(64)),
        container: Some("web-7f".into()),
        container_id: Some("c".repeat(64)),
        network: Some("cloud".into()),
        from: at("14:02:00"),
        earlier: false,
        to: Some(at("14:30:00")),
        why: Some("released".into()),
        use_unknown: false,
        clock_moved_millis: 0,
    }
}

fn answer(assignments: Vec<Assignment>) -> Answer<History> {
    let history = History { assignments, ..History::default() };
    Answer::new([Source::Journal, Source::Store], history)
}

const AT: &str =
    "GET /v1/history?address=10.11.4.18&from=2026-11-20T14%3A05%3A00Z&to=2026-11-20T14%3A05%3A00Z";

#[test]
fn who_had_an_address_then_is_told_with_everything_that_is_known() {
    FakeAgent::new().answers(AT, answer(vec![web()])).check(
        "address show 10.11.4.18 --at 2026-11-20T14:05:00Z",
        expect![[r#"
            10.11.4.18  web-7f
              host       vm-1001
              container  cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
              network    cloud
              endpoint   eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
              epoch      1-0007/3/41
              from       2026-11-20 14:02:00
              to         2026-11-20 14:30:00, released
            --- exit 0
        "#]],
    );
}

#[test]
fn that_nobody_had_it_is_a_no() {
    FakeAgent::new().answers(AT, answer(vec![])).check(
        "address show 10.11.4.18 --at 2026-11-20T14:05:00Z",
        expect![[r#"
            10.11.4.18  nobody had it
            --- exit 1
        "#]],
    );
}

#[test]
fn what_a_lost_host_did_could_not_be_told() {
    let lost = Assignment {
        endpoint: None,
        container: None,
        container_id: None,
        network: None,
        epoch: "1-0007/3/?".into(),
        earlier: true,
        from: Timestamp::UNIX_EPOCH,
        why: Some("evicted".into()),
        use_unknown: true,
        ..web()
    };
    FakeAgent::new().answers(AT, answer(vec![lost])).check(
        "address show 10.11.4.18 --at 2026-11-20T14:05:00Z",
        expect![[r#"
            10.11.4.18  held by vm-1001, use unknown
              host       vm-1001
              epoch      1-0007/3/?
              from       unknown
              to         2026-11-20 14:30:00, evicted
            --- exit 2
        "#]],
    );
}

#[test]
fn what_dead_hosts_keep_is_named_with_why_it_could_not_be_had() {
    let mut answer = answer(vec![]);
    answer.answer.unseen = vec![Unseen {
        from: at("13:00:00"),
        to: at("15:00:00"),
        keepers: vec!["vm-2".into(), "vm-3".into()],
        why: vec!["vm-2 gives no sign of life".into(), "vm-3 did not answer within 5 s".into()],
    }];
    answer.answer.clocks = vec!["the clock of vm-3 is 2 h 3 min ahead of this host's now".into()];
    answer.answer.hint = Some("ask again when one of them is back".into());
    FakeAgent::new().answers(AT, answer).check(
        "address show 10.11.4.18 --at 2026-11-20T14:05:00Z",
        expect![[r#"
            10.11.4.18  could not be told
            --- exit 2
            the clock of vm-3 is 2 h 3 min ahead of this host's now
            not seen: 2026-11-20 13:00:00 to 2026-11-20 15:00:00, kept by vm-2, vm-3: vm-2 gives no sign of life, vm-3 did not answer within 5 s
            hint: ask again when one of them is back
        "#]],
    );
}

#[test]
fn the_history_of_an_address_is_a_table_with_running_ones_last() {
    let runs = Assignment { epoch: "1-0007/3/44".into(), from: at("15:00:00"), to: None, why: None, ..web() };
    let nameless = Assignment { container: None, container_id: None, ..web() };
    FakeAgent::new()
        .answers("GET /v1/history?address=10.11.4.18", answer(vec![nameless, runs]))
        .check("address history 10.11.4.18", expect![[r#"
            ADDRESS     FROM                 TO                             HOST     CONTAINER     ID            EPOCH
            10.11.4.18  2026-11-20 14:02:00  2026-11-20 14:30:00, released  vm-1001  eeeeeeeeeeee  -             1-0007/3/41
            10.11.4.18  2026-11-20 15:00:00  -                              vm-1001  web-7f        cccccccccccc  1-0007/3/44
            --- exit 0
        "#]]);
}

#[test]
fn an_export_is_one_assignment_a_line() {
    let query = "GET /v1/history?container=web-7f&host=vm-1001&from=2026-11-20T14%3A00%3A00Z";
    FakeAgent::new().answers(query, answer(vec![web()])).check(
        "address history --container web-7f --host vm-1001 --during 2026-11-20T14:00:00Z.. --json-lines",
        expect![[r#"
            {"address":"10.11.4.18","epoch":"1-0007/3/41","host":"vm-1001","endpoint":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","container":"web-7f","container_id":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","network":"cloud","from":"2026-11-20T14:02:00Z","earlier":false,"to":"2026-11-20T14:30:00Z","why":"released","use_unknown":false,"clock_moved_millis":0}
            --- exit 0
        "#]],
    );
}

#[test]
fn a_time_that_is_none_is_refused_with_how_to_write_one() {
    let seen = berth(&nobody(), "address show 10.11.4.18 --at tuesday");
    expect![[r#"
        --- exit 2
        error: invalid value 'tuesday' for '--at <TIME>': write it as 2026-11-20T14:05:00Z, or as 2026-11-20T14:05 for this clock

        For more information, try '--help'.
    "#]].assert_eq(&seen);
}
