//! What befalls firewalls past their customers' API.

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::put;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{Control, Refused};
use crate::cloud::Id;
use crate::cloud::firewall::FirewallRule;

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route("/vlans/{id}/firewall", put(deafen))
        .route("/vlans/{id}/firewall/rules", put(put_rules))
        .route("/machines/{hostname}/groups/{name}", put(attach))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deaf {
    deaf_for: u32,
}

async fn deafen(
    State(control): State<Control>,
    Path(vlan): Path<Id>,
    Json(Deaf { deaf_for }): Json<Deaf>,
) -> Result<Response, Refused> {
    of_vlan(&control, control.live.deafen_firewall(vlan, deaf_for), vlan).await
}

async fn put_rules(
    State(control): State<Control>,
    Path(vlan): Path<Id>,
    Json(rules): Json<Vec<FirewallRule>>,
) -> Result<Response, Refused> {
    of_vlan(&control, control.live.put_firewall_rules(vlan, rules), vlan).await
}

async fn attach(
    State(control): State<Control>,
    Path((hostname, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    if !control.live.put_security_group(&name, &hostname) {
        return Err(Refused::NoGroupThere(name, hostname));
    }
    control.when_wired(json!({})).await
}

async fn of_vlan(control: &Control, found: bool, vlan: Id) -> Result<Response, Refused> {
    if !found {
        return Err(Refused::NoFirewall(vlan));
    }
    control.when_wired(json!({})).await
}
