//! The decision: what a look calls for.

use ipam::{PoolName, Timestamp};
use provider::{CloudSubnet, OrderRequest, SetAside, ZoneId, order::OrderState};

use super::{
    PoolPolicy, Timing,
    record::OrderKey,
    view::{Before, View},
};

/// One step towards what is wanted. Each may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Write down that this subnet is going to be opened for a pool.
    Adopt { pool: PoolName, subnet: CloudSubnet },
    /// Verify, write the intent down, place.
    Order { pool: PoolName, request: OrderRequest },
    /// An intent without an answer: look for the order at the provider.
    Seek(OrderKey),
    /// An order on its way: ask how it is doing.
    Poll(OrderKey),
    /// A delivered subnet: check its addresses, tag it, write its blocks.
    Open(OrderKey),
    /// An ordered subnet was unused for long: hand out nothing more of it.
    Drain(OrderKey),
    /// A drained subnet is empty: make its blocks final.
    BeginReturn(OrderKey),
    /// Cancel it at the provider, then forget it.
    Return(OrderKey),
    /// The cloud does not show an open subnet: hand out nothing more of it.
    Withhold(OrderKey),
    /// It shows it again.
    Restore(OrderKey),
}

/// What a look calls for, and what the next decision needs to know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) actions: Vec<Action>,
    pub(super) before: Before,
}

/// Decides what a look calls for.
pub(super) fn decide(view: &View, before: &Before, zone: &ZoneId, timing: &Timing) -> Decision {
    let mut actions = steps(view, before);
    let mut after = before.clone();
    after.step_not_before.retain(|key, _| view.orders.contains_key(key));
    actions.extend(withheld(view, &mut after, timing));
    let adopted = adoptions(view);
    for policy in view.pools.iter().filter(|policy| policy.network == view.network) {
        let served =
            adopted.iter().any(|action| matches!(action, Action::Adopt { pool, .. } if *pool == policy.name));
        actions.extend(drain(view, policy, &mut after, timing));
        match need(view, policy) {
            Need::Subnet if !served => {
                let since = *after.short.entry(policy.name.clone()).or_insert(view.now);
                let waited = since.after(millis(timing.second_look)) <= view.now;
                let may = before.order_not_before.get(&policy.name).is_none_or(|rest| rest.is_over(view.now));
                // Two looks with time between them agree: one stale read never orders.
                if waited && may {
                    actions.push(order(policy, zone));
                    after.short.remove(&policy.name);
                }
            }
            Need::Subnet | Need::Nothing | Need::Wait | Need::Limit => {
                after.short.remove(&policy.name);
            }
        }
    }
    actions.extend(adopted);
    Decision { actions, before: after }
}

/// Whether a pool needs a subnet, and what stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Enough is free.
    Nothing,
    /// One is on its way, or may be.
    Wait,
    /// The spending limit is reached.
    Limit,
    /// One is to be ordered.
    Subnet,
}

/// Whether a pool needs a subnet.
pub(super) fn need(view: &View, policy: &PoolPolicy) -> Need {
    if view.free(&policy.name) >= policy.free_min {
        Need::Nothing
    } else if view.orders_of(&policy.name).any(|record| record.order.is_in_flight()) {
        Need::Wait
    } else if view.paid_for(&policy.name) >= policy.subnets_max {
        Need::Limit
    } else {
        Need::Subnet
    }
}

/// The next step of every order that has one and is not waiting after a failure.
fn steps(view: &View, before: &Before) -> Vec<Action> {
    let due = |key: &&OrderKey| before.step_not_before.get(*key).is_none_or(|rest| rest.is_over(view.now));
    view.orders.keys().filter(due).filter_map(|key| step(view, key)).collect()
}

fn step(view: &View, key: &OrderKey) -> Option<Action> {
    match &view.orders.get(key)?.value.order.state {
        OrderState::Intended => Some(Action::Seek(key.clone())),
        OrderState::Placed(_) => Some(Action::Poll(key.clone())),
        OrderState::Delivered(_) => Some(Action::Open(key.clone())),
        OrderState::Draining(subnet) => view.is_unused(subnet.cidr).then(|| Action::BeginReturn(key.clone())),
        OrderState::Returning(_) => Some(Action::Return(key.clone())),
        OrderState::Open(_)
        | OrderState::Returned(_)
        | OrderState::Failed { .. }
        | OrderState::Ambiguous { .. } => None,
    }
}

/// What the cloud does not show for longer than its answers may be old is withheld: its containers run on, and no new
/// one gets an address that leads nowhere. It is not returned for that, and handed out again as soon as it is shown.
fn withheld(view: &View, after: &mut Before, timing: &Timing) -> Vec<Action> {
    after.unshown.retain(|key, _| view.orders.contains_key(key));
    let Some(cloud) = &view.cloud else { return Vec::new() };
    let mut actions = Vec::new();
    for (key, at) in &view.orders {
        let OrderState::Open(subnet) = &at.value.order.state else {
            after.unshown.remove(key);
            continue;
        };
        let is_open = view.blocks_of(subnet.cidr).all(|at| at.value.state() == ipam::BlockState::Open);
        if cloud.iter().any(|shown| shown.cidr == subnet.cidr) {
            after.unshown.remove(key);
            actions.extend((!is_open).then(|| Action::Restore(key.clone())));
        } else {
            let since = *after.unshown.entry(key.clone()).or_insert(view.now);
            let for_long = has_passed(view.now, since, timing.staleness_max);
            actions.extend((is_open && for_long).then(|| Action::Withhold(key.clone())));
        }
    }
    actions
}

/// What is there already is used before anything is ordered. It is paid for, but the limit holds for it as well.
fn adoptions(view: &View) -> Vec<Action> {
    let mut room: Vec<(&PoolPolicy, u32)> = view
        .pools
        .iter()
        .filter(|policy| policy.network == view.network)
        .map(|policy| (policy, policy.subnets_max.saturating_sub(view.paid_for(&policy.name))))
        .collect();
    // The pool that lacks most comes first; of equals, the first of the configuration.
    room.sort_by_key(|(policy, _)| need(view, policy) != Need::Subnet);
    let mut actions = Vec::new();
    for subnet in view.adoptable() {
        if let Some((policy, left)) = room.iter_mut().find(|(_, left)| *left > 0) {
            *left -= 1;
            actions.push(Action::Adopt { pool: policy.name.clone(), subnet: subnet.clone() });
        }
    }
    actions
}

/// What is ordered and not needed is returned: a subnet that nobody used for long, if twice the watermark is free
/// without it. One at a time, and never what the operator tagged: that is the operator's to return.
fn drain(view: &View, policy: &PoolPolicy, after: &mut Before, timing: &Timing) -> Option<Action> {
    let leaving = |state: &OrderState| matches!(state, OrderState::Draining(_) | OrderState::Returning(_));
    let one_leaves = view.orders_of(&policy.name).any(|record| leaving(&record.order.state));
    let mut due = None;
    for (key, at) in view.orders.iter().filter(|(_, at)| at.value.pool == policy.name) {
        let spare = match &at.value.order.state {
            OrderState::Open(subnet) if at.value.order.intent().is_some() && view.is_unused(subnet.cidr) => {
                let of_it: u32 = view.blocks_of(subnet.cidr).map(|block| block.value.counts().free).sum();
                view.free(&policy.name).saturating_sub(of_it) >= policy.free_min.saturating_mul(2)
            }
            _ => false,
        };
        if !spare {
            after.unused.remove(key);
            continue;
        }
        let since = *after.unused.entry(key.clone()).or_insert(view.now);
        if has_passed(view.now, since, timing.unused_max) && !one_leaves {
            due = Some(Action::Drain(key.clone()));
        }
    }
    due
}

fn order(policy: &PoolPolicy, zone: &ZoneId) -> Action {
    let request = OrderRequest { zone: zone.clone(), network: policy.network, prefix: policy.prefix };
    Action::Order { pool: policy.name.clone(), request }
}

/// The provider's reason in the words of the allocation.
pub(super) fn reason(set_aside: SetAside) -> ipam::SetAside {
    match set_aside {
        SetAside::Network => ipam::SetAside::Network,
        SetAside::Gateway => ipam::SetAside::Gateway,
        SetAside::Broadcast => ipam::SetAside::Broadcast,
        SetAside::Reserved => ipam::SetAside::Reserved,
        SetAside::Excluded => ipam::SetAside::Excluded,
    }
}

/// A time span as the boot-time clock counts.
pub(super) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a time has come.
pub(super) fn has_passed(now: Timestamp, since: Timestamp, span: std::time::Duration) -> bool {
    since.after(millis(span)) <= now
}
