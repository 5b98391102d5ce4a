//! What befalls load balancers past their customers' API.

use std::net::Ipv4Addr;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{delete, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{Control, Refused};

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route("/balancers/{name}", delete(remove))
        .route("/balancers/{name}/state", put(set_state))
        .route("/balancers/{name}/members/{address}", put(put_member).delete(drop_member))
}

async fn remove(State(control): State<Control>, Path(name): Path<String>) -> Result<Response, Refused> {
    let found = control.live.delete_balancer(&name);
    done(&control, found, name).await
}

/// What a balancer comes to.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Comes {
    /// Pending for this long, as for maintenance.
    Busy { ms: u64 },
    /// Its pending change fails when it ends, with this text.
    Failing { text: String },
    /// Works or not, by its own word.
    Online { online: bool },
    /// Broken for good.
    Broken,
}

async fn set_state(
    State(control): State<Control>,
    Path(name): Path<String>,
    Json(comes): Json<Comes>,
) -> Result<Response, Refused> {
    let live = &control.live;
    let found = match comes {
        Comes::Busy { ms } => live.keep_balancer_busy(&name, ms),
        Comes::Failing { text } => live.fail_balancer(&name, &text),
        Comes::Online { online } => live.set_balancer_online(&name, online),
        Comes::Broken => live.break_balancer(&name),
    };
    done(&control, found, name).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weight {
    weight: i64,
}

async fn put_member(
    State(control): State<Control>,
    Path((name, address)): Path<(String, Ipv4Addr)>,
    Json(Weight { weight }): Json<Weight>,
) -> Result<Response, Refused> {
    let found = control.live.put_balancer_member(&name, &address.to_string(), Some(weight))?;
    done(&control, found, name).await
}

async fn drop_member(
    State(control): State<Control>,
    Path((name, address)): Path<(String, Ipv4Addr)>,
) -> Result<Response, Refused> {
    let found = control.live.put_balancer_member(&name, &address.to_string(), None)?;
    done(&control, found, name).await
}

async fn done(control: &Control, found: bool, name: String) -> Result<Response, Refused> {
    if !found {
        return Err(Refused::NoBalancer(name));
    }
    control.when_wired(json!({})).await
}
