//! `berth subnet list | show | drain | undrain`: the cloud's subnets behind the pools.

use super::order::orders;
use super::{find, table_with_counts};
use crate::agent::{Agent, AskError};
use crate::args::SubnetVerb;
use crate::page::Page;
use crate::table::{moment, or_dash, pairs, table};
use api::{NamedSubnet, Order, Quarantined, Subnet, SubnetState, paths};
use ipnetwork::IpNetwork;

pub(crate) async fn answer(agent: &Agent, verb: &SubnetVerb) -> Result<Page, AskError> {
    match verb {
        SubnetVerb::List => {
            let answer = agent.get::<Vec<Subnet>>(paths::SUBNETS).await?;
            Ok(Page::new(&answer, subnets(&answer.answer)))
        }
        SubnetVerb::Show { subnet } => {
            let answer = agent.get::<Vec<Subnet>>(paths::SUBNETS).await?;
            let name = subnet.to_string();
            let found = find(&answer.answer, "subnet", &name, "berth subnet list", |s| s.subnet == *subnet)?;
            let answer = answer.map(|mut subnets| subnets.swap_remove(found));
            let text = show(&answer.answer);
            Ok(Page::new(&answer, text))
        }
        SubnetVerb::Drain { subnet } => {
            let hint = format!(
                "it is returned to the cloud when it is empty; `berth subnet undrain {subnet}` keeps it"
            );
            Ok(tell(agent, paths::SUBNET_DRAIN, *subnet).await?.hint(Some(hint)))
        }
        SubnetVerb::Undrain { subnet } => tell(agent, paths::SUBNET_UNDRAIN, *subnet).await,
    }
}

/// Says something of a subnet, and shows what its order is now.
async fn tell(agent: &Agent, path: &str, subnet: IpNetwork) -> Result<Page, AskError> {
    let answer = agent.post::<Order>(path, &NamedSubnet { subnet }).await?;
    Ok(Page::new(&answer, orders(std::slice::from_ref(&answer.answer))))
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
    if !subnet.quarantine.is_empty() {
        text += "\n";
        text += &quarantine(&subnet.quarantine);
    }
    text
}

/// Addresses in quarantine as a table; the status page shows it too.
pub(crate) fn quarantine(lines: &[Quarantined]) -> String {
    let row = |line: &Quarantined| {
        vec![
            line.address.to_string(),
            or_dash(line.was.clone()),
            line.state.clone(),
            or_dash(line.next.map(moment)),
            line.why.clone(),
        ]
    };
    let headings = ["quarantined", "held by", "how it stands", "looked at", "because"];
    table(&headings, lines.iter().map(row))
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
