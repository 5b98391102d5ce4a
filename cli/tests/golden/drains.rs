//! `berth drain`: what gets nothing new.

use crate::fake::FakeAgent;
use api::*;
use expect_test::expect;

fn drained(container: Option<&str>, draining: bool) -> Answer<Drained> {
    let member = DrainedMember {
        service: "web".into(),
        address: [10, 11, 4, 18].into(),
        container: "web-7f".into(),
        draining,
        weight: None,
    };
    let container = container.map(str::to_owned);
    Answer::new([Source::Store], Drained { host: "virtual-1".into(), container, members: vec![member] })
}

#[test]
fn a_drained_container_is_shown_with_its_services_and_how_it_gets_work_again() {
    FakeAgent::new()
        .answers(r#"POST /v1/drains {"what":"web-7f","undo":false}"#, drained(Some("web-7f"), true))
        .check(
            "drain web-7f",
            expect![[r#"
                container web-7f on host virtual-1 gets nothing new
                SERVICE  ADDRESS     CONTAINER  STATE     WEIGHT AT ITS LOAD BALANCER
                web      10.11.4.18  web-7f     draining                            -
                --- exit 0
                hint: `berth drain web-7f --undo` gives it work again
            "#]],
        );
}

#[test]
fn a_host_is_drained_with_all_its_containers_and_what_was_not_in_time_is_a_no() {
    FakeAgent::new()
        .answers(r#"POST /v1/drains {"what":"virtual-1","undo":false}"#, drained(None, false))
        .check(
            "drain virtual-1 --wait 0",
            expect![[r#"
                host virtual-1 with all its containers gets nothing new
                SERVICE  ADDRESS     CONTAINER  STATE       WEIGHT AT ITS LOAD BALANCER
                web      10.11.4.18  web-7f     takes part                            -
                --- exit 1
                hint: give the same command again to wait longer
            "#]],
        );
}

#[test]
fn what_is_given_work_again_takes_part() {
    FakeAgent::new()
        .answers(r#"POST /v1/drains {"what":"web-7f","undo":true}"#, drained(Some("web-7f"), false))
        .check(
            "drain web-7f --undo",
            expect![[r#"
                container web-7f on host virtual-1 gets work again
                SERVICE  ADDRESS     CONTAINER  STATE       WEIGHT AT ITS LOAD BALANCER
                web      10.11.4.18  web-7f     takes part                            -
                --- exit 0
            "#]],
        );
}

#[test]
fn one_behind_a_load_balancer_is_waited_for_until_it_gets_nothing_there() {
    let mut answer = drained(Some("web-7f"), true);
    answer.answer.members[0].weight = Some(50);
    FakeAgent::new().answers(r#"POST /v1/drains {"what":"web-7f","undo":false}"#, answer).check(
        "drain web-7f --wait 0",
        expect![[r#"
            container web-7f on host virtual-1 gets nothing new
            SERVICE  ADDRESS     CONTAINER  STATE     WEIGHT AT ITS LOAD BALANCER
            web      10.11.4.18  web-7f     draining                           50
            --- exit 1
            hint: give the same command again to wait longer
        "#]],
    );
}
