//! Subnets that were asked of the cloud, as the store remembers them: listed, shown, settled.

mod report;
mod settle;

use super::desk::{Desk, silence};
use crate::capacity::{Capacity, OrderRecord};
use crate::troubles::with_causes;
use ::api::{Answer, Order, OrderState, Silence, Source};
use axum::Json;
use axum::extract::State;
use ipnetwork::IpNetwork;
use provider::order::{self, DeliveredSubnet, Origin};
use store::layout::{self, Under};

pub(crate) use report::show;
pub(crate) use settle::{drain, settle, undrain};

/// `GET /v1/orders`
pub(crate) async fn orders(State(desk): State<Desk>) -> Json<Answer<Vec<Order>>> {
    let (orders, mut silent) = match read(&desk).await {
        Ok(orders) => (orders, Vec::new()),
        Err(silence) => (Vec::new(), vec![silence]),
    };
    silent.extend(unplaced(&desk));
    Json(Answer::new([Source::Store, Source::Cloud], orders).without(silent))
}

/// What is not in the store, because the cloud did not answer or did not even verify it: an order is written down
/// only then.
fn unplaced(desk: &Desk) -> Vec<Silence> {
    let of_role = |role: &Capacity| {
        let status = role.status();
        let status = status.borrow();
        let unasked = status.trouble.iter().map(ToString::to_string);
        let of_pool = |(pool, trouble)| format!("no subnet could be ordered for pool {pool}: {trouble}");
        let unplaced = status.unplaced.iter().map(of_pool);
        unasked.chain(unplaced).map(|because| silence(Source::Cloud, because)).collect::<Vec<_>>()
    };
    desk.capacity.borrow().iter().flat_map(of_role).collect()
}

/// All orders of the cluster.
pub(crate) async fn read(desk: &Desk) -> Result<Vec<Order>, Silence> {
    Ok(records(desk).await?.iter().map(|record| shown(desk, record)).collect())
}

/// All orders of the cluster, as they were written down.
async fn records(desk: &Desk) -> Result<Vec<OrderRecord>, Silence> {
    let silence = |because: String| silence(Source::Store, because);
    let store = desk.store.as_ref().ok_or_else(|| silence("it is not open".into()))?;
    let found = store.range(&Under::Orders.prefix()).await.map_err(|error| silence(with_causes(&error)))?;
    let read = |entry: &store::Entry| {
        layout::decode(&entry.key, &entry.value).map_err(|error| silence(with_causes(&error)))
    };
    found.entries.iter().map(read).collect()
}

/// One order as the wire shows it.
fn shown(desk: &Desk, record: &OrderRecord) -> Order {
    let mut order = in_words_of_the_wire(record);
    add_trouble(&mut order, desk);
    order
}

/// Adds what keeps this host's roles from going on, which only they know.
fn add_trouble(order: &mut Order, desk: &Desk) {
    for role in desk.capacity.borrow().iter() {
        let status = role.status();
        let status = status.borrow();
        let line = status.orders.iter().find(|line| line.key.0 == order.id);
        let Some(trouble) = line.and_then(|line| line.trouble.as_ref()) else { continue };
        order.next_try = Some(trouble.next_try);
        order.trouble = Some(trouble.problem.clone());
        if let OrderState::Refused { hint, .. } = &mut order.state {
            hint.clone_from(&trouble.hint);
        }
    }
}

fn in_words_of_the_wire(record: &OrderRecord) -> Order {
    let (state, placed, subnet) = state(&record.order.state);
    let prefix = match &record.order.origin {
        Origin::Ordered(intent) => intent.request.prefix,
        Origin::Adopted => subnet.map_or(0, |subnet| subnet.prefix()),
    };
    Order {
        id: record.key().to_string(),
        provider_order: placed,
        pool: record.pool.to_string(),
        zone: record.zone.to_string(),
        prefix,
        state,
        subnet,
        since: Some(record.order.since),
        next_try: None,
        trouble: None,
    }
}

/// The state, the provider's name of the order, and the subnet.
fn state(state: &order::OrderState) -> (OrderState, Option<String>, Option<IpNetwork>) {
    let delivered = |state, subnet: &DeliveredSubnet| {
        (state, subnet.order.as_ref().map(ToString::to_string), Some(subnet.cidr))
    };
    match state {
        order::OrderState::Intended => (OrderState::Intended, None, None),
        order::OrderState::Placed(id) => (OrderState::Placed, Some(id.to_string()), None),
        order::OrderState::Delivered(subnet) => delivered(OrderState::Delivered, subnet),
        order::OrderState::Open(subnet) => delivered(OrderState::Open, subnet),
        order::OrderState::Draining(subnet) => delivered(OrderState::Draining, subnet),
        order::OrderState::Returning(subnet) => delivered(OrderState::Returning, subnet),
        order::OrderState::Returned(subnet) => delivered(OrderState::Returned, subnet),
        order::OrderState::Failed { reason, .. } => {
            (OrderState::Refused { reason: reason.clone(), hint: None }, None, None)
        }
        order::OrderState::Ambiguous { reason, .. } => {
            (OrderState::InDoubt { reason: reason.clone() }, None, None)
        }
    }
}
