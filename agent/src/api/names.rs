//! `GET /v1/names?name=`: what would be answered to a name.

use super::desk::{self, unavailable};
use super::{Desk, Refusal};
use ::api::{Answer, NameQuery, NameReport, Source};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};

pub(crate) async fn name(
    State(desk): State<Desk>,
    asked: Result<Query<NameQuery>, QueryRejection>,
) -> Result<Json<Answer<NameReport>>, Refusal> {
    let Query(NameQuery { name }) = asked.map_err(|error| Refusal(desk::invalid(error.body_text())))?;
    let names = desk.names.borrow().clone();
    let names = names.ok_or_else(|| {
        Refusal(unavailable(
            "no names are answered on this host",
            "`berth status` shows whether berthd is starting; see `enabled` in [names] of its configuration",
        ))
    })?;
    let report = names.inquire(&name).await;
    let report =
        report.ok_or_else(|| Refusal(desk::invalid(format!("{name:?} is no name and no address"))))?;
    Ok(Json(Answer::new([Source::Agent], report)))
}
