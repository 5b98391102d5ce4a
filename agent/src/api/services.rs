//! Services: declared, shown with their members, taken back.

use super::desk::{self, silence, unavailable};
use super::{Desk, Refusal};
use crate::services::ServicesError;
use crate::services::abilities;
use crate::services::catalogue::{self, ApplyError};
use crate::troubles::with_causes;
use ::api::{
    Answer, ApplyService, PolicyUse, Problem, ProblemKind, Service, ServiceChange, ServiceLine,
    ServiceReport, Silence, Source,
};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use ipam::HostId;
use store::Store;

/// `GET /v1/services`
pub(crate) async fn services(State(desk): State<Desk>) -> Result<Json<Answer<Vec<ServiceLine>>>, Refusal> {
    let vigil = desk.vigil.borrow().clone();
    let lines = catalogue::list(store(&desk)?, &vigil).await.map_err(|error| silent(&error))?;
    Ok(Json(Answer::new([Source::Store], lines)))
}

/// `GET /v1/services/{name}`
pub(crate) async fn show(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Json<Answer<ServiceReport>>, Refusal> {
    let vigil = desk.vigil.borrow().clone();
    let report = catalogue::show(store(&desk)?, &name, &vigil).await.map_err(|error| silent(&error))?;
    let mut report = report.ok_or_else(|| refused(&ApplyError::Unknown(name)))?;
    if report.service.policies.is_empty() {
        return Ok(Json(Answer::new([Source::Store], report)));
    }
    let uses = policy_uses(&desk, &report.service).await;
    let silent = uses.map(|uses| report.policy_uses = uses).err().into_iter().collect();
    Ok(Json(Answer::new([Source::Store, Source::Kernel], report).without(silent)))
}

async fn policy_uses(desk: &Desk, service: &Service) -> Result<Vec<PolicyUse>, Silence> {
    let silent = |because: String| silence(Source::Kernel, because);
    let unknown = || silent("it is not known yet who this machine is".to_owned());
    let (kernel, store) =
        (desk.kernel.as_ref().ok_or_else(unknown)?, desk.store.as_deref().ok_or_else(unknown)?);
    let host = desk.known.borrow().as_ref().map(|known| HostId(known.identity.instance.to_string()));
    let host = host.ok_or_else(unknown)?;
    let counts = kernel.policy_counts().await.map_err(|error| silent(with_causes(&error)))?;
    catalogue::uses(store, service, &host, &counts).await.map_err(|error| silent(with_causes(&error)))
}

/// `POST /v1/services`
pub(crate) async fn apply(
    State(desk): State<Desk>,
    wanted: Result<Json<ApplyService>, JsonRejection>,
) -> Result<Json<Answer<ServiceChange>>, Refusal> {
    let invalid = |error: JsonRejection| Refusal(desk::invalid(error.body_text()));
    let Json(ApplyService { service, dry_run }) = wanted.map_err(invalid)?;
    let config = desk.config.as_ref().map_err(|mistakes| {
        let error = format!("berthd's configuration has {}", mistakes.count());
        Refusal(unavailable(error, "`berthd --check` lists what is wrong"))
    })?;
    let abilities = abilities::of(&config.provider);
    let change = catalogue::apply(store(&desk)?, &service, &abilities, dry_run).await;
    Ok(Json(Answer::new([Source::Store], change.map_err(|error| refused(&error))?)))
}

/// `DELETE /v1/services/{name}`
pub(crate) async fn delete(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Json<Answer<ServiceChange>>, Refusal> {
    let change = catalogue::delete(store(&desk)?, &name).await.map_err(|error| refused(&error))?;
    Ok(Json(Answer::new([Source::Store], change)))
}

pub(super) fn store(desk: &Desk) -> Result<&dyn Store, Refusal> {
    desk.store.as_deref().ok_or_else(|| {
        Refusal(unavailable("berthd has opened no store", "`berth status` says what keeps it from starting"))
    })
}

fn refused(error: &ApplyError) -> Refusal {
    let kind = match error {
        ApplyError::Declined(_) => ProblemKind::Invalid,
        ApplyError::Unknown(_) => ProblemKind::NotFound,
        ApplyError::Contended => ProblemKind::Refused,
        ApplyError::Services(error) => return silent(error),
    };
    Refusal(Problem { kind, error: error.to_string(), causes: Vec::new(), hint: None })
}

pub(super) fn silent(error: &ServicesError) -> Refusal {
    Refusal(unavailable(with_causes(error), "`berth status` says how the store is doing"))
}
