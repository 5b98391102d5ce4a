//! The operator's word that a host is dead: `POST /v1/hosts/evict`.

use super::Refusal;
use super::desk::{Desk, causes, invalid, unavailable};
use super::hosts::read;
use crate::capacity::{EvictError, Plea};
use ::api::{Answer, Evict, Host, Problem, ProblemKind, Source};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use ipam::HostId;

/// `POST /v1/hosts/evict`. Answers what the host is then.
pub(crate) async fn evict(
    State(desk): State<Desk>,
    word: Result<Json<Evict>, JsonRejection>,
) -> Result<Json<Answer<Host>>, Refusal> {
    let Json(word) = word.map_err(|error| Refusal(invalid(error.body_text())))?;
    if word.force.as_ref().is_some_and(|because| because.trim().is_empty()) {
        return Err(Refusal(invalid("a forced eviction needs a reason: it goes on record")));
    }
    let plea = Plea {
        host: HostId(word.host.clone()),
        who: word.who,
        powered_off: word.powered_off,
        force: word.force,
    };
    let role = desk.capacity.borrow().first().cloned().ok_or_else(|| {
        Refusal(unavailable(
            "berthd does not know yet which zones this host is in",
            "`berth status` shows what it waits for; or ask another host of the cluster",
        ))
    })?;
    let evicted = role.evict(plea).await.map_err(|error| Refusal(refused(&error)))?;
    tracing::info!(host = word.host, before = evicted.before, why = %evicted.eviction.word, "told an operator");
    let found = read(&desk).await.map_err(|silence| Refusal(unread(silence.because)))?;
    let host = found.into_iter().find(|host| host.id == word.host);
    let host = host.ok_or_else(|| Refusal(unread("its record is gone".into())))?;
    Ok(Json(Answer::new([Source::Store], host)))
}

fn unread(because: String) -> Problem {
    unavailable(
        format!("the host was evicted, and could not be looked at again: {because}"),
        "`berth host list` shows it",
    )
}

/// What stands in the way, and what to do next.
fn refused(error: &EvictError) -> Problem {
    let (kind, hint) = match error {
        EvictError::Unknown(_) => {
            (ProblemKind::NotFound, "`berth host list` shows those there are".to_owned())
        }
        EvictError::Awaited(host) => (
            ProblemKind::Refused,
            format!(
                "make sure that the machine is powered off, not paused and not only cut off, then say \
                 `berth store rebuild --gone {host}`: what it held comes back when the rebuild is over"
            ),
        ),
        EvictError::Itself(_) => (
            ProblemKind::Refused,
            "ask another host of the cluster; to empty this one, stop its containers".to_owned(),
        ),
        EvictError::Alive(host) => (
            ProblemKind::Refused,
            format!(
                "if it is to go, stop its containers and its berthd, or power it off; \
                 `berth host evict {host} --force --because WHY` takes its addresses from running containers"
            ),
        ),
        EvictError::NotDead { host, .. } => (
            ProblemKind::Refused,
            format!(
                "power it off at the provider and ask again; if you know better than the provider, \
                 `berth host evict {host} --force --because WHY`"
            ),
        ),
        EvictError::Unwitnessed { host, .. } => (
            ProblemKind::Refused,
            format!(
                "make sure that the machine is powered off, not paused and not only cut off, then say so: \
                 `berth host evict {host} --powered-off`"
            ),
        ),
        EvictError::Used { host, .. } => (
            ProblemKind::Refused,
            format!(
                "it lives, or somebody else has its addresses: find out who on the VLAN; \
                 `berth host evict {host} --force --because WHY` goes over it"
            ),
        ),
        EvictError::OutOfReach { host, .. } => (
            ProblemKind::Refused,
            format!(
                "ask a host that is in the same zones and whose interface is up; \
                 or `berth host evict {host} --force --because WHY`"
            ),
        ),
        EvictError::Changed(host) => {
            (ProblemKind::Refused, format!("look at it with `berth host show {host}`, then ask again"))
        }
        EvictError::NotNow(_) => (
            ProblemKind::Refused,
            "`berth status` says more; docs/operating.md, \"A frozen cluster\", says what to do".to_owned(),
        ),
        EvictError::NotKnown(host) => (
            ProblemKind::Unavailable,
            format!("`berth host show {host}` says whether it was; asking again does no harm"),
        ),
        EvictError::Store { .. } | EvictError::Stopped => {
            (ProblemKind::Unavailable, "nothing was changed; ask again in a moment".to_owned())
        }
    };
    Problem { kind, error: error.to_string(), causes: causes(error), hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_eviction_names_what_stands_in_the_way_and_what_to_do() {
        let refused = refused(&EvictError::Unwitnessed { host: "h2".into(), said: "unknown".into() });
        assert_eq!(refused.kind, ProblemKind::Refused);
        assert!(refused.error.contains("nobody says that host h2 is off"), "{}", refused.error);
        assert!(refused.hint.unwrap().contains("berth host evict h2 --powered-off"));
    }

    #[test]
    fn of_a_host_that_is_awaited_after_a_rebuild_the_command_is_named_that_takes_the_word() {
        let refused = refused(&EvictError::Awaited("h2".into()));
        assert_eq!(refused.kind, ProblemKind::Refused);
        assert!(refused.hint.unwrap().contains("`berth store rebuild --gone h2`"));
    }
}
