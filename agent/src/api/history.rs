//! The ledger in the words of the wire.

use super::Refusal;
use super::addresses::invalid;
use super::desk::{Desk, silence, unavailable};
use crate::ledger::{Found, Unseen};
use ::api::{Answer, Assignment, History, HistoryQuery, Silence, Source};
use ::ledger::{Interval, Moment, Query};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use ipam::{AddressState, BlockId, HostId, View};
use jiff::Timestamp;
use std::net::IpAddr;
use store::layout::Item;

/// `GET /v1/history`
pub(crate) async fn history(
    State(desk): State<Desk>,
    query: Result<axum::extract::Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<Answer<History>>, Refusal> {
    let axum::extract::Query(asked) = query.map_err(|error| invalid(&error.body_text()))?;
    let Some(ledger) = desk.ledger.borrow().clone() else {
        let problem = unavailable("the ledger is not open yet", "`berth status` shows what berthd waits for");
        return Err(Refusal(problem));
    };
    let allocator = desk.allocator().ok();
    let view = desk.view().await.ok();
    let query = spelled(&asked);
    let blocks = match (query.address, &view) {
        (Some(address), Some(view)) => blocks_of(view, address),
        _ => Vec::new(),
    };
    let mut found = ledger.look(&query, &blocks, allocator.as_ref()).await;
    if let (Some(address), Some(view)) = (query.address, &view)
        && let Some(unknown) = held_by_a_silent_host(&desk, view, address, &found).await
        && query.wants(&unknown)
    {
        found.intervals.push(unknown);
    }
    let mut silent: Vec<Silence> = found.trouble.iter().map(|why| silence(Source::Store, why)).collect();
    if allocator.is_none() {
        silent.push(silence(Source::Journal, "this host's allocator is not there to be asked"));
    }
    let unseen: Vec<::api::Unseen> = found.unseen.iter().map(unseen).collect();
    let hint = found.unseen.first().map(|first| {
        let keepers: Vec<_> = first.keepers.iter().map(ToString::to_string).collect();
        format!(
            "ask on {} too: part of that time is on its disk and not on this host's",
            keepers.join(" or ")
        )
    });
    let history = History { assignments: found.intervals.iter().map(assignment).collect(), unseen, hint };
    Ok(Json(Answer::new([Source::Journal, Source::Store], history).without(silent)))
}

fn spelled(asked: &HistoryQuery) -> Query {
    let during = match (asked.from, asked.to) {
        (None, None) => None,
        (from, to) => Some((from.map_or(Moment(0), moment), to.map_or(Moment(u64::MAX), moment))),
    };
    Query {
        address: asked.address,
        container: asked.container.clone(),
        host: asked.host.as_deref().map(HostId::from),
        during,
    }
}

fn blocks_of(view: &View, address: IpAddr) -> Vec<BlockId> {
    let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    blocks.map(|block| block.id).filter(|id| id.contains(address)).collect()
}

/// An address that the store shows with a host which gives no sign of life, and of which that host said
/// nothing: it may be in use there.
async fn held_by_a_silent_host(desk: &Desk, view: &View, address: IpAddr, found: &Found) -> Option<Interval> {
    let block = view.subnets.iter().flat_map(|subnet| &subnet.blocks).find(|it| it.id.contains(address))?;
    let state = &block.addresses.iter().find(|shown| shown.address == address)?.state;
    let (AddressState::Held(host) | AddressState::Quarantined { was: Some(host), .. }) = state else {
        return None;
    };
    let store = desk.store.as_ref()?;
    let signs = store.get(&Item::Session(host.0.clone()).key()).await.ok()?.entry.is_some();
    let of_host = || found.intervals.iter().filter(|it| it.address == address && it.host == *host);
    if *host == view.host || signs || of_host().any(|it| it.end.is_none() || it.unknown) {
        return None;
    }
    let (generation, _) = view.cluster?;
    let since = of_host().filter_map(Interval::until).max();
    Some(Interval {
        address,
        epoch: ipam::Epoch { generation, take: block.take, counter: u64::MAX },
        host: host.clone(),
        endpoint: None,
        container: None,
        from: since.unwrap_or_default(),
        from_offset: 0,
        earlier: since.is_none(),
        unknown: true,
        end: None,
    })
}

fn assignment(interval: &Interval) -> Assignment {
    let container = interval.container.as_ref();
    Assignment {
        address: interval.address,
        // The greatest counter stands for "after everything that was told".
        epoch: match interval.unknown {
            true => format!("{}/{}/?", interval.epoch.generation, interval.epoch.take),
            false => interval.epoch.to_string(),
        },
        host: interval.host.to_string(),
        endpoint: interval.endpoint.as_ref().map(ToString::to_string),
        container: container.map(|it| it.name.clone()),
        container_id: container.map(|it| it.id.clone()),
        network: container.map(|it| it.network.clone()),
        from: timestamp(interval.from),
        earlier: interval.earlier,
        to: interval.until().map(timestamp),
        why: interval.end.map(|end| end.why.to_string()),
        use_unknown: interval.unknown,
        clock_moved_millis: interval.from_offset,
    }
}

fn unseen(unseen: &Unseen) -> ::api::Unseen {
    ::api::Unseen {
        from: timestamp(unseen.summary.from),
        to: timestamp(unseen.summary.to),
        keepers: unseen.keepers.iter().map(ToString::to_string).collect(),
    }
}

fn moment(timestamp: Timestamp) -> Moment {
    Moment(u64::try_from(timestamp.as_millisecond()).unwrap_or(0))
}

fn timestamp(moment: Moment) -> Timestamp {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
