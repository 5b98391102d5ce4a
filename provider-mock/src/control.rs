//! The control endpoint: HTTP and JSON, beside the API and no part of it.
//!
//! | request | body | does |
//! |---|---|---|
//! | `GET /state` | | shows everything there is |
//! | `GET /requests` | | shows the API calls so far |
//! | `GET /faults` | | shows the faults in force |
//! | `POST /faults` | a [`Fault`] | adds one; answers `{"id":1}` |
//! | `DELETE /faults/{id}`, `DELETE /faults` | | removes one, all |
//! | `POST /clock/advance` | `{"secs":3600}` | puts the clock forward; what is due happens |
//! | `PUT /delays` | [`Delays`] | for what begins from now on |
//! | `PUT /limits` | `{"requests_per_second":5}` | throttles |
//! | `POST /machines` | a [`MachineSpec`] | adds one; answered when its wires are there |
//! | `DELETE /machines/{hostname}` | | deletes one, with its wires |
//! | `PUT /machines/{hostname}/power` | `{"state":"HALTED"}` | what the API says of it; the wires stay |
//! | `PUT /machines/{hostname}/connection` | `{"connected":false}` | whether the cloud reaches it |
//! | `PUT /users/{username}` | `{"sees_machines":false}` | whether a user sees machines at all |
//! | `POST /machines/{hostname}/transactions` | `{"name":"REBOOT"}` | begins one; it ends by itself |
//! | `DELETE /balancers/{name}` | | a load balancer is gone at once |
//! | `PUT /balancers/{name}/state` | `{"kind":"busy","ms":60000}` | pending for that long |
//! | the same | `{"kind":"failing","text":"…"}` | its pending change fails when it ends |
//! | the same | `{"kind":"online","online":false}`, `{"kind":"broken"}` | what it says of itself |
//! | `PUT /balancers/{name}/members/{address}` | `{"weight":5}` | edited or added by hand, at once |
//! | `DELETE /balancers/{name}/members/{address}` | | lost, at once |
//! | `PUT /vlans/{id}/firewall` | `{"deaf_for":1}` | accepts so many updates and never applies them |
//! | `PUT /vlans/{id}/firewall/rules` | `[{"order":1,"permit":true,"protocol":"tcp","source":"0.0.0.0/0",…}]` | replaced by hand, at once |
//! | `PUT /machines/{hostname}/groups/{name}` | | somebody attaches a security group, and reboots |
//! | `POST /reset` | | the cloud as described, no faults |
//!
//! A fault: `{"method":"placeOrder","next":10,"hits":3,"effect":{"kind":"cut_after"}}`. Effects are those of
//! [`Effect`](crate::Effect): `delay` (`ms`), `error` (`status`, `code`, `text`), `internal_error`,
//! `internal_error_as200`, `empty_body`, `unauthorized`, `rate_limited`, `cut_before`, `cut_after`,
//! `silent_before`, `silent_after`, `late` (`ms`), `stale` (`ms`). Errors are answered as `{"error":"text"}` with 400 or 404.

mod balancer;
mod firewall;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cloud::Id;
use crate::cloud::balancer::BalancerRefused;
use crate::cloud::machine::PowerState;
use crate::cloud::spec::{Delays, MachineSpec, SpecError};
use crate::fabric::Wired;
use crate::fault::{Fault, FaultId};
use crate::live::LiveCloud;

/// What the control endpoint works on.
#[derive(Clone)]
pub struct Control {
    /// The cloud.
    pub live: LiveCloud,
    /// How far the fabric has followed, if there is one.
    pub wired: Option<watch::Receiver<Wired>>,
}

impl Control {
    /// The control endpoint, to be served on any listener.
    pub fn router(self) -> Router {
        Router::new()
            .route("/state", get(state))
            .route("/requests", get(requests))
            .route("/faults", get(faults).post(inject).delete(heal))
            .route("/faults/{id}", delete(remove_fault))
            .route("/clock/advance", post(advance))
            .route("/delays", put(set_delays))
            .route("/limits", put(set_limits))
            .route("/machines", post(add_machine))
            .route("/machines/{hostname}", delete(delete_machine))
            .route("/machines/{hostname}/power", put(set_power))
            .route("/machines/{hostname}/connection", put(set_connected))
            .route("/users/{username}", put(let_see))
            .route("/machines/{hostname}/transactions", post(begin_transaction))
            .route("/reset", post(reset))
            .merge(balancer::routes())
            .merge(firewall::routes())
            .with_state(self)
    }

    /// Answers when the wires have followed every change up to now.
    async fn when_wired(&self, body: Value) -> Result<Response, Refused> {
        let Some(mut wired) = self.wired.clone() else { return Ok(Json(body).into_response()) };
        let change = *self.live.changes().borrow();
        let settled =
            wired.wait_for(|wired| wired.change >= change).await.map_err(|_| Refused::FabricGone)?;
        match &settled.failure {
            None => Ok(Json(body).into_response()),
            Some(failure) => Err(Refused::Fabric(failure.clone())),
        }
    }
}

/// Why the control endpoint did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("there is no machine {0}")]
    NoMachine(String),
    #[error("there is no user {0}")]
    NoUser(String),
    #[error("there is no fault {0}")]
    NoFault(FaultId),
    #[error("VLAN {0} has no firewall")]
    NoFirewall(Id),
    #[error("there is no security group {0}, or no machine {1}")]
    NoGroupThere(String, String),
    #[error("there is no load balancer {0}")]
    NoBalancer(String),
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Balancer(#[from] BalancerRefused),
    #[error("the fabric could not follow: {0}")]
    Fabric(String),
    #[error("the fabric is being removed")]
    FabricGone,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoMachine(_)
            | Self::NoUser(_)
            | Self::NoFault(_)
            | Self::NoFirewall(_)
            | Self::NoGroupThere(..)
            | Self::NoBalancer(_) => StatusCode::NOT_FOUND,
            Self::Spec(_) | Self::Balancer(_) => StatusCode::BAD_REQUEST,
            Self::Fabric(_) | Self::FabricGone => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

async fn state(State(control): State<Control>) -> Json<Value> {
    Json(control.live.dump())
}

async fn requests(State(control): State<Control>) -> Json<Value> {
    Json(json!(control.live.requests()))
}

async fn faults(State(control): State<Control>) -> Json<Value> {
    let faults = control.live.faults();
    Json(faults.into_iter().map(|(id, fault)| json!({ "id": id, "fault": fault })).collect())
}

async fn inject(State(control): State<Control>, Json(fault): Json<Fault>) -> Json<Value> {
    Json(json!({ "id": control.live.inject(fault) }))
}

async fn heal(State(control): State<Control>) -> Json<Value> {
    control.live.heal();
    Json(json!({}))
}

async fn remove_fault(
    State(control): State<Control>,
    Path(id): Path<FaultId>,
) -> Result<Json<Value>, Refused> {
    if control.live.remove_fault(id) { Ok(Json(json!({}))) } else { Err(Refused::NoFault(id)) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    secs: u64,
}

async fn advance(State(control): State<Control>, Json(by): Json<Advance>) -> Result<Response, Refused> {
    control.live.advance(Duration::from_secs(by.secs));
    control.when_wired(json!({ "now_ms": control.live.now_ms() })).await
}

async fn set_delays(State(control): State<Control>, Json(delays): Json<Delays>) -> Json<Value> {
    control.live.set_delays(delays);
    Json(json!(delays))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Throttle {
    requests_per_second: u32,
}

async fn set_limits(State(control): State<Control>, Json(throttle): Json<Throttle>) -> Json<Value> {
    control.live.set_requests_per_second(throttle.requests_per_second);
    Json(json!({ "requests_per_second": throttle.requests_per_second }))
}

async fn add_machine(
    State(control): State<Control>,
    Json(spec): Json<MachineSpec>,
) -> Result<Response, Refused> {
    let id = control.live.add_machine(&spec)?;
    let machine = json!(control.live.present().machines.get(&id));
    control.when_wired(machine).await
}

async fn delete_machine(
    State(control): State<Control>,
    Path(hostname): Path<String>,
) -> Result<Response, Refused> {
    let _ = found(control.live.delete_machine(&hostname), hostname)?;
    control.when_wired(json!({})).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Power {
    state: PowerState,
}

async fn set_power(
    State(control): State<Control>,
    Path(hostname): Path<String>,
    Json(power): Json<Power>,
) -> Result<Json<Value>, Refused> {
    found(control.live.set_power(&hostname, power.state), hostname)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connection {
    connected: bool,
}

async fn set_connected(
    State(control): State<Control>,
    Path(hostname): Path<String>,
    Json(connection): Json<Connection>,
) -> Result<Json<Value>, Refused> {
    found(control.live.set_connected(&hostname, connection.connected), hostname)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sight {
    sees_machines: bool,
}

async fn let_see(
    State(control): State<Control>,
    Path(username): Path<String>,
    Json(sight): Json<Sight>,
) -> Result<Json<Value>, Refused> {
    let found = control.live.let_see_machines(&username, sight.sees_machines);
    if found { Ok(Json(json!({}))) } else { Err(Refused::NoUser(username)) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    name: String,
}

async fn begin_transaction(
    State(control): State<Control>,
    Path(hostname): Path<String>,
    Json(begin): Json<Begin>,
) -> Result<Json<Value>, Refused> {
    found(control.live.begin_transaction(&hostname, &begin.name), hostname)
}

async fn reset(State(control): State<Control>) -> Result<Response, Refused> {
    control.live.reset()?;
    control.when_wired(json!({})).await
}

fn found(found: bool, hostname: String) -> Result<Json<Value>, Refused> {
    if found { Ok(Json(json!({}))) } else { Err(Refused::NoMachine(hostname)) }
}
