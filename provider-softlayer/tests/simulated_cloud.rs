//! Whole conversations with the simulated cloud, over HTTP.
#![expect(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::time::Duration;

use jiff::Timestamp;
use provider::{
    ClusterTags, HostState, InstanceId, InstanceKind, Network, Nic, OrderIntent, OrderRequest, OrderStatus,
    Provider, ProviderError, Secret, SetAside, SubnetId, Tag, TagEdit, ZoneId,
    testing::{World, conforms},
};
use provider_mock::{CloudSpec, Delays, Effect, Fault, MachineKind, PowerState, SimulatedCloud, SubnetSpec};
use provider_softlayer::{Credentials, SoftLayer};

const PRIVATE_VLAN: u64 = 1234;
const HOST_MAC: &str = "06:00:0a:28:00:0b";

/// The small cloud with quick deliveries and one portable subnet.
fn spec() -> CloudSpec {
    let mut spec = CloudSpec::small();
    spec.delays = Delays {
        order_visible_ms: 50,
        order_routed_ms: 50,
        reclaim_ms: 50,
        transaction_ms: 3_600_000,
        ..Delays::NONE
    };
    let cidr = "10.50.0.0/29".parse().unwrap();
    spec.subnets =
        vec![SubnetSpec { vlan: PRIVATE_VLAN, cidr, tags: vec!["berth:demo".into()], note: "lab".into() }];
    spec
}

/// The same with VLAN 1300 behind the same router.
fn with_a_second_vlan(mut spec: CloudSpec) -> CloudSpec {
    let mut other = spec.vlans[0].clone();
    (other.id, other.number) = (1300, 800);
    other.primary = "10.41.0.0/24".parse().unwrap();
    other.portable = vec!["10.60.0.0/22".parse().unwrap()];
    spec.vlans.push(other);
    spec
}

async fn start(spec: CloudSpec) -> (SimulatedCloud, SoftLayer) {
    let cloud = SimulatedCloud::start(spec).await.unwrap();
    let client = client(&cloud, "simulated-key");
    (cloud, client)
}

fn client(cloud: &SimulatedCloud, key: &str) -> SoftLayer {
    SoftLayer::new(&cloud.endpoint(), Credentials::new("SL307608", Secret::new(key))).unwrap()
}

fn nic(mac: &str) -> Nic {
    Nic { name: "eth0".into(), mac: mac.parse().unwrap() }
}

fn zone() -> ZoneId {
    ZoneId::new(PRIVATE_VLAN.to_string())
}

fn request() -> OrderRequest {
    OrderRequest { zone: zone(), network: Network::Private, prefix: 28 }
}

async fn intend(softlayer: &SoftLayer) -> OrderIntent {
    let price = softlayer.verify_order(&request()).await.unwrap().price;
    OrderIntent { request: request(), price, intended_at: Timestamp::now() }
}

async fn the_subnet(softlayer: &SoftLayer) -> provider::CloudSubnet {
    softlayer.subnets(&zone()).await.unwrap().remove(0)
}

#[tokio::test]
async fn softlayer_conforms() {
    let (_cloud, softlayer) = start(spec()).await;
    let subnet = the_subnet(&softlayer).await;
    assert_eq!(
        (subnet.tags.as_slice(), subnet.note.as_deref()),
        (&[Tag::new("berth:demo")][..], Some("lab"))
    );
    let world = World {
        nics: vec![nic("02:00:00:00:00:99"), nic(HOST_MAC)],
        foreign_nics: vec![nic("02:00:00:00:00:99")],
        zone: zone(),
        network: Network::Private,
        subnet: subnet.id,
        order_prefix: Some(28),
    };
    conforms(&softlayer, &world).await;
}

#[tokio::test]
async fn a_virtual_machine_knows_its_vlan_router_and_datacenter() {
    let (_cloud, softlayer) = start(spec()).await;
    let identity = softlayer.whoami(&[nic(HOST_MAC)]).await.unwrap();
    assert_eq!((identity.kind, identity.hostname.as_str()), (InstanceKind::Virtual, "host1"));
    assert_eq!(identity.datacenter, "dal05");
    let attachment = &identity.attachments[0];
    assert_eq!((attachment.zone.as_str(), attachment.vlan_number), ("1234", Some(777)));
    assert_eq!(
        (attachment.zone_name.as_str(), attachment.router.as_deref()),
        ("dal05.bcr01.777", Some("bcr01a.dal05"))
    );
    assert!(identity.instance.as_str().starts_with("virtual-"), "{}", identity.instance);
}

#[tokio::test]
async fn a_bare_metal_server_is_told_from_a_virtual_machine() {
    let mut spec = spec();
    for machine in &mut spec.machines {
        machine.also_from =
            if machine.kind == MachineKind::Hardware { vec!["127.0.0.1".parse().unwrap()] } else { vec![] };
    }
    let (cloud, softlayer) = start(spec).await;
    let mac = cloud.live().present().machine("metal1").unwrap().ports[0].mac.clone();
    let identity = softlayer.whoami(&[nic(&mac)]).await.unwrap();
    assert_eq!((identity.kind, identity.hostname.as_str()), (InstanceKind::BareMetal, "metal1"));
    assert!(identity.instance.as_str().starts_with("hardware-"), "{}", identity.instance);
    assert_eq!(softlayer.host_state(&identity.instance).await.unwrap(), HostState::Running);
    cloud.live().set_power("metal1", PowerState::Halted);
    assert_eq!(softlayer.host_state(&identity.instance).await.unwrap(), HostState::Off);
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_in_doubt_and_found_once() {
    let (cloud, softlayer) = start(spec()).await;
    let intent = intend(&softlayer).await;
    for effect in [Effect::CutAfter, Effect::EmptyBody] {
        let before = softlayer.find_orders(&intent).await.unwrap().len();
        cloud.live().inject(Fault::once("placeOrder", effect));
        let placed = softlayer.place_order(&intent).await;
        assert!(matches!(placed, Err(ProviderError::InDoubt { .. })), "{placed:?}");
        assert_eq!(softlayer.find_orders(&intent).await.unwrap().len(), before + 1);
    }
}

#[tokio::test]
async fn an_order_that_never_arrived_is_in_doubt_and_not_found() {
    let (cloud, softlayer) = start(spec()).await;
    let intent = intend(&softlayer).await;
    for effect in [Effect::CutBefore, Effect::InternalError, Effect::InternalErrorAs200] {
        cloud.live().inject(Fault::once("placeOrder", effect));
        let placed = softlayer.place_order(&intent).await;
        assert!(matches!(placed, Err(ProviderError::InDoubt { .. })), "{placed:?}");
    }
    assert_eq!(softlayer.find_orders(&intent).await.unwrap(), []);
}

#[tokio::test]
async fn an_order_that_was_throttled_or_refused_is_not_in_doubt() {
    let (cloud, softlayer) = start(spec()).await;
    let intent = intend(&softlayer).await;
    cloud.live().inject(Fault::once("placeOrder", Effect::RateLimited));
    let placed = softlayer.place_order(&intent).await;
    assert!(matches!(placed, Err(ProviderError::Throttled { .. })), "{placed:?}");
    let elsewhere = OrderRequest { zone: ZoneId::new("999"), ..request() };
    let refused = softlayer.verify_order(&elsewhere).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("zone 999"), "{refused}");
}

#[tokio::test]
async fn orders_of_another_size_or_an_earlier_time_are_not_taken_for_ours() {
    let (_cloud, softlayer) = start(spec()).await;
    let ours = intend(&softlayer).await;
    let other = OrderRequest { prefix: 29, ..request() };
    let price = softlayer.verify_order(&other).await.unwrap().price;
    softlayer
        .place_order(&OrderIntent { request: other, price, intended_at: Timestamp::now() })
        .await
        .unwrap();
    assert_eq!(softlayer.find_orders(&ours).await.unwrap(), []);
    let placed = softlayer.place_order(&ours).await.unwrap().order;
    let later = Timestamp::now() + jiff::SignedDuration::from_mins(20);
    let found = softlayer.find_orders(&OrderIntent { intended_at: later, ..ours.clone() }).await.unwrap();
    assert_eq!(found, []);
    assert_eq!(softlayer.find_orders(&ours).await.unwrap()[0].order, placed);
}

#[tokio::test]
async fn a_delivered_order_for_another_vlan_is_not_taken_for_ours() {
    let (_cloud, softlayer) = start(with_a_second_vlan(spec())).await;
    let ours = intend(&softlayer).await;
    let elsewhere = OrderRequest { zone: ZoneId::new("1300"), ..request() };
    let placed = softlayer.place_order(&OrderIntent { request: elsewhere, ..ours.clone() }).await.unwrap();
    while !matches!(softlayer.order_status(&placed.order).await.unwrap(), OrderStatus::Delivered(_)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(softlayer.find_orders(&ours).await.unwrap(), []);
}

#[tokio::test]
async fn addresses_kept_for_hsrp_are_set_aside() {
    let mut spec = spec();
    spec.vlans[0].hsrp = true;
    let (_cloud, softlayer) = start(spec).await;
    let subnet = the_subnet(&softlayer).await;
    let kept = softlayer.set_aside(&subnet.id).await.unwrap();
    let reserved = kept.iter().filter(|kept| kept.set_aside == SetAside::Reserved).count();
    assert_eq!((kept.len(), reserved), (5, 2), "{kept:?}");
}

#[tokio::test]
async fn tags_survive_a_write_whose_answer_is_lost_and_a_throttled_one() {
    let (cloud, softlayer) = start(spec()).await;
    let subnet = the_subnet(&softlayer).await;
    let opening = ClusterTags::of("demo").unwrap().opening();
    cloud.live().inject(Fault::once("setTags", Effect::CutAfter));
    softlayer.edit_tags(&subnet.id, &opening).await.unwrap();
    cloud.live().inject(Fault::once("setTags", Effect::RateLimited));
    softlayer
        .edit_tags(&subnet.id, &TagEdit { add: vec![Tag::new("billing")], remove: vec![] })
        .await
        .unwrap();
    let tags = the_subnet(&softlayer).await.tags;
    assert_eq!(tags.len(), 3, "{tags:?}");
    let writes = cloud.live().requests().iter().filter(|request| request.method == "setTags").count();
    assert_eq!(writes, 3);
}

#[tokio::test]
async fn a_wrong_key_is_refused_by_name_and_not_retried() {
    let (cloud, _) = start(spec()).await;
    let error = client(&cloud, "not-the-key").subnets(&zone()).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Unauthorized { user, .. } if user == "SL307608"), "{error:?}");
    assert_eq!(cloud.live().requests().len(), 1);
    let shown = format!("{error} {error:?} {:?}", client(&cloud, "not-the-key"));
    assert!(!shown.contains("not-the-key"), "{shown}");
}

#[tokio::test]
async fn a_throttled_read_slows_down_and_succeeds() {
    let (cloud, softlayer) = start(spec()).await;
    cloud.live().inject(Fault::once("getSubnets", Effect::RateLimited));
    assert_eq!(softlayer.subnets(&zone()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn two_agents_of_one_user_stay_under_its_limit() {
    let (cloud, one) = start(spec()).await;
    let other = client(&cloud, "simulated-key");
    cloud.live().set_requests_per_second(10);
    let zone = zone();
    let look = async |softlayer: &SoftLayer| {
        for _ in 0..12 {
            softlayer.subnets(&zone).await.unwrap();
        }
    };
    tokio::join!(look(&one), look(&other));
    assert_eq!(cloud.live().requests().iter().filter(|request| request.status == Some(200)).count(), 24);
}

/// SoftLayer counts 50 requests a second for all agents of a user together, and they do not know of each other.
#[tokio::test]
async fn ten_agents_of_one_user_that_start_at_once_are_all_served_with_few_rejections() {
    const AGENTS: usize = 10;
    const LOOKS: usize = 12;
    let (cloud, _) = start(spec()).await;
    cloud.live().set_requests_per_second(50);
    let zone = zone();
    let agents: Vec<SoftLayer> = (0..AGENTS).map(|_| client(&cloud, "simulated-key")).collect();
    let look = async |softlayer: &SoftLayer| {
        for _ in 0..LOOKS {
            softlayer.subnets(&zone).await.unwrap();
        }
    };
    futures::future::join_all(agents.iter().map(look)).await;

    let requests = cloud.live().requests();
    let served = requests.iter().filter(|request| request.status == Some(200)).count();
    assert_eq!(served, AGENTS * LOOKS);
    let rejected = requests.len() - served;
    assert!(rejected > 0, "more than 50 were asked in the first second: the test shows something");
    // Two for each as a rule, the first of a burst and its first repetition; one more where that comes in the same second
    // on a fast machine. Without slowing down it would be one for each look beyond the limit, and its repetitions.
    assert!(rejected <= 3 * AGENTS, "each agent slows down at its first rejections: {rejected} of them");
}

#[tokio::test]
async fn power_states_of_a_virtual_machine_are_told_apart() {
    let (cloud, softlayer) = start(spec()).await;
    let instance = softlayer.whoami(&[nic(HOST_MAC)]).await.unwrap().instance;
    for (power, state) in [
        (PowerState::Running, HostState::Running),
        (PowerState::Halted, HostState::Off),
        (PowerState::Paused, HostState::Suspended),
        (PowerState::Suspended, HostState::Suspended),
        (PowerState::Unknown, HostState::Unknown),
    ] {
        cloud.live().set_power("host1", power);
        assert_eq!(softlayer.host_state(&instance).await.unwrap(), state, "{power:?}");
    }
    cloud.live().set_power("host1", PowerState::Halted);
    cloud.live().begin_transaction("host1", "REBOOT");
    assert_eq!(softlayer.host_state(&instance).await.unwrap(), HostState::InTransaction);
}

#[tokio::test]
async fn a_deleted_machine_is_gone_and_one_that_we_may_not_see_is_unknown() {
    let (cloud, softlayer) = start(spec()).await;
    for hostname in ["host1", "metal1"] {
        let machine = cloud.live().present().machine(hostname).unwrap().clone();
        let kind = if machine.kind == MachineKind::Hardware { "hardware" } else { "virtual" };
        let instance = InstanceId::new(format!("{kind}-{}", machine.id));
        assert_eq!(softlayer.host_state(&instance).await.unwrap(), HostState::Running, "{hostname}");
        cloud.live().let_see_machines("SL307608", false);
        assert_eq!(softlayer.host_state(&instance).await.unwrap(), HostState::Unknown, "{hostname}");
        cloud.live().delete_machine(hostname);
        assert_eq!(softlayer.host_state(&instance).await.unwrap(), HostState::Unknown, "{hostname}");
        cloud.live().let_see_machines("SL307608", true);
        assert_eq!(softlayer.host_state(&instance).await.unwrap(), HostState::Gone, "{hostname}");
    }
}

#[tokio::test]
async fn an_order_for_another_vlan_is_told_by_its_receipt_before_it_is_delivered() {
    let mut spec = with_a_second_vlan(spec());
    spec.delays.order_visible_ms = 3_600_000;
    let (cloud, softlayer) = start(spec).await;
    let ours = intend(&softlayer).await;
    let elsewhere = OrderRequest { zone: ZoneId::new("1300"), ..request() };
    let theirs = OrderIntent { request: elsewhere, ..ours.clone() };
    let placed = softlayer.place_order(&theirs).await.unwrap().order;
    assert_eq!(softlayer.find_orders(&ours).await.unwrap(), []);
    assert_eq!(softlayer.find_orders(&theirs).await.unwrap()[0].order, placed);
    let receipts = cloud.live().requests().into_iter().filter(|request| request.method == "getReceipt");
    assert!(receipts.clone().count() >= 2 && receipts.clone().all(|request| request.status == Some(200)));
}

#[tokio::test]
async fn a_subnet_that_is_not_portable_is_neither_listed_nor_returned() {
    let (cloud, softlayer) = start(spec()).await;
    let primary = cloud.live().present().machine("host1").unwrap().ports[0].subnet;
    let listed = softlayer.subnets(&zone()).await.unwrap();
    assert!(listed.iter().all(|subnet| subnet.id.as_str() != primary.to_string()), "{listed:?}");
    let refused = softlayer.return_subnet(&SubnetId::new(primary.to_string())).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn a_silent_cloud_is_unavailable_and_nothing_hangs() {
    let (cloud, softlayer) = start(spec()).await;
    cloud.live().inject(Fault::everywhere(Effect::CutBefore));
    let error = softlayer.subnets(&zone()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
}
