//! `berth check`: the oracle over everybody's word on this host, and what the reconciler found.

use crate::api::{Desk, Refusal};
use crate::testimony::Testimony;
use ::api::{Answer, CheckReport, Finding, Source, Word};
use axum::Json;
use axum::extract::State;
use ipam::{AddressState, SubnetView, View};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `GET /v1/check`
pub async fn check(State(desk): State<Desk>) -> Result<Json<Answer<CheckReport>>, Refusal> {
    // A container that is being started or stopped is known to some before others: so a difference
    // counts only if a second look shows it too.
    let first = look(&desk).await?;
    if first.answer.findings.is_empty() {
        return Ok(Json(first));
    }
    tokio::time::sleep(SECOND_LOOK).await;
    let mut second = look(&desk).await?;
    second
        .answer
        .findings
        .retain(|finding| first.answer.findings.iter().any(|it| it.subject == finding.subject));
    Ok(Json(second))
}

/// Between the two looks: longer than a container takes to start or stop.
const SECOND_LOOK: std::time::Duration = std::time::Duration::from_secs(2);

async fn look(desk: &Desk) -> Result<Answer<CheckReport>, Refusal> {
    let view = desk.view().await.map_err(Refusal)?;
    let testimony = Testimony::gather(desk, &view).await;
    let mut findings = differing(&view, &testimony);
    findings.extend(broken_sums(&view));
    findings.extend(used_twice(&view, &testimony));
    findings.extend(reconciler(desk));
    let report = CheckReport {
        addresses: u32::try_from(addresses(&view).count()).unwrap_or(u32::MAX),
        endpoints: u32::try_from(desk.pages().endpoints.len()).unwrap_or(u32::MAX),
        findings,
    };
    let words_of = [Source::Journal, Source::Store, Source::Kernel, Source::Docker, Source::Cloud];
    Ok(Answer::new(words_of, report).without(testimony.silent()))
}

fn addresses(view: &View) -> impl Iterator<Item = (&SubnetView, &ipam::AddressView)> {
    view.subnets.iter().flat_map(|subnet| {
        subnet.blocks.iter().flat_map(|block| &block.addresses).map(move |address| (subnet, address))
    })
}

/// Addresses of which somebody says something else than the others.
fn differing(view: &View, testimony: &Testimony) -> Vec<Finding> {
    let finding = |(subnet, address): (&SubnetView, &ipam::AddressView)| {
        let words = testimony.about(subnet, address);
        let who: Vec<_> = words.iter().filter(|word| word.differs).map(|word| word.by.to_string()).collect();
        (!who.is_empty()).then(|| Finding {
            promise: promise(&address.state, &words),
            subject: address.address.to_string(),
            problem: format!("{} differs", who.join(" and ")),
            words,
            hint: Some("`berth host plan` shows what the agent will do about it".into()),
        })
    };
    addresses(view).filter_map(finding).collect()
}

/// Which promise of the allocation protocol a difference breaks.
fn promise(state: &AddressState, words: &[Word]) -> Option<String> {
    let differs = |source| words.iter().any(|word| word.by == source && word.differs);
    let assigned = matches!(state, AddressState::Assigned { .. });
    match () {
        // Somebody uses what nobody gave them.
        () if differs(Source::Docker) && !assigned => Some("S1".into()),
        () if differs(Source::Cloud) && assigned => Some("S3".into()),
        // The kernel has what nobody wants.
        () if differs(Source::Kernel) && !assigned => Some("L4".into()),
        () => None,
    }
}

/// S5: set aside, quarantined, held and free make up the block.
fn broken_sums(view: &View) -> Vec<Finding> {
    let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    let broken = blocks.filter(|block| {
        let counts = &block.counts;
        counts.set_aside + counts.quarantined + counts.held + counts.free != counts.total
    });
    let finding = |block: &ipam::BlockView| Finding {
        promise: Some("S5".into()),
        subject: block.id.to_string(),
        problem: format!("its addresses do not add up: {:?}", block.counts),
        words: Vec::new(),
        hint: Some("please report this with the output of `berth -o json check`".into()),
    };
    broken.map(finding).collect()
}

/// S1: no two containers of this host have one address.
fn used_twice(view: &View, testimony: &Testimony) -> Vec<Finding> {
    let mut users: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
    let listed = testimony.sight().into_iter().flat_map(|sight| &sight.containers);
    // After a crash Docker goes on showing what a container had that does not run any more.
    for container in listed.filter(|container| container.running) {
        let ours = |address: &IpAddr| view.subnets.iter().any(|subnet| subnet.subnet.cidr.contains(*address));
        for address in container.attachments.iter().filter_map(|at| at.address).filter(ours) {
            users.entry(address).or_default().push(container.name.clone());
        }
    }
    let finding = |(address, users): (IpAddr, Vec<String>)| Finding {
        promise: Some("S1".into()),
        subject: address.to_string(),
        problem: format!("{} containers have it", users.len()),
        words: users.iter().map(|user| Word::of(Source::Docker, user.clone()).differing(true)).collect(),
        hint: Some("stop all but one of them".into()),
    };
    users.into_iter().filter(|(_, users)| users.len() > 1).map(finding).collect()
}

/// What the reconciler could not put right by itself.
fn reconciler(desk: &Desk) -> Vec<Finding> {
    let report = desk.reconciler.report().borrow().clone();
    let finding = |found: &crate::reconciler::Finding| Finding {
        promise: None,
        subject: "this host".into(),
        problem: found.to_string(),
        words: Vec::new(),
        hint: None,
    };
    report.findings.iter().map(finding).collect()
}
