//! `GET /v1/networks`: Docker networks of our driver, on our word and on Docker's.

use super::desk::Desk;
use crate::docker::events::Sight;
use crate::docker::{Endpoint, Network, Pages};
use ::api::{Answer, Source};
use axum::Json;
use axum::extract::State;
use hostnet::IfName;

pub(crate) async fn networks(State(desk): State<Desk>) -> Json<Answer<Vec<::api::Network>>> {
    let (sight, silent) = match desk.sight() {
        Ok(sight) => (Some(sight), Vec::new()),
        Err(silence) => (None, vec![silence]),
    };
    let pages = desk.pages();
    let networks = pages.networks.values().map(|it| network(it, &pages, sight.as_deref())).collect();
    Json(Answer::new([Source::Journal, Source::Docker], networks).without(silent))
}

fn network(network: &Network, pages: &Pages, sight: Option<&Sight>) -> ::api::Network {
    let seen = sight.and_then(|sight| sight.networks.iter().find(|seen| seen.id == network.id));
    let endpoints = pages.endpoints.values().filter(|endpoint| endpoint.network == network.id);
    ::api::Network {
        id: network.id.0.clone(),
        name: seen.map(|seen| seen.name.clone()),
        pool: network.pool.to_string(),
        subnets: vec![network.subnet],
        internal: network.internal,
        bridge: Some(IfName::bridge(&network.id.0).as_str().to_owned()),
        endpoints: endpoints.map(|it| endpoint(it, sight)).collect(),
        in_docker: sight.map(|_| seen.is_some()),
    }
}

fn endpoint(endpoint: &Endpoint, sight: Option<&Sight>) -> ::api::Endpoint {
    let container = sight.and_then(|sight| sight.container_of(&endpoint.id));
    ::api::Endpoint {
        id: endpoint.id.to_string(),
        address: Some(endpoint.address.ip()),
        mac: Some(endpoint.mac.to_string()),
        container: container.map(|container| container.name.clone()),
        ports: endpoint.open_ports().map(ToString::to_string).collect(),
    }
}
