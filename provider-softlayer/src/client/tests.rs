//! The protocol against recorded answers. Whole conversations are in `tests/simulated_cloud.rs`.

use provider::Secret;
use tokio::net::TcpListener;

use super::{
    recorded::{ok, recorded},
    *,
};
use crate::wire::Number;

fn call() -> Call {
    Call::new("SoftLayer_Account", "getSubnets", "listing subnets")
}

const INTERNAL: &str = r#"{"error":"Internal Error","code":"SoftLayer_Exception_Public"}"#;

#[tokio::test]
async fn a_call_has_service_object_method_mask_filter_and_basic_authentication() {
    let server = recorded([ok("[]")]).await;
    let call = call().of(12).mask("id,tagReferences[tag[name]]").filter(json!({ "subnets": 1 }));
    let rows: List<Number> = server.client().read(&call).await.unwrap();
    assert!(rows.0.is_empty());
    let asked = &server.asked().await[0];
    let line = asked.lines().next().unwrap();
    assert!(line.starts_with("GET /rest/v3.1/SoftLayer_Account/12/getSubnets.json?"), "{line}");
    assert!(line.contains("objectMask=mask%5Bid%2CtagReferences%5Btag%5Bname%5D%5D%5D"), "{line}");
    assert!(line.contains("objectFilter=%7B%22subnets%22%3A1%7D"), "{line}");
    assert!(asked.to_lowercase().contains("authorization: basic u0wxmjm0nty6a2v5"), "{asked}");
}

#[tokio::test]
async fn the_metadata_service_is_asked_without_credentials() {
    let server = recorded([ok("[8384]")]).await;
    let call =
        Call::new("SoftLayer_Resource_Metadata", "getVlanIds", "asking").with(json!(["06:00"])).anonymous();
    server.client().read::<List<Number>>(&call).await.unwrap();
    let asked = &server.asked().await[0];
    assert!(asked.starts_with("POST ") && asked.ends_with(r#"{"parameters":["06:00"]}"#), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
}

#[tokio::test]
async fn a_list_is_read_page_by_page_until_its_total() {
    let page = |from: u64, to: u64| {
        let rows: Vec<u64> = (from..to).collect();
        ("200 OK\r\nSoftLayer-Total-Items: 200", serde_json::to_string(&rows).unwrap())
    };
    let server = recorded([page(0, 100), page(100, 200)]).await;
    let rows: Vec<Number> = server.client().read_all(&call()).await.unwrap();
    assert_eq!((rows.len(), rows[199]), (200, Number(199)));
    let asked = server.asked().await;
    assert!(asked[0].contains("resultLimit=0%2C100") && asked[1].contains("resultLimit=100%2C100"));
}

#[tokio::test]
async fn a_list_without_a_total_ends_at_the_first_short_page() {
    let server = recorded([ok("[1,2,3]")]).await;
    assert_eq!(server.client().read_all::<Number>(&call()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_read_is_repeated_after_an_internal_error_and_a_cut_connection() {
    let server = recorded([ok(INTERNAL), ("", String::new()), ok("7")]).await;
    assert_eq!(server.client().read::<Number>(&call()).await.unwrap(), Number(7));
    assert_eq!(server.asked().await.len(), 3);
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_in_doubt_and_sent_once() {
    for lost in
        [("", String::new()), ok(INTERNAL), ok(""), ("502 Bad Gateway", "<html>".into()), ok("{\"orderId\":")]
    {
        let server = recorded([lost.clone(), ok("true")]).await;
        let outcome = server.client().change::<Value>(&call().with(json!([]))).await;
        assert!(matches!(outcome, Err(ProviderError::InDoubt { .. })), "{lost:?}: {outcome:?}");
        assert_eq!(server.asked().await.len(), 1, "{lost:?}");
    }
}

#[tokio::test]
async fn a_change_that_never_left_is_not_in_doubt() {
    let server = recorded([]).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let credentials = Credentials::new("SL123456", Secret::new("key"));
    let client = Client::new(&format!("http://{closed}/rest/v3.1"), credentials).unwrap();
    drop(server);
    let outcome = client.change::<Value>(&call()).await;
    assert!(matches!(outcome, Err(ProviderError::Unavailable { .. })), "{outcome:?}");
}

#[test]
fn an_endpoint_that_is_no_address_is_refused() {
    for wrong in ["", "api.softlayer.com", "ftp://api.softlayer.com/", "http://"] {
        assert!(Client::new(wrong, Credentials::new("a", Secret::new("b"))).is_err(), "{wrong}");
    }
}

/// How every documented error is understood, for a read and for a change.
#[test]
fn every_documented_error_is_understood() {
    let rows = [
        (401, "SoftLayer_Exception_Public", "Access Denied. ", "unauthorized"),
        (401, "SoftLayer_Exception", "Invalid API token.", "unauthorized"),
        (500, "SoftLayer_Exception", "Invalid API token.", "unauthorized"),
        (404, "SoftLayer_Exception_ObjectNotFound", "Unable to find object with id of '1805545'.", "gone"),
        (404, "SoftLayer_Exception_NotFound", "no component for this MAC", "gone"),
        (500, "SoftLayer_Exception_ObjectNotFound", "Unable to find object with id of '1'.", "gone"),
        (
            500,
            "SoftLayer_Exception_Public",
            "Function (\"X\") is not a valid method for this service.",
            "refused",
        ),
        (500, "SoftLayer_Exception_Public", "Service does not exist", "refused"),
        (500, "SoftLayer_Exception_Public", "Price # 454616 does not exist.", "refused"),
        (500, "SoftLayer_Exception_WebService_RateLimitExceeded", "Rate limit of 50 requests", "throttled"),
        (429, "SoftLayer_Exception_WebService_RateLimitExceeded", "Rate limit of 50 requests", "throttled"),
        (
            500,
            "SoftLayer_Exception_Account_Authentication_AccessTokenValidation",
            "Expired Token",
            "unauthorized",
        ),
        (500, "SoftLayer_Exception", "Failed to exchange token", "failed"),
        (500, "SoftLayer_Exception_Network_LBaaS_ObjectInInvalidState", "UPDATE_PENDING", "busy"),
        (500, "SoftLayer_Exception_NotReady", "being changed", "busy"),
        (400, "SoftLayer_Exception_WebService_BadRequest", "Bad request", "refused"),
        (500, "SoftLayer_Exception_WebService_ObjectMask", "Property 'x' not valid", "refused"),
        (500, "SoftLayer_Exception_InvalidValue", "wrong", "refused"),
        (500, "SoftLayer_Exception_InvalidData", "wrong", "refused"),
        (500, "SoftLayer_Exception_Order", "wrong", "refused"),
        (500, "SoftLayer_Exception_Order_Item_Invalid", "Invalid price", "refused"),
        (500, "SoftLayer_Exception_AccessDenied", "no", "refused"),
        (500, "SoftLayer_Exception_Unavailable", "no", "refused"),
        (500, "SoftLayer_Exception_ObjectDuplication", "two", "refused"),
        (500, "SoftLayer_Exception_SomethingNew", "who knows", "failed"),
        (200, "SoftLayer_Exception_Public", "Internal Error", "failed"),
        (500, "SoftLayer_Exception_Public", "Internal Error", "failed"),
    ];
    for (status, code, error, meaning) in rows {
        let body = json!({ "error": error, "code": code }).to_string();
        for risk in [Risk::Read, Risk::Change] {
            let understood = name(status, &body, risk);
            let expected = match (meaning, risk) {
                ("failed", Risk::Read) => "unavailable",
                ("failed", Risk::Change) => "in doubt",
                (meaning, _) => meaning,
            };
            assert_eq!(understood, expected, "{status} {body} {risk:?}");
        }
    }
}

#[test]
fn answers_that_are_no_errors_are_values() {
    let value = |body: &str| {
        let received = judge::Received { status: 200, body: body.as_bytes(), retry_after: None };
        judge(&received, Risk::Read, "SL1", "asking").unwrap()
    };
    assert_eq!(value("true"), json!(true));
    assert_eq!(value("null"), json!(null));
    assert_eq!(value("\"dal05\""), json!("dal05"));
    assert_eq!(value("admin@example.com"), json!("admin@example.com"), "a string without its quotes");
    assert_eq!(
        value(r#"{"error":"a property of this name"}"#),
        json!({ "error": "a property of this name" })
    );
}

#[test]
fn answers_that_no_api_gives_are_failures() {
    for (status, body) in
        [(200, ""), (200, "  "), (200, "[1,"), (200, "<html>"), (502, "<html>"), (504, ""), (408, "")]
    {
        assert_eq!(name(status, body, Risk::Change), "in doubt", "{status} {body:?}");
    }
    assert_eq!(name(404, "", Risk::Read), "gone");
    assert_eq!(name(403, "<html>", Risk::Change), "refused");
}

#[test]
fn a_wrong_key_is_reported_with_the_user_and_without_the_key() {
    let body = br#"{"error":"Access Denied. ","code":"SoftLayer_Exception_Public"}"#;
    let received = judge::Received { status: 401, body, retry_after: None };
    let error = judge(&received, Risk::Read, "SL123456", "listing subnets").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("SL123456") && text.contains("listing subnets"), "{text}");
}

fn name(status: u16, body: &str, risk: Risk) -> &'static str {
    let received = judge::Received { status, body: body.as_bytes(), retry_after: None };
    match judge(&received, risk, "SL1", "asking").unwrap_err() {
        ProviderError::Unavailable { .. } => "unavailable",
        ProviderError::Throttled { .. } => "throttled",
        ProviderError::Unauthorized { .. } => "unauthorized",
        ProviderError::Refused { .. } => "refused",
        ProviderError::Busy { .. } => "busy",
        ProviderError::Gone { .. } => "gone",
        ProviderError::InDoubt { .. } => "in doubt",
        ProviderError::Malformed { .. } => "malformed",
        ProviderError::NotOffered { .. } => "not offered",
    }
}
