//! Draining: a container of this host, or every container of a host of the cluster, gets nothing new.

use super::desk::{Desk, invalid, unavailable};
use super::hosts::read_at_a_glance;
use super::services::{silent, store};
use super::{Refusal, desk};
use crate::services::{catalogue, drains};
use ::api::{Answer, Drain, Drained, Problem, ProblemKind, Source};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use ipam::HostId;

/// What is to be drained.
struct Target {
    host: HostId,
    /// Docker's id and name of one container.
    container: Option<(String, String)>,
}

/// `POST /v1/drains`
pub(crate) async fn ask(
    State(desk): State<Desk>,
    asked: Result<Json<Drain>, JsonRejection>,
) -> Result<Json<Answer<Drained>>, Refusal> {
    let Json(asked) = asked.map_err(|error| Refusal(invalid(error.body_text())))?;
    let target = find(&desk, &asked.what).await?;
    let id = target.container.as_ref().map(|(id, _)| id.as_str());
    drains::ask(store(&desk)?, &target.host, id, asked.undo).await.map_err(|error| silent(&error))?;
    tell(&desk, target).await
}

/// `GET /v1/drains?what=…&undo=…`: how far it is.
pub(crate) async fn show(
    State(desk): State<Desk>,
    asked: Result<Query<Drain>, QueryRejection>,
) -> Result<Json<Answer<Drained>>, Refusal> {
    let Query(asked) = asked.map_err(|error| Refusal(invalid(error.body_text())))?;
    let target = find(&desk, &asked.what).await?;
    tell(&desk, target).await
}

async fn tell(desk: &Desk, target: Target) -> Result<Json<Answer<Drained>>, Refusal> {
    let container = target.container.map(|(_, name)| name);
    let members = catalogue::of_host(store(desk)?, &target.host).await.map_err(|error| silent(&error))?;
    let asked = |it: &::api::DrainedMember| container.as_ref().is_none_or(|name| *name == it.container);
    let members = members.into_iter().filter(asked).collect();
    let drained = Drained { host: target.host.0, container, members };
    Ok(Json(Answer::new([Source::Store], drained)))
}

/// A container of this host goes before a host of the same name.
async fn find(desk: &Desk, what: &str) -> Result<Target, Refusal> {
    if let Some(container) = container(desk, what)? {
        let known = desk.known.borrow();
        let this = known.as_ref().map(|known| HostId(known.identity.instance.to_string()));
        let host = this.ok_or_else(|| {
            let error = "it is not known yet who this machine is";
            Refusal(unavailable(error, "`berth status` shows what berthd waits for"))
        })?;
        return Ok(Target { host, container: Some(container) });
    }
    let hosts = read_at_a_glance(desk).await;
    let hosts = hosts.map_err(|silence| Refusal(unavailable(silence.because, "ask again in a moment")))?;
    let named: Vec<_> =
        hosts.iter().filter(|host| host.id == what || host.hostname.as_deref() == Some(what)).collect();
    match named.as_slice() {
        [host] => Ok(Target { host: HostId(host.id.clone()), container: None }),
        [] => Err(Refusal(Problem {
            kind: ProblemKind::NotFound,
            error: format!("there is no container {what} on this host, and no such host in the cluster"),
            causes: Vec::new(),
            hint: Some(
                "a container is drained on the host where it runs: `docker ps` there; `berth host list` has the hosts"
                    .to_owned(),
            ),
        })),
        several => Err(Refusal(invalid(format!("{} hosts are called {what}: name one by its id", several.len())))),
    }
}

/// The container of this name, or whose id begins so. Where Docker is silent, there is none to be found.
fn container(desk: &Desk, what: &str) -> Result<Option<(String, String)>, Refusal> {
    let Ok(sight) = desk.sight() else { return Ok(None) };
    let found = |it: &crate::docker::events::Container| (it.id.clone(), it.name.clone());
    if let Some(named) = sight.containers.iter().find(|container| container.name == what) {
        return Ok(Some(found(named)));
    }
    let begins = |id: &str| what.len() >= ID_CHARS_MIN && id.starts_with(what);
    let ids: Vec<_> = sight.containers.iter().filter(|container| begins(&container.id)).collect();
    match ids.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(found(one))),
        several => {
            let error = format!("the ids of {} containers begin with {what}: name more of it", several.len());
            Err(Refusal(desk::invalid(error)))
        }
    }
}

/// How much of an id must be named.
const ID_CHARS_MIN: usize = 4;
