//! `berth host list | show | plan`.

use super::find;
use crate::agent::{Agent, AskError};
use crate::args::HostVerb;
use crate::page::{Page, Verdict};
use crate::table::{list, or_dash, pairs, table};
use api::{Attachment, Host, HostPlan, MachineKind, paths};

pub(crate) async fn answer(agent: &Agent, verb: &HostVerb) -> Result<Page, AskError> {
    match verb {
        HostVerb::List => {
            let answer = agent.get::<Vec<Host>>(paths::HOSTS).await?;
            Ok(Page::new(&answer, hosts(&answer.answer)))
        }
        HostVerb::Show { host } => show(agent, host.as_ref()).await,
        HostVerb::Plan => plan(agent).await,
    }
}

async fn show(agent: &Agent, id: Option<&String>) -> Result<Page, AskError> {
    let answer = agent.get::<Vec<Host>>(paths::HOSTS).await?;
    let is = |host: &Host| id.map_or(host.this, |id| host.id == *id);
    let name = id.map_or("this one", String::as_str);
    let found = find(&answer.answer, "host", name, "berth host list", is)?;
    let answer = answer.map(|mut hosts| hosts.swap_remove(found));
    let host = &answer.answer;
    let mut text = pairs([
        ("host", host.id.clone()),
        ("hostname", or_dash(host.hostname.as_ref())),
        ("instance", or_dash(host.instance.as_ref())),
        ("machine", machine(host)),
        ("datacenter", or_dash(host.datacenter.as_ref())),
        ("incarnation", host.incarnation.to_string()),
        ("boot", or_dash(host.boot_id.as_ref())),
        ("identity from", host.identity_from.to_string()),
    ]);
    let row = |attachment: &Attachment| {
        vec![
            attachment.zone.clone(),
            attachment.network.clone(),
            or_dash(attachment.interface.as_ref()),
            or_dash(attachment.vlan),
        ]
    };
    text += "\n";
    text += &table(&["zone", "network", "interface", "vlan"], host.attachments.iter().map(row));
    Ok(Page::new(&answer, text))
}

async fn plan(agent: &Agent) -> Result<Page, AskError> {
    let answer = agent.get::<HostPlan>(paths::HOST_PLAN).await?;
    let changes = &answer.answer.changes;
    let text = match changes.as_slice() {
        [] => "nothing to change: this host is as it should be\n".into(),
        changes => changes.iter().map(|change| format!("{change}\n")).collect(),
    };
    let verdict = if changes.is_empty() { Verdict::Yes } else { Verdict::No };
    Ok(Page::new(&answer, text).verdict(verdict))
}

fn hosts(hosts: &[Host]) -> String {
    let row = |host: &Host| {
        vec![
            if host.this { format!("{} (this)", host.id) } else { host.id.clone() },
            or_dash(host.hostname.as_ref()),
            machine(host),
            or_dash(host.datacenter.as_ref()),
            list(host.attachments.iter().map(|attachment| &attachment.zone)),
            host.incarnation.to_string(),
        ]
    };
    table(&["host", "hostname", "machine", "datacenter", "zones", "#incarnation"], hosts.iter().map(row))
}

fn machine(host: &Host) -> String {
    or_dash(host.kind.map(|kind| match kind {
        MachineKind::Virtual => "virtual",
        MachineKind::BareMetal => "bare metal",
    }))
}
