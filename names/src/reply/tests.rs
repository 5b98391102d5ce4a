use ipam::{Epoch, Generation};
use services::Vigil;

use super::*;

fn domain() -> Domain {
    Domain::parse("demo.internal").unwrap()
}

fn member(number: u8, zone: &str, readiness: api::Readiness) -> services::Member {
    services::Member {
        address: [10, 60, 0, number].into(),
        epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: u64::from(number) },
        container: format!("Web_{number}"),
        host: "h1".into(),
        zone: zone.into(),
        port: None,
        weight: 50,
        readiness,
        draining: None,
    }
}

fn web() -> api::Service {
    let port = |name: Option<&str>, port: u16| api::ServicePort {
        name: name.map(str::to_owned),
        port: port.try_into().unwrap(),
        transport: Transport::Tcp,
    };
    api::Service {
        ports: vec![port(Some("http"), 8080), port(Some("admin"), 9000)],
        ..services::implied("web", [])
    }
}

/// `web` with two members near and one far, and one that is not ready.
fn facts() -> Facts {
    let members = [
        member(3, "far", api::Readiness::Ready),
        member(1, "near", api::Readiness::Ready),
        member(2, "near", api::Readiness::Ready),
        member(4, "near", api::Readiness::Unhealthy),
    ];
    Facts::of(Some(&web()), &members, &Vigil::default(), &["near".into()].into())
}

fn ask(facts: &Facts, name: &str, kind: Kind, turn: usize) -> Reply {
    of_service(facts, &domain().subject(name), kind, turn, &domain())
}

fn last_bytes(reply: &Reply) -> Vec<u8> {
    let Reply::Records { answers, .. } = reply else { panic!("no records: {reply:?}") };
    let last = |record: &Record| match record.data {
        Data::Address(IpAddr::V4(v4)) => v4.octets()[3],
        _ => panic!("no address: {record:?}"),
    };
    answers.iter().map(last).collect()
}

#[test]
fn members_that_take_part_come_own_zone_first_and_take_turns() {
    let asked = |turn| last_bytes(&ask(&facts(), "web.demo.internal", Kind::A, turn));
    assert_eq!((asked(0), asked(1), asked(2)), (vec![1, 2, 3], vec![2, 1, 3], vec![1, 2, 3]));
}

#[test]
fn what_is_there_but_not_of_that_kind_is_no_data_and_what_is_not_there_is_no_name() {
    for (name, kind, expected) in [
        ("web.demo.internal", Kind::Aaaa, Reply::NoData),
        ("web.demo.internal", Kind::Srv, Reply::NoData),
        ("_http._tcp.web.demo.internal", Kind::A, Reply::NoData),
        ("_http._udp.web.demo.internal", Kind::Srv, Reply::NoName),
        ("_smtp._tcp.web.demo.internal", Kind::Srv, Reply::NoName),
        ("10-60-0-4.web.demo.internal", Kind::A, Reply::NoName),
    ] {
        assert_eq!(ask(&facts(), name, kind, 0), expected, "{name}");
    }
    assert_eq!(ask(&Facts::default(), "web.demo.internal", Kind::A, 0), Reply::NoName);
    let none_ready = Facts::of(Some(&web()), &[], &Vigil::default(), &[].into());
    assert_eq!(ask(&none_ready, "web.demo.internal", Kind::A, 0), Reply::NoData);
}

#[test]
fn one_member_is_found_by_its_address_and_by_its_container() {
    for name in ["10-60-0-2.web.demo.internal", "web_2.web.demo.internal"] {
        assert_eq!(last_bytes(&ask(&facts(), name, Kind::A, 0)), [2], "{name}");
    }
}

#[test]
fn where_a_service_listens_is_told_for_each_member_with_its_address() {
    let Reply::Records { answers, beside } = ask(&facts(), "_admin._tcp.web.demo.internal", Kind::Srv, 0)
    else {
        panic!("nobody listens")
    };
    let target = "10-60-0-1.web.demo.internal".to_owned();
    assert_eq!(answers[0].data, Data::Port { weight: 50, port: 9000, target: target.clone() });
    assert_eq!(beside[0], Record { name: Some(target), data: Data::Address([10, 60, 0, 1].into()) });
    assert_eq!((answers.len(), beside.len()), (3, 3));
}

#[test]
fn the_only_port_without_a_name_is_found_by_any_and_a_label_says_where_it_really_is() {
    let mut labelled = member(1, "near", api::Readiness::Ready);
    labelled.port = 8081.try_into().ok();
    let facts = Facts::of(None, &[labelled], &Vigil::default(), &["near".into()].into());
    let Reply::Records { answers, .. } = ask(&facts, "_http._tcp.web.demo.internal", Kind::Srv, 0) else {
        panic!("nobody listens")
    };
    assert!(matches!(answers[0].data, Data::Port { port: 8081, .. }), "{answers:?}");
}

#[test]
fn a_container_and_its_address_lead_to_each_other() {
    assert_eq!(last_bytes(&of_container(&[[10, 60, 0, 9].into()], Kind::A)), [9]);
    let names = ["0123456789ab".to_owned(), "db-1".to_owned()];
    let Reply::Records { answers, .. } = of_address(&names, Kind::Ptr, &domain()) else { panic!("no name") };
    assert_eq!(answers[0].data, Data::Name("0123456789ab.containers.demo.internal".into()));
    assert_eq!(answers.len(), 2);
    assert_eq!(of_address(&[], Kind::Ptr, &domain()), Reply::NoName);
}
