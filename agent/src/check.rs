//! `berth check`: the oracle over everybody's word, and what the reconciler found.
//!
//! Asking is here; what follows from the answers is pure, one file a side. This host answers for what
//! concerns it: its holdings, containers, kernel and ledger, and for what no living host would answer for.
//! So every host can ask every minute, and the store is read for the blocks alone in which the host has a part.

mod cloud;
mod here;
mod ledger;
mod shared;
#[cfg(test)]
mod tests;

use crate::api::{Desk, Refusal, silence};
use crate::testimony::Testimony;
use crate::troubles::with_causes;
use ::api::{Answer, CheckCost, CheckReport, Finding, Silence, Source, Word};
use ::ledger::{Entry, Interval, Query, Segment};
use axum::Json;
use axum::extract::State;
use futures::future::try_join_all;
use ipam::{AddressState, BlockId, HoldingCounts, SubnetView, View};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;
use store::layout::Under;

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
    let report = &mut second.answer;
    report.findings.retain(|finding| first.answer.findings.iter().any(|it| it.subject == finding.subject));
    if let (Some(cost), Some(before)) = (&mut report.cost, first.answer.cost) {
        cost.millis += before.millis;
        cost.store_reads += before.store_reads;
    }
    Ok(Json(second))
}

/// Between the two looks: longer than a container takes to start or stop.
const SECOND_LOOK: std::time::Duration = std::time::Duration::from_secs(2);

async fn look(desk: &Desk) -> Result<Answer<CheckReport>, Refusal> {
    let begun = desk.clock.now();
    let view = desk.view().await.map_err(Refusal)?;
    let asked = concerning(&view);
    let (testimony, told) = tokio::join!(Testimony::gather(desk, &view, &asked), ledger_of(desk, &asked));
    let pages = desk.pages();
    let mut findings = differing(&view, &testimony);
    findings.extend(shared::broken_sums(&view));
    findings.extend(shared::lost(&view));
    findings.extend(shared::marks(&view));
    findings.extend(testimony.sight().into_iter().flat_map(|sight| here::used_twice(&view, sight)));
    findings.extend(testimony.sight().into_iter().flat_map(|sight| here::strangers(&view, sight)));
    findings.extend(here::unassigned(&view, &pages));
    findings
        .extend(testimony.kernel().into_iter().flat_map(|(wanted, seen)| here::unlike(&view, wanted, seen)));
    let mut silent = testimony.silent();
    let mut store_reads = asked.len();
    match &told {
        Ok((own, running)) => {
            store_reads += running.len();
            findings.extend(ledger::broken(&view, own, running, testimony.blocks()));
        }
        Err(silence) => silent.push(silence.clone()),
    }
    if let Some(unknown) = testimony.cloud().map(|subnets| cloud::unknown(desk, &view, subnets))
        && !unknown.is_empty()
    {
        store_reads += 1;
        match crate::api::all_orders(desk).await {
            Ok(orders) => findings.extend(cloud::orphans(&unknown, &orders)),
            Err(silence) => silent.push(silence),
        }
    }
    findings.extend(reconciler(desk));
    let cost = CheckCost {
        millis: desk.clock.now().0.saturating_sub(begun.0),
        store_reads: u32::try_from(store_reads).unwrap_or(u32::MAX),
    };
    let report = CheckReport {
        addresses: u32::try_from(addresses(&view).count()).unwrap_or(u32::MAX),
        endpoints: u32::try_from(pages.endpoints.len()).unwrap_or(u32::MAX),
        findings,
        cost: Some(cost),
    };
    let words_of = [Source::Journal, Source::Store, Source::Kernel, Source::Docker, Source::Cloud];
    let mut told = BTreeSet::new();
    silent.retain(|silence| told.insert(silence.source));
    Ok(Answer::new(words_of, report).without(silent))
}

/// The blocks in which this host has a part, by its journal's word or by what the store showed last.
fn concerning(view: &View) -> BTreeSet<BlockId> {
    let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    let ours = blocks
        .filter(|block| block.holders.contains_key(&view.host) || block.here != HoldingCounts::default());
    ours.map(|block| block.id).collect()
}

/// What the journal has for the ledger, and what hosts have told of the present in these blocks.
async fn ledger_of(
    desk: &Desk,
    asked: &BTreeSet<BlockId>,
) -> Result<(Vec<Entry>, BTreeMap<BlockId, Vec<Interval>>), Silence> {
    let allocator = desk.allocator().map_err(|problem| silence(Source::Journal, problem.error))?;
    let own = allocator.intervals().await;
    let own = own.map_err(|error| silence(Source::Journal, with_causes(&error)))?;
    let store = desk.store.as_ref().ok_or_else(|| silence(Source::Store, "it is not open"))?;
    let running = try_join_all(asked.iter().map(|block| running_in(&**store, *block))).await?;
    Ok((own, running.into_iter().collect()))
}

async fn running_in(store: &dyn Store, block: BlockId) -> Result<(BlockId, Vec<Interval>), Silence> {
    let BlockId { subnet, index } = block;
    let silent = |error: &(dyn std::error::Error + 'static)| silence(Source::Store, with_causes(error));
    let found = store.range(&Under::RunningIn { subnet, index }.prefix()).await.map_err(|it| silent(&it))?;
    let mut running = Vec::new();
    for entry in found.entries {
        let value = entry.value.as_slice();
        let told = Segment::check(value).and_then(|segment| segment.find(&value, &Query::default()));
        running.extend(told.map_err(|it| silent(&it))?);
    }
    Ok((block, running))
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
        // Somebody uses what nobody gave them, or what the store gave to somebody else.
        () if differs(Source::Docker) && !assigned => Some("S1".into()),
        () if differs(Source::Store) && assigned => Some("S1".into()),
        () if differs(Source::Cloud) && assigned => Some("S3".into()),
        // The kernel has what nobody wants.
        () if differs(Source::Kernel) && !assigned => Some("L4".into()),
        () => None,
    }
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
