//! The agent's rim: what dockerd and operators are told when the agent cannot do all it is for.

use agent::assembly::{self, Running};
use agent::config::Config;
use agent::sockets::{Passed, Sockets};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

/// An agent over sockets and a state directory of its own.
struct Rim {
    directory: TempDir,
    running: Running,
    stop: CancellationToken,
}

impl Rim {
    /// Starts an agent with the rim's own places and `rest` of a configuration.
    async fn start(rest: &str) -> Self {
        Self::start_over(tempfile::tempdir().expect("a directory for the agent"), rest).await
    }

    /// Starts it over what is in a directory already.
    async fn start_over(directory: TempDir, rest: &str) -> Self {
        let text = configuration(directory.path(), rest);
        let config = Config::parse(&text);
        let rim = config.as_ref().map_or_else(|rejected| &rejected.rim, |config| &config.rim);
        let sockets = Sockets::take(Passed::from_environment(), rim).expect("sockets of our own");
        let stop = CancellationToken::new();
        let running = assembly::start(config, sockets, stop.clone()).await.expect("the agent starts");
        Self { directory, running, stop }
    }

    async fn docker(&self, call: &str, body: &Value) -> Value {
        exchange(&self.socket("plugin.sock"), "POST", call, &body.to_string()).await.1
    }

    async fn ask(&self, path: &str) -> (u16, Value) {
        exchange(&self.socket("api.sock"), "GET", path, "").await
    }

    async fn tell(&self, path: &str, body: &Value) -> (u16, Value) {
        exchange(&self.socket("api.sock"), "POST", path, &body.to_string()).await
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.running.ended()).await;
        ended.expect("every task ends when it is told to stop");
    }
}

fn configuration(directory: &Path, rest: &str) -> String {
    let at = directory.display();
    format!(
        r#"
{rest}
[host]
state_dir = "{at}/state"
[docker]
plugin_socket = "{at}/plugin.sock"
api_socket = "{at}/docker.sock"
[api]
socket = "{at}/api.sock"
"#
    )
}

/// One request on a connection of its own.
async fn exchange(socket: &Path, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).await.expect("somebody listens");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost:\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("the request is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("there is an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a head has a code");
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {answer}")))
}

const BAD: &str = "clutser = \"demo\"";

#[tokio::test]
async fn with_a_bad_configuration_docker_is_refused_at_once_and_with_the_reason() {
    let rim = Rim::start(BAD).await;
    let capabilities = rim.docker("/Plugin.Activate", &json!({})).await;
    assert_eq!(capabilities["Implements"][0], "IpamDriver");
    let call = json!({ "AddressSpace": "", "Pool": "", "SubPool": "", "Options": {}, "V6": false });
    let refused = rim.docker("/IpamDriver.RequestPool", &call).await;
    let error = refused["Error"].as_str().unwrap();
    assert!(error.contains("its configuration has 4 mistakes"), "{error}");
    assert!(error.contains("`berthd --check`"), "{error}");
    rim.end().await;
}

#[tokio::test]
async fn with_a_bad_configuration_a_release_is_taken() {
    let rim = Rim::start(BAD).await;
    let call = json!({ "PoolID": "default/10.11.4.0/26", "Address": "10.11.4.18" });
    assert_eq!(rim.docker("/IpamDriver.ReleaseAddress", &call).await, json!({}));
    rim.end().await;
}

#[tokio::test]
async fn with_a_bad_configuration_status_lists_every_mistake() {
    let rim = Rim::start(BAD).await;
    let (status, answer) = rim.ask("/v1/status").await;
    assert_eq!((status, &answer["answer"]["mode"]["mode"]), (200, &json!("releases_only")));
    let mistakes = answer["answer"]["mode"]["reasons"].to_string();
    assert!(mistakes.contains("`clutser` is not an option; write `cluster`"), "{mistakes}");
    let (status, problem) = rim.ask("/v1/pools").await;
    assert_eq!((status, &problem["kind"]), (503, &json!("unavailable")));
    rim.end().await;
}

/// Nobody listens at the discard port of this machine.
const PROVIDER_AWAY: &str = r#"
cluster = "demo"
provider = { kind = "softlayer", endpoint = "http://127.0.0.1:9/", credentials = "/nowhere/softlayer.toml" }
pool = [{ name = "default", subnets_max = 1 }]
"#;

#[tokio::test]
async fn while_the_provider_cannot_be_asked_status_shows_why_and_the_next_try() {
    let rim = Rim::start(PROVIDER_AWAY).await;
    let cloud = loop {
        let (_, answer) = rim.ask("/v1/status").await;
        assert_eq!(answer["answer"]["mode"]["mode"], "starting");
        let parts = answer["answer"]["parts"].as_array().unwrap().clone();
        let cloud = parts.into_iter().find(|part| part["part"] == "cloud").unwrap();
        if cloud["condition"]["condition"] == "failing" {
            break cloud["condition"].clone();
        }
    };
    assert!(cloud["problem"].as_str().unwrap().contains("/nowhere/softlayer.toml"), "{cloud}");
    assert!(cloud["next_try"].is_string(), "{cloud}");
    rim.end().await;
}

#[tokio::test]
async fn a_word_on_what_is_not_there_is_a_no_and_one_that_is_not_understood_is_invalid() {
    let rim = Rim::start(PROVIDER_AWAY).await;
    let nothing = json!({ "settlement": "nothing_ordered" });
    let (status, problem) = rim.tell("/v1/orders/default-1-1/settle", &nothing).await;
    assert_eq!((status, &problem["error"]), (404, &json!("there is no order default-1-1")));
    assert!(problem["hint"].as_str().unwrap().contains("berth order list"), "{problem}");
    let (status, _) = rim.ask("/v1/orders/default-1-1").await;
    assert_eq!(status, 404);
    for verb in ["drain", "undrain"] {
        let named = json!({ "subnet": "10.11.4.0/26" });
        let (status, problem) = rim.tell(&format!("/v1/subnets/{verb}"), &named).await;
        assert_eq!((status, &problem["kind"]), (404, &json!("not_found")), "{verb}: {problem}");
    }
    for wrong in [json!({ "settlement": "perhaps" }), json!({ "settlement": "is", "order": "../1" })] {
        let (status, problem) = rim.tell("/v1/orders/default-1-1/settle", &wrong).await;
        assert_eq!((status, &problem["kind"]), (400, &json!("invalid")), "{wrong}: {problem}");
    }
    rim.end().await;
}

#[tokio::test]
async fn a_path_of_another_version_is_not_found_and_says_which_version_this_is() {
    let rim = Rim::start(BAD).await;
    let (status, problem) = rim.ask("/v2/status").await;
    assert_eq!((status, &problem["error"]), (404, &json!("there is no /v2/status in version 1 of this API")));
    rim.end().await;
}

/// A directory with a state directory that has these files in it.
fn state(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory for the agent");
    let state = directory.path().join("state");
    std::fs::create_dir(&state).expect("a state directory");
    files.iter().for_each(|(name, content)| std::fs::write(state.join(name), content).expect("a file in it"));
    directory
}

async fn is_told_to_rebuild(directory: TempDir, journal: &str) {
    let rim = Rim::start_over(directory, PROVIDER_AWAY).await;
    let call = json!({ "PoolID": "default/10.11.4.0/26", "Address": "", "Options": {} });
    let refused = rim.docker("/IpamDriver.RequestAddress", &call).await;
    let (_, status) = rim.ask("/v1/status").await;
    assert_eq!(status["answer"]["mode"]["mode"], "releases_only");
    let (_, doctor) = rim.ask("/v1/doctor").await;
    let (_, pools) = rim.ask("/v1/pools").await;
    for said in [refused, status, doctor, pools] {
        let said = said.to_string();
        assert!(said.contains(journal) && said.contains("run `berthd --rebuild`"), "{said}");
    }
    rim.end().await;
}

#[tokio::test]
async fn with_a_damaged_journal_everybody_is_told_at_once_how_to_rebuild_it() {
    for journal in ["allocator.journal", "docker.journal"] {
        is_told_to_rebuild(state(&[(journal, b"once this was a journal")]), journal).await;
    }
}

#[tokio::test]
async fn with_a_damaged_allocators_journal_releases_are_still_taken() {
    let damaged = state(&[("allocator.journal", b"once this was a journal")]);
    let book = agent::docker::Book::open(&damaged.path().join("state/docker.journal")).unwrap();
    drop(book);
    let rim = Rim::start_over(damaged, PROVIDER_AWAY).await;
    let call = json!({ "PoolID": "default/10.11.4.0/26", "Address": "10.11.4.18" });
    assert_eq!(rim.docker("/IpamDriver.ReleaseAddress", &call).await, json!({}));
    rim.end().await;
}

#[tokio::test]
async fn where_one_journal_is_in_use_the_other_cannot_be_new() {
    let directory = state(&[]);
    let path = directory.path().join("state/allocator.journal");
    let (mut journal, _) = agent::journal::Journal::open(path).unwrap();
    journal.append(&[ipam::Record::Counter(3)], ipam::Durability::Synced).unwrap();
    drop(journal);
    is_told_to_rebuild(directory, "docker.journal").await;
}
