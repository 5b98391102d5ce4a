use tempfile::TempDir;

use super::*;
use crate::testing::{self, World};

fn open(state: &TempDir) -> StaticSubnets {
    let subnet = StaticSubnet {
        cidr: "10.20.0.0/28".parse().unwrap(),
        gateway: Some("10.20.0.1".parse().unwrap()),
        exclude: vec!["10.20.0.7".parse().unwrap(), "192.0.2.1".parse().unwrap()],
        tags: vec![Tag::new("berth:demo")],
    };
    let zone = StaticZone {
        zone: ZoneId::new("lab"),
        interface: "eth0".into(),
        datacenter: "home".into(),
        network: Network::Private,
        subnets: vec![subnet],
    };
    StaticSubnets::open("4f0c\n", "host1", vec![zone], state.path().join("tags.json")).unwrap()
}

fn nic(name: &str) -> Nic {
    Nic { name: name.into(), mac: "06:00:5e:00:53:01".parse().unwrap() }
}

#[tokio::test]
async fn static_subnets_conform() {
    let state = TempDir::new().unwrap();
    let world = World {
        nics: vec![nic("eth0")],
        foreign_nics: vec![nic("eth7")],
        zone: ZoneId::new("lab"),
        network: Network::Private,
        subnet: SubnetId::new("10.20.0.0/28"),
        order_prefix: None,
    };
    testing::conforms(&open(&state), &world).await;
}

#[tokio::test]
async fn a_subnet_once_opened_is_known_as_such_after_a_restart() {
    let state = TempDir::new().unwrap();
    let edit = TagEdit { add: vec![Tag::new("berth:demo:opened")], remove: vec![] };
    open(&state).edit_tags(&SubnetId::new("10.20.0.0/28"), &edit).await.unwrap();
    let subnets = open(&state).subnets(&ZoneId::new("lab")).await.unwrap();
    assert_eq!(subnets[0].tags, [Tag::new("berth:demo"), Tag::new("berth:demo:opened")]);
}

#[tokio::test]
async fn excluded_addresses_are_set_aside_and_others_are_ignored() {
    let state = TempDir::new().unwrap();
    let kept = open(&state).set_aside(&SubnetId::new("10.20.0.0/28")).await.unwrap();
    let kept: Vec<String> =
        kept.iter().map(|kept| format!("{} {:?}", kept.address, kept.set_aside)).collect();
    assert_eq!(
        kept,
        ["10.20.0.0 Network", "10.20.0.1 Gateway", "10.20.0.7 Excluded", "10.20.0.15 Broadcast"]
    );
}

#[tokio::test]
async fn the_same_machine_id_behind_another_mac_is_another_machine() {
    let state = TempDir::new().unwrap();
    let clone = Nic { name: "eth0".into(), mac: "06:00:5e:00:53:02".parse().unwrap() };
    let (one, other) = (open(&state).whoami(&[nic("eth0")]).await, open(&state).whoami(&[clone]).await);
    assert_ne!(one.unwrap().instance, other.unwrap().instance);
}

#[test]
fn damaged_tags_are_not_taken_for_none() {
    let state = TempDir::new().unwrap();
    std::fs::write(state.path().join("tags.json"), "{").unwrap();
    let opened = StaticSubnets::open("4f0c", "host1", vec![], state.path().join("tags.json"));
    assert!(matches!(opened, Err(StaticTagsError::Damaged { .. })));
}
