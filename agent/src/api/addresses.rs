//! Addresses: listed, shown on everybody's word, explained, reserved.

use super::desk::{self, Desk, silence, unavailable};
use super::{Refusal, words};
use crate::allocator::AllocateError;
use crate::docker::events::Sight;
use crate::services::catalogue;
use crate::testimony::Testimony;
use crate::troubles::with_causes;
use ::api::{
    Address, AddressReport, AddressState, AddressesQuery, Answer, ExplainQuery, Explanation, Family, Problem,
    ProblemKind, Reservation, Reserve, Silence, Source, UnreserveQuery,
};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use ipam::{BlockId, EndpointId, PoolName, ReservationName, Wish};
use std::net::IpAddr;
use std::sync::Arc;

/// The pool that is meant where none is named.
const POOL_DEFAULT: &str = "default";

/// `GET /v1/addresses`
pub(crate) async fn list(
    State(desk): State<Desk>,
    query: Result<Query<AddressesQuery>, QueryRejection>,
) -> Result<Json<Answer<Vec<Address>>>, Refusal> {
    let Query(query) = query.map_err(|error| invalid(&error.body_text()))?;
    let view = desk.view().await.map_err(Refusal)?;
    let now = desk.clock.wall();
    let in_pool = |pool: &PoolName| query.pool.as_ref().is_none_or(|wanted| *wanted == pool.0);
    let addresses: Vec<_> = view
        .subnets
        .iter()
        .filter(|subnet| in_pool(&subnet.subnet.pool))
        .flat_map(|subnet| {
            subnet.blocks.iter().flat_map(|block| &block.addresses).map(move |it| (subnet, it))
        })
        .map(|(subnet, address)| words::address(subnet, address, now))
        .filter(|address| query.all || is_notable(address))
        .collect();
    let (sight, silent) = match sight_of(&desk, &addresses).await {
        Ok(sight) => (Some(sight), Vec::new()),
        Err(silence) => (None, vec![silence]),
    };
    let addresses = addresses.into_iter().map(|address| named(address, sight.as_deref())).collect();
    let words_of = [Source::Journal, Source::Store, Source::Docker];
    Ok(Json(Answer::new(words_of, addresses).without(silent)))
}

/// What Docker shows of these addresses' containers.
async fn sight_of(desk: &Desk, addresses: &[Address]) -> Result<Arc<Sight>, Silence> {
    let endpoints: Vec<_> =
        addresses.iter().filter_map(|address| address.endpoint.clone()).map(EndpointId).collect();
    desk.sight_of(&endpoints).await
}

fn is_notable(address: &Address) -> bool {
    let free = matches!(address.state, AddressState::Free | AddressState::Unheld);
    !free || address.reservation.is_some()
}

/// Adds the names that Docker knows.
fn named(mut address: Address, sight: Option<&Sight>) -> Address {
    let (Some(sight), Some(endpoint)) = (sight, &address.endpoint) else { return address };
    let endpoint = EndpointId(endpoint.clone());
    if let Some(container) = sight.container_of(&endpoint) {
        let attachment = container.attachments.iter().find(|at| at.endpoint.as_ref() == Some(&endpoint));
        address.network = attachment.map(|attachment| attachment.network_name.clone());
        address.container = Some(container.name.clone());
    }
    address
}

/// `GET /v1/addresses/{address}`
pub(crate) async fn show(
    State(desk): State<Desk>,
    Path(address): Path<String>,
) -> Result<Json<Answer<AddressReport>>, Refusal> {
    let address: IpAddr = address.parse().map_err(|_| invalid(&format!("{address} is not an address")))?;
    let view = desk.view().await.map_err(Refusal)?;
    let Some((subnet, found)) = words::find(&view, address) else { return Err(Refusal(outside(address))) };
    let shown = words::address(subnet, found, desk.clock.wall());
    let sight = sight_of(&desk, std::slice::from_ref(&shown)).await;
    let shown = named(shown, sight.ok().as_deref());
    let pages = desk.pages();
    let here = pages.endpoint_at(address).map(|endpoint| endpoint.open_ports().map(ToString::to_string));
    let ports = here.into_iter().flatten().collect();
    let block = BlockId::of(subnet.subnet.cidr, address).into_iter().collect();
    let testimony = Testimony::gather(&desk, &view, &block).await;
    let (words, mut silent) = (testimony.about(subnet, found), testimony.silent());
    let named_by = match &desk.store {
        Some(store) => catalogue::named_by(&**store, address).await,
        None => Ok(Vec::new()),
    };
    let named_by = named_by.unwrap_or_else(|error| {
        silent.push(silence(Source::Store, with_causes(&error)));
        Vec::new()
    });
    let differs = words.iter().any(|word| word.differs);
    let hint = differs.then(|| "`berth host plan` shows what the agent will do about it".to_owned());
    let words_of = [Source::Journal, Source::Store, Source::Kernel, Source::Docker, Source::Cloud];
    let report = AddressReport { address: shown, ports, named_by, words, hint };
    Ok(Json(Answer::new(words_of, report).without(silent)))
}

/// `GET /v1/explain`
pub(crate) async fn explain(
    State(desk): State<Desk>,
    query: Result<Query<ExplainQuery>, QueryRejection>,
) -> Result<Json<Answer<Explanation>>, Refusal> {
    let Query(query) = query.map_err(|error| invalid(&error.body_text()))?;
    let pool = PoolName(query.pool.unwrap_or_else(|| POOL_DEFAULT.into()));
    let wish = match (query.address, query.family.unwrap_or_default()) {
        (Some(address), _) => Wish::Exact(address),
        (None, Family::V4) => Wish::Any(ipam::Family::V4),
        (None, Family::V6) => Wish::Any(ipam::Family::V6),
    };
    let explained = desk.allocator().map_err(Refusal)?.explain(&pool, wish).await;
    let explanation = explanation(pool, explained.map_err(refused)?);
    Ok(Json(Answer::new([Source::Journal, Source::Store], explanation)))
}

fn explanation(pool: PoolName, explained: ipam::Explanation) -> Explanation {
    let (granted, address, because) = match explained {
        ipam::Explanation::Here(address) => (true, Some(address), "it is free and held by this host".into()),
        ipam::Explanation::Take(block) => {
            (true, None, format!("one would be taken from block {block}, which has free addresses"))
        }
        ipam::Explanation::Ask(hosts) => {
            let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
            (true, None, format!("one would be asked of {}, where some are free", hosts.join(", ")))
        }
        ipam::Explanation::Refuse(refusal) => (false, None, refusal.to_string()),
    };
    Explanation { pool: pool.0, granted, address, because, hint: None }
}

/// `GET /v1/reservations`
pub(crate) async fn reservations(
    State(desk): State<Desk>,
) -> Result<Json<Answer<Vec<Reservation>>>, Refusal> {
    let view = desk.view().await.map_err(Refusal)?;
    let reservations = view.reservations.into_iter().map(reservation).collect();
    Ok(Json(Answer::new([Source::Store], reservations)))
}

/// `POST /v1/reservations`
pub(crate) async fn reserve(
    State(desk): State<Desk>,
    wanted: Result<Json<Reserve>, JsonRejection>,
) -> Result<Json<Answer<Reservation>>, Refusal> {
    let Json(Reserve { name, pool, address }) = wanted.map_err(|error| invalid(&error.body_text()))?;
    let pool = PoolName(pool.unwrap_or_else(|| POOL_DEFAULT.into()));
    let allocator = desk.allocator().map_err(Refusal)?;
    let made = allocator.reserve(ReservationName(name), address, pool).await.map_err(refused)?;
    Ok(Json(Answer::new([Source::Journal, Source::Store], reservation(made))))
}

/// `DELETE /v1/reservations`
pub(crate) async fn release(
    State(desk): State<Desk>,
    query: Result<Query<UnreserveQuery>, QueryRejection>,
) -> Result<Json<Answer<Reservation>>, Refusal> {
    let Query(UnreserveQuery { name }) = query.map_err(|error| invalid(&error.body_text()))?;
    let allocator = desk.allocator().map_err(Refusal)?;
    let ended = allocator.unreserve(ReservationName(name)).await.map_err(refused)?;
    Ok(Json(Answer::new([Source::Journal, Source::Store], reservation(ended))))
}

fn reservation(reservation: ipam::Reservation) -> Reservation {
    Reservation { name: reservation.name.0, address: reservation.address, pool: reservation.pool.0 }
}

fn refused(error: AllocateError) -> Refusal {
    match error {
        AllocateError::Refused(refusal) => Refusal(Problem {
            kind: ProblemKind::Refused,
            error: refusal.to_string(),
            causes: Vec::new(),
            hint: None,
        }),
        other => Refusal(unavailable(with_causes(&other), "ask again in a moment; `berth status` says more")),
    }
}

fn outside(address: IpAddr) -> Problem {
    Problem {
        kind: ProblemKind::NotFound,
        error: format!("{address} is in no subnet of this cluster that this host can use"),
        causes: Vec::new(),
        hint: Some("`berth subnet list` shows those there are".into()),
    }
}

pub(super) fn invalid(error: &str) -> Refusal {
    Refusal(desk::invalid(error))
}
