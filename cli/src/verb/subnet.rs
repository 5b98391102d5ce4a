//! `berth subnet list | show`: the cloud's subnets behind the pools.

use super::{find, table_with_counts};
use crate::agent::{Agent, AskError};
use crate::args::SubnetVerb;
use crate::page::Page;
use crate::table::{or_dash, pairs};
use api::{Subnet, SubnetState, paths};

pub(crate) async fn answer(agent: &Agent, verb: &SubnetVerb) -> Result<Page, AskError> {
    let answer = agent.get::<Vec<Subnet>>(paths::SUBNETS).await?;
    let SubnetVerb::Show { subnet } = verb else { return Ok(Page::new(&answer, subnets(&answer.answer))) };
    let found =
        find(&answer.answer, "subnet", &subnet.to_string(), "berth subnet list", |s| s.subnet == *subnet)?;
    let answer = answer.map(|mut subnets| subnets.swap_remove(found));
    let text = show(&answer.answer);
    Ok(Page::new(&answer, text))
}

fn subnets(subnets: &[Subnet]) -> String {
    let row = |subnet: &Subnet| {
        let cells = vec![
            subnet.subnet.to_string(),
            or_dash(subnet.pool.as_ref()),
            subnet.zone.clone(),
            state(subnet.state).into(),
            cloud(subnet).into(),
        ];
        (cells, subnet.counts)
    };
    table_with_counts(&["subnet", "pool", "zone", "state", "in the cloud"], subnets.iter().map(row))
}

fn show(subnet: &Subnet) -> String {
    let mut text = pairs([
        ("subnet", subnet.subnet.to_string()),
        ("pool", or_dash(subnet.pool.as_ref())),
        ("zone", subnet.zone.clone()),
        ("gateway", or_dash(subnet.gateway)),
        ("state", state(subnet.state).into()),
        ("in the cloud", format!("{}, id {}", cloud(subnet), or_dash(subnet.provider_id.as_ref()))),
        ("blocks", subnet.blocks.to_string()),
    ]);
    text += "\n";
    text += &table_with_counts(&[], [(vec![], subnet.counts)]);
    text
}

fn state(state: SubnetState) -> &'static str {
    match state {
        SubnetState::Open => "open",
        SubnetState::Draining => "draining",
        SubnetState::Returning => "returning",
        SubnetState::Unopened => "never opened",
    }
}

fn cloud(subnet: &Subnet) -> &'static str {
    match subnet.in_cloud {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    }
}
