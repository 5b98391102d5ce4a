//! `berth address` and `berth explain`: one address on everybody's word, and why one cannot be had.

use crate::fake::FakeAgent;
use crate::given::at;
use api::*;
use expect_test::expect;

fn address(last: u8, state: AddressState) -> Address {
    let assigned = state == AddressState::Assigned;
    Address {
        address: [10, 11, 4, last].into(),
        pool: "default".into(),
        subnet: "10.11.4.0/26".parse().expect("a subnet"),
        zone: "vlan-1234".into(),
        state,
        epoch: Some("1.3.41".into()),
        endpoint: assigned.then(|| "e".repeat(64)),
        container: assigned.then(|| "web-7f".into()),
        network: assigned.then(|| "cloud".into()),
        reservation: None,
    }
}

pub(crate) fn address_report() -> Answer<AddressReport> {
    let report = AddressReport {
        address: address(18, AddressState::Assigned),
        ports: vec!["49153->80/tcp".into()],
        named_by: vec!["service web".into(), "the firewall of VLAN 1405".into()],
        words: vec![
            Word::of(Source::Journal, "assigned, epoch 1.3.41"),
            Word::of(Source::Store, "held by vm-1001, take 3"),
            Word::of(Source::Kernel, "no route").differing(true),
            Word::of(Source::Docker, "endpoint eeeeeeeeeeee of web-7f on cloud"),
        ],
        hint: Some("`berth host plan` shows what the agent will do about it".into()),
    };
    let silence = Silence { source: Source::Cloud, because: "SoftLayer is not answering".into() };
    let words_of = [Source::Journal, Source::Store, Source::Kernel, Source::Docker, Source::Cloud];
    Answer::new(words_of, report).without(vec![silence])
}

#[test]
fn addresses_are_listed_with_whom_they_belong_to_and_until_when_they_cool() {
    let cooling =
        AddressState::Cooling { until: Some(at("14:02:30")), why: "released, 30 s by timer".into() };
    let aside = AddressState::SetAside { why: "gateway".into() };
    let mut reserved = address(20, AddressState::Free);
    reserved.reservation = Some("database".into());
    let listed = vec![address(1, aside), address(18, AddressState::Assigned), address(19, cooling), reserved];
    let answer = Answer::new([Source::Journal, Source::Store], listed);
    FakeAgent::new()
        .answers("GET /v1/addresses?pool=default&all=true", answer)
        .check("address list --pool default --all", expect![[r#"
            ADDRESS     POOL     STATE      DETAIL                                              CONTAINER  NETWORK  RESERVED AS
            10.11.4.1   default  set aside  gateway                                             -          -        -
            10.11.4.18  default  assigned   epoch 1.3.41                                        web-7f     cloud    -
            10.11.4.19  default  cooling    released, 30 s by timer, until 2026-11-22 14:02:30  -          -        -
            10.11.4.20  default  free       -                                                   -          -        database
            --- exit 0
        "#]]);
}

#[test]
fn an_address_is_shown_on_everybodys_word_with_a_mark_where_they_differ() {
    FakeAgent::new().answers("GET /v1/addresses/10.11.4.18", address_report()).check(
        "address show 10.11.4.18",
        expect![[r#"
            10.11.4.18  assigned  web-7f  ports 49153->80/tcp  pool default  subnet 10.11.4.0/26  zone vlan-1234
              named by service web, the firewall of VLAN 1405
              journal  assigned, epoch 1.3.41
              store    held by vm-1001, take 3
              kernel   no route                                  <- differs
              docker   endpoint eeeeeeeeeeee of web-7f on cloud
              cloud    silent
            --- exit 0
            cloud is silent: SoftLayer is not answering
            hint: `berth host plan` shows what the agent will do about it
        "#]],
    );
}

#[test]
fn a_request_that_would_be_refused_is_explained_with_a_no() {
    let explanation = Explanation {
        pool: "default".into(),
        granted: false,
        address: None,
        because: "pool default has no free address in vlan-1234: 60 assigned, 1 cooling, 3 set aside; \
                  limit of 1 subnet reached"
            .into(),
        hint: Some("raise subnets_max of pool default, or wait for what cools".into()),
    };
    FakeAgent::new()
        .answers("GET /v1/explain?pool=default", Answer::new([Source::Journal, Source::Store], explanation))
        .check("address explain --pool default", expect![[r#"
            no: pool default has no free address in vlan-1234: 60 assigned, 1 cooling, 3 set aside; limit of 1 subnet reached
            --- exit 1
            hint: raise subnets_max of pool default, or wait for what cools
        "#]]);
}

#[test]
fn a_request_that_would_be_granted_is_explained_with_a_yes() {
    let explanation = Explanation {
        pool: "default".into(),
        granted: true,
        address: Some([10, 11, 4, 21].into()),
        because: "it is free and held by this host".into(),
        hint: None,
    };
    FakeAgent::new()
        .answers("GET /v1/explain?address=10.11.4.21", Answer::new([Source::Journal], explanation))
        .check(
            "address explain 10.11.4.21",
            expect![[r#"
            yes: 10.11.4.21, it is free and held by this host
            --- exit 0
        "#]],
        );
}

#[test]
fn a_reservation_is_confirmed_with_its_address() {
    let reservation =
        Reservation { name: "web".into(), address: [10, 11, 4, 21].into(), pool: "default".into() };
    FakeAgent::new()
        .answers(
            r#"POST /v1/reservations {"name":"web","pool":"default"}"#,
            Answer::new([Source::Journal], reservation),
        )
        .check(
            "address reserve web --pool default",
            expect![[r#"
            10.11.4.21  reserved as web  pool default
            --- exit 0
        "#]],
        );
}

#[test]
fn a_reservation_is_ended_by_its_name() {
    let reservation =
        Reservation { name: "web/1".into(), address: [10, 11, 4, 21].into(), pool: "default".into() };
    FakeAgent::new()
        .answers("DELETE /v1/reservations?name=web%2F1", Answer::new([Source::Journal], reservation))
        .check(
            "address release web/1",
            expect![[r#"
                10.11.4.21  no longer reserved as web/1  pool default
                --- exit 0
            "#]],
        );
}
