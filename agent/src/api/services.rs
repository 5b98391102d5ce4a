//! Services: declared, shown with their members, taken back.

use super::desk::{self, unavailable};
use super::{Desk, Refusal};
use crate::services::ServicesError;
use crate::services::abilities;
use crate::services::catalogue::{self, ApplyError};
use crate::troubles::with_causes;
use ::api::{Answer, ApplyService, Problem, ProblemKind, ServiceChange, ServiceLine, ServiceReport, Source};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
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
    let report = report.ok_or_else(|| refused(&ApplyError::Unknown(name)))?;
    Ok(Json(Answer::new([Source::Store], report)))
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
