//! `berth service list | show | diff | apply | delete`.

use crate::agent::{Agent, AskError, encoded};
use crate::args::ServiceVerb;
use crate::page::{Page, Verdict};
use crate::table::{list, or_dash, table};
use api::{
    ApplyService, AtBalancer, BalancerReport, FirewallReport, Listener, LoadBalancer, Member, MemberStanding,
    PolicyEntry, Problem, ProblemKind, Service, ServiceChange, ServiceLine, ServicePort, ServiceReport,
    paths,
};
use std::io::Read;
use std::path::Path;

/// The largest file that is read as a declaration: one is far smaller.
const FILE_BYTES_MAX: u64 = 16 * 1024;

pub(crate) async fn answer(agent: &Agent, verb: &ServiceVerb) -> Result<Page, AskError> {
    match verb {
        ServiceVerb::List => {
            let answer = agent.get::<Vec<ServiceLine>>(paths::SERVICES).await?;
            Ok(Page::new(&answer, lines(&answer.answer)))
        }
        ServiceVerb::Show { name } => {
            let answer = agent.get::<ServiceReport>(&path(name)).await?;
            Ok(Page::new(&answer, show(&answer.answer)))
        }
        ServiceVerb::Diff { file } => {
            let wanted = ApplyService { service: read(file)?, dry_run: true };
            let answer = agent.post::<ServiceChange>(paths::SERVICES, &wanted).await?;
            let verdict = if answer.answer.changes.is_empty() { Verdict::Yes } else { Verdict::No };
            Ok(Page::new(&answer, change(&answer.answer, "would change")).verdict(verdict))
        }
        ServiceVerb::Apply { file } => {
            let wanted = ApplyService { service: read(file)?, dry_run: false };
            let answer = agent.post::<ServiceChange>(paths::SERVICES, &wanted).await?;
            let hint = format!("`berth service show {}` shows who is in it", wanted.service.name);
            Ok(Page::new(&answer, change(&answer.answer, "changed")).hint(Some(hint)))
        }
        ServiceVerb::Delete { name } => {
            let answer = agent.delete::<ServiceChange>(&path(name), &[]).await?;
            Ok(Page::new(&answer, format!("service {name} is no longer declared\n")))
        }
    }
}

fn path(name: &str) -> String {
    format!("{}/{}", paths::SERVICES, encoded(name))
}

/// The declaration in a file; `-` is stdin.
fn read(file: &Path) -> Result<Service, AskError> {
    let declined = |error: String, hint: &str| {
        AskError::Refused(Problem {
            kind: ProblemKind::Invalid,
            error,
            causes: Vec::new(),
            hint: Some(hint.to_owned()),
        })
    };
    let opened: std::io::Result<Box<dyn Read>> = match file.to_str() {
        Some("-") => Ok(Box::new(std::io::stdin())),
        _ => std::fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let mut text = String::new();
    let read = opened.and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    let name = file.display();
    read.map_err(|error| {
        declined(format!("cannot read {name}: {error}"), "name a TOML file, or - for stdin")
    })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let error = format!("{name} has more than {FILE_BYTES_MAX} bytes");
        return Err(declined(error, "one file declares one service"));
    }
    toml::from_str(&text).map_err(|error| {
        declined(
            format!("{name} declares no service: {error}"),
            "`berth service apply --help` shows an example",
        )
    })
}

fn lines(services: &[ServiceLine]) -> String {
    let row = |service: &ServiceLine| {
        vec![
            service.name.clone(),
            if service.declared { "declared" } else { "labels" }.into(),
            or_dash(Some(ports(&service.ports)).filter(|ports| !ports.is_empty())),
            or_dash(service.load_balancer.as_ref()),
            service.members_in.to_string(),
            service.members_out.to_string(),
        ]
    };
    let headings = ["service", "by", "ports", "load balancer", "#in", "#out"];
    table(&headings, services.iter().map(row))
}

fn ports(ports: &[ServicePort]) -> String {
    let one = |port: &ServicePort| {
        let number = format!("{}/{}", port.port, format!("{:?}", port.transport).to_lowercase());
        port.name.as_ref().map_or(number.clone(), |name| format!("{name} {number}"))
    };
    list(ports.iter().map(one))
}

fn show(report: &ServiceReport) -> String {
    let ServiceReport { service, declared, members, policy_uses, balancer, firewalls } = report;
    let selector = match (service.selector.is_empty(), declared) {
        (true, _) => format!("berth.service={}", service.name),
        (false, _) => {
            let all: Vec<String> =
                service.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
            all.join(", ")
        }
    };
    let mut facts = vec![
        ("by", if *declared { "declaration" } else { "labels of its containers" }.to_owned()),
        ("containers with", selector),
        ("listen on", or_dash(Some(ports(&service.ports)).filter(|ports| !ports.is_empty()))),
    ];
    facts.extend(service.load_balancer.as_ref().map(|balancer| ("load balancer", balanced(balancer))));
    facts.extend(balancer.iter().flat_map(looked_after));
    facts.extend(service.policies.iter().enumerate().map(|(nth, entry)| {
        let used = policy_uses.get(nth).filter(|used| used.entry == *entry);
        let used = used.map(|used| format!("; {} connections begun here", used.packets)).unwrap_or_default();
        ("accept from", format!("{}{used}", admitted(entry)))
    }));
    facts.extend(firewalls.iter().flat_map(outside));
    format!(
        "{}\n{}\n{}",
        service.name,
        facts.iter().map(|(name, fact)| format!("  {name:16} {fact}\n")).collect::<String>(),
        table(&MEMBER, members.iter().map(member))
    )
}

fn admitted(PolicyEntry { from, port }: &PolicyEntry) -> String {
    let to = port.as_ref().map(|port| format!(" to {port}")).unwrap_or_default();
    format!("{}{to}", list(from.iter().map(ToString::to_string)))
}

fn balanced(LoadBalancer { name, listeners, .. }: &LoadBalancer) -> String {
    let one = |Listener { port, protocol, to, .. }: &Listener| {
        let to = to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
        format!("{port} {}{to}", format!("{protocol:?}").to_lowercase())
    };
    format!("{name}: {}", list(listeners.iter().map(one)))
}

/// What the load balancer's owner says of it.
fn looked_after(balancer: &BalancerReport) -> Vec<(&'static str, String)> {
    let BalancerReport { owner, reached_at, pending, troubles, leaving } = balancer;
    let owner = owner.as_ref().map_or("nobody yet".to_owned(), |host| format!("host {host}"));
    let mut facts = vec![("looked after by", owner)];
    facts.extend(reached_at.iter().map(|at| ("reached at", at.clone())));
    facts.extend(pending.iter().map(|pending| ("under way", pending.clone())));
    if !leaving.is_empty() {
        let addresses = list(leaving.iter().map(ToString::to_string));
        facts.push(("still there", format!("{addresses}: not used again before that is over")));
    }
    facts.extend(troubles.iter().map(|trouble| ("in the way", trouble.clone())));
    facts
}

/// What a firewall's owner says of it, and what it cannot tell apart.
fn outside(firewall: &FirewallReport) -> Vec<(&'static str, String)> {
    let FirewallReport { name, tells_containers_apart, owner, rules, pending, troubles, leaving } = firewall;
    let apart = match tells_containers_apart {
        true => "it tells containers apart",
        false => "it sees hosts: a port is open at all containers of a host, whom their own policy guards",
    };
    let owner = owner.as_ref().map_or("nobody yet".to_owned(), |host| format!("host {host}"));
    let noun = if *rules == 1 { "rule" } else { "rules" };
    let mut facts =
        vec![("outside", format!("{name}: {rules} {noun} of ours; {apart}")), ("looked after by", owner)];
    facts.extend(pending.iter().map(|pending| ("under way", pending.clone())));
    if !leaving.is_empty() {
        let addresses = list(leaving.iter().map(ToString::to_string));
        facts.push(("still let in", format!("{addresses}: not used again before that is over")));
    }
    facts.extend(troubles.iter().map(|trouble| ("in the way", trouble.clone())));
    facts
}

const MEMBER: [&str; 9] =
    ["address", "container", "host", "zone", "port", "weight", "takes part", "at balancer", "because"];

fn member(member: &Member) -> Vec<String> {
    let (part, because) = match &member.standing {
        MemberStanding::In => ("yes", None),
        MemberStanding::Out { because } => ("no", Some(because)),
        MemberStanding::Kept { because } => ("yes", Some(because)),
    };
    vec![
        member.address.to_string(),
        member.container.clone(),
        member.host.clone(),
        member.zone.clone(),
        or_dash(member.port),
        member.weight.to_string(),
        part.into(),
        or_dash(member.at_balancer.map(at_balancer)),
        or_dash(because),
    ]
}

fn at_balancer(AtBalancer { weight, up }: AtBalancer) -> String {
    let Some(weight) = weight else { return "not there".to_owned() };
    let health = match up {
        Some(true) => ", up",
        Some(false) => ", down",
        None => "",
    };
    format!("weight {weight}{health}")
}

fn change(change: &ServiceChange, verb: &str) -> String {
    if change.changes.is_empty() {
        return format!("service {}: nothing {verb}\n", change.name);
    }
    let row =
        |it: &api::FieldChange| vec![it.field.clone(), or_dash(it.from.as_ref()), or_dash(it.to.as_ref())];
    let lines = table(&["field", "is", "is to be"], change.changes.iter().map(row));
    format!("service {}: {} of it {verb}\n{lines}", change.name, change.changes.len())
}
