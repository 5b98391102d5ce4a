//! Between `ipam`'s words and the store's.

use std::collections::BTreeSet;

use ipam::{BlockId, Generation, HostId, Key, Pool, Prefix, Value, Zone};
use store::{Entry, Snapshot};

use super::super::words;
use super::super::*;

fn every_key() -> Vec<Key> {
    let host = || HostId::from("h1");
    let zone = || Zone::from("vlan/1");
    let block = BlockId { subnet: "10.0.0.0/26".parse().unwrap(), index: 2 };
    let address: IpAddr = "10.0.0.5".parse().unwrap();
    let epoch = Epoch { generation: Generation { number: 1, id: u64::MAX }, take: 2, counter: 3 };
    vec![
        Key::Cluster,
        Key::Host(host()),
        Key::Session(host()),
        Key::Eviction(host()),
        Key::Pool(PoolName::from("blue")),
        Key::Subnet(block.subnet),
        Key::Block { zone: zone(), block },
        Key::Reservation(ReservationName::from("web")),
        Key::Surplus { zone: zone(), host: host() },
        Key::Want { zone: zone(), holder: host(), asker: HostId::from("h2") },
        Key::Published { host: host(), block },
        Key::Endpoint(address),
        Key::Dependent { address, epoch, object: "lb/1".to_owned() },
    ]
}

fn every_prefix() -> Vec<Prefix> {
    let host = HostId::from("h1");
    let zone = Zone::from("vlan/1");
    vec![
        Prefix::Cluster,
        Prefix::Hosts,
        Prefix::Pools,
        Prefix::Subnets,
        Prefix::Blocks(zone.clone()),
        Prefix::Blocks("vlan".into()),
        Prefix::Reservations,
        Prefix::Surplus(zone.clone()),
        Prefix::Wants { zone, holder: host.clone() },
        Prefix::Published(host),
        Prefix::Dependents("10.0.0.5".parse().unwrap()),
    ]
}

#[test]
fn every_key_has_a_spelling_of_its_own() {
    let spelled: BTreeSet<store::Key> = every_key().iter().map(|key| words::item(key).key()).collect();
    assert_eq!(spelled.len(), every_key().len());
}

#[test]
fn the_store_and_ipam_agree_on_what_is_under_a_prefix() {
    for prefix in every_prefix() {
        for key in every_key() {
            let covered = words::under(&prefix).prefix().covers(&words::item(&key).key());
            assert_eq!(covered, prefix.contains(&key), "{key:?} under {prefix:?}");
        }
    }
}

#[test]
fn what_is_written_is_read_back_under_the_same_key() {
    let (key, value) = (
        Key::Pool(PoolName::from("blue")),
        Value::Pool(Pool { name: PoolName::from("blue"), cooling_millis: 9 }),
    );
    let write = ipam::Write::Put { key: key.clone(), value: value.clone() };
    let spelled = words::transaction(&ipam::Transaction { compares: vec![], writes: vec![write] }).unwrap();
    let [store::Write::Put { key: at, value: bytes }] = spelled.writes.as_slice() else { panic!("one put") };
    let entry = Entry { key: at.clone(), value: bytes.clone(), revision: store::Revision(7) };
    let snapshot = Snapshot { revision: store::Revision(8), entries: vec![entry] };
    let seen = ipam::Seen { key, value: Some(value), revision: ipam::Revision(7) };
    assert_eq!(words::entries(&snapshot).unwrap(), [seen]);
}

#[test]
fn a_conflict_tells_of_every_key_compared_also_of_those_that_are_gone() {
    let cluster = ipam::Compare::At { key: Key::Cluster, revision: ipam::Revision(3) };
    let absent = ipam::Compare::Absent(Key::Host(HostId::from("h1")));
    let transaction = ipam::Transaction { compares: vec![cluster, absent], writes: vec![] };
    let now = Snapshot { revision: store::Revision(9), entries: vec![] };
    let seen = words::conflict(&transaction, &now).unwrap();
    let gone = |key| ipam::Seen { key, value: None, revision: ipam::Revision(9) };
    assert_eq!(seen, [gone(Key::Cluster), gone(Key::Host(HostId::from("h1")))]);
}
