use proptest::prelude::*;

use super::*;
use crate::reply::of_container;

fn domain() -> Domain {
    Domain::parse("demo.internal").unwrap()
}

fn asked(name: &str, kind: Kind) -> Query {
    Query::ask(name, kind).unwrap()
}

fn heard(packet: &[u8]) -> Query {
    match Query::read(packet) {
        Heard::Query(query) => *query,
        other => panic!("no question: {other:?}"),
    }
}

/// A question that takes packets of this size.
fn with_edns(name: &str, size: u16, version: u8) -> Vec<u8> {
    let mut query = asked(name, Kind::A);
    let mut edns = Edns::new();
    edns.set_max_payload(size).set_version(version);
    query.edns = Some(edns);
    query.packet()
}

/// A reply with this many addresses.
fn many(count: u16) -> Reply {
    let address = |n: u16| std::net::Ipv4Addr::from(0x0a3c_0000 + u32::from(n)).into();
    of_container(&(0..count).map(address).collect::<Vec<_>>(), Kind::A)
}

fn answered(packet: &[u8], reply: &Reply, way: Way) -> (Message, usize) {
    let query = heard(packet);
    let packet = query.reply(reply, &domain().subject(query.name()), &domain(), 5, way);
    (Message::from_vec(&packet).expect("our own packet"), packet.len())
}

fn code_of(packet: &[u8]) -> ResponseCode {
    Message::from_vec(packet).expect("our own packet").metadata.response_code
}

#[test]
fn a_question_is_repeated_as_it_was_asked_and_compared_without_case() {
    let query = asked("WeB.Demo.Internal", Kind::A);
    assert_eq!(query.name(), "web.demo.internal");
    let (message, _) = answered(&query.packet(), &many(1), Way::Udp);
    assert_eq!(message.queries[0].name().to_ascii(), "WeB.Demo.Internal.");
    assert_eq!(message.answers[0].name.to_ascii(), "WeB.Demo.Internal.");
    assert!(message.metadata.authoritative && message.metadata.recursion_available);
}

#[test]
fn what_does_not_fit_is_cut_and_said_and_goes_over_tcp() {
    for (packet, room) in [
        (asked("web.demo.internal", Kind::A).packet(), 512),
        (with_edns("web.demo.internal", 100, 0), 512),
        (with_edns("web.demo.internal", 900, 0), 900),
        (with_edns("web.demo.internal", 65_535, 0), 1232),
    ] {
        let (message, size) = answered(&packet, &many(300), Way::Udp);
        assert!(message.metadata.truncation && size <= room && size > room - 40, "{size} of {room}");
        let (message, _) = answered(&packet, &many(300), Way::Tcp);
        assert_eq!((message.metadata.truncation, message.answers.len()), (false, 300));
    }
    let (message, size) = answered(&asked("web.demo.internal", Kind::A).packet(), &many(u16::MAX), Way::Tcp);
    assert!(message.metadata.truncation && size <= 65_535);
}

#[test]
fn a_no_says_for_how_long_it_counts_and_in_which_zone() {
    for (name, zone) in [
        ("none.demo.internal", "demo.internal."),
        ("9.0.60.10.in-addr.arpa", "0.60.10.in-addr.arpa."),
        ("web", "web."),
    ] {
        for (reply, code) in [(Reply::NoName, ResponseCode::NXDomain), (Reply::NoData, ResponseCode::NoError)]
        {
            let (message, _) = answered(&asked(name, Kind::A).packet(), &reply, Way::Udp);
            assert_eq!(message.metadata.response_code, code);
            let soa = &message.authorities[0];
            assert_eq!((soa.name.to_ascii().as_str(), soa.ttl), (zone, 5));
            assert!(matches!(&soa.data, RData::SOA(soa) if soa.minimum == 5));
        }
    }
}

#[test]
fn what_nobody_may_ask_is_refused_in_its_own_words() {
    let good = asked("web.demo.internal", Kind::A).packet();
    let wrong = |packet: &[u8]| match Query::read(packet) {
        Heard::Wrong(answer) => code_of(&answer),
        other => panic!("taken: {other:?}"),
    };
    let with = |place: usize, byte: u8| {
        let mut packet = good.clone();
        packet[place] = byte;
        packet
    };
    // An update; no question; 65,535 questions; another class; a transfer; another version of EDNS.
    assert_eq!(wrong(&with(2, 0x28)), ResponseCode::NotImp);
    assert_eq!(wrong(&with(5, 0)), ResponseCode::FormErr);
    assert_eq!(
        wrong(&{
            let mut packet = with(4, 0xff);
            packet[5] = 0xff;
            packet
        }),
        ResponseCode::FormErr
    );
    assert_eq!(wrong(&with(good.len() - 1, 3)), ResponseCode::Refused);
    assert_eq!(wrong(&with(good.len() - 3, 252)), ResponseCode::Refused);
    let Heard::Wrong(answer) = Query::read(&with_edns("web.demo.internal", 512, 1)) else { panic!("taken") };
    // 16 has two names.
    assert_eq!(u16::from(code_of(&answer)), u16::from(ResponseCode::BADVERS));
}

#[test]
fn an_answer_is_never_answered_nor_is_half_a_header() {
    let mut packet = asked("web.demo.internal", Kind::A).packet();
    packet[2] |= 0x80;
    assert!(matches!(Query::read(&packet), Heard::Nothing));
    assert!(matches!(Query::read(&packet[..11]), Heard::Nothing));
    assert!(matches!(Query::read(&[]), Heard::Nothing));
}

#[test]
fn an_answer_is_to_a_question_only_if_it_repeats_it() {
    let query = asked("example.org", Kind::A);
    let packet = query.packet();
    let answer = query.fail(Code::Failed);
    assert!(answers_to(&packet, &answer) && says_nothing(&answer) && !says_no_name(&answer));
    assert!(!answers_to(&packet, &packet), "a question is no answer");
    assert!(!answers_to(&packet, &with_id(answer.clone(), 7)), "another number");
    assert!(!answers_to(&packet, &asked("example.com", Kind::A).fail(Code::Failed)), "another name");
    assert!(!answers_to(&packet, &answer[..20]), "half an answer");
}

#[test]
fn a_name_that_points_at_itself_is_no_name() {
    let mut packet = asked("web.demo.internal", Kind::A).packet();
    packet.truncate(HEADER);
    // To itself; to one another; forward.
    for pointers in [&[0xc0, 12][..], &[0xc0, 14, 0xc0, 12], &[0xc0, 40], &[1, b'a', 0xc0, 12]] {
        let mut looping = packet.clone();
        looping.extend(pointers);
        looping.extend([0, 1, 0, 1]);
        assert!(matches!(Query::read(&looping), Heard::Wrong(_)), "{pointers:?}");
    }
}

#[test]
fn a_label_with_a_dot_in_it_is_no_other_name() {
    let name = Name::from_labels([&b"web.demo"[..], b"internal"]).unwrap();
    assert_ne!(text(&name), "web.demo.internal");
}

#[test]
fn an_answer_of_others_is_cut_for_who_has_no_room() {
    let query = asked("example.org", Kind::A);
    let large = query.reply(&many(100), &Subject::Elsewhere, &domain(), 5, Way::Tcp);
    let small = cut(&large, 512).unwrap();
    let message = Message::from_vec(&small).unwrap();
    assert!(small.len() <= 512 && message.metadata.truncation && message.answers.is_empty());
    assert_eq!(cut(&large, large.len()), Some(large.clone()));
    assert_eq!(cut(&[7; 600], 512), None);
}

proptest! {
    #[test]
    fn any_packet_is_read_to_its_end(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Heard::Query(query) = Query::read(&packet) {
            let size = query.reply(&many(200), &Subject::Elsewhere, &domain(), 5, Way::Udp).len();
            prop_assert!(size <= query.room(Way::Udp), "{size}");
        }
        let _ = cut(&packet, 12);
        let _ = describe(&packet);
    }

    #[test]
    fn a_good_packet_with_some_bytes_wrong_is_read_to_its_end(
        at in proptest::collection::vec((0usize..200, any::<u8>()), 1..8),
        end in 0usize..200,
    ) {
        let mut packet = with_edns("_http._tcp.web.demo.internal", 1232, 0);
        for (place, byte) in at {
            let length = packet.len();
            packet[place % length] = byte;
        }
        packet.truncate(packet.len().min(end.max(1)));
        let _ = Query::read(&packet);
    }

    #[test]
    fn any_large_packet_is_read_to_its_end(seed in any::<u64>(), size in 60_000usize..65_536) {
        // A whole header, and then anything.
        let mut packet = asked("web.demo.internal", Kind::A).packet();
        packet[7] = (seed & 0xff) as u8;
        packet[6] = 0xff;
        let mut state = seed | 1;
        packet.resize_with(size, || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let _ = Query::read(&packet);
    }
}
