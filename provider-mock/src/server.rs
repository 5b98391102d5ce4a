//! The API on a socket: authentication, rate limit and faults around the dialect.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::cloud::spec::{CloudSpec, SpecError};
use crate::cloud::{Cloud, Id};
use crate::connection::{CuttableListener, Peer};
use crate::fault::Effect;
use crate::live::{LiveCloud, Request};
use crate::softlayer::call::{Call, HttpRequest};
use crate::softlayer::error::ApiError;
use crate::softlayer::{self, Caller, Reply};

/// A cloud with its API on a socket. Dropping it ends the API, also on open connections; the cloud itself goes with
/// the last [`LiveCloud`], and can be put on a socket again.
pub struct SimulatedCloud {
    live: LiveCloud,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
    /// Cuts the connections that are still open once the tasks are gone.
    down: Arc<AtomicBool>,
}

/// Why a cloud could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The description contradicts itself.
    #[error("the simulated cloud cannot be built")]
    Spec(#[from] SpecError),
    /// No socket for the API.
    #[error("the simulated cloud's API could not listen")]
    Listen(#[source] io::Error),
}

impl SimulatedCloud {
    /// Starts a cloud with its API on a free port of 127.0.0.1.
    pub async fn start(spec: CloudSpec) -> Result<Self, StartError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(StartError::Listen)?;
        Self::start_on(LiveCloud::new(spec)?, listener)
    }

    /// Puts the API of a cloud on this socket, which may be in another network namespace.
    /// Must be called inside a tokio runtime.
    pub fn start_on(live: LiveCloud, listener: TcpListener) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Listen)?;
        listener.set_nonblocking(true).map_err(StartError::Listen)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::Listen)?;
        let down = Arc::new(AtomicBool::new(false));
        let listener = CuttableListener::new(listener, down.clone());
        let router = Router::new().fallback(answer).with_state(live.clone());
        let service = router.into_make_service_with_connect_info::<Peer>();
        let api = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!(%error, "the API stopped");
            }
        });
        let clock = tokio::spawn(drive(live.clone()));
        Ok(Self { live, address, tasks: vec![api, clock], down })
    }

    /// The base URL of the API, as `http://127.0.0.1:40123/rest/v3.1/`.
    pub fn endpoint(&self) -> String {
        format!("http://{}/rest/v3.1/", self.address)
    }

    /// The handle for faults, clock and looks.
    pub fn live(&self) -> &LiveCloud {
        &self.live
    }
}

impl Drop for SimulatedCloud {
    fn drop(&mut self) {
        self.down.store(true, Ordering::SeqCst);
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Lets happen what is due, so that whoever follows the cloud hears of it though nobody asks.
async fn drive(live: LiveCloud) {
    let mut changes = live.changes();
    loop {
        let pause = live.next_due_in().unwrap_or(Duration::from_secs(3600));
        tokio::select! {
            () = tokio::time::sleep(pause) => live.tick(),
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Answers one HTTP request.
async fn answer(
    State(live): State<LiveCloud>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(path) = api_path(uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
    let request = HttpRequest { verb: method.as_str(), path: &path, query: &query, body: &body };
    let call = match Call::read(&request) {
        Ok(call) => call,
        Err(error) => return refuse(&error),
    };
    let user = user(&live.present(), &headers);
    let caller = Caller { user: user.as_ref().map(|(id, _)| *id), source: peer.address.ip() };
    let name = user.map(|(_, name)| name);
    let effects = live.meet_faults(&call.service, &call.method, name.as_deref());
    let mut outcome = Outcome { live, call, name, executed: false };
    outcome.serve(&caller, &effects, &peer).await
}

/// A call on its way to an answer.
#[derive(Clone)]
struct Outcome {
    live: LiveCloud,
    call: Call,
    name: Option<String>,
    executed: bool,
}

impl Outcome {
    /// Lets the faults before the execution befall the call, executes it, then lets those after it.
    async fn serve(&mut self, caller: &Caller, effects: &[Effect], peer: &Peer) -> Response {
        let mut age = Duration::ZERO;
        for effect in effects {
            match effect {
                Effect::Delay { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
                Effect::Error { status, code, text } => {
                    return self.refuse(&ApiError::new(*status, code, text.as_str()));
                }
                Effect::InternalError => return self.refuse(&ApiError::internal()),
                Effect::InternalErrorAs200 => {
                    return self.refuse(&ApiError { status: 200, ..ApiError::internal() });
                }
                Effect::Unauthorized => return self.refuse(&ApiError::access_denied()),
                Effect::RateLimited => return self.refuse(&ApiError::rate_limit(50)),
                Effect::CutBefore => return self.cut(peer),
                Effect::SilentBefore => return self.keep_silent().await,
                Effect::Late { ms } => return self.land_late(caller, Duration::from_millis(*ms)).await,
                Effect::Stale { ms } => age = age.max(Duration::from_millis(*ms)),
                Effect::EmptyBody | Effect::CutAfter | Effect::SilentAfter => (),
            }
        }
        let reply = self.execute(caller, age);
        for effect in effects {
            match effect {
                Effect::EmptyBody => return self.say(StatusCode::OK, None, String::new()),
                Effect::CutAfter => return self.cut(peer),
                Effect::SilentAfter => return self.keep_silent().await,
                _ => (),
            }
        }
        match reply {
            Ok(reply) => self.reply(&reply),
            Err(error) => self.refuse(&error),
        }
    }

    fn execute(&mut self, caller: &Caller, age: Duration) -> Result<Reply, ApiError> {
        if !softlayer::is_open(&self.call) {
            let name = self.name.as_deref().ok_or_else(ApiError::access_denied)?;
            self.live.count_call(name).map_err(ApiError::rate_limit)?;
        }
        self.executed = true;
        if softlayer::is_change(&self.call) {
            return self.live.change(|cloud| softlayer::change(cloud, caller, &self.call));
        }
        let cloud = if age.is_zero() { self.live.present() } else { self.live.past(age) };
        softlayer::read(&cloud, caller, &self.call)
    }

    fn reply(&self, reply: &Reply) -> Response {
        let text = match &reply.body {
            Value::String(text) if self.call.as_text => text.clone(),
            body => body.to_string(),
        };
        self.say(StatusCode::OK, reply.total, text)
    }

    fn refuse(&self, error: &ApiError) -> Response {
        self.log(Some(error.status));
        refuse(error)
    }

    fn say(&self, status: StatusCode, total: Option<usize>, text: String) -> Response {
        self.log(Some(status.as_u16()));
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], text).into_response();
        if let Some(total) = total {
            response.headers_mut().insert("SoftLayer-Total-Items", total.into());
        }
        response
    }

    /// Resets the connection: what is returned here is never sent.
    fn cut(&self, peer: &Peer) -> Response {
        self.log(None);
        peer.cut();
        StatusCode::NO_CONTENT.into_response()
    }

    /// Waits until the caller gives up.
    async fn keep_silent(&self) -> Response {
        self.log(None);
        match std::future::pending::<Infallible>().await {}
    }

    /// Executes the call whatever becomes of the caller, who gets no answer.
    async fn land_late(&self, caller: &Caller, after: Duration) -> Response {
        let (mut late, caller) = (self.clone(), *caller);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // Nobody hears what came of it.
            let _ = late.execute(&caller, Duration::ZERO);
            late.log(None);
        });
        match std::future::pending::<Infallible>().await {}
    }

    fn log(&self, status: Option<u16>) {
        tracing::debug!(service = self.call.service, method = self.call.method, ?status, "answered");
        self.live.log(Request {
            at_ms: self.live.now_ms(),
            user: self.name.clone(),
            service: self.call.service.clone(),
            id: self.call.id.clone(),
            method: self.call.method.clone(),
            status,
            executed: self.executed,
        });
    }
}

fn refuse(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(error.body())).into_response()
}

/// What comes after `/rest/v3.1/` or `/rest/v3/`, decoded.
fn api_path(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/rest/v3.1/").or_else(|| path.strip_prefix("/rest/v3/"))?;
    Some(percent_encoding::percent_decode_str(rest).decode_utf8_lossy().into_owned())
}

/// The user whose name and key the request carries: HTTP Basic.
fn user(cloud: &Cloud, headers: &HeaderMap) -> Option<(Id, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (username, api_key) = decoded.split_once(':')?;
    let known = cloud.users.values().find(|user| user.username == username && user.api_key == api_key)?;
    Some((known.id, known.username.clone()))
}
