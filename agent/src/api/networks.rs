//! `GET /v1/networks`: Docker networks of our driver, on our word and on Docker's, and those of other drivers whose
//! addresses are ours.

use super::desk::Desk;
use crate::docker::events::{SeenNetwork, Sight};
use crate::docker::{Endpoint, Network, Pages};
use ::api::{Answer, Source};
use axum::Json;
use axum::extract::State;
use hostnet::IfName;
use ipam::View;
use ipnetwork::IpNetwork;
use std::collections::BTreeMap;

pub(crate) async fn networks(State(desk): State<Desk>) -> Json<Answer<Vec<::api::Network>>> {
    let (sight, silent) = match desk.sight() {
        Ok(sight) => (Some(sight), Vec::new()),
        Err(silence) => (None, vec![silence]),
    };
    let pages = desk.pages();
    let mut networks: Vec<::api::Network> =
        pages.networks.values().map(|it| network(it, &pages, sight.as_deref())).collect();
    if let Some(sight) = &sight {
        let pools = desk.view().await.map(|view| pools(&view)).unwrap_or_default();
        let theirs = sight.networks.iter().filter(|it| it.is_lent_to());
        networks.extend(theirs.map(|it| borrower(it, &pages, sight, &pools)));
    }
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

/// The pool of each subnet.
fn pools(view: &View) -> BTreeMap<IpNetwork, String> {
    view.subnets.iter().map(|seen| (seen.subnet.cidr, seen.subnet.pool.to_string())).collect()
}

/// A network of another driver, with the addresses that are lent to it here.
fn borrower(
    seen: &SeenNetwork,
    pages: &Pages,
    sight: &Sight,
    pools: &BTreeMap<IpNetwork, String>,
) -> ::api::Network {
    let containers = sight.containers.iter().flat_map(|it| it.attachments.iter().map(move |at| (it, at)));
    let here = containers.filter(|(_, at)| at.network == seen.id);
    let lent = here.filter_map(|(container, at)| {
        let address = at.address.filter(|address| pages.lent.contains_key(address))?;
        Some(::api::Endpoint {
            id: at.endpoint.as_ref().map(ToString::to_string).unwrap_or_default(),
            address: Some(address),
            mac: at.mac.map(|mac| mac.to_string()),
            container: Some(container.name.clone()),
            ports: Vec::new(),
        })
    });
    ::api::Network {
        id: seen.id.0.clone(),
        name: Some(seen.name.clone()),
        pool: seen.subnets.iter().find_map(|subnet| pools.get(subnet)).cloned().unwrap_or_else(|| "-".into()),
        subnets: seen.subnets.clone(),
        internal: seen.internal,
        bridge: seen.bridge.as_ref().map(|bridge| bridge.as_str().to_owned()),
        endpoints: lent.collect(),
        in_docker: Some(true),
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
