//! `berth order list | show`: subnets that were asked of the cloud.

use super::find;
use crate::agent::{Agent, AskError};
use crate::args::OrderVerb;
use crate::page::Page;
use crate::table::{moment, or_dash, pairs, table};
use api::{Order, OrderState, paths};

pub(crate) async fn answer(agent: &Agent, verb: &OrderVerb) -> Result<Page, AskError> {
    let answer = agent.get::<Vec<Order>>(paths::ORDERS).await?;
    let OrderVerb::Show { order } = verb else { return Ok(Page::new(&answer, orders(&answer.answer))) };
    let found = find(&answer.answer, "order", order, "berth order list", |o| o.id.starts_with(order))?;
    let answer = answer.map(|mut orders| orders.swap_remove(found));
    let text = show(&answer.answer);
    let hint = match &answer.answer.state {
        OrderState::Refused { hint, .. } => hint.clone(),
        OrderState::InDoubt { .. } => {
            Some("look in the provider's portal whether the subnet was ordered".into())
        }
        _ => None,
    };
    Ok(Page::new(&answer, text).hint(hint))
}

/// Orders as a table; the status page shows it too.
pub(crate) fn orders(orders: &[Order]) -> String {
    let row = |order: &Order| {
        vec![
            order.id.clone(),
            order.pool.clone(),
            order.zone.clone(),
            format!("/{}", order.prefix),
            order.state.name().into(),
            or_dash(order.subnet),
            or_dash(order.next_try.map(moment)),
            or_dash(trouble(order)),
        ]
    };
    let headings = ["order", "pool", "zone", "size", "state", "subnet", "next try", "trouble"];
    table(&headings, orders.iter().map(row))
}

fn show(order: &Order) -> String {
    pairs([
        ("order", order.id.clone()),
        ("at the provider", or_dash(order.provider_order.as_ref())),
        ("pool", order.pool.clone()),
        ("zone", order.zone.clone()),
        ("size", format!("/{}", order.prefix)),
        ("state", order.state.name().into()),
        ("subnet", or_dash(order.subnet)),
        ("since", or_dash(order.since.map(moment))),
        ("next try", or_dash(order.next_try.map(moment))),
        ("trouble", or_dash(trouble(order))),
    ])
}

fn trouble(order: &Order) -> Option<&str> {
    match &order.state {
        OrderState::Refused { reason, .. } | OrderState::InDoubt { reason } => Some(reason),
        OrderState::Intended
        | OrderState::Placed
        | OrderState::Delivered
        | OrderState::Open
        | OrderState::Draining
        | OrderState::Returning
        | OrderState::Returned => order.trouble.as_deref(),
    }
}
