//! The simulated cloud over its sockets, as a client meets it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod balancers;
mod firewalls;
mod security_groups;

use std::time::Duration;

use provider_mock::{CloudSpec, Delays, Effect, Fault, LiveCloud, PowerState, SimulatedCloud};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

/// A cloud and a client of it.
struct Fixture {
    cloud: SimulatedCloud,
    client: Client,
}

impl Fixture {
    async fn start(change: impl FnOnce(&mut CloudSpec)) -> Self {
        let mut spec = CloudSpec::small();
        change(&mut spec);
        // A new connection each time: a reset one must not be tried again behind our back.
        let client =
            Client::builder().pool_max_idle_per_host(0).timeout(Duration::from_secs(5)).build().unwrap();
        Self { cloud: SimulatedCloud::start(spec).await.unwrap(), client }
    }

    async fn fast() -> Self {
        Self::start(|spec| spec.delays = Delays::NONE).await
    }

    fn live(&self) -> &LiveCloud {
        self.cloud.live()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.cloud.endpoint());
        let request = self.client.request(method, url).basic_auth("SL307608", Some("simulated-key"));
        match body {
            Some(arguments) => request.json(&json!({ "parameters": arguments })).send().await,
            None => request.send().await,
        }
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, arguments: Value) -> Value {
        self.send(Method::POST, path, Some(arguments)).await.unwrap().json().await.unwrap()
    }

    async fn order(&self) -> Value {
        self.post("SoftLayer_Product_Order/placeOrder.json", json!([container(13_985, 1234)])).await
    }

    async fn subnets_of(&self, order: &Value) -> Value {
        let filter = json!({ "subnets": { "billingItem": { "orderItem": { "order": { "id": { "operation": order["orderId"] } } } } } });
        self.get(&format!("SoftLayer_Account/getSubnets?objectFilter={filter}")).await
    }

    /// The codes of an answer: HTTP's and SoftLayer's.
    async fn refusal(&self, path: &str, arguments: Option<Value>) -> (StatusCode, Value) {
        let method = if arguments.is_some() { Method::POST } else { Method::GET };
        let response = self.send(method, path, arguments).await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        (status, body["code"].clone())
    }
}

fn container(price: u64, vlan: u64) -> Value {
    json!({
        "complexType": "SoftLayer_Container_Product_Order_Network_Subnet",
        "packageId": 0, "prices": [{ "id": price }], "quantity": 1, "endPointVlanId": vlan,
    })
}

const PRIVATE: &str = "SoftLayer_Account/getPrivateSubnets.json";

#[tokio::test]
async fn an_order_is_listed_first_and_on_its_vlan_later() {
    let it = Fixture::start(|spec| {
        spec.delays = Delays { order_visible_ms: 60_000, order_routed_ms: 60_000, ..Delays::NONE };
    })
    .await;
    let order = it.order().await;
    assert_eq!(order["placedOrder"]["status"], "PENDING_AUTO_APPROVAL");
    assert_eq!(it.subnets_of(&order).await, json!([]));
    it.live().advance(Duration::from_secs(60));
    let listed = it.subnets_of(&order).await;
    assert_eq!(listed[0]["networkIdentifier"], "10.50.0.0");
    assert_eq!(listed[0]["networkVlanId"], Value::Null);
    assert_eq!(listed[0]["subnetType"], Value::Null);
    it.live().advance(Duration::from_secs(60));
    let routed = it.subnets_of(&order).await;
    assert_eq!(routed[0]["networkVlanId"], 1234);
    assert_eq!(routed[0]["subnetType"], "SECONDARY_ON_VLAN");
    assert_eq!(routed[0]["gateway"], "10.50.0.1");
}

#[tokio::test]
async fn a_cancelled_subnet_loses_its_billing_item_at_once_and_goes_later_and_can_be_ordered_again() {
    let it = Fixture::start(|spec| spec.delays = Delays { reclaim_ms: 60_000, ..Delays::NONE }).await;
    let order = it.order().await;
    let id = it.subnets_of(&order).await[0]["id"].clone();
    let shown = format!("SoftLayer_Network_Subnet/{id}/getObject?objectMask=id,billingItem.id");
    let billing_item = it.get(&shown).await["billingItem"]["id"].clone();
    assert_eq!(it.get(&format!("SoftLayer_Billing_Item/{billing_item}/cancelService.json")).await, true);
    assert_eq!(it.get(&shown).await, json!({ "id": id }));
    it.live().advance(Duration::from_secs(60));
    assert_eq!(it.refusal(&shown, None).await.0, StatusCode::NOT_FOUND);
    let again = it.order().await;
    assert_eq!(it.subnets_of(&again).await[0]["networkIdentifier"], "10.50.0.0");
}

#[tokio::test]
async fn orders_that_cannot_be_are_refused_with_the_reason() {
    let it = Fixture::start(|spec| spec.limits.subnets_per_vlan = 1).await;
    let verify = async |container: Value| {
        let path = "SoftLayer_Product_Order/verifyOrder";
        it.post(path, json!([container])).await["error"].as_str().unwrap_or("taken").to_owned()
    };
    assert_eq!(verify(container(454_616, 1234)).await, "Price # 454616 does not exist.");
    assert_eq!(
        verify(container(13_985, 77)).await,
        "The VLAN with id 77 could not be found on this account."
    );
    assert_eq!(
        verify(container(13_985, 1235)).await,
        "A PRIVATE subnet cannot be routed to the PUBLIC VLAN 1235."
    );
    assert_eq!(verify(container(13_985, 1234)).await, "VLAN 1234 has reached its limit of 1 subnets.");
}

#[tokio::test]
async fn an_order_is_found_by_user_time_price_and_vlan_afterwards() {
    let it = Fixture::fast().await;
    let placed = it.order().await;
    let mask = "id,createDate,userRecord.username,items.itemPriceId";
    let orders = it.get(&format!("SoftLayer_Account/getOrders?objectMask={mask}")).await;
    assert_eq!(orders[0]["userRecord"]["username"], "SL307608");
    assert_eq!(orders[0]["items"][0]["itemPriceId"], 13_985);
    let id = &placed["orderId"];
    let receipt = it.get(&format!("SoftLayer_Billing_Order/{id}/getReceipt")).await;
    assert_eq!(receipt["orderDetails"]["endPointVlanId"], 1234);
}

#[tokio::test]
async fn two_addresses_of_a_subnet_are_reserved_where_routers_come_in_pairs() {
    let it = Fixture::start(|spec| {
        spec.delays = Delays::NONE;
        spec.vlans[0].hsrp = true;
    })
    .await;
    let order = it.order().await;
    let subnet = it.subnets_of(&order).await[0].clone();
    assert_eq!(subnet["usableIpAddressCount"], "59");
    let addresses = it.get(&format!("SoftLayer_Network_Subnet/{}/getIpAddresses", subnet["id"])).await;
    let reserved =
        |address: &&Value| address["isReserved"] == true && address["note"] == "Reserved for HSRP.";
    assert_eq!(addresses.as_array().unwrap().iter().filter(reserved).count(), 2);
}

#[tokio::test]
async fn lists_are_paged_and_say_how_many_there_are() {
    let it = Fixture::fast().await;
    for _ in 0..4 {
        it.order().await;
    }
    let order = json!({ "operation": "orderBy", "options": [{ "name": "sort", "value": ["ASC"] }] });
    let filter = json!({ "privateSubnets": { "id": order } });
    let path = format!("{PRIVATE}?resultLimit=3,2&objectFilter={filter}&objectMask=networkIdentifier");
    let response = it.send(Method::GET, &path, None).await.unwrap();
    assert_eq!(response.headers()["SoftLayer-Total-Items"], "5");
    let page: Value = response.json().await.unwrap();
    assert_eq!(page, json!([{ "networkIdentifier": "10.50.0.128" }, { "networkIdentifier": "10.50.0.192" }]));
}

#[tokio::test]
async fn tags_and_notes_are_replaced_as_a_whole_and_read_back() {
    let it = Fixture::fast().await;
    let order = it.order().await;
    let id = it.subnets_of(&order).await[0]["id"].clone();
    let service = format!("SoftLayer_Network_Subnet/{id}");
    assert_eq!(it.post(&format!("{service}/setTags"), json!(["a, b"])).await, true);
    assert_eq!(it.post(&format!("{service}/setTags"), json!(["b,berth:demo"])).await, true);
    assert_eq!(it.post(&format!("{service}/editNote"), json!(["grüß dich"])).await, true);
    let shown = it.get(&format!("{service}?objectMask=note,tagReferences[tag[name]]")).await;
    assert_eq!(shown["note"], "grüß dich");
    let tags = shown["tagReferences"].as_array().unwrap().iter().map(|reference| &reference["tag"]["name"]);
    assert_eq!(tags.collect::<Vec<_>>(), ["b", "berth:demo"]);
    it.post(&format!("{service}/setTags"), json!([""])).await;
    assert_eq!(it.get(&format!("{service}/getTagReferences")).await, json!([]));
}

#[tokio::test]
async fn only_the_note_of_an_address_can_be_written() {
    let it = Fixture::fast().await;
    let address = it.post("SoftLayer_Network_Subnet_IpAddress/getByIpAddress", json!(["10.40.0.30"])).await;
    let service = format!("SoftLayer_Network_Subnet_IpAddress/{}", address["id"]);
    let edit = json!([{ "note": "kept", "ipAddress": "1.2.3.4", "isReserved": true }]);
    assert_eq!(
        it.send(Method::PUT, &service, Some(edit)).await.unwrap().json::<Value>().await.unwrap(),
        true
    );
    let shown = it.get(&format!("{service}?objectMask=ipAddress,note,isReserved")).await;
    assert_eq!(shown, json!({ "ipAddress": "10.40.0.30", "note": "kept", "isReserved": false }));
}

#[tokio::test]
async fn nobody_is_let_in_without_the_right_key_except_to_the_metadata_service() {
    let it = Fixture::fast().await;
    let url = format!("{}{PRIVATE}", it.cloud.endpoint());
    for attempt in [it.client.get(&url), it.client.get(&url).basic_auth("SL307608", Some("wrong"))] {
        let response = attempt.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body, json!({ "error": "Access Denied. ", "code": "SoftLayer_Exception_Public" }));
    }
    let url = format!("{}SoftLayer_Resource_Metadata/getHostname", it.cloud.endpoint());
    assert_eq!(it.client.get(url).send().await.unwrap().text().await.unwrap(), "\"host1\"");
}

#[tokio::test]
async fn a_machine_learns_its_vlan_by_its_mac_in_any_spelling() {
    let it = Fixture::fast().await;
    let metadata = "SoftLayer_Resource_Metadata";
    assert_eq!(
        it.get(&format!("{metadata}/getBackendMacAddresses.json")).await,
        json!(["06:00:0a:28:00:0b"])
    );
    for mac in ["06:00:0a:28:00:0b", "06-00-0A-28-00-0B"] {
        assert_eq!(it.post(&format!("{metadata}/getVlanIds"), json!([mac])).await, json!([1234]));
        assert_eq!(it.get(&format!("{metadata}/getVlans/{mac}")).await, json!([777]));
        assert_eq!(it.get(&format!("{metadata}/getRouter/{mac}")).await, "bcr01");
    }
    let unknown = it.refusal(&format!("{metadata}/getVlanIds/06:00:00:00:00:99"), None).await;
    assert_eq!(unknown, (StatusCode::NOT_FOUND, json!("SoftLayer_Exception_NotFound")));
    let wrong = it.refusal(&format!("{metadata}/getVlanIds/nonsense"), None).await;
    assert_eq!(wrong.1, "SoftLayer_Exception_InvalidValue");
}

#[tokio::test]
async fn machines_tell_their_power_their_transactions_and_their_end() {
    let it = Fixture::start(|spec| spec.delays.transaction_ms = 60_000).await;
    let found = it.post("SoftLayer_Virtual_Guest/findByIpAddress", json!(["10.40.0.11"])).await;
    let guest = format!("SoftLayer_Virtual_Guest/{}", found["id"]);
    it.live().set_power("host1", PowerState::Paused);
    assert_eq!(it.get(&format!("{guest}/getPowerState")).await["keyName"], "PAUSED");
    it.live().begin_transaction("host1", "REBOOT");
    let mask = "activeTransaction[transactionStatus[name]],status.keyName";
    let shown = it.get(&format!("{guest}?objectMask=id,{mask}")).await;
    assert_eq!(shown["activeTransaction"]["transactionStatus"]["name"], "REBOOT");
    assert_eq!(shown["status"]["keyName"], "ACTIVE");
    it.live().advance(Duration::from_secs(60));
    assert_eq!(it.get(&format!("{guest}?objectMask=id,{mask}")).await["activeTransaction"], Value::Null);
    it.live().set_connected("host1", false);
    assert_eq!(it.get(&format!("{guest}/getStatus")).await["keyName"], "DISCONNECTED");
    it.live().delete_machine("host1");
    assert_eq!(it.refusal(&guest, None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_user_who_may_not_see_machines_takes_them_for_deleted() {
    let it = Fixture::fast().await;
    let found = it.post("SoftLayer_Virtual_Guest/findByIpAddress", json!(["10.40.0.11"])).await;
    it.live().let_see_machines("SL307608", false);
    let guest = format!("SoftLayer_Virtual_Guest/{}", found["id"]);
    assert_eq!(it.refusal(&guest, None).await.0, StatusCode::NOT_FOUND);
    let user = it.get("SoftLayer_Account/getCurrentUser?objectMask=hasFullVirtualGuestAccessFlag").await;
    assert_eq!(user, json!({ "hasFullVirtualGuestAccessFlag": false }));
}

#[tokio::test]
async fn one_call_more_than_the_limit_of_a_second_is_refused_and_the_next_second_is_new() {
    let it = Fixture::start(|spec| spec.limits.requests_per_second = 5).await;
    for _ in 0..5 {
        it.get(PRIVATE).await;
    }
    let (status, code) = it.refusal(PRIVATE, None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(code, "SoftLayer_Exception_WebService_RateLimitExceeded");
    it.live().advance(Duration::from_secs(1));
    assert!(it.get(PRIVATE).await.is_array());
}

#[tokio::test]
async fn a_call_cut_after_its_execution_was_executed_and_one_cut_before_was_not() {
    let it = Fixture::fast().await;
    let order = json!([container(13_985, 1234)]);
    let path = "SoftLayer_Product_Order/placeOrder";
    for (effect, orders) in [(Effect::CutBefore, 0), (Effect::CutAfter, 1)] {
        it.live().inject(Fault::once("placeOrder", effect));
        let error = it.send(Method::POST, path, Some(order.clone())).await.unwrap_err();
        assert!(!error.is_timeout(), "{error:?}");
        assert_eq!(it.get("SoftLayer_Account/getOrders").await.as_array().unwrap().len(), orders);
    }
    let log = it.live().requests();
    let placed: Vec<_> = log.iter().filter(|request| request.method == "placeOrder").collect();
    assert_eq!(
        placed.iter().map(|request| (request.status, request.executed)).collect::<Vec<_>>(),
        [(None, false), (None, true)]
    );
}

#[tokio::test]
async fn a_silent_call_never_answers_and_was_executed_if_it_says_so() {
    let it = Fixture::fast().await;
    for (effect, orders) in [(Effect::SilentBefore, 0), (Effect::SilentAfter, 1)] {
        it.live().inject(Fault::once("placeOrder", effect));
        let url = format!("{}SoftLayer_Product_Order/placeOrder", it.cloud.endpoint());
        let body = json!({ "parameters": [container(13_985, 1234)] });
        let request = it.client.post(url).basic_auth("SL307608", Some("simulated-key")).json(&body);
        let error = request.timeout(Duration::from_millis(300)).send().await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(it.get("SoftLayer_Account/getOrders").await.as_array().unwrap().len(), orders);
    }
}

#[tokio::test]
async fn a_late_call_lands_although_its_caller_gave_up() {
    let it = Fixture::fast().await;
    it.live().inject(Fault::once("placeOrder", Effect::Late { ms: 500 }));
    let url = format!("{}SoftLayer_Product_Order/placeOrder", it.cloud.endpoint());
    let body = json!({ "parameters": [container(13_985, 1234)] });
    let request = it.client.post(url).basic_auth("SL307608", Some("simulated-key")).json(&body);
    assert!(request.timeout(Duration::from_millis(50)).send().await.unwrap_err().is_timeout());
    let orders = async || it.get("SoftLayer_Account/getOrders").await.as_array().unwrap().len();
    assert_eq!(orders().await, 0);
    while orders().await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn errors_come_as_they_were_ordered() {
    let it = Fixture::fast().await;
    let own =
        Effect::Error { status: 503, code: "SoftLayer_Exception_Unavailable".into(), text: "later".into() };
    let cases = [
        (own, 503, "{\"code\":\"SoftLayer_Exception_Unavailable\",\"error\":\"later\"}"),
        (
            Effect::InternalError,
            500,
            "{\"code\":\"SoftLayer_Exception_Public\",\"error\":\"Internal Error\"}",
        ),
        (
            Effect::InternalErrorAs200,
            200,
            "{\"code\":\"SoftLayer_Exception_Public\",\"error\":\"Internal Error\"}",
        ),
        (
            Effect::Unauthorized,
            401,
            "{\"code\":\"SoftLayer_Exception_Public\",\"error\":\"Access Denied. \"}",
        ),
        (Effect::EmptyBody, 200, ""),
    ];
    for (effect, status, body) in cases {
        it.live().inject(Fault::once("getPrivateSubnets", effect));
        let response = it.send(Method::GET, PRIVATE, None).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.text().await.unwrap(), body);
    }
    assert!(it.get(PRIVATE).await.is_array());
}

#[tokio::test]
async fn a_stale_read_shows_the_past_and_a_write_is_never_stale() {
    let it = Fixture::fast().await;
    it.live().advance(Duration::from_secs(100));
    it.order().await;
    let fault = it.live().inject(Fault::everywhere(Effect::Stale { ms: 50_000 }));
    assert_eq!(it.get(PRIVATE).await.as_array().unwrap().len(), 1);
    it.order().await;
    it.live().remove_fault(fault);
    assert_eq!(it.get(PRIVATE).await.as_array().unwrap().len(), 3);
    it.live().inject(Fault::everywhere(Effect::Stale { ms: 50_000 }));
    it.live().advance(Duration::from_secs(51));
    assert_eq!(it.get(PRIVATE).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_cloud_that_went_down_answers_nobody_and_comes_back_as_it_was() {
    let it = Fixture::fast().await;
    it.order().await;
    let kept = Client::new();
    let url = format!("{}{PRIVATE}", it.cloud.endpoint());
    let ask = async || kept.get(&url).basic_auth("SL307608", Some("simulated-key")).send().await;
    assert!(ask().await.is_ok());
    let live = it.live().clone();
    let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    drop(it);
    // Also not on the connection that is still open.
    assert!(ask().await.is_err());
    let again = SimulatedCloud::start_on(live, std::net::TcpListener::bind(address).unwrap()).unwrap();
    let shown: Value = ask().await.unwrap().json().await.unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 2);
    drop(again);
}

#[tokio::test]
async fn the_same_description_and_calls_make_the_same_cloud() {
    let mut dumps = Vec::new();
    for _ in 0..2 {
        let it = Fixture::fast().await;
        it.order().await;
        let dump = it.live().dump();
        dumps.push((
            dump["subnets"][2]["id"].clone(),
            dump["machines"][1]["ports"].clone(),
            dump["orders"][0]["id"].clone(),
        ));
    }
    assert_eq!(dumps[0], dumps[1]);
}

#[tokio::test]
async fn a_reset_cloud_is_as_described_and_healed() {
    let it = Fixture::fast().await;
    it.order().await;
    it.live().inject(Fault::everywhere(Effect::InternalError));
    it.live().reset().unwrap();
    assert_eq!(it.get(PRIVATE).await.as_array().unwrap().len(), 1);
    assert_eq!(it.live().faults(), []);
}
