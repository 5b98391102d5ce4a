//! `berth host list | show | plan | evict`.

use super::find;
use crate::agent::{Agent, AskError};
use crate::args::HostVerb;
use crate::page::{Page, Verdict};
use crate::table::{list, moment, or_dash, pairs, table};
use api::{Attachment, Evict, Eviction, Host, HostLife, HostPlan, MachineKind, paths};

pub(crate) async fn answer(agent: &Agent, verb: &HostVerb) -> Result<Page, AskError> {
    match verb {
        HostVerb::List => {
            let answer = agent.get::<Vec<Host>>(paths::HOSTS).await?;
            Ok(Page::new(&answer, hosts(&answer.answer)))
        }
        HostVerb::Show { host } => show(agent, host.as_ref()).await,
        HostVerb::Plan => plan(agent).await,
        HostVerb::Evict { host, powered_off, because, .. } => {
            evict(agent, host, *powered_off, because.clone()).await
        }
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
        ("life", host.life.name().into()),
        ("holds", addresses(host.holds)),
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
    text += &life(host);
    text += "\n";
    text += &table(&["zone", "network", "interface", "vlan"], host.attachments.iter().map(row));
    Ok(Page::new(&answer, text))
}

async fn evict(
    agent: &Agent,
    host: &str,
    powered_off: bool,
    force: Option<String>,
) -> Result<Page, AskError> {
    let word = Evict { host: host.into(), who: who(), powered_off, force };
    let answer = agent.post::<Host>(paths::HOST_EVICT, &word).await?;
    let text = hosts(std::slice::from_ref(&answer.answer)) + &life(&answer.answer);
    let hint = "its addresses are in quarantine and then free; `berth status` shows what keeps one there";
    Ok(Page::new(&answer, text).hint(Some(hint)))
}

/// Who asks, for the record: root is many people.
pub(crate) fn who() -> String {
    let name = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    name("SUDO_USER").or_else(|| name("USER")).unwrap_or_else(|| "root".into())
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

/// Hosts as a table; the status page shows it too.
pub(crate) fn hosts(hosts: &[Host]) -> String {
    let row = |host: &Host| {
        vec![
            if host.this { format!("{} (this)", host.id) } else { host.id.clone() },
            or_dash(host.hostname.as_ref()),
            machine(host),
            or_dash(host.datacenter.as_ref()),
            list(host.attachments.iter().map(|attachment| &attachment.zone)),
            host.life.name().into(),
            host.holds.to_string(),
            host.incarnation.to_string(),
        ]
    };
    table(
        &["host", "hostname", "machine", "datacenter", "zones", "life", "#holds", "#incarnation"],
        hosts.iter().map(row),
    )
}

/// What there is to say of a host that does not simply live.
pub(crate) fn life(host: &Host) -> String {
    let id = &host.id;
    let mut text = match &host.life {
        HostLife::Silent { since: Some(since), said, next } => {
            let said = said.as_ref().map_or_else(
                || "the provider was not asked yet".to_owned(),
                |said| format!("the provider says: {said}"),
            );
            let next = next.map(|next| format!("; asked next {}", moment(next))).unwrap_or_default();
            format!("{id} has been silent since {}; {said}{next}\n", moment(*since))
        }
        HostLife::Silent { .. } => format!("{id} is silent: its session in the store is absent\n"),
        HostLife::Unknown | HostLife::Alive | HostLife::Evicted => String::new(),
    };
    if let Some(Eviction { at, by, why }) = &host.eviction {
        text += &format!("{id} was evicted {at} by {by}: {why}\n");
    }
    if host.unswept > 0 {
        let left = addresses(host.unswept);
        text += &format!("{id}: {left} still to go to quarantine; the zone's role does it by itself\n");
    }
    text
}

fn addresses(count: u32) -> String {
    if count == 1 { "1 address".into() } else { format!("{count} addresses") }
}

fn machine(host: &Host) -> String {
    or_dash(host.kind.map(|kind| match kind {
        MachineKind::Virtual => "virtual",
        MachineKind::BareMetal => "bare metal",
    }))
}
