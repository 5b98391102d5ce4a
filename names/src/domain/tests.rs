use super::*;

fn domain() -> Domain {
    Domain::parse("demo.internal").unwrap()
}

#[test]
fn what_is_below_the_domain_is_told_apart_by_its_labels() {
    let web = || ("web".to_owned(), Transport::Tcp);
    let cases = [
        ("demo.internal", Subject::Domain),
        ("containers.demo.internal", Subject::Domain),
        ("web.demo.internal", Subject::Service(web().0)),
        ("10-60-0-5.web.demo.internal", Subject::Member { member: "10-60-0-5".into(), service: web().0 }),
        (
            "_http._tcp.web.demo.internal",
            Subject::Port { port: "http".into(), transport: web().1, service: web().0 },
        ),
        ("db-1.containers.demo.internal", Subject::Container("db-1".into())),
        ("a.b.containers.demo.internal", Subject::Container("a.b".into())),
        ("_http._sctp.web.demo.internal", Subject::Nowhere),
        ("_tcp.web.demo.internal", Subject::Nowhere),
        ("a.b.c.web.demo.internal", Subject::Nowhere),
        ("web", Subject::Bare(web().0)),
        ("localhost", Subject::Elsewhere),
        ("", Subject::Elsewhere),
        ("xdemo.internal", Subject::Elsewhere),
        ("example.org", Subject::Elsewhere),
    ];
    for (name, expected) in cases {
        assert_eq!(domain().subject(name), expected, "{name}");
    }
}

#[test]
fn a_name_of_the_reverse_tree_is_of_one_address_or_not_ours() {
    let of = |name: &str| domain().subject(name);
    assert_eq!(of("5.0.60.10.in-addr.arpa"), Subject::Address("10.60.0.5".parse().unwrap()));
    let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    assert_eq!(of(v6), Subject::Address("2001:db8::1".parse().unwrap()));
    for other in ["0.60.10.in-addr.arpa", "05.0.60.10.in-addr.arpa", "256.0.60.10.in-addr.arpa", "1.ip6.arpa"]
    {
        assert_eq!(of(other), Subject::Elsewhere, "{other}");
    }
    let long = format!("{}ip6.arpa", "1.".repeat(60));
    assert_eq!(of(&long), Subject::Elsewhere);
}

#[test]
fn domains_with_a_meaning_of_their_own_are_refused() {
    for (text, expected) in [
        ("demo.local", BadDomain::Special("local".into())),
        ("home.arpa", BadDomain::Special("arpa".into())),
        ("Demo.internal", BadDomain::Malformed),
        ("demo..internal", BadDomain::Malformed),
        ("demo.internal.", BadDomain::Malformed),
        ("", BadDomain::Malformed),
    ] {
        assert_eq!(Domain::parse(text), Err(expected), "{text}");
    }
    assert_eq!(Domain::parse(&"a".repeat(62)), Err(BadDomain::TooLong));
}

#[test]
fn an_address_is_one_label() {
    assert_eq!(dashed("10.60.0.5".parse().unwrap()), "10-60-0-5");
    assert_eq!(dashed("2001:db8::1".parse().unwrap()), "2001-db8-0-0-0-0-0-1");
}
