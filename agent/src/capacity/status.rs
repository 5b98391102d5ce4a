//! What the role tells: orders and how far they are, what is the matter, and when it tries again.

use std::{collections::BTreeMap, error::Error, fmt, time::Duration};

use ipam::{HostId, PoolName};
use jiff::Timestamp;
use provider::{
    ZoneId,
    order::{Order, OrderState},
};

use super::{OrderKey, QuarantineLine, SilentHost, Surprise, trouble::Trouble, view::View};

/// What the role of a zone does and what keeps it from doing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapacityStatus {
    /// The zone.
    pub zone: ZoneId,
    /// Where the role is: `here`, `on host …`, or what it waits for.
    pub role: String,
    /// Every order of the zone, in the order of their names.
    pub orders: Vec<OrderLine>,
    /// For each pool, what a refusal should say.
    pub pools: BTreeMap<PoolName, ipam::Capacity>,
    /// Pools that need a subnet for which no order could even be written down, and why.
    pub unplaced: BTreeMap<PoolName, ProviderTrouble>,
    /// The quarantines of the zone, where the role is here.
    pub quarantine: Vec<QuarantineLine>,
    /// The silent hosts that hold addresses of the zone, where the role is here.
    pub silent_hosts: BTreeMap<HostId, SilentHost>,
    /// Subnets of which the cloud says something else than the store, where the role is here.
    pub surprises: Vec<Surprise>,
    /// The last failure to ask the provider or the store, until one succeeds.
    pub trouble: Option<ProviderTrouble>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// Its name here.
    pub key: OrderKey,
    /// The pool it is for.
    pub pool: PoolName,
    /// How far it is.
    pub order: Order,
    /// What keeps its next step from succeeding.
    pub trouble: Option<ProviderTrouble>,
}

/// A failure, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderTrouble {
    /// What is the matter, with its causes.
    pub problem: String,
    /// What a person can do, if only a person can.
    pub hint: Option<String>,
    /// When it was met last.
    pub since: Timestamp,
    /// When it is tried again.
    pub next_try: Timestamp,
}

impl fmt::Display for ProviderTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, next try {:.0}", self.problem, self.next_try)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl CapacityStatus {
    /// Before the first look.
    pub(super) fn new(zone: &ZoneId) -> Self {
        let role = "not looked for yet".to_owned();
        Self {
            zone: zone.clone(),
            role,
            orders: vec![],
            pools: BTreeMap::new(),
            unplaced: BTreeMap::new(),
            quarantine: vec![],
            silent_hosts: BTreeMap::new(),
            surprises: vec![],
            trouble: None,
        }
    }
}

/// What is to be told beside what the store says.
#[derive(Debug, Default)]
pub(super) struct Told {
    role: String,
    trouble: Option<ProviderTrouble>,
    orders: BTreeMap<OrderKey, ProviderTrouble>,
    pools: BTreeMap<PoolName, ProviderTrouble>,
    surprises: Vec<Surprise>,
    last: Option<CapacityStatus>,
}

impl Told {
    pub(super) fn role(&mut self, role: &str) {
        self.role = role.to_owned();
    }

    pub(super) fn surprises(&mut self, surprises: Vec<Surprise>) {
        self.surprises = surprises;
    }

    pub(super) fn answered(&mut self) {
        self.trouble = None;
    }

    pub(super) fn trouble(&mut self, trouble: &Trouble, now: Timestamp, pause: Duration) {
        self.trouble = Some(told(trouble, now, pause));
    }

    pub(super) fn order_trouble(
        &mut self,
        key: &OrderKey,
        trouble: &Trouble,
        now: Timestamp,
        pause: Duration,
    ) {
        self.orders.insert(key.clone(), told(trouble, now, pause));
    }

    pub(super) fn order_recovered(&mut self, key: &OrderKey) {
        self.orders.remove(key);
    }

    pub(super) fn pool_trouble(
        &mut self,
        pool: &PoolName,
        trouble: &Trouble,
        now: Timestamp,
        pause: Duration,
    ) {
        self.pools.insert(pool.clone(), told(trouble, now, pause));
    }

    pub(super) fn pool_recovered(&mut self, pool: &PoolName) {
        self.pools.remove(pool);
    }

    /// The whole status; without a view, what was last seen with the present trouble.
    pub(super) fn status(&mut self, zone: &ZoneId, view: Option<&View>) -> CapacityStatus {
        let mut status = self.last.clone().unwrap_or_else(|| CapacityStatus::new(zone));
        status.role.clone_from(&self.role);
        status.trouble.clone_from(&self.trouble);
        status.surprises.clone_from(&self.surprises);
        if let Some(view) = view {
            status.orders = view.orders.values().map(|at| self.line(&at.value)).collect();
            let ours = view.pools.iter().filter(|policy| policy.network == view.network);
            status.pools = ours.map(|policy| (policy.name.clone(), self.capacity(view, policy))).collect();
        }
        let is_told =
            |pool: &PoolName| status.orders.iter().any(|it| it.pool == *pool && it.trouble.is_some());
        status.unplaced = self.pools.clone().into_iter().filter(|(pool, _)| !is_told(pool)).collect();
        self.last = Some(status.clone());
        status
    }

    fn line(&self, record: &super::OrderRecord) -> OrderLine {
        let key = record.key();
        // What was refused is tried again when its pool is.
        let of_pool = || match record.order.state {
            OrderState::Failed { .. } => self.pools.get(&record.pool),
            _ => None,
        };
        let trouble = self.orders.get(&key).or_else(of_pool).cloned();
        OrderLine { pool: record.pool.clone(), order: record.order.clone(), trouble, key }
    }

    /// What a refusal says about a pool.
    fn capacity(&self, view: &View, policy: &super::PoolPolicy) -> ipam::Capacity {
        let underway = view.orders_of(&policy.name).find(|record| record.order.is_in_flight());
        let order = underway.map(|record| {
            let trouble = self.orders.get(&record.key()).map(said).unwrap_or_default();
            format!("order {} is {}{trouble}", record.key(), phrase(&record.key(), &record.order.state))
        });
        let failed = || Some(format!("no order could be placed{}", said(self.pools.get(&policy.name)?)));
        // A refusal may come before the next look: what matters is whether one more may be paid for at all.
        let limit = (view.paid_for(&policy.name) >= policy.subnets_max).then(|| {
            format!("the limit of subnets in the zone is reached (subnets_max = {})", policy.subnets_max)
        });
        ipam::Capacity { order: order.or_else(failed), limit }
    }
}

fn told(trouble: &Trouble, now: Timestamp, pause: Duration) -> ProviderTrouble {
    let (_, hint) = trouble.advice();
    let next_try = now.checked_add(pause).unwrap_or(now);
    ProviderTrouble { problem: chain(trouble), hint, since: now, next_try }
}

fn said(trouble: &ProviderTrouble) -> String {
    format!(" ({trouble})")
}

fn phrase(key: &OrderKey, state: &OrderState) -> String {
    match state {
        OrderState::Intended => "being placed".into(),
        OrderState::Placed(_) => "placed, its subnet not yet delivered".into(),
        OrderState::Delivered(_) => "delivered, its addresses being checked".into(),
        OrderState::Ambiguous { .. } => {
            format!(
                "ambiguous: nothing is ordered until an operator settles it, see `berth order show {key}`"
            )
        }
        other => other.name().into(),
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}
