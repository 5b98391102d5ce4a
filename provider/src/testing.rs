//! What every provider must keep, as a test that every implementation runs.

mod balancers;
mod firewalls;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use crate::{
    CloudSubnet, ClusterTags, HostState, InstanceId, Network, Nic, OrderIntent, OrderRequest, OrderStatus,
    Provider, ProviderError, SetAside, SubnetId, Tag, TagEdit, ZoneId,
};

pub use balancers::{BalancerWorld, balances};
pub use firewalls::{guards_a_zone, guards_hosts};

/// How long a delivery or a return may take in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// The world in which a provider is tested.
#[derive(Debug, Clone)]
pub struct World {
    /// This machine's interfaces, as the provider knows them.
    pub nics: Vec<Nic>,
    /// Interfaces that the provider does not know.
    pub foreign_nics: Vec<Nic>,
    /// The zone that one of `nics` is attached to.
    pub zone: ZoneId,
    /// The zone's address space.
    pub network: Network,
    /// An IPv4 subnet of that zone.
    pub subnet: SubnetId,
    /// The size to order; none where nothing can be ordered.
    pub order_prefix: Option<u8>,
}

/// Runs every promise against a provider.
///
/// # Panics
/// When a promise is broken.
pub async fn conforms(provider: &impl Provider, world: &World) {
    an_attachment_is_reported_only_for_an_interface_that_is_there(provider, world).await;
    subnets_are_listed_for_their_own_zone_only(provider, world).await;
    the_provider_keeps_network_gateway_and_broadcast(provider, world).await;
    an_edit_keeps_foreign_tags_and_may_be_repeated(provider, world).await;
    what_is_unknown_is_gone_and_returns_without_error(provider, world).await;
    an_unknown_machine_is_never_called_running(provider).await;
    this_machine_is_not_called_silent(provider, world).await;
    match world.order_prefix {
        Some(prefix) => an_order_is_delivered_found_again_and_returned(provider, world, prefix).await,
        None => an_order_that_is_not_offered_says_so(provider, world).await,
    }
}

async fn an_attachment_is_reported_only_for_an_interface_that_is_there(
    provider: &impl Provider,
    world: &World,
) {
    let known = provider.whoami(&world.nics).await.expect("whoami");
    let attachment = known.attachments.iter().find(|attachment| attachment.zone == world.zone);
    let attachment = attachment.expect("an attachment to the zone");
    assert!(world.nics.iter().any(|nic| nic.mac == attachment.mac));
    assert_eq!(attachment.network, world.network);
    assert!(!known.datacenter.is_empty() && !known.hostname.is_empty());
    let foreign = provider.whoami(&world.foreign_nics).await.expect("whoami of foreign interfaces");
    assert_eq!(foreign.attachments, [], "attached to an interface that is not there");
}

async fn subnets_are_listed_for_their_own_zone_only(provider: &impl Provider, world: &World) {
    let subnets = provider.subnets(&world.zone).await.expect("subnets");
    assert!(subnets.iter().all(|subnet| subnet.zone == world.zone));
    assert!(subnets.iter().any(|subnet| subnet.id == world.subnet), "{subnets:?}");
    match provider.subnets(&ZoneId::new("999999999")).await {
        Ok(subnets) => assert_eq!(subnets, []),
        Err(error) => assert!(matches!(error, ProviderError::Gone { .. }), "{error}"),
    }
}

async fn the_provider_keeps_network_gateway_and_broadcast(provider: &impl Provider, world: &World) {
    let subnet = shown(provider, world).await;
    let kept = provider.set_aside(&world.subnet).await.expect("set aside");
    let reason = |address| kept.iter().find(|kept| kept.address == address).map(|kept| kept.set_aside);
    assert_eq!(reason(subnet.cidr.network()), Some(SetAside::Network));
    assert_eq!(reason(subnet.cidr.broadcast()), Some(SetAside::Broadcast));
    assert_eq!(reason(subnet.gateway.expect("a gateway")), Some(SetAside::Gateway));
    assert!(kept.iter().all(|kept| subnet.cidr.contains(kept.address)));
    let distinct: BTreeSet<_> = kept.iter().map(|kept| kept.address).collect();
    assert_eq!(distinct.len(), kept.len(), "an address is listed twice");
}

async fn an_edit_keeps_foreign_tags_and_may_be_repeated(provider: &impl Provider, world: &World) {
    let before = shown(provider, world).await.tags;
    let foreign = TagEdit { add: vec![Tag::new("somebody elses")], remove: vec![] };
    provider.edit_tags(&world.subnet, &foreign).await.expect("a foreign tag");
    let opening = ClusterTags::of("conformance").expect("a good name").opening();
    for _ in 0..2 {
        provider.edit_tags(&world.subnet, &opening).await.expect("our tags");
    }
    let tags = shown(provider, world).await.tags;
    assert!(foreign.holds_in(&tags) && opening.holds_in(&tags), "{tags:?}");
    assert!(before.iter().all(|tag| tags.contains(tag)), "{before:?} became {tags:?}");
    let undo = TagEdit { add: vec![], remove: [foreign.add, opening.add].concat() };
    provider.edit_tags(&world.subnet, &undo).await.expect("removing tags");
    assert_eq!(shown(provider, world).await.tags, before);
}

async fn what_is_unknown_is_gone_and_returns_without_error(provider: &impl Provider, _world: &World) {
    let nothing = SubnetId::new("999999998");
    let looked = provider.set_aside(&nothing).await;
    assert!(matches!(looked, Err(ProviderError::Gone { .. })), "{looked:?}");
    provider.return_subnet(&nothing).await.expect("returning what is gone");
}

async fn an_unknown_machine_is_never_called_running(provider: &impl Provider) {
    let state = provider.host_state(&InstanceId::new("virtual-999999997")).await.expect("a state");
    assert!(matches!(state, HostState::Gone | HostState::Unknown), "{state:?}");
}

async fn this_machine_is_not_called_silent(provider: &impl Provider, world: &World) {
    let instance = provider.whoami(&world.nics).await.expect("whoami").instance;
    let state = provider.host_state(&instance).await.expect("a state");
    assert!(!state.is_silent_for_good(), "this very machine is said to be {state:?}");
}

async fn an_order_is_delivered_found_again_and_returned(provider: &impl Provider, world: &World, prefix: u8) {
    let request = OrderRequest { zone: world.zone.clone(), network: world.network, prefix };
    let before = provider.subnets(&world.zone).await.expect("subnets").len();
    let quote = provider.verify_order(&request).await.expect("a quote");
    let intent = OrderIntent { request, price: quote.price, intended_at: now() };
    assert_eq!(
        provider.find_orders(&intent).await.expect("no order yet"),
        [],
        "verifying must order nothing"
    );
    assert_eq!(provider.subnets(&world.zone).await.expect("subnets").len(), before);

    let placed = provider.place_order(&intent).await.expect("an order").order;
    let found = provider.find_orders(&intent).await.expect("orders");
    assert_eq!(found.iter().map(|found| &found.order).collect::<Vec<_>>(), [&placed]);
    let subnet = delivered(provider, &placed).await;
    assert_eq!((&subnet.zone, subnet.cidr.prefix()), (&world.zone, prefix));
    assert_eq!(
        provider.find_orders(&intent).await.expect("orders").len(),
        1,
        "found after its delivery, too"
    );
    assert!(
        provider.subnets(&world.zone).await.expect("subnets").iter().any(|listed| listed.id == subnet.id)
    );

    provider.return_subnet(&subnet.id).await.expect("a return");
    provider.return_subnet(&subnet.id).await.expect("a second return");
    let gone = async {
        while provider
            .subnets(&world.zone)
            .await
            .expect("subnets")
            .iter()
            .any(|listed| listed.id == subnet.id)
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("a returned subnet goes away");
}

async fn delivered(provider: &impl Provider, order: &crate::OrderId) -> CloudSubnet {
    let delivery = async {
        loop {
            match provider.order_status(order).await.expect("a status") {
                OrderStatus::Delivered(subnet) => return subnet,
                OrderStatus::Declined(reason) => panic!("declined: {reason}"),
                OrderStatus::Pending(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(PATIENCE, delivery).await.expect("a delivery")
}

async fn an_order_that_is_not_offered_says_so(provider: &impl Provider, world: &World) {
    let request = OrderRequest { zone: world.zone.clone(), network: world.network, prefix: 28 };
    let refused = provider.verify_order(&request).await;
    assert!(matches!(refused, Err(ProviderError::NotOffered { .. })), "{refused:?}");
}

async fn shown(provider: &impl Provider, world: &World) -> CloudSubnet {
    let subnets = provider.subnets(&world.zone).await.expect("subnets");
    subnets.into_iter().find(|subnet| subnet.id == world.subnet).expect("the world's subnet")
}

fn now() -> Timestamp {
    Timestamp::now()
}
