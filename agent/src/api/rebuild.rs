//! `POST /v1/store/rebuild`: a store that was lost for good is made anew, and people say who is gone.

use super::Refusal;
use super::desk::{Desk, causes, invalid, unavailable};
use crate::capacity::{AnewError, ZoneAnew};
use crate::cloud::Cloud;
use crate::config::StoreKind;
use crate::lost_store::{self, Begun, LostStoreError, Memory, Plea, Standing, Witness, Word};
use crate::troubles::with_causes;
use ::api::{Answer, Awaited, Problem, ProblemKind, RebuildStore, Source, StoreRebuild};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use futures::FutureExt;
use futures::future::BoxFuture;
use ipam::role::HostsSeen;
use ipam::{HostId, Pool, PoolName, Rebuild, View};
use ipnetwork::IpNetwork;
use provider::{HostState, InstanceId, Provider};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `POST /v1/store/rebuild`. Given again, it goes on where it was cut short, or takes more words.
pub(crate) async fn rebuild(
    State(desk): State<Desk>,
    word: Result<Json<RebuildStore>, JsonRejection>,
) -> Result<Json<Answer<StoreRebuild>>, Refusal> {
    let Json(word) = word.map_err(|error| Refusal(invalid(error.body_text())))?;
    let view = desk.view().await.map_err(Refusal)?;
    let memory = memory(&desk, &view).map_err(Refusal)?;
    let no = |error: LostStoreError| Refusal(refused(&error));
    let store =
        desk.store.clone().ok_or_else(|| Refusal(unavailable("berthd has not opened its store", LOOK)))?;
    let begun = match lost_store::look(&*store, &memory).await.map_err(no)? {
        Standing::Anew => None,
        Standing::Lost => {
            let zones = zones(&desk, &view).await.map_err(Refusal)?;
            tracing::warn!(who = word.who, "making the store anew: it was lost");
            Some(lost_store::make_anew(&*store, &memory, zones).await.map_err(no)?)
        }
    };
    let plea =
        Plea { who: word.who, no_others: word.no_others, gone: word.gone.into_iter().map(HostId).collect() };
    let witness = Provided { cloud: desk.cloud().ok(), here: memory.host.clone() };
    let (rebuild, hosts) = lost_store::take_words(&*store, &plea, &witness).await.map_err(no)?;
    let mut shown = shown(&rebuild, &hosts, begun);
    if shown.began && !desk.roll.is_whole() {
        shown
            .left_out
            .push("hosts.json was damaged once: hosts may be missing from those that are awaited".into());
    }
    Ok(Json(Answer::new([Source::Journal, Source::Store, Source::Cloud], shown)))
}

const LOOK: &str = "`berth status` shows how the store is";

fn memory(desk: &Desk, view: &View) -> Result<Memory, Problem> {
    let Ok(config) = &desk.config else { return Err(unavailable("the configuration has mistakes", LOOK)) };
    let Some(life) = view.journalled.clone() else {
        return Err(Problem {
            kind: ProblemKind::Refused,
            error: "this host's journal knows of no cluster".into(),
            causes: Vec::new(),
            hint: Some("ask a host that was in it; a new cluster is founded by `berth cluster init`".into()),
        });
    };
    let pool = |pool: &crate::config::PoolConfig| Pool {
        name: PoolName(pool.name.clone()),
        cooling_millis: u64::try_from(pool.cooling.as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Memory {
        name: config.cluster.clone(),
        hosts: desk.roll.of(&life.0),
        life,
        host: view.host.clone(),
        pools: config.pools.iter().map(pool).collect(),
        alone: config.store == StoreKind::Embedded,
        now: desk.clock.wall(),
    })
}

/// What every zone of this host has, on the provider's word.
async fn zones(desk: &Desk, view: &View) -> Result<Vec<ZoneAnew>, Problem> {
    let roles = desk.capacity.borrow().clone();
    if roles.is_empty() {
        let silent = desk.cloud().err().map_or_else(String::new, |silence| format!(": {}", silence.because));
        return Err(unavailable(
            format!("which subnets there are is the provider's to say, and it did not answer yet{silent}"),
            "nothing was changed; `berth status` shows the next try",
        ));
    }
    let mut zones = Vec::new();
    for role in roles {
        let zone = role.status().borrow().zone.to_string();
        let known = view.subnets.iter().filter(|it| it.subnet.zone.0 == zone);
        let known: BTreeMap<IpNetwork, PoolName> =
            known.map(|it| (it.subnet.cidr, it.subnet.pool.clone())).collect();
        zones.push(role.zone_anew(known).await.map_err(|error| unknown(&error))?);
    }
    Ok(zones)
}

/// The provider as a witness. One that calls this very host dead is not believed.
struct Provided {
    cloud: Option<Arc<Cloud>>,
    here: HostId,
}

impl Provided {
    async fn state(&self, host: &HostId) -> Result<HostState, String> {
        let cloud = self.cloud.as_ref().ok_or_else(|| "it was not asked yet".to_owned())?;
        cloud.host_state(&InstanceId::new(host.0.clone())).await.map_err(|error| with_causes(&error))
    }
}

impl Witness for Provided {
    fn word<'a>(&'a self, host: &'a HostId) -> BoxFuture<'a, Word> {
        async move {
            match self.state(host).await {
                Ok(HostState::Off | HostState::Gone)
                    if self.state(&self.here).await.is_ok_and(HostState::is_silent_for_good) =>
                {
                    Word::Silent("it says of this very host that it is gone".into())
                }
                Ok(HostState::Off) => Word::Gone("off, its memory lost".into()),
                Ok(HostState::Gone) => Word::Gone("deleted".into()),
                Ok(HostState::Running) => Word::MayRun("running".into()),
                Ok(HostState::Suspended) => Word::MayRun("paused or suspended".into()),
                Ok(HostState::InTransaction) => Word::MayRun("in a transaction of the provider".into()),
                Ok(HostState::Unknown) => Word::Silent("unknown".into()),
                Err(why) => Word::Silent(format!("no answer: {why}")),
            }
        }
        .boxed()
    }
}

fn shown(rebuild: &Rebuild, hosts: &HostsSeen, begun: Option<Begun>) -> StoreRebuild {
    let silent: Vec<&HostId> = rebuild.silent(hosts).collect();
    let awaited = rebuild.awaited.iter().map(|(host, gone)| Awaited {
        host: host.to_string(),
        gone: gone.clone(),
        accounted: !silent.contains(&host),
    });
    let began = begun.is_some();
    let Begun { subnets, left_out } = begun.unwrap_or_default();
    StoreRebuild {
        generation: rebuild.generation.to_string(),
        by: rebuild.by.to_string(),
        at: rebuild.at.parse().ok(),
        began,
        zones: rebuild.zones.iter().map(ToString::to_string).collect(),
        subnets: subnets.into_values().flatten().map(|(cidr, _)| cidr).collect(),
        left_out,
        awaited: awaited.collect(),
        no_others: rebuild.no_others.clone(),
        over: rebuild.is_over(hosts),
    }
}

fn refused(error: &LostStoreError) -> Problem {
    let (kind, hint) = match error {
        LostStoreError::Whole { .. } => (
            ProblemKind::Refused,
            "a store that lost its memory is frozen by the first host that notices; `berth cluster show`".into(),
        ),
        LostStoreError::Another { .. } => (
            ProblemKind::Refused,
            "if that one was founded by mistake, remove its keys (`etcdctl del --prefix` with this cluster's prefix) \
             and say this again"
                .into(),
        ),
        LostStoreError::Moved => {
            (ProblemKind::Refused, "let [store] name the store that the cluster moved to".to_owned())
        }
        LostStoreError::NotAwaited(_) => {
            (ProblemKind::NotFound, "`berth store rebuild` says who is awaited".to_owned())
        }
        LostStoreError::NotGone(host, _) => (
            ProblemKind::Refused,
            format!("let it answer for itself (start its berthd), or power it off and say --gone {host} again"),
        ),
        LostStoreError::Overtaken
        | LostStoreError::NotAnew
        | LostStoreError::Fill(_)
        | LostStoreError::Hosts(_)
        | LostStoreError::Store(_)
        | LostStoreError::Value(_) => {
            (ProblemKind::Unavailable, "saying this again goes on where it ended".to_owned())
        }
    };
    Problem { kind, error: error.to_string(), causes: causes(error), hint: Some(hint) }
}

fn unknown(error: &AnewError) -> Problem {
    let hint = Some("nothing was changed; say it again when the provider answers".into());
    Problem { kind: ProblemKind::Unavailable, error: error.to_string(), causes: causes(error), hint }
}
