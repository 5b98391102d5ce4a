use crate::fake::{FakeAgent, berth, nobody};
use api::{Problem, ProblemKind};
use expect_test::expect;
use std::os::unix::net::UnixListener;

#[test]
fn an_agent_that_is_not_running_can_be_started() {
    expect![[r#"
        --- exit 2
        error: berthd is not running: nobody listens at /run/berth/berth.sock
        hint: start it with `systemctl start berthd`, or name its socket with --socket or BERTH_SOCKET
    "#]]
    .assert_eq(&berth(&nobody(), "status"));
}

#[test]
fn a_socket_file_that_nobody_listens_on_is_an_agent_that_is_not_running() {
    let directory = tempfile::tempdir().expect("a directory for the socket");
    let socket = directory.path().join("berth.sock");
    drop(UnixListener::bind(&socket).expect("a socket in our own directory"));
    expect![[r#"
        --- exit 2
        error: berthd is not running: nobody listens at /run/berth/berth.sock
        hint: start it with `systemctl start berthd`, or name its socket with --socket or BERTH_SOCKET
    "#]]
    .assert_eq(&berth(&socket, "status"));
}

#[test]
fn a_user_who_may_only_read_is_told_to_ask_as_root() {
    let problem = Problem {
        kind: ProblemKind::Forbidden,
        error: "only root may reserve an address; you are user 1000".into(),
        causes: Vec::new(),
        hint: Some("repeat the command with sudo".into()),
    };
    FakeAgent::new().refuses(r#"POST /v1/reservations {"name":"web"}"#, problem).check(
        "address reserve web",
        expect![[r#"
            --- exit 2
            error: only root may reserve an address; you are user 1000
            hint: repeat the command with sudo
        "#]],
    );
}

#[test]
fn a_refusal_is_a_no_with_its_causes_and_a_hint() {
    let problem = Problem {
        kind: ProblemKind::Refused,
        error: "10.11.4.18 cannot be reserved".into(),
        causes: vec!["it is assigned to web-7f".into()],
        hint: Some("name another address, or none".into()),
    };
    FakeAgent::new()
        .refuses(r#"POST /v1/reservations {"name":"web","address":"10.11.4.18"}"#, problem)
        .check(
            "address reserve web --address 10.11.4.18",
            expect![[r#"
            --- exit 1
            error: 10.11.4.18 cannot be reserved
              because it is assigned to web-7f
            hint: name another address, or none
        "#]],
        );
}

#[test]
fn an_address_of_no_pool_is_a_no() {
    let problem = Problem {
        kind: ProblemKind::NotFound,
        error: "192.0.2.1 is in no subnet of this cluster".into(),
        causes: Vec::new(),
        hint: Some("`berth subnet list` shows them".into()),
    };
    FakeAgent::new().refuses("GET /v1/addresses/192.0.2.1", problem).check(
        "address show 192.0.2.1",
        expect![[r#"
            --- exit 1
            error: 192.0.2.1 is in no subnet of this cluster
            hint: `berth subnet list` shows them
        "#]],
    );
}

#[test]
fn an_agent_of_another_version_is_named_as_such() {
    FakeAgent::new().babbles("GET /v1/pools", r#"{"pools": []}"#).check(
        "pool list",
        expect![[r#"
        --- exit 2
        error: berthd's answer to GET /v1/pools was not understood
          because missing field `version` at line 1 column 13
        hint: this is berth 0.1.0, which speaks version 1 of the API; install berth and berthd of one version
    "#]],
    );
}

#[test]
fn an_order_is_not_settled_without_a_word_and_not_with_two() {
    for words in ["", " --is 9 --nothing-ordered"] {
        let seen = berth(&nobody(), &format!("order settle default-1{words}"));
        assert!(seen.starts_with("--- exit 2\nerror: ") && seen.contains("--nothing-ordered"), "{seen}");
    }
}
