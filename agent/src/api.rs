//! The local API: HTTP on a unix socket, for `berth` and whoever else asks.
//!
//! Peer credentials decide: root may do everything, members of the configured group may read. Nothing
//! is decided here, and nobody's word is taken for another's.

mod access;
mod addresses;
mod cluster;
mod desk;
mod drains;
mod evict;
mod glance;
mod history;
mod hosts;
mod names;
mod networks;
mod orders;
mod pools;
mod rebuild;
mod services;
mod status;
mod words;

pub use access::{Access, Peer};
pub(crate) use desk::silence;
pub use desk::{Desk, Parts};
pub(crate) use orders::read as all_orders;
pub(crate) use pools::by_pool_and_zone;

use ::api::{Problem, ProblemKind, paths};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use std::io;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

/// The largest body of a request: a reservation is far smaller.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Answers on this socket until `stop`.
pub async fn serve(
    listener: UnixListener,
    desk: Desk,
    access: Access,
    stop: CancellationToken,
) -> io::Result<()> {
    let service = router(desk, access).into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(desk: Desk, access: Access) -> Router {
    Router::new()
        .route(paths::STATUS, get(status::status))
        .route(paths::POOLS, get(pools::pools))
        .route(paths::SUBNETS, get(pools::subnets))
        .route(paths::SUBNET_DRAIN, post(orders::drain))
        .route(paths::SUBNET_UNDRAIN, post(orders::undrain))
        .route(paths::ADDRESSES, get(addresses::list))
        .route(&format!("{}/{{address}}", paths::ADDRESSES), get(addresses::show))
        .route(paths::HISTORY, get(history::history))
        .route(paths::EXPLAIN, get(addresses::explain))
        .route(
            paths::RESERVATIONS,
            post(addresses::reserve).delete(addresses::release).get(addresses::reservations),
        )
        .route(paths::SERVICES, get(services::services).post(services::apply))
        .route(&format!("{}/{{name}}", paths::SERVICES), get(services::show).delete(services::delete))
        .route(paths::DRAINS, get(drains::show).post(drains::ask))
        .route(paths::NAMES, get(names::name))
        .route(paths::NETWORKS, get(networks::networks))
        .route(paths::ORDERS, get(orders::orders))
        .route(&format!("{}/{{order}}", paths::ORDERS), get(orders::show))
        .route(&format!("{}/{{order}}/settle", paths::ORDERS), post(orders::settle))
        .route(paths::HOSTS, get(hosts::hosts))
        .route(paths::HOST_EVICT, post(evict::evict))
        .route(paths::HOST_PLAN, get(hosts::plan))
        .route(paths::CLUSTER, get(cluster::show).post(cluster::init))
        .route(paths::STORE_BACKUP, get(cluster::backup))
        .route(paths::STORE_REBUILD, post(rebuild::rebuild))
        .route(paths::CHECK, get(crate::check::check))
        .route(paths::DOCTOR, get(crate::doctor::doctor))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(access, admit))
        .with_state(desk)
}

/// Lets through who may ask this.
async fn admit(
    State(access): State<Access>,
    Extension(axum::extract::ConnectInfo(peer)): Extension<axum::extract::ConnectInfo<Peer>>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = match *request.method() {
        Method::GET | Method::HEAD => access.may_read(&peer),
        _ => access.may_write(&peer),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err(problem) => Refusal(problem).into_response(),
    }
}

async fn unknown(request: Request) -> Refusal {
    Refusal(Problem {
        kind: ProblemKind::NotFound,
        error: format!("there is no {} in version {} of this API", request.uri().path(), ::api::VERSION),
        causes: Vec::new(),
        hint: Some("install berth and berthd of one version".into()),
    })
}

/// A request that is not granted.
#[derive(Debug)]
pub struct Refusal(pub Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.status_code());
        (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(self.0)).into_response()
    }
}
