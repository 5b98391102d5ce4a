use crate::fake::FakeAgent;
use api::*;
use expect_test::expect;
use jiff::Timestamp;

fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().expect("a time of day")
}

fn order(state: OrderState) -> Order {
    Order {
        id: "default-1404267-1".into(),
        provider_order: None,
        pool: "default".into(),
        zone: "1404267".into(),
        prefix: 26,
        state,
        trouble: None,
        subnet: None,
        since: Some(at("14:02:00")),
        next_try: None,
    }
}

fn in_doubt() -> Order {
    order(OrderState::InDoubt { reason: "2 orders at the provider may be it".into() })
}

fn opened(state: OrderState) -> Order {
    Order { subnet: Some("10.11.4.0/26".parse().expect("a subnet")), ..order(state) }
}

fn report(order: Order, candidates: Vec<Candidate>, next: &[(&str, &str)]) -> Answer<OrderReport> {
    let intent = OrderIntent {
        network: "private".into(),
        price: "13981".into(),
        user: Some("SL307608".into()),
        at: at("14:01:58"),
    };
    let step = |(command, meaning): &(&str, &str)| NextStep {
        command: (*command).into(),
        meaning: (*meaning).into(),
    };
    let next = next.iter().map(step).collect();
    let report = OrderReport { order, host: "vm-1001".into(), intent: Some(intent), candidates, next };
    Answer::new([Source::Store, Source::Cloud], report)
}

#[test]
fn orders_are_listed_with_their_trouble_and_one_in_doubt_with_the_command_that_says_more() {
    let placed = Order {
        trouble: Some("SoftLayer is not answering".into()),
        next_try: Some(at("14:05:00")),
        id: "default-1404267-2".into(),
        ..order(OrderState::Placed)
    };
    let answer = Answer::new([Source::Store], vec![in_doubt(), placed]);
    FakeAgent::new().answers("GET /v1/orders", answer).check("order list", expect![[r#"
        ORDER              POOL     ZONE     SIZE  STATE     SUBNET  NEXT TRY             TROUBLE
        default-1404267-1  default  1404267  /26   in doubt  -       -                    2 orders at the provider may be it; settle it: `berth order show default-1404267-1`
        default-1404267-2  default  1404267  /26   placed    -       2026-11-22 14:05:00  SoftLayer is not answering
        --- exit 0
    "#]]);
}

#[test]
fn an_order_in_doubt_shows_all_that_is_known_and_what_to_type() {
    let candidates = vec![
        Candidate { order: "83211".into(), says: "on its way: PENDING_AUTO_APPROVAL".into() },
        Candidate { order: "83212".into(), says: "brought 10.11.4.0/26, id 77201, to zone 1404267".into() },
    ];
    let next = [
        ("berth order settle default-1404267-1 --is 83211", "if it is this one"),
        ("berth order settle default-1404267-1 --nothing-ordered", "if none of them is"),
    ];
    FakeAgent::new().answers("GET /v1/orders/default", report(in_doubt(), candidates, &next)).check(
        "order show default",
        expect![[r#"
            order            default-1404267-1
            at the provider  -
            pool             default
            zone             1404267
            size             /26
            intent           2026-11-22 14:01:58 as user SL307608: private, price 13981
            written by       vm-1001
            state            in doubt
            subnet           -
            since            2026-11-22 14:02:00
            next try         -
            trouble          2 orders at the provider may be it

            It may be one of these:
            ORDER  THE PROVIDER SAYS
            83211  on its way: PENDING_AUTO_APPROVAL
            83212  brought 10.11.4.0/26, id 77201, to zone 1404267

            What can be done:
              berth order settle default-1404267-1 --is 83211
                  if it is this one
              berth order settle default-1404267-1 --nothing-ordered
                  if none of them is
            --- exit 0
        "#]],
    );
}

#[test]
fn an_adopted_subnet_was_not_intended_and_can_be_drained() {
    let next = [("berth subnet drain 10.11.4.0/26", "empties the subnet, then returns it")];
    let mut answer = report(opened(OrderState::Open), vec![], &next);
    answer.answer.intent = None;
    FakeAgent::new().answers("GET /v1/orders/default-1404267-1", answer).check(
        "order show default-1404267-1",
        expect![[r#"
            order            default-1404267-1
            at the provider  -
            pool             default
            zone             1404267
            size             /26
            intent           none: it was there, and was adopted
            written by       vm-1001
            state            open
            subnet           10.11.4.0/26
            since            2026-11-22 14:02:00
            next try         -
            trouble          -

            What can be done:
              berth subnet drain 10.11.4.0/26
                  empties the subnet, then returns it
            --- exit 0
        "#]],
    );
}

#[test]
fn an_order_is_settled_as_one_of_the_providers() {
    let placed = Order { provider_order: Some("83211".into()), ..order(OrderState::Placed) };
    let request = r#"POST /v1/orders/default-1404267-1/settle {"settlement":"is","order":"83211"}"#;
    FakeAgent::new().answers(request, Answer::new([Source::Store], placed)).check(
        "order settle default-1404267-1 --is 83211",
        expect![[r#"
            ORDER              POOL     ZONE     SIZE  STATE   SUBNET  NEXT TRY  TROUBLE
            default-1404267-1  default  1404267  /26   placed  -       -         -
            --- exit 0
            hint: `berth order show default-1404267-1` follows it
        "#]],
    );
}

#[test]
fn an_order_is_settled_as_nothing_ordered() {
    let reason = "the operator says that nothing was ordered".into();
    let failed = order(OrderState::Refused { reason, hint: None });
    let request = r#"POST /v1/orders/default-1404267-1/settle {"settlement":"nothing_ordered"}"#;
    FakeAgent::new()
        .answers(request, Answer::new([Source::Store], failed))
        .check("order settle default-1404267-1 --nothing-ordered", expect![[r#"
            ORDER              POOL     ZONE     SIZE  STATE    SUBNET  NEXT TRY  TROUBLE
            default-1404267-1  default  1404267  /26   refused  -       -         the operator says that nothing was ordered
            --- exit 0
        "#]]);
}

#[test]
fn an_order_number_that_the_provider_does_not_know_is_a_no() {
    let problem = Problem {
        kind: ProblemKind::Refused,
        error: "the provider does not say that there is an order 9".into(),
        causes: vec!["SoftLayer: 9 is gone".into()],
        hint: Some("look the number up in the provider's portal, or say --nothing-ordered".into()),
    };
    FakeAgent::new()
        .refuses(r#"POST /v1/orders/default-1404267-1/settle {"settlement":"is","order":"9"}"#, problem)
        .check(
            "order settle default-1404267-1 --is 9",
            expect![[r#"
            --- exit 1
            error: the provider does not say that there is an order 9
              because SoftLayer: 9 is gone
            hint: look the number up in the provider's portal, or say --nothing-ordered
        "#]],
        );
}

#[test]
fn a_drained_subnet_says_what_comes_next_and_how_to_keep_it() {
    let answer = Answer::new([Source::Store], opened(OrderState::Draining));
    FakeAgent::new().answers(r#"POST /v1/subnets/drain {"subnet":"10.11.4.0/26"}"#, answer).check(
        "subnet drain 10.11.4.0/26",
        expect![[r#"
            ORDER              POOL     ZONE     SIZE  STATE     SUBNET        NEXT TRY  TROUBLE
            default-1404267-1  default  1404267  /26   draining  10.11.4.0/26  -         -
            --- exit 0
            hint: it is returned to the cloud when it is empty; `berth subnet undrain 10.11.4.0/26` keeps it
        "#]],
    );
}

#[test]
fn an_undrained_subnet_is_open_again() {
    let answer = Answer::new([Source::Store], opened(OrderState::Open));
    FakeAgent::new().answers(r#"POST /v1/subnets/undrain {"subnet":"10.11.4.0/26"}"#, answer).check(
        "subnet undrain 10.11.4.0/26",
        expect![[r#"
            ORDER              POOL     ZONE     SIZE  STATE  SUBNET        NEXT TRY  TROUBLE
            default-1404267-1  default  1404267  /26   open   10.11.4.0/26  -         -
            --- exit 0
        "#]],
    );
}
