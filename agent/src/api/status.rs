//! `GET /v1/status`: one page about the agent and everything it stands on.

use super::desk::Desk;
use super::pools::{self, by_pool_and_zone};
use super::{hosts, orders};
use crate::config::{Config, ProviderConfig, StoreKind};
use crate::late::Progress;
use crate::notices;
use crate::reconciler::Finding;
use ::api::{
    Answer, Condition, Host, HostLife, Mode, NamesLine, Order, OrderState, Part, PoolLine, Source, Status,
};
use axum::Json;
use axum::extract::State;
use ipam::NotReady;

pub(crate) async fn status(State(desk): State<Desk>) -> Json<Answer<Status>> {
    let view = desk.view().await.ok();
    let notices = notices::gather(&desk, view.as_ref()).await;
    let (pools, not_ready) = match view {
        Some(view) => (by_pool_and_zone(&view), view.not_ready),
        None => Default::default(),
    };
    let lines = pools.into_iter().map(|((pool, zone), (_, counts))| PoolLine { pool, zone, counts });
    let orders = unfinished(orders::read(&desk).await.unwrap_or_default());
    let hosts = needing_a_look(hosts::read_at_a_glance(&desk).await.unwrap_or_default());
    let status = Status {
        agent: env!("CARGO_PKG_VERSION").into(),
        cluster: desk.config.as_ref().map_or_else(|_| "-".into(), |config| config.cluster.clone()),
        host: desk.known.borrow().as_ref().map(|known| known.identity.instance.to_string()),
        started: desk.started,
        mode: mode(&desk),
        parts: desk.config.as_ref().map_or_else(|_| Vec::new(), |config| parts(&desk, config, not_ready)),
        pools: lines.collect(),
        orders,
        hosts,
        quarantine: pools::quarantine(&desk).into_iter().filter(|line| line.kept).collect(),
        names: names(&desk),
        notices,
    };
    Json(Answer::new([Source::Agent], status))
}

/// Where names are answered on this host.
fn names(desk: &Desk) -> Option<NamesLine> {
    let names = desk.names.borrow();
    let names = names.as_ref()?;
    Some(NamesLine { domain: names.domain().to_string(), at: names.report().at })
}

fn unfinished(orders: Vec<Order>) -> Vec<Order> {
    let done = |state: &OrderState| matches!(state, OrderState::Open | OrderState::Returned);
    orders.into_iter().filter(|order| !done(&order.state)).collect()
}

/// Silent hosts that hold something, and evicted ones that have not been swept up after.
fn needing_a_look(hosts: Vec<Host>) -> Vec<Host> {
    let silent = |host: &Host| matches!(host.life, HostLife::Silent { .. }) && host.holds > 0;
    hosts.into_iter().filter(|host| !host.this && (silent(host) || host.unswept > 0)).collect()
}

fn mode(desk: &Desk) -> Mode {
    match (&desk.config, desk.addresses.progress()) {
        (Err(mistakes), _) => {
            Mode::ReleasesOnly { reasons: mistakes.all.iter().map(ToString::to_string).collect() }
        }
        (Ok(_), Progress::Never(reason)) => Mode::ReleasesOnly { reasons: vec![reason] },
        (Ok(_), Progress::Waiting(_)) => Mode::Starting,
        (Ok(_), Progress::Ready(_)) => Mode::Serving,
    }
}

fn store(config: &Config) -> String {
    match &config.store {
        StoreKind::Embedded => format!("embedded, {}", config.rim.host.store_file().display()),
        StoreKind::Etcd(etcd) => format!("etcd at {}, keys below {}", etcd.endpoints.join(", "), etcd.prefix),
    }
}

fn parts(desk: &Desk, config: &Config, not_ready: Option<NotReady>) -> Vec<Part> {
    let part = |part, what: String| Part { part, what, condition: desk.troubles.of(part) };
    let state_dir = config.rim.host.state_dir.display();
    let cloud = match &config.provider {
        ProviderConfig::SoftLayer { endpoint, .. } => format!("softlayer at {endpoint}"),
        ProviderConfig::Static(config) => format!("static, zone {} on {}", config.zone, config.interface),
    };
    vec![
        part(Source::Journal, format!("in {state_dir}")),
        Part { condition: store_condition(desk, not_ready), ..part(Source::Store, store(config)) },
        kernel(desk),
        docker(desk, config),
        part(Source::Cloud, cloud),
    ]
}

/// A store that answers is not good where this host may not act on it: frozen, or another host's record.
fn store_condition(desk: &Desk, not_ready: Option<NotReady>) -> Condition {
    match not_ready {
        Some(why) if !why.passes() => {
            Condition::Failing { problem: why.to_string(), hint: None, since: desk.started, next_try: None }
        }
        _ => desk.troubles.of(Source::Store),
    }
}

/// The kernel does what it is told. What must not be missed is a container that was cut off, or that a
/// gateway looks for elsewhere.
fn kernel(desk: &Desk) -> Part {
    let report = desk.reconciler.report();
    let report = report.borrow();
    let cut_off = report.findings.iter().filter(|finding| matches!(finding, Finding::NotAssigned { .. }));
    let unconfirmed = desk.announcements.unconfirmed();
    let unconfirmed = unconfirmed.iter().map(|(address, announcement)| format!("{address}: {announcement}"));
    let problems: Vec<String> = cut_off.map(ToString::to_string).chain(unconfirmed).collect();
    let condition = match problems.as_slice() {
        [] => desk.troubles.of(Source::Kernel),
        problems => Condition::Failing {
            problem: problems.join("; "),
            hint: Some("`berth check` says all there is to say".into()),
            since: desk.started,
            next_try: None,
        },
    };
    Part { part: Source::Kernel, what: "this host's network".into(), condition }
}

/// Docker is watched by an own task, which says by itself whether it answers.
fn docker(desk: &Desk, config: &Config) -> Part {
    let watched = desk.docker.borrow();
    let condition = match (&watched.silent, &watched.sight) {
        (None, Some(_)) => Condition::Good,
        (None, None) => Condition::Unasked,
        (Some(problem), _) => Condition::Failing {
            problem: problem.clone(),
            hint: Some("see `systemctl status docker`, and api_socket in [docker]".into()),
            since: desk.started,
            next_try: desk.clock.wall().checked_add(std::time::Duration::from_secs(1)).ok(),
        },
    };
    Part { part: Source::Docker, what: config.rim.docker.api_socket.display().to_string(), condition }
}
