//! `GET` and `POST /v1/cluster`, `GET /v1/store/backup`: the cluster's record, and all that the store has.

use super::Refusal;
use super::desk::{Desk, unavailable};
use crate::allocator::{Founded, FoundingError, find_cluster, init_cluster};
use crate::troubles::with_causes;
use ::api::{Answer, Backup, Cluster, Problem, ProblemKind, Source};
use axum::Json;
use axum::extract::State;
use ipam::ClusterState;
use std::error::Error;
use std::sync::Arc;
use store::layout::Under;
use store::{Store, backup as file};

/// `GET /v1/cluster`
pub(crate) async fn show(State(desk): State<Desk>) -> Result<Json<Answer<Cluster>>, Refusal> {
    let (store, name) = ground(&desk)?;
    match find_cluster(&*store, &name).await {
        Ok(Some(found)) => Ok(answer(found, name)),
        Ok(None) => Err(refused(&FoundingError::NotFounded, ProblemKind::NotFound)),
        Err(error) => Err(no(&error)),
    }
}

/// `POST /v1/cluster`
pub(crate) async fn init(State(desk): State<Desk>) -> Result<Json<Answer<Cluster>>, Refusal> {
    let (store, name) = ground(&desk)?;
    if desk.allocator().is_ok() {
        // A host that stood in a cluster goes on without its store: a second one must not begin beside it.
        let found = find_cluster(&*store, &name).await.map_err(|error| no(&error))?;
        if found.is_none() {
            return Err(Refusal(Problem {
                kind: ProblemKind::Refused,
                error: "this host's journal belongs to a cluster whose record is gone from the store".into(),
                causes: Vec::new(),
                hint: Some(
                    "the store lost what it knew; if that is for good, `berth store rebuild` makes it anew: \
                     docs/operating.md, \"A frozen cluster\""
                        .into(),
                ),
            }));
        }
    }
    init_cluster(&*store, &name, &*desk.clock)
        .await
        .map(|founded| answer(founded, name))
        .map_err(|error| no(&error))
}

/// `GET /v1/store/backup`
pub(crate) async fn backup(State(desk): State<Desk>) -> Result<Json<Answer<Backup>>, Refusal> {
    let (store, _) = ground(&desk)?;
    let away = |error: &(dyn Error + 'static)| Refusal(unavailable(with_causes(error), LOOK));
    let all = store.range(&Under::Everything.prefix()).await.map_err(|error| away(&error))?;
    let mut text = Vec::new();
    file::write(&all, &mut text).map_err(|error| away(&error))?;
    let file = String::from_utf8(text).map_err(|error| away(&error))?;
    let backup = Backup { revision: all.revision.0, entries: all.entries.len(), file };
    Ok(Json(Answer::new([Source::Store], backup)))
}

const LOOK: &str = "`berth status` shows how the store is";

fn ground(desk: &Desk) -> Result<(Arc<dyn Store>, String), Refusal> {
    match (&desk.store, &desk.config) {
        (Some(store), Ok(config)) => Ok((Arc::clone(store), config.cluster.clone())),
        _ => Err(Refusal(unavailable("berthd has not opened its store", LOOK))),
    }
}

fn answer(found: Founded, name: String) -> Json<Answer<Cluster>> {
    let Founded { cluster, founding } = found;
    let cluster = Cluster {
        name,
        id: cluster.id,
        generation: cluster.generation.to_string(),
        frozen: cluster.state == ClusterState::Frozen,
        founded: founding.map(|founding| founding.at),
    };
    Json(Answer::new([Source::Store], cluster))
}

fn no(error: &FoundingError) -> Refusal {
    match error {
        FoundingError::Store(_) => Refusal(unavailable(with_causes(error), LOOK)),
        error => refused(error, ProblemKind::Refused),
    }
}

fn refused(error: &FoundingError, kind: ProblemKind) -> Refusal {
    Refusal(Problem { kind, error: with_causes(error), causes: Vec::new(), hint: None })
}
