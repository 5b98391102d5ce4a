//! `berth network list | show`: Docker networks of our driver on this host.

use super::find;
use crate::agent::{Agent, AskError};
use crate::args::NetworkVerb;
use crate::page::Page;
use crate::table::{list, or_dash, pairs, table};
use api::{Endpoint, Network, paths};

pub(crate) async fn answer(agent: &Agent, verb: &NetworkVerb) -> Result<Page, AskError> {
    let answer = agent.get::<Vec<Network>>(paths::NETWORKS).await?;
    let NetworkVerb::Show { network } = verb else { return Ok(Page::new(&answer, networks(&answer.answer))) };
    let is = |n: &Network| n.name.as_ref() == Some(network) || n.id.starts_with(network);
    let found = find(&answer.answer, "network", network, "berth network list", is)?;
    let answer = answer.map(|mut networks| networks.swap_remove(found));
    let text = show(&answer.answer);
    Ok(Page::new(&answer, text))
}

fn networks(networks: &[Network]) -> String {
    let row = |network: &Network| {
        vec![
            short(&network.id),
            or_dash(network.name.as_ref()),
            network.pool.clone(),
            list(&network.subnets),
            or_dash(network.bridge.as_ref()),
            network.endpoints.len().to_string(),
            docker(network).into(),
        ]
    };
    let headings = ["id", "name", "pool", "subnets", "bridge", "#containers", "in docker"];
    table(&headings, networks.iter().map(row))
}

fn show(network: &Network) -> String {
    let mut text = pairs([
        ("network", or_dash(network.name.as_ref())),
        ("id", network.id.clone()),
        ("pool", network.pool.clone()),
        ("subnets", list(&network.subnets)),
        ("bridge", or_dash(network.bridge.as_ref())),
        ("internal", if network.internal { "yes" } else { "no" }.into()),
        ("in docker", docker(network).into()),
    ]);
    let row = |endpoint: &Endpoint| {
        vec![
            or_dash(endpoint.address),
            or_dash(endpoint.container.as_ref()),
            or_dash(endpoint.mac.as_ref()),
            if endpoint.ports.is_empty() { "-".into() } else { list(&endpoint.ports) },
            short(&endpoint.id),
        ]
    };
    text += "\n";
    text += &table(&["address", "container", "mac", "ports", "endpoint"], network.endpoints.iter().map(row));
    text
}

fn docker(network: &Network) -> &'static str {
    match network.in_docker {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    }
}

/// Docker's ids are known by their first twelve digits.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
