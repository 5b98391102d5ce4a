//! `GET /v1/orders/{id}`: all that is known of one order, and what an operator can do about it.

use super::super::Refusal;
use super::super::desk::{Desk, unavailable};
use super::{records, shown};
use crate::capacity::OrderRecord;
use crate::troubles::with_causes;
use ::api::{Answer, Candidate, NextStep, OrderIntent, OrderReport, Problem, ProblemKind, Silence, Source};
use axum::Json;
use axum::extract::{Path, State};
use provider::order::{Order, OrderState};
use provider::{OrderId, OrderStatus, Provider};

pub(crate) async fn show(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Json<Answer<OrderReport>>, Refusal> {
    let record = find(&desk, &name).await.map_err(Refusal)?;
    let (candidates, silent) = candidates(&desk, &record.order).await;
    let report = OrderReport {
        order: shown(&desk, &record),
        host: record.writer.host.to_string(),
        intent: intent(&desk, &record.order),
        next: next(&record),
        candidates,
    };
    Ok(Json(Answer::new([Source::Store, Source::Cloud], report).without(silent)))
}

/// The order of this name, or the only one whose name begins so.
async fn find(desk: &Desk, name: &str) -> Result<OrderRecord, Problem> {
    let mut records = all(desk).await?;
    if let Some(exact) = records.iter().position(|record| record.key().0 == name) {
        return Ok(records.swap_remove(exact));
    }
    records.retain(|record| record.key().0.starts_with(name));
    match (records.pop(), records.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(not_there(format!("there is no order {name}"))),
        (Some(_), more) => Err(not_there(format!("{} orders have names that begin with {name}", more + 1))),
    }
}

/// All orders, or a problem.
pub(super) async fn all(desk: &Desk) -> Result<Vec<OrderRecord>, Problem> {
    records(desk).await.map_err(|silence| {
        unavailable(
            format!("the store does not say which orders there are: {}", silence.because),
            "`berth status` says more",
        )
    })
}

/// A "no" that says where to look.
pub(super) fn not_there(error: String) -> Problem {
    let hint = Some("`berth order list` shows those there are".into());
    Problem { kind: ProblemKind::NotFound, error, causes: Vec::new(), hint }
}

fn intent(desk: &Desk, order: &Order) -> Option<OrderIntent> {
    let intent = order.intent()?;
    Some(OrderIntent {
        network: intent.request.network.to_string(),
        price: intent.price.clone(),
        user: desk.cloud().ok().and_then(|cloud| cloud.user()),
        at: intent.intended_at,
    })
}

/// What an order in doubt may be, with the provider's word on each.
async fn candidates(desk: &Desk, order: &Order) -> (Vec<Candidate>, Vec<Silence>) {
    let OrderState::Ambiguous { candidates, .. } = &order.state else { return (Vec::new(), Vec::new()) };
    let mut told = Vec::new();
    for order in candidates {
        let says = match desk.cloud() {
            Ok(cloud) => says(&*cloud, order).await,
            Err(silence) => {
                let unasked =
                    |order: &OrderId| Candidate { order: order.to_string(), says: "not known".into() };
                return (candidates.iter().map(unasked).collect(), vec![silence]);
            }
        };
        told.push(Candidate { order: order.to_string(), says });
    }
    (told, Vec::new())
}

async fn says(cloud: &impl Provider, order: &OrderId) -> String {
    match cloud.order_status(order).await {
        Ok(OrderStatus::Pending(status)) => format!("on its way: {status}"),
        Ok(OrderStatus::Delivered(subnet)) => {
            format!("brought {}, id {}, to zone {}", subnet.cidr, subnet.id, subnet.zone)
        }
        Ok(OrderStatus::Declined(reason)) => format!("will not be delivered: {reason}"),
        Err(error) => format!("not known: {}", with_causes(&error)),
    }
}

/// What an operator can do about an order in its state.
fn next(record: &OrderRecord) -> Vec<NextStep> {
    let step = |command: String, meaning: &str| NextStep { command, meaning: meaning.into() };
    let id = record.key();
    match &record.order.state {
        OrderState::Ambiguous { candidates, .. } => {
            let is = |order: &dyn std::fmt::Display| format!("berth order settle {id} --is {order}");
            let mut steps: Vec<_> = candidates
                .iter()
                .map(|order| step(is(order), "if it is this one: it is waited for and its subnet opened"))
                .collect();
            if steps.is_empty() {
                steps
                    .push(step(is(&"NUMBER"), "if the provider's portal shows an order of that time for it"));
            }
            let nothing = format!("berth order settle {id} --nothing-ordered");
            steps.push(step(nothing, "if none of them is: it is given up, and the pool may order again"));
            steps
        }
        OrderState::Open(subnet) => {
            vec![step(format!("berth subnet drain {}", subnet.cidr), "empties the subnet, then returns it")]
        }
        OrderState::Draining(subnet) => {
            vec![step(format!("berth subnet undrain {}", subnet.cidr), "keeps the subnet after all")]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
