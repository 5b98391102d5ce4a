//! `berth order list | show | settle`: subnets that were asked of the cloud.

use crate::agent::{Agent, AskError, encoded};
use crate::args::OrderVerb;
use crate::page::Page;
use crate::table::{moment, or_dash, pairs, table};
use api::{Candidate, NextStep, Order, OrderIntent, OrderReport, OrderState, Settle, paths};

pub(crate) async fn answer(agent: &Agent, verb: &OrderVerb) -> Result<Page, AskError> {
    match verb {
        OrderVerb::List => {
            let answer = agent.get::<Vec<Order>>(paths::ORDERS).await?;
            Ok(Page::new(&answer, orders(&answer.answer)))
        }
        OrderVerb::Show { order } => {
            let answer = agent.get::<OrderReport>(&path(order)).await?;
            let hint = match &answer.answer.order.state {
                OrderState::Refused { hint, .. } => hint.clone(),
                _ => None,
            };
            Ok(Page::new(&answer, show(&answer.answer)).hint(hint))
        }
        OrderVerb::Settle { order, is, nothing_ordered: _ } => {
            let word = match is {
                Some(number) => Settle::Is { order: number.clone() },
                None => Settle::NothingOrdered,
            };
            let answer = agent.post::<Order>(&format!("{}/settle", path(order)), &word).await?;
            let hint = match &answer.answer.state {
                OrderState::Placed => Some(format!("`berth order show {order}` follows it")),
                _ => None,
            };
            Ok(Page::new(&answer, orders(std::slice::from_ref(&answer.answer))).hint(hint))
        }
    }
}

fn path(order: &str) -> String {
    format!("{}/{}", paths::ORDERS, encoded(order))
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

fn show(report: &OrderReport) -> String {
    let OrderReport { order, host, intent, candidates, next } = report;
    let mut text = pairs([
        ("order", order.id.clone()),
        ("at the provider", or_dash(order.provider_order.as_ref())),
        ("pool", order.pool.clone()),
        ("zone", order.zone.clone()),
        ("size", format!("/{}", order.prefix)),
        ("intent", intent.as_ref().map_or_else(|| "none: it was there, and was adopted".into(), intended)),
        ("written by", host.clone()),
        ("state", order.state.name().into()),
        ("subnet", or_dash(order.subnet)),
        ("since", or_dash(order.since.map(moment))),
        ("next try", or_dash(order.next_try.map(moment))),
        ("trouble", or_dash(reason(order))),
    ]);
    if !candidates.is_empty() {
        text += "\nIt may be one of these:\n";
        let row = |candidate: &Candidate| vec![candidate.order.clone(), candidate.says.clone()];
        text += &table(&["order", "the provider says"], candidates.iter().map(row));
    }
    if !next.is_empty() {
        text += "\nWhat can be done:\n";
        text += &next.iter().map(step).collect::<String>();
    }
    text
}

fn intended(intent: &OrderIntent) -> String {
    let OrderIntent { network, price, user, at } = intent;
    let user = user.as_ref().map(|user| format!(" as user {user}")).unwrap_or_default();
    format!("{}{user}: {network}, price {price}", moment(*at))
}

fn step(step: &NextStep) -> String {
    format!("  {}\n      {}\n", step.command, step.meaning)
}

/// What keeps an order from going on; in a table, where one line must do, with the command that says more.
fn trouble(order: &Order) -> Option<String> {
    let reason = reason(order)?;
    match order.state {
        OrderState::InDoubt { .. } => Some(format!("{reason}; settle it: `berth order show {}`", order.id)),
        _ => Some(reason.to_owned()),
    }
}

fn reason(order: &Order) -> Option<&str> {
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
