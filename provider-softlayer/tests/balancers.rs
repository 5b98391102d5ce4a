//! Load balancers of the simulated cloud, over HTTP.
#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::BTreeMap;

use provider::testing::{BalancerWorld, balances};
use provider::{
    BalancerChange, BalancerState, Balancers, Exposure, ListenerProtocol, ListenerSpec, ProviderError,
    Secret, ZoneId,
};
use provider_mock::{CloudSpec, Delays, Effect, Fault, SimulatedCloud};
use provider_softlayer::{Credentials, SoftLayer};

async fn start() -> (SimulatedCloud, SoftLayer) {
    let mut spec = CloudSpec::small();
    spec.delays = Delays { balancer_create_ms: 100, balancer_update_ms: 500, ..Delays::NONE };
    let cloud = SimulatedCloud::start(spec).await.unwrap();
    let softlayer =
        SoftLayer::new(&cloud.endpoint(), Credentials::new("SL307608", Secret::new("simulated-key")))
            .unwrap();
    (cloud, softlayer)
}

/// Orders a balancer, and waits until it takes a change.
async fn ordered(softlayer: &SoftLayer, exposure: Exposure) {
    let listener = ListenerSpec { port: 80, protocol: ListenerProtocol::Http, to_port: 8080 };
    let order = BalancerChange::Order { exposure, zone: ZoneId::new("1234"), listeners: vec![listener] };
    softlayer.change_balancer("web", &order).await.unwrap();
    ready(softlayer).await;
}

async fn ready(softlayer: &SoftLayer) {
    while softlayer.balancer("web").await.unwrap().unwrap().state != BalancerState::Ready {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn one_member() -> BalancerChange {
    BalancerChange::AddMembers {
        members: BTreeMap::from([("10.50.0.5".parse().unwrap(), 50)]),
        listeners: Vec::new(),
    }
}

#[tokio::test]
async fn softlayer_s_load_balancers_conform() {
    let (_cloud, softlayer) = start().await;
    let members = ["10.50.0.4", "10.50.0.5", "10.50.0.6"].map(|at| at.parse().unwrap());
    balances(&softlayer, &BalancerWorld { name: "web".into(), zone: ZoneId::new("1234"), members }).await;
}

#[tokio::test]
async fn one_that_was_deleted_and_made_again_is_found_by_its_name() {
    let (cloud, softlayer) = start().await;
    ordered(&softlayer, Exposure::Private).await;
    assert!(cloud.live().delete_balancer("web"));
    assert_eq!(softlayer.balancer("WEB").await.unwrap(), None);
    ordered(&softlayer, Exposure::Private).await;
    assert!(softlayer.balancer("Web").await.unwrap().is_some());
}

#[tokio::test]
async fn a_public_one_has_its_members_on_the_private_network() {
    let (_cloud, softlayer) = start().await;
    ordered(&softlayer, Exposure::Public).await;
    softlayer.change_balancer("web", &one_member()).await.unwrap();
    assert_eq!(softlayer.balancer("web").await.unwrap().unwrap().members.len(), 1);
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_in_doubt_and_is_seen_by_looking() {
    let (cloud, softlayer) = start().await;
    ordered(&softlayer, Exposure::Private).await;
    for (effect, landed) in [(Effect::CutBefore, 0), (Effect::InternalError, 0), (Effect::CutAfter, 1)] {
        cloud.live().inject(Fault::once("addLoadBalancerMembers", effect));
        let added = softlayer.change_balancer("web", &one_member()).await;
        assert!(matches!(added, Err(ProviderError::InDoubt { .. })), "{added:?}");
        assert_eq!(softlayer.balancer("web").await.unwrap().unwrap().members.len(), landed);
    }
}

#[tokio::test]
async fn one_in_error_is_broken_and_one_that_is_offline_is_waited_for() {
    let (cloud, softlayer) = start().await;
    ordered(&softlayer, Exposure::Private).await;
    cloud.live().set_balancer_online("web", false);
    let seen = softlayer.balancer("web").await.unwrap().unwrap();
    assert_eq!(seen.state, BalancerState::Busy("OFFLINE".into()));
    cloud.live().break_balancer("web");
    let seen = softlayer.balancer("web").await.unwrap().unwrap();
    assert_eq!(seen.state, BalancerState::Broken("ERROR".into()));
}

#[tokio::test]
async fn an_order_that_cannot_be_is_refused_in_the_provider_s_words() {
    let (_cloud, softlayer) = start().await;
    let order = |zone: &str| BalancerChange::Order {
        exposure: Exposure::Private,
        zone: ZoneId::new(zone),
        listeners: vec![ListenerSpec { port: 56_500, protocol: ListenerProtocol::Tcp, to_port: 8080 }],
    };
    let port = softlayer.change_balancer("web", &order("1234")).await.unwrap_err();
    assert!(matches!(port, ProviderError::Refused { .. }) && port.to_string().contains("56500"), "{port}");
    let zone = softlayer.change_balancer("web", &order("999")).await.unwrap_err();
    assert!(zone.to_string().contains("VLAN 999"), "{zone}");
}
