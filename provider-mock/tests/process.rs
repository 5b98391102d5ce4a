//! `berth-mock-cloud` as a process, without a fabric: its example file, its control endpoint, its end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/cloud.toml");
const PRIVATE: &str = "SoftLayer_Account/getPrivateSubnets.json";

/// A running process. Ends with the test.
struct Process {
    process: Child,
    api: String,
    control: String,
    client: Client,
}

impl Process {
    fn start(cloud: &str) -> Self {
        // The control endpoint has no port of its own choosing: it is asked for one that is free.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = command(cloud);
        command.args(["--listen", "127.0.0.1:0", "--control", &free]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let value = |key: &str| {
            let found = line.split_whitespace().find_map(|word| word.strip_prefix(key));
            found.unwrap_or_else(|| panic!("no {key} in {line:?}")).to_owned()
        };
        let control = format!("http://{}", value("control="));
        Self { process, api: value("api="), control, client: Client::new() }
    }

    async fn api(&self, path: &str) -> (StatusCode, Value) {
        let request = self.client.get(format!("{}{path}", self.api));
        let response = request.basic_auth("SL307608", Some("simulated-key")).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}{path}", self.control)).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM);
            let _ = self.process.wait();
        }
    }
}

fn command(cloud: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth-mock-cloud"));
    command.args(["--cloud", cloud]).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn the_example_file_runs_until_it_is_told_to_end() {
    let mut it = Process::start(EXAMPLE);
    let (status, subnets) = it.api(PRIVATE).await;
    assert_eq!((status, &subnets[0]["networkIdentifier"]), (StatusCode::OK, &json!("10.40.0.0")));
    kill(Pid::from_raw(it.process.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(it.process.wait().unwrap().success());
}

#[tokio::test]
async fn faults_are_ordered_shown_and_removed_through_the_control_endpoint() {
    let it = Process::start(EXAMPLE);
    let fault = json!({ "method": "getPrivateSubnets", "effect": { "kind": "internal_error" } });
    let (_, added) = it.control(Method::POST, "/faults", fault.clone()).await;
    assert_eq!(
        it.control(Method::GET, "/faults", json!(null)).await.1,
        json!([{ "id": added["id"], "fault": fault }])
    );
    assert_eq!(it.api(PRIVATE).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let path = format!("/faults/{}", added["id"]);
    assert_eq!(it.control(Method::DELETE, &path, json!(null)).await.0, StatusCode::OK);
    assert_eq!(it.control(Method::DELETE, &path, json!(null)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(it.api(PRIVATE).await.0, StatusCode::OK);
    let nonsense = json!({ "effect": { "kind": "nonsense" } });
    assert!(it.control(Method::POST, "/faults", nonsense).await.0.is_client_error());
    let every_kind = [
        json!({ "kind": "delay", "ms": 1 }),
        json!({ "kind": "error", "status": 503, "code": "c", "text": "t" }),
        json!({ "kind": "internal_error_as200" }),
        json!({ "kind": "empty_body" }),
        json!({ "kind": "unauthorized" }),
        json!({ "kind": "rate_limited" }),
        json!({ "kind": "cut_before" }),
        json!({ "kind": "cut_after" }),
        json!({ "kind": "silent_before" }),
        json!({ "kind": "silent_after" }),
        json!({ "kind": "stale", "ms": 1 }),
    ];
    for effect in every_kind {
        let fault = json!({ "service": "Another", "next": 10, "hits": 3, "effect": effect });
        assert_eq!(it.control(Method::POST, "/faults", fault).await.0, StatusCode::OK, "{effect}");
    }
    it.control(Method::DELETE, "/faults", json!(null)).await;
    assert_eq!(it.control(Method::GET, "/faults", json!(null)).await.1, json!([]));
}

#[tokio::test]
async fn machines_clock_and_limits_follow_the_control_endpoint() {
    let it = Process::start(EXAMPLE);
    let before = it.control(Method::GET, "/state", json!(null)).await.1["now_ms"].as_u64().unwrap();
    it.control(Method::POST, "/clock/advance", json!({ "secs": 3_600 })).await;
    let state = it.control(Method::GET, "/state", json!(null)).await.1;
    assert!(state["now_ms"].as_u64().unwrap() >= before + 3_600_000);
    assert!(!state.to_string().contains("simulated-key"));

    let ok = |answer: (StatusCode, Value)| assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    let late = json!({ "hostname": "late", "kind": "virtual", "vlan": 1234 });
    ok(it.control(Method::POST, "/machines", late).await);
    ok(it.control(Method::PUT, "/machines/late/power", json!({ "state": "HALTED" })).await);
    ok(it.control(Method::PUT, "/machines/late/connection", json!({ "connected": false })).await);
    ok(it.control(Method::POST, "/machines/late/transactions", json!({ "name": "REBOOT" })).await);
    let shown = it
        .api("SoftLayer_Account/getVirtualGuests?objectMask=hostname,powerState.keyName,status.keyName")
        .await
        .1;
    let late = shown.as_array().unwrap().iter().find(|guest| guest["hostname"] == "late").unwrap();
    assert_eq!(
        (&late["powerState"]["keyName"], &late["status"]["keyName"]),
        (&json!("HALTED"), &json!("DISCONNECTED"))
    );
    ok(it.control(Method::DELETE, "/machines/late", json!(null)).await);
    let gone = it.control(Method::PUT, "/machines/late/power", json!({ "state": "RUNNING" })).await;
    assert_eq!(gone, (StatusCode::NOT_FOUND, json!({ "error": "there is no machine late" })));

    ok(it.control(Method::PUT, "/users/SL307608", json!({ "sees_machines": false })).await);
    let delays = json!({ "order_visible_ms": 1, "order_routed_ms": 2, "reclaim_ms": 3, "transaction_ms": 4 });
    let set = it.control(Method::PUT, "/delays", delays).await.1;
    assert_eq!((&set["order_visible_ms"], &set["transaction_ms"]), (&json!(1), &json!(4)));
    ok(it.control(Method::PUT, "/limits", json!({ "requests_per_second": 0 })).await);
    assert_eq!(it.api(PRIVATE).await.1["code"], "SoftLayer_Exception_WebService_RateLimitExceeded");
    ok(it.control(Method::POST, "/reset", json!(null)).await);
    assert_eq!(it.api(PRIVATE).await.0, StatusCode::OK);
    let calls = it.control(Method::GET, "/requests", json!(null)).await.1;
    assert_eq!(calls[0]["method"], "getPrivateSubnets");
}

#[test]
fn a_description_that_cannot_be_simulated_is_refused_with_the_reason_and_status_64() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("cloud.toml");
    let example = std::fs::read_to_string(EXAMPLE).unwrap();
    let cases = [
        (example.replace("vlan = 1234", "vlan = 99"), "machine host1: VLAN 99 is not a PRIVATE one"),
        (
            example.replace("bcr01a.dal05", "bcr01a.ams01"),
            "router bcr01a.ams01: must be named as bcr01a.DATACENTER",
        ),
        (example.replace("10.40.0.11", "10.41.0.11"), "10.41.0.11 is taken, or not in the primary subnet"),
        (example.replace("06:00:0a:28:00:0b", "06:00"), "06:00 is not a MAC address"),
        (example.replace("\"vm1\"", "\"host1\""), "there are two machines host1"),
        (example.replace("seed = 1", "sead = 1"), "unknown field `sead`"),
    ];
    for (text, reason) in cases {
        std::fs::write(&file, text).unwrap();
        let output = command(file.to_str().unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(reason), "{reason}: {said}");
        assert_eq!(output.status.code(), Some(64), "{said}");
    }
}

#[tokio::test]
async fn what_befalls_balancers_and_firewalls_follows_the_control_endpoint() {
    let it = Process::start(EXAMPLE);
    let subnet = it.api(PRIVATE).await.1[0]["id"].clone();
    let order = json!({
        "complexType": "SoftLayer_Container_Product_Order_Network_LoadBalancer_AsAService",
        "packageId": 805, "prices": [{ "id": 10_805 }], "useHourlyPricing": true, "name": "web",
        "subnets": [{ "id": subnet }],
    });
    let url = format!("{}SoftLayer_Product_Order/placeOrder", it.api);
    let request = it.client.post(url).basic_auth("SL307608", Some("simulated-key"));
    let placed = request.json(&json!({ "parameters": [order] })).send().await.unwrap();
    assert_eq!(placed.status(), StatusCode::OK);
    let ok = |answer: (StatusCode, Value)| assert_eq!(answer, (StatusCode::OK, json!({})));
    let shown = async || it.control(Method::GET, "/state", json!(null)).await.1["balancers"].clone();

    it.control(Method::POST, "/clock/advance", json!({ "secs": 60 })).await;
    ok(it.control(Method::PUT, "/balancers/web/members/10.50.0.5", json!({ "weight": 7 })).await);
    assert_eq!(shown().await[0]["in_force"]["members"][0]["weight"], 7);
    ok(it.control(Method::DELETE, "/balancers/web/members/10.50.0.5", json!(null)).await);
    assert_eq!(shown().await[0]["in_force"]["members"], json!([]));
    let state = "/balancers/web/state";
    ok(it.control(Method::PUT, state, json!({ "kind": "busy", "ms": 3_600_000 })).await);
    assert_eq!(shown().await[0]["status"], "UPDATE_PENDING");
    ok(it.control(Method::PUT, state, json!({ "kind": "failing", "text": "no" })).await);
    ok(it.control(Method::PUT, state, json!({ "kind": "online", "online": false })).await);
    ok(it.control(Method::PUT, state, json!({ "kind": "broken" })).await);
    // What was pending does not mend it.
    it.control(Method::POST, "/clock/advance", json!({ "secs": 7200 })).await;
    let broken = &shown().await[0];
    assert_eq!((&broken["status"], &broken["previous_error"]), (&json!("ERROR"), &json!("no")));
    ok(it.control(Method::DELETE, "/balancers/web", json!(null)).await);
    let gone = (StatusCode::NOT_FOUND, json!({ "error": "there is no load balancer web" }));
    assert_eq!(it.control(Method::DELETE, "/balancers/web", json!(null)).await, gone);

    ok(it.control(Method::PUT, "/vlans/1235/firewall", json!({ "deaf_for": 1 })).await);
    let none = (StatusCode::NOT_FOUND, json!({ "error": "VLAN 1234 has no firewall" }));
    assert_eq!(it.control(Method::PUT, "/vlans/1234/firewall", json!({ "deaf_for": 1 })).await, none);
}
