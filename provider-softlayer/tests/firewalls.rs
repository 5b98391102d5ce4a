//! Firewalls of the simulated cloud, over HTTP.
#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::BTreeSet;
use std::net::IpAddr;

use provider::testing::{guards_a_zone, guards_hosts};
use provider::{
    Firewall, FirewallChange, FirewallRule, FirewallTransport, Firewalls, InstanceId, Interface,
    ProviderError, Secret, ZoneId,
};
use provider_mock::cloud::firewall::{FirewallProtocol, FirewallRule as Row};
use provider_mock::{CloudSpec, Delays, Effect, Fault, SimulatedCloud};
use provider_softlayer::{Credentials, SoftLayer};

/// The public VLAN of the small cloud, which has a firewall.
const VLAN: u64 = 1235;

async fn start() -> (SimulatedCloud, SoftLayer) {
    let mut spec = CloudSpec::small();
    spec.delays = Delays { firewall_ms: 300, security_group_ms: 300, ..Delays::NONE };
    let cloud = SimulatedCloud::start(spec).await.unwrap();
    cloud.live().put_firewall_rules(VLAN, theirs());
    let softlayer =
        SoftLayer::new(&cloud.endpoint(), Credentials::new("SL307608", Secret::new("simulated-key")))
            .unwrap();
    (cloud, softlayer)
}

/// Rules that somebody wrote: one that permits, and one that forbids everything else.
fn theirs() -> Vec<Row> {
    let row = |order, permit, protocol, to: &str, ports| Row {
        order,
        permit,
        protocol,
        source: "0.0.0.0/0".parse().unwrap(),
        destination: to.parse().unwrap(),
        ports,
        notes: "the operator's".into(),
    };
    vec![
        row(10, true, FirewallProtocol::Tcp, "198.51.100.5/32", Some((22, 22))),
        row(20, false, FirewallProtocol::Esp, "0.0.0.0/0", None),
    ]
}

fn zone() -> Firewall {
    Firewall::Zone(ZoneId::new(VLAN.to_string()))
}

fn rule(last: u8) -> FirewallRule {
    FirewallRule {
        to: Some(at(last)),
        transport: FirewallTransport::Udp,
        port: 53,
        from: "0.0.0.0/0".parse().unwrap(),
    }
}

fn at(last: u8) -> IpAddr {
    [203, 0, 113, last].into()
}

/// What stands at the VLAN's firewall, in words.
fn standing(cloud: &SimulatedCloud) -> Vec<String> {
    let cloud = cloud.live().present();
    let rules = &cloud.firewall_of(VLAN).unwrap().rules;
    rules.iter().map(|it| format!("{} {} {} {}", it.order, it.permit, it.destination, it.notes)).collect()
}

#[tokio::test]
async fn softlayer_s_vlan_firewall_conforms() {
    let (_cloud, softlayer) = start().await;
    guards_a_zone(&softlayer, &ZoneId::new(VLAN.to_string()), [at(4), at(5)]).await;
}

#[tokio::test]
async fn softlayer_s_security_groups_conform() {
    let (cloud, softlayer) = start().await;
    assert!(cloud.live().put_security_group("allow_all", "vm1"));
    guards_hosts(&softlayer, "web", &interface(&cloud, "vm1")).await;
}

fn interface(cloud: &SimulatedCloud, hostname: &str) -> Interface {
    let cloud = cloud.live().present();
    let id = cloud.machine(hostname).unwrap().id;
    Interface { machine: InstanceId::new(format!("virtual-{id}")), zone: ZoneId::new("1234") }
}

#[tokio::test]
async fn ours_stand_after_what_others_wrote_and_before_what_forbids_everything() {
    let (cloud, softlayer) = start().await;
    softlayer.change_firewall(&zone(), "demo", &FirewallChange::SetRules([rule(4)].into())).await.unwrap();
    cloud.live().advance(std::time::Duration::from_secs(1));
    assert_eq!(
        standing(&cloud),
        [
            "1 true 198.51.100.5/32 the operator's",
            "2 true 203.0.113.4/32 berth:demo",
            "3 false 0.0.0.0/0 the operator's"
        ]
    );
}

#[tokio::test]
async fn a_list_is_not_merged_while_somebody_else_s_update_is_under_way() {
    let (cloud, softlayer) = start().await;
    // Another cluster's stands for somebody else's: it is marked otherwise.
    let theirs = FirewallChange::SetRules([rule(9)].into());
    softlayer.change_firewall(&zone(), "another", &theirs).await.unwrap();
    let ours = FirewallChange::SetRules([rule(4)].into());
    let early = softlayer.change_firewall(&zone(), "demo", &ours).await;
    assert!(matches!(early, Err(ProviderError::Busy { .. })), "{early:?}");
    cloud.live().advance(std::time::Duration::from_secs(1));
    softlayer.change_firewall(&zone(), "demo", &ours).await.unwrap();
    cloud.live().advance(std::time::Duration::from_secs(1));
    assert_eq!(standing(&cloud).len(), 4);
}

#[tokio::test]
async fn an_update_that_was_accepted_and_never_applied_is_sent_again_as_soon_as_that_is_asked_for() {
    let (cloud, softlayer) = start().await;
    cloud.live().deafen_firewall(VLAN, 1);
    let ours = FirewallChange::SetRules([rule(4)].into());
    for _ in 0..2 {
        softlayer.change_firewall(&zone(), "demo", &ours).await.unwrap();
        cloud.live().advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(standing(&cloud).len(), 3);
}

#[tokio::test]
async fn a_vlan_without_a_firewall_has_none_and_takes_no_change() {
    let (_cloud, softlayer) = start().await;
    let private = Firewall::Zone(ZoneId::new("1234"));
    assert_eq!(softlayer.firewall(&private, "demo", &BTreeSet::new()).await.unwrap(), None);
    let nowhere = Firewall::Zone(ZoneId::new("9999"));
    assert_eq!(softlayer.firewall(&nowhere, "demo", &BTreeSet::new()).await.unwrap(), None);
    let set = FirewallChange::SetRules([rule(4)].into());
    let refused = softlayer.change_firewall(&private, "demo", &set).await;
    assert!(matches!(refused, Err(ProviderError::Gone { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_in_doubt() {
    let (cloud, softlayer) = start().await;
    cloud.live().inject(Fault::once("createObject", Effect::CutAfter));
    let set = FirewallChange::SetRules([rule(4)].into());
    let lost = softlayer.change_firewall(&zone(), "demo", &set).await;
    assert!(matches!(lost, Err(ProviderError::InDoubt { .. })), "{lost:?}");
    cloud.live().advance(std::time::Duration::from_secs(1));
    assert_eq!(standing(&cloud).len(), 3);
}

#[tokio::test]
async fn bare_metal_has_no_interface_that_takes_a_group() {
    let (cloud, softlayer) = start().await;
    let group = Firewall::Group("web".into());
    softlayer.change_firewall(&group, "demo", &FirewallChange::Make).await.unwrap();
    let (virtual_one, metal) = (interface(&cloud, "vm1"), {
        let cloud = cloud.live().present();
        let id = cloud.machine("metal1").unwrap().id;
        Interface { machine: InstanceId::new(format!("hardware-{id}")), zone: ZoneId::new("1234") }
    });
    let asked: BTreeSet<_> = [virtual_one.clone(), metal.clone()].into();
    let seen = softlayer.firewall(&group, "demo", &asked).await.unwrap().unwrap();
    assert_eq!(seen.interfaces.get(&virtual_one).map(|it| (it.attached, it.others)), Some((false, 0)));
    assert!(!seen.interfaces.contains_key(&metal));
}
