//! A stand-in for dockerd's API, as far as berthd asks it: lists, hostnames and events.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tests::lab::Host;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

/// What it shows. Dropping it ends it.
pub(super) struct Docker {
    shown: Shown,
    _runtime: Runtime,
}

#[derive(Clone)]
struct Shown {
    containers: Arc<Mutex<BTreeMap<String, Value>>>,
    networks: Arc<Mutex<Vec<Value>>>,
    events: broadcast::Sender<String>,
}

impl Docker {
    /// Serves where a host's dockerd would.
    pub(super) fn beside(host: &Host) -> Result<Docker> {
        let runtime = Runtime::new()?;
        let shown = Shown {
            containers: Arc::default(),
            networks: Arc::default(),
            events: broadcast::channel(1_024).0,
        };
        let path = host.outside("/run/docker.sock")?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?
        };
        let router = Router::new().fallback(answer).with_state(shown.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Docker { shown, _runtime: runtime })
    }

    pub(super) fn shows_network(&self, network: Value) {
        self.shown.networks().push(network);
        self.tell("network", "create", "");
    }

    pub(super) fn starts(&self, id: &str, container: Value) {
        self.shown.containers().insert(id.to_owned(), container);
        self.tell("container", "start", id);
    }

    pub(super) fn loses(&self, id: &str) {
        self.shown.containers().remove(id);
        self.tell("container", "die", id);
    }

    fn tell(&self, kind: &str, action: &str, id: &str) {
        let event = json!({
            "Type": kind, "Action": action, "Actor": { "ID": id, "Attributes": {} }, "scope": "local",
        });
        // Nobody listens yet.
        let _ = self.shown.events.send(format!("{event}\n"));
    }
}

impl Shown {
    fn containers(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn networks(&self) -> MutexGuard<'_, Vec<Value>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(shown): State<Shown>, uri: Uri) -> Response {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let path = match path.as_slice() {
        [version, rest @ ..] if version.starts_with("v1.") => rest,
        all => all,
    };
    let body = match path {
        ["version"] => json!({ "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24" }),
        ["containers", "json"] => shown.containers().values().cloned().collect(),
        ["containers", id, "json"] => {
            let containers = shown.containers();
            let Some(container) = containers.get(*id) else { return StatusCode::NOT_FOUND.into_response() };
            json!({ "Id": id, "Config": { "Hostname": container["Names"][0].as_str().map(|it| &it[1..]) } })
        }
        ["networks"] => json!(*shown.networks()),
        ["events"] => return events(shown.events.subscribe()),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn events(heard: broadcast::Receiver<String>) -> Response {
    let lines = stream::unfold(heard, |mut heard| async {
        let line = heard.recv().await.ok()?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), heard))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response()
}
