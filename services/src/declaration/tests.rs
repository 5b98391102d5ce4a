use super::*;

/// A provider as large ones are.
fn cloud() -> Abilities {
    Abilities {
        provider: "cloud",
        protocols: [Protocol::Tcp, Protocol::Http, Protocol::Https].into(),
        one_service_each: false,
        ports_kept: Some((56_500, 56_520)),
        listeners_max: 3,
        interval_secs: (2, 60),
        orders: true,
        health: true,
        at_address: Some(Box::new(Abilities {
            provider: "old cloud",
            protocols: [Protocol::Tcp].into(),
            one_service_each: true,
            ports_kept: None,
            listeners_max: 3,
            interval_secs: (1, 1),
            orders: false,
            health: false,
            at_address: None,
            firewalls: true,
        })),
        firewalls: true,
    }
}

fn service(text: &str) -> Service {
    serde_json::from_str(text).expect("the tests' own text")
}

/// A service `web` on port 8080 behind `lb` with these listeners.
fn web(listeners: &str) -> Service {
    service(&format!(
        r#"{{"name": "web", "port": [{{"port": 8080}}], "load_balancer": {{"name": "lb", "listener": [{listeners}]}}}}"#
    ))
}

fn faults(service: &Service, others: &[Service], abilities: &Abilities) -> Vec<String> {
    check(service, others, abilities).err().map(|declined| declined.faults).unwrap_or_default()
}

/// There is one fault, and it has these words.
#[track_caller]
fn one_fault(service: &Service, others: &[Service], abilities: &Abilities, words: &[&str]) {
    let all = faults(service, others, abilities);
    let [fault] = &all[..] else { panic!("not one fault: {all:?}") };
    assert!(words.iter().all(|word| fault.contains(word)), "{fault}");
}

#[test]
fn a_whole_service_is_taken() {
    let whole = web(
        r#"{"port": 80, "protocol": "http", "health": {"path": "/", "interval_secs": 5, "timeout_secs": 2}}"#,
    );
    assert_eq!(faults(&whole, &[], &cloud()), [""; 0]);
}

#[test]
fn a_name_is_one_label_of_a_dns_name() {
    for name in ["", "Web", "1web", "web-", "we_b", "a.b", &"w".repeat(64)] {
        let named = Service { name: name.to_owned(), ..web(r#"{"port": 80, "protocol": "http"}"#) };
        one_fault(&named, &[], &cloud(), &["its name", "lower-case letters"]);
    }
    assert!(is_name(&"w".repeat(63)) && is_name("web-2"));
}

#[test]
fn a_port_out_of_range_is_no_port() {
    for port in ["0", "65536", "-1", "\"http\""] {
        let text = format!(r#"{{"name": "web", "port": [{{"port": {port}}}]}}"#);
        assert!(serde_json::from_str::<Service>(&text).is_err(), "{port} was taken");
    }
    one_fault(&service(r#"{"name": "web"}"#), &[], &cloud(), &["no port", "[[port]]"]);
}

#[test]
fn what_is_unknown_is_refused_and_not_left_out() {
    let text = r#"{"name": "web", "port": [{"port": 80, "protcol": "tcp"}]}"#;
    let refused = serde_json::from_str::<Service>(text).unwrap_err().to_string();
    assert!(refused.contains("protcol"), "{refused}");
}

#[test]
fn ports_have_names_where_there_are_several_and_none_stands_twice() {
    let two = |second: &str| {
        service(&format!(r#"{{"name": "web", "port": [{{"name": "a", "port": 80}}, {second}]}}"#))
    };
    assert_eq!(faults(&two(r#"{"name": "b", "port": 81}"#), &[], &cloud()), [""; 0]);
    one_fault(&two(r#"{"name": "b", "port": 80}"#), &[], &cloud(), &["port 80 stands twice"]);
    one_fault(&two(r#"{"name": "a", "port": 81}"#), &[], &cloud(), &["two ports are called a"]);
    one_fault(&two(r#"{"port": 81}"#), &[], &cloud(), &["port 81 has no name"]);
    assert_eq!(faults(&two(r#"{"name": "b", "port": 80, "transport": "udp"}"#), &[], &cloud()), [""; 0]);
}

#[test]
fn a_listener_leads_to_a_port_that_takes_the_same() {
    let named = web(r#"{"port": 80, "protocol": "http", "to": "admin"}"#);
    one_fault(&named, &[], &cloud(), &["listener 80 passes on to \"admin\"", "no port is called so"]);
    let mut udp = web(r#"{"port": 80, "protocol": "http"}"#);
    udp.ports[0].transport = Transport::Udp;
    one_fault(&udp, &[], &cloud(), &["takes http", "port 8080, which takes udp"]);
}

#[test]
fn two_services_on_one_listener_are_refused_with_the_other_s_name() {
    let other = Service { name: "other".into(), ..web(r#"{"port": 80, "protocol": "tcp"}"#) };
    let own = web(r#"{"port": 80, "protocol": "http"}"#);
    one_fault(
        &own,
        std::slice::from_ref(&other),
        &cloud(),
        &["service other has listener 80 of load balancer lb"],
    );
    // Applied again it does not stand in its own way.
    assert_eq!(faults(&own, std::slice::from_ref(&own), &cloud()), [""; 0]);
    one_fault(
        &web(r#"{"port": 80, "protocol": "http"}, {"port": 80, "protocol": "tcp"}"#),
        &[],
        &cloud(),
        &["two listeners on port 80"],
    );
}

#[test]
fn where_members_are_behind_all_listeners_a_load_balancer_has_one_service() {
    let other = Service { name: "other".into(), ..web(r#"{"port": 81, "protocol": "tcp"}"#) };
    let own = web(r#"{"port": 80, "protocol": "http"}"#);
    assert_eq!(faults(&own, std::slice::from_ref(&other), &cloud()), [""; 0]);
    let each = Abilities { one_service_each: true, ..cloud() };
    one_fault(
        &own,
        &[other],
        &each,
        &["service other is behind load balancer lb already", "another load balancer"],
    );
}

#[test]
fn what_the_provider_lacks_is_said_with_what_it_has() {
    let mut udp = web(r#"{"port": 53, "protocol": "udp"}"#);
    udp.ports[0].transport = Transport::Udp;
    one_fault(&udp, &[], &cloud(), &["takes udp", "of cloud take tcp, http, https"]);
    let none = Abilities { protocols: [].into(), ..cloud() };
    one_fault(
        &web(r#"{"port": 80, "protocol": "http"}"#),
        &[],
        &none,
        &["no load balancers", "leave [load_balancer] out"],
    );
    one_fault(
        &web(r#"{"port": 56510, "protocol": "tcp"}"#),
        &[],
        &cloud(),
        &["56500 to 56520", "keeps for itself"],
    );
    let slow = web(r#"{"port": 80, "protocol": "http", "health": {"interval_secs": 61}}"#);
    one_fault(&slow, &[], &cloud(), &["every 61 s", "every 2 to 60 s"]);
    let four = web(
        r#"{"port": 1, "protocol": "tcp"}, {"port": 2, "protocol": "tcp"}, {"port": 3, "protocol": "tcp"}, {"port": 4, "protocol": "tcp"}"#,
    );
    one_fault(&four, &[], &cloud(), &["would have 4 listeners", "cloud allows 3"]);
}

#[test]
fn a_load_balancer_that_is_called_by_an_address_can_do_what_such_ones_can() {
    let at = |text: &str| {
        let mut service = web(text);
        service.load_balancer.as_mut().unwrap().name = "10.40.0.9".into();
        service
    };
    let plain = at(r#"{"port": 56510, "protocol": "tcp"}"#);
    assert_eq!(faults(&plain, &[], &cloud()), [""; 0]);
    one_fault(&at(r#"{"port": 80, "protocol": "http"}"#), &[], &cloud(), &["of old cloud take tcp"]);
    let checked = at(r#"{"port": 80, "protocol": "tcp", "health": {}}"#);
    one_fault(&checked, &[], &cloud(), &["leave health out"]);
    let mut ordered = plain;
    ordered.load_balancer.as_mut().unwrap().order = Some(api::Exposure::Private);
    one_fault(&ordered, &[], &cloud(), &["leave order out"]);
}

#[test]
fn a_health_check_can_be() {
    let checked = |health: &str| web(&format!(r#"{{"port": 80, "protocol": "tcp", "health": {health}}}"#));
    one_fault(&checked(r#"{"path": "/"}"#), &[], &cloud(), &["takes tcp asks for none"]);
    one_fault(
        &checked(r#"{"interval_secs": 5, "timeout_secs": 5}"#),
        &[],
        &cloud(),
        &["waits 5 s", "less than that"],
    );
    one_fault(&checked(r#"{"retries": 0}"#), &[], &cloud(), &["at least 1"]);
    let path = web(r#"{"port": 80, "protocol": "http", "health": {"path": "health"}}"#);
    one_fault(&path, &[], &cloud(), &["does not begin with /"]);
}

#[test]
fn firewalls_are_named_where_there_are_some_and_let_in_what_a_policy_says() {
    let with = |firewall: &str, policy: &str| {
        service(&format!(
            r#"{{"name": "web", "port": [{{"port": 80}}], "policy": [{policy}], "firewall": {{{firewall}}}}}"#
        ))
    };
    let (any, both) = (r#"{"from": ["any"]}"#, r#""zones": ["1404269"], "security_groups": ["web.hosts"]"#);
    assert_eq!(faults(&with(both, any), &[], &cloud()), [""; 0]);
    one_fault(&with(both, ""), &[], &cloud(), &["says nobody who may", "add [[policy]]"]);
    one_fault(&with("", any), &[], &cloud(), &["names nothing"]);
    one_fault(&with(r#""security_groups": ["a/b"]"#, any), &[], &cloud(), &["a/b", "are a name"]);
    let none = Abilities { firewalls: false, ..cloud() };
    one_fault(&with(both, any), &[], &none, &["cloud has no firewalls", "leave [firewall] out"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut wrong = web(r#"{"port": 80, "protocol": "udp", "to": "x"}"#);
    wrong.name = "Web".into();
    assert_eq!(faults(&wrong, &[], &cloud()).len(), 3);
}

proptest::proptest! {
    #[test]
    fn whatever_is_declared_is_judged_and_said_in_bounded_words(name in ".{0,400}", path in ".{0,400}", port in 1u16..) {
        let mut any = web(r#"{"port": 80, "protocol": "http", "health": {}}"#);
        any.name = name;
        let balancer = any.load_balancer.as_mut().unwrap();
        balancer.name.clone_from(&any.name);
        balancer.listeners[0].port = port.try_into().unwrap();
        balancer.listeners[0].health.as_mut().unwrap().path = Some(path);
        for fault in faults(&any, &[], &cloud()) {
            proptest::prop_assert!(fault.len() < 2_000);
        }
    }
}

#[test]
fn a_policy_names_ports_that_there_are_and_peers_that_can_be() {
    let with = |entry: &str| {
        service(&format!(r#"{{"name": "web", "port": [{{"port": 80}}], "policy": [{entry}]}}"#))
    };
    assert_eq!(
        faults(&with(r#"{"from": ["any", "10.0.0.0/8", "192.0.2.7", "service/db"]}"#), &[], &cloud()),
        [""; 0]
    );
    one_fault(
        &with(r#"{"from": ["any"], "port": "http"}"#),
        &[],
        &cloud(),
        &["port \"http\"", "no port is called so"],
    );
    one_fault(&with(r#"{"from": []}"#), &[], &cloud(), &["names nobody"]);
    one_fault(&with(r#"{"from": ["service/No"]}"#), &[], &cloud(), &["service \"No\"", "no name"]);
    one_fault(&with(r#"{"from": ["2001:db8::/32"]}"#), &[], &cloud(), &["IPv4 addresses only"]);
    let text = r#"{"name": "web", "policy": [{"from": ["10.0.0.0/40"]}]}"#;
    let refused = serde_json::from_str::<Service>(text).unwrap_err().to_string();
    assert!(refused.contains("write `any`, a network such as 10.0.0.0/8, or service/NAME"), "{refused}");
}

#[test]
fn what_it_is_called_in_dns_is_a_label_that_no_other_service_has() {
    let called = |name: &str, dns: Option<&str>| Service {
        name: name.to_owned(),
        dns: dns.map(str::to_owned),
        ..service(r#"{"name": "x", "port": [{"port": 80}]}"#)
    };
    assert_eq!(faults(&called("web", Some("www")), &[called("www-1", None)], &cloud()), [""; 0]);
    assert_eq!(faults(&called("web", Some("www")), &[called("web", Some("www"))], &cloud()), [""; 0]);
    for label in ["", "Www", "w.w", "_w"] {
        one_fault(&called("web", Some(label)), &[], &cloud(), &["no label"]);
    }
    one_fault(
        &called("web", Some("www")),
        &[called("www", None)],
        &cloud(),
        &["service www", "another label"],
    );
    one_fault(&called("containers", None), &[], &cloud(), &["where containers are"]);
    assert_eq!(faults(&called("containers", Some("boxes")), &[], &cloud()), [""; 0]);
}
