//! The operator's word: `POST /v1/orders/{id}/settle`, `POST /v1/subnets/drain` and `/undrain`.

use super::super::Refusal;
use super::super::desk::{Desk, causes, invalid, unavailable};
use super::report::{all, not_there};
use super::shown;
use crate::capacity::{Capacity, OrderKey, OrderRecord, SettleError, Settlement};
use ::api::{Answer, NamedSubnet, Order, Problem, ProblemKind, Settle, Source};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use provider::{OrderId, ZoneId};

/// `POST /v1/orders/{id}/settle`. The name must be whole: a word on the wrong order costs money.
pub(crate) async fn settle(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    word: Result<Json<Settle>, JsonRejection>,
) -> Result<Json<Answer<Order>>, Refusal> {
    let Json(word) = word.map_err(|error| Refusal(invalid(error.body_text())))?;
    let settlement = match word {
        Settle::Is { order } => Settlement::Is(order_number(order).map_err(Refusal)?),
        Settle::NothingOrdered => Settlement::NothingOrdered,
    };
    tell(&desk, |record| record.key().0 == name, &format!("there is no order {name}"), settlement).await
}

/// `POST /v1/subnets/drain`
pub(crate) async fn drain(
    State(desk): State<Desk>,
    named: Result<Json<NamedSubnet>, JsonRejection>,
) -> Result<Json<Answer<Order>>, Refusal> {
    tell_of_subnet(&desk, named, Settlement::Drain).await
}

/// `POST /v1/subnets/undrain`
pub(crate) async fn undrain(
    State(desk): State<Desk>,
    named: Result<Json<NamedSubnet>, JsonRejection>,
) -> Result<Json<Answer<Order>>, Refusal> {
    tell_of_subnet(&desk, named, Settlement::Undrain).await
}

async fn tell_of_subnet(
    desk: &Desk,
    named: Result<Json<NamedSubnet>, JsonRejection>,
    settlement: Settlement,
) -> Result<Json<Answer<Order>>, Refusal> {
    let Json(NamedSubnet { subnet }) = named.map_err(|error| Refusal(invalid(error.body_text())))?;
    // One that was returned may have been ordered again.
    let is_it = |record: &OrderRecord| {
        let returned = matches!(record.order.state, provider::order::OrderState::Returned(_));
        !returned && record.order.subnet().is_some_and(|found| found.cidr == subnet)
    };
    tell(desk, is_it, &format!("no order of this cluster brought {subnet}"), settlement).await
}

/// Gives the word to the role of the order's zone, and answers what the order is now.
async fn tell(
    desk: &Desk,
    is_it: impl Fn(&OrderRecord) -> bool,
    none: &str,
    settlement: Settlement,
) -> Result<Json<Answer<Order>>, Refusal> {
    let found = all(desk).await.map_err(Refusal)?.into_iter().find(is_it);
    let record = found.ok_or_else(|| Refusal(not_there(none.to_owned())))?;
    let role = role_of(desk, &record.zone).map_err(Refusal)?;
    role.settle(record.key(), settlement).await.map_err(|error| Refusal(refused(&error)))?;
    let now = written(desk, &record.key()).await.map_err(Refusal)?;
    Ok(Json(Answer::new([Source::Store], shown(desk, &now))))
}

fn role_of(desk: &Desk, zone: &ZoneId) -> Result<Capacity, Problem> {
    let roles = desk.capacity.borrow();
    let found = roles.iter().find(|role| role.status().borrow().zone == *zone);
    found.cloned().ok_or_else(|| {
        unavailable(
            format!("this host does not look after zone {zone}"),
            "ask a host of that zone; if this is one, `berth status` shows what berthd waits for",
        )
    })
}

async fn written(desk: &Desk, key: &OrderKey) -> Result<OrderRecord, Problem> {
    let found = all(desk).await?.into_iter().find(|record| record.key() == *key);
    found.ok_or_else(|| not_there(format!("order {key} is no longer there")))
}

/// What names an order at a provider. It becomes part of a path, so nothing else is let through.
fn order_number(order: String) -> Result<OrderId, Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match !order.is_empty() && order.len() <= 64 && order.chars().all(plain) {
        true => Ok(OrderId::new(order)),
        false => Err(invalid(format!("`{order}` is not the number of an order at the provider"))),
    }
}

fn refused(error: &SettleError) -> Problem {
    let (kind, hint) = match error {
        SettleError::Unknown(_) => (ProblemKind::NotFound, "`berth order list` shows those there are"),
        SettleError::Refused { .. } => {
            (ProblemKind::Refused, "`berth order show` says what can be done about it")
        }
        SettleError::Known { .. } | SettleError::Elsewhere { .. } | SettleError::Unconfirmed { .. } => {
            (ProblemKind::Refused, "look the number up in the provider's portal, or say --nothing-ordered")
        }
        SettleError::NotHere { .. } => (ProblemKind::Unavailable, "ask the host that has the role"),
        SettleError::NotWritten { .. } | SettleError::Stopped => {
            (ProblemKind::Unavailable, "ask again in a moment; `berth status` says more")
        }
    };
    Problem { kind, error: error.to_string(), causes: causes(error), hint: Some(hint.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_lead_a_request_elsewhere_is_no_order_number() {
        for wrong in ["", "../1", "1/2", "1?x", "%2e", " 1"] {
            assert_eq!(order_number(wrong.into()).unwrap_err().kind, ProblemKind::Invalid, "{wrong}");
        }
        assert_eq!(order_number("83211".into()).unwrap(), OrderId::new("83211"));
    }

    #[test]
    fn a_refused_word_names_the_cause_and_where_to_look() {
        let problem = refused(&SettleError::Unknown(OrderKey("default-1-1".into())));
        assert_eq!(
            (problem.kind, problem.error.as_str()),
            (ProblemKind::NotFound, "there is no order default-1-1 in this zone")
        );
        assert!(problem.hint.is_some_and(|hint| hint.contains("berth order list")));
    }
}
