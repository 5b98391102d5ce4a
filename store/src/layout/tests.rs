use super::*;

fn every_item() -> Vec<Item> {
    let subnet: IpNetwork = "10.11.4.0/26".parse().unwrap();
    let six: IpNetwork = "2001:db8::/64".parse().unwrap();
    let address: IpAddr = "10.11.4.18".parse().unwrap();
    let odd = "a/b%2F\nc".to_owned();
    vec![
        Item::Cluster,
        Item::Host(odd.clone()),
        Item::Session("h1".into()),
        Item::Block { zone: "z".into(), subnet, index: 3 },
        Item::Block { zone: odd.clone(), subnet: six, index: 0 },
        Item::Surplus { zone: "vlan 1234".into(), host: "h1".into() },
        Item::Want { zone: odd.clone(), holder: "h1".into(), asker: "h2".into() },
        Item::Published { host: "h1".into(), subnet, index: 0 },
        Item::Endpoint(address),
        Item::Endpoint("2001:db8::1".parse().unwrap()),
        Item::Dependent { address, epoch: [1, 9, 2, 3], object: "lb/7".into() },
        Item::Service("web".into()),
        Item::Declaring,
        Item::Member { service: "web".into(), address },
        Item::Drain { host: "h/1".into(), container: None },
        Item::Drain { host: "h1".into(), container: Some("0123abcd".into()) },
        Item::Name(address),
        Item::Called { label: "a.b".into(), address },
        Item::Pool("default".into()),
        Item::Subnet(six),
        Item::Takes("z".into()),
        Item::Reservation("web".into()),
        Item::Owner(odd),
        Item::Order("o1".into()),
        Item::Policy("default".into()),
        Item::Trial("h1".into()),
        Item::Founding,
        Item::Copying,
        Item::Moved,
        Item::Rebuild,
        Item::Running { subnet, index: 2, host: "h/1".into() },
        Item::Ledger(segment()),
        Item::Segment(segment()),
        Item::Keep { keeper: "h2".into(), segment: segment() },
        Item::Description("h/1".into()),
        Item::Eviction("h1".into()),
        Item::Ask { keeper: "h2".into(), asker: "h/1".into() },
        Item::Told { asker: "h/1".into(), keeper: "h2".into() },
    ]
}

fn segment() -> SegmentName {
    let subnet = "10.11.4.0/26".parse().unwrap();
    SegmentName { subnet, index: 1, period: 1_763_820_000, writer: "h/1".into() }
}

#[test]
fn a_key_is_read_back_as_the_item_it_was_spelled_for() {
    for item in every_item() {
        assert_eq!(Item::of(&item.key()), Some(item));
    }
}

#[test]
fn no_two_items_share_a_key() {
    let keys: std::collections::BTreeSet<Key> = every_item().iter().map(Item::key).collect();
    assert_eq!(keys.len(), every_item().len());
}

#[test]
fn keys_are_spelled_as_the_protocol_says() {
    let spelled: Vec<String> = every_item().iter().map(|item| item.key().to_string()).collect();
    assert_eq!(spelled[0], "cluster");
    assert_eq!(spelled[1], "hosts/a%2Fb%252F%0Ac");
    assert_eq!(spelled[3], "blocks/z/10.11.4.0-26/3");
    assert_eq!(spelled[7], "published/h1/10.11.4.0-26/0");
    assert_eq!(spelled[10], "dependents/10.11.4.18/1.9.2.3/lb%2F7");
}

#[test]
fn a_key_that_nobody_spells_is_no_item() {
    for key in [
        "",
        "hosts",
        "hosts/a/b",
        "blocks/z/10.0.0.0-26/03",
        "blocks/10.0.0.0-26/3",
        "blocks/z/10.0.0.0/26",
        "hosts/%zz",
        "moon/1",
    ] {
        assert_eq!(Item::of(&Key::new(key.into())), None, "{key}");
    }
}

#[test]
fn a_prefix_covers_its_own_items_and_not_a_longer_name() {
    let at = |address: &str| Item::Dependent {
        address: address.parse().unwrap(),
        epoch: [1, 1, 1, 1],
        object: "lb".into(),
    };
    let under = Under::DependentsOf("10.0.0.1".parse().unwrap()).prefix();
    assert!(under.covers(&at("10.0.0.1").key()));
    assert!(!under.covers(&at("10.0.0.11").key()));
}

#[test]
fn a_value_is_read_back_as_it_was_written() {
    let key = Item::Pool("blue".into()).key();
    let bytes = encode(&key, &vec![1u8, 2]).unwrap();
    assert_eq!(bytes, br#"{"version":1,"value":[1,2]}"#);
    assert_eq!(decode::<Vec<u8>>(&key, &bytes).unwrap(), vec![1, 2]);
}

#[test]
fn a_value_of_a_newer_form_is_refused_and_says_to_upgrade() {
    let key = Item::Pool("blue".into()).key();
    let error = decode::<Vec<u8>>(&key, br#"{"version":2,"shape":"unknown"}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pools/blue is written in form 2, this Berth reads up to 1; upgrade this host's Berth"
    );
}

#[test]
fn a_value_that_is_not_ours_is_refused_with_its_key() {
    let key = Item::Pool("blue".into()).key();
    for bytes in [&b""[..], b"null", b"{}", br#"{"version":1}"#, br#"{"version":1,"value":{}}"#] {
        let error = decode::<Vec<u8>>(&key, bytes).unwrap_err();
        assert!(matches!(error, ValueError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains("pools/blue"));
    }
}
