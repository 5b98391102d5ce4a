//! One pass of the role: look, decide, act.

use std::{collections::BTreeMap, time::Duration};

use ipam::role::{Evictions, Patience, Quarantines};
use ipam::{PoolName, Timestamp};
use provider::{Provider, ZoneId};
use tokio::sync::watch;
use tracing::warn;
use uuid::Uuid;

use crate::tenure::{Silence, Writer};

use super::{
    CapacityStatus, Parts, Timing,
    decide::{Action, Need, decide, has_passed, millis, need},
    look,
    record::OrderKey,
    rest::Rest,
    status::{self, Told},
    surprise::surprises,
    term::Term,
    trouble::Trouble,
    view::{At, Before, View},
};

/// The role as one agent plays it. It owns nothing that matters: a new one on the same store goes on where this one
/// stopped.
pub struct Role<P> {
    pub(super) parts: Parts<P>,
    pub(super) me: Writer,
    /// The cluster's record as it was read last: every write compares that it stands.
    pub(super) cluster: Vec<u8>,
    /// Since when this process has the role.
    pub(super) since: Option<Timestamp>,
    /// When orders were sent by this process.
    pub(super) sent: BTreeMap<OrderKey, Timestamp>,
    before: Before,
    failures: BTreeMap<OrderKey, u32>,
    order_failures: BTreeMap<PoolName, u32>,
    pass_failures: u32,
    /// After a failure: no look before this is over, whoever nudges.
    rest: Option<Rest>,
    cloud_seen: Option<(Timestamp, Vec<provider::CloudSubnet>)>,
    /// Another owner whose session is absent.
    pub(super) silent_owner: Silence,
    pub(super) evictions: Evictions,
    pub(super) quarantines: Quarantines,
    /// Something was done that calls for another look at once.
    pub(super) look_again: bool,
    told: Told,
    status: watch::Sender<CapacityStatus>,
}

impl<P: Provider> Role<P> {
    /// A role that tells its status to `status`.
    pub fn new(parts: Parts<P>, status: watch::Sender<CapacityStatus>) -> Self {
        let process = Uuid::new_v4().to_string();
        let me = Writer { host: parts.host.clone(), incarnation: ipam::Incarnation(0), process };
        let (evictions, quarantines) = watchers(&parts.timing);
        Self {
            parts,
            me,
            cluster: Vec::new(),
            since: None,
            sent: BTreeMap::new(),
            before: Before::default(),
            failures: BTreeMap::new(),
            order_failures: BTreeMap::new(),
            pass_failures: 0,
            rest: None,
            cloud_seen: None,
            silent_owner: Silence::default(),
            evictions,
            quarantines,
            look_again: false,
            told: Told::default(),
            status,
        }
    }

    /// Looks once, does what that calls for, and answers how long to wait before the next look.
    pub async fn pass(&mut self) -> Duration {
        let now = self.parts.clock.now();
        if let Some(rest) = self.rest.filter(|rest| !rest.is_over(now)) {
            self.care_while_the_cloud_rests(now).await;
            return self.wake_before(rest.end());
        }
        match self.try_pass().await {
            Ok(pause) => {
                self.pass_failures = 0;
                self.rest = None;
                pause
            }
            Err(trouble) => {
                self.pass_failures += 1;
                let now = self.parts.clock.now();
                let rest = Rest::after(now, &trouble, self.pass_failures, &self.parts.timing);
                warn!(zone = %self.parts.zone, error = %status::chain(&trouble), "the capacity role could not look");
                self.told.trouble(&trouble, self.wall(), rest.left(now));
                self.publish(None);
                self.rest = Some(rest);
                self.wake_before(rest.end())
            }
        }
    }

    /// After a failure the cloud is given its rest. Hosts and quarantines have a pace of their own.
    async fn care_while_the_cloud_rests(&mut self, now: Timestamp) {
        let is_due = self.next_care().is_some_and(|due| due <= now);
        if !is_due && !std::mem::take(&mut self.look_again) {
            return;
        }
        // What keeps the store from answering is told by the pass that failed, and by the next one.
        if let Ok(Ok((term, view))) = self.store_look().await {
            self.care_for_hosts(&term, &view).await;
            self.end_quarantines(&term, &view).await;
            self.publish(None);
        }
    }

    /// When a host or a quarantine is to be looked at next.
    fn next_care(&self) -> Option<Timestamp> {
        [self.evictions.due(), self.quarantines.due()].into_iter().flatten().min()
    }

    /// How long to sleep where the cloud rests until then.
    fn wake_before(&self, until: Timestamp) -> Duration {
        let now = self.parts.clock.now();
        let soon = self.look_again.then(|| now.after(millis(SOON)));
        let due = self.next_care().map(|due| due.max(now.after(millis(self.parts.timing.retry_first))));
        let wake = soon.or(due).unwrap_or(until).min(until);
        Duration::from_millis(wake.0.saturating_sub(now.0))
    }

    async fn try_pass(&mut self) -> Result<Duration, Trouble> {
        let (term, mut view) = match self.store_look().await? {
            Ok(found) => found,
            Err(why) => {
                self.told.role(&why);
                self.told.surprises(Vec::new());
                self.publish(None);
                return Ok(self.parts.timing.retry_first);
            }
        };
        self.told.role("here");
        self.keep_in_order(&term, &view).await;
        // Before the cloud is asked for subnets: what an operator evicted is swept while it is away, too.
        self.care_for_hosts(&term, &view).await;
        self.end_quarantines(&term, &view).await;
        // What was open before the store was lost must not look as if it never was.
        if !self.open_anew(&term, &view).await? {
            self.publish(Some(&view));
            return Ok(SOON);
        }
        if !self.is_quiet(&view) {
            let cloud = self.cloud(view.now).await?;
            let (open, booked) = view.in_the_book(&self.parts.zone);
            self.told.surprises(surprises(&self.parts.tags, &self.parts.zone, &open, &booked, &cloud));
            view.cloud = Some(cloud);
        }
        let decision = decide(&view, &self.before, &self.parts.zone, &self.parts.timing);
        self.before = decision.before;
        for action in &decision.actions {
            self.carry_out(&term, &view, action).await;
        }
        // What was done shows in the next look; what stands now is told at once. Of hosts nothing was changed that is
        // told.
        let view = look::store(&self.parts, view.hosts).await?;
        self.publish(Some(&view));
        Ok(self.next_look(&view))
    }

    /// What needs no word of the cloud, and waits for the next look where it does not succeed.
    async fn keep_in_order(&self, term: &Term, view: &View) {
        let tasks = [
            ("a pool's policy", self.write_policies(term, view).await),
            ("what is excluded", self.exclude(term, view).await),
            ("wants of the dead", self.sweep_wants(term, view).await),
        ];
        for (what, outcome) in tasks {
            if let Err(trouble) = outcome {
                warn!(zone = %self.parts.zone, error = %status::chain(&trouble), "{what} could not be written");
            }
        }
    }

    /// Carries out one action. What fails is told, and tried again later; the others go on.
    async fn carry_out(&mut self, term: &Term, view: &View, action: &Action) {
        let outcome = self.act(term, view, action).await;
        let now = self.parts.clock.now();
        match (action, outcome) {
            (Action::Adopt { .. }, Ok(())) => (),
            (Action::Order { pool, .. }, Ok(())) => {
                self.order_failures.remove(pool);
                self.told.pool_recovered(pool);
            }
            (Action::Adopt { pool, .. } | Action::Order { pool, .. }, Err(trouble)) => {
                let count = self.order_failures.entry(pool.clone()).or_default();
                *count += 1;
                let count = *count;
                let rest = Rest::after(now, &trouble, count, &self.parts.timing);
                self.before.order_not_before.insert(pool.clone(), rest);
                warn!(%pool, error = %status::chain(&trouble), "cannot get a subnet");
                self.told.pool_trouble(pool, &trouble, self.wall(), rest.left(now));
            }
            (Action::Poll(key) | Action::Seek(key), Ok(())) => {
                self.failures.remove(key);
                self.told.order_recovered(key);
                let next = now.after(millis(self.parts.timing.order_poll));
                self.before.step_not_before.insert(key.clone(), Rest::until(next));
            }
            (
                Action::Open(key)
                | Action::Drain(key)
                | Action::BeginReturn(key)
                | Action::Return(key)
                | Action::Withhold(key)
                | Action::Restore(key),
                Ok(()),
            ) => {
                self.failures.remove(key);
                self.told.order_recovered(key);
            }
            (
                Action::Poll(key)
                | Action::Seek(key)
                | Action::Open(key)
                | Action::Drain(key)
                | Action::BeginReturn(key)
                | Action::Return(key)
                | Action::Withhold(key)
                | Action::Restore(key),
                Err(trouble),
            ) => {
                let count = self.failures.entry(key.clone()).or_default();
                *count += 1;
                let count = *count;
                let rest = Rest::after(now, &trouble, count, &self.parts.timing);
                self.before.step_not_before.insert(key.clone(), rest);
                warn!(order = %key, error = %status::chain(&trouble), "an order does not go on");
                self.told.order_trouble(key, &trouble, self.wall(), rest.left(now));
            }
        }
    }

    /// What the cloud shows. Nudges come often: they are answered from the last look, as long as two looks that must
    /// agree are two answers of the cloud.
    async fn cloud(&mut self, now: Timestamp) -> Result<Vec<provider::CloudSubnet>, Trouble> {
        if let Some((seen, subnets)) = &self.cloud_seen
            && !has_passed(now, *seen, self.parts.timing.second_look / 2)
        {
            return Ok(subnets.clone());
        }
        let subnets = self.parts.provider.subnets(&self.parts.zone).await?;
        self.cloud_seen = Some((now, subnets.clone()));
        self.told.answered();
        Ok(subnets)
    }

    /// Whether nothing is to be done and the cloud was looked at not long ago.
    fn is_quiet(&self, view: &View) -> bool {
        let recent = |(seen, _): &(Timestamp, _)| !has_passed(view.now, *seen, self.parts.timing.idle);
        let content = |policy| matches!(need(view, policy), Need::Nothing | Need::Limit);
        self.cloud_seen.as_ref().is_some_and(recent)
            && view.pools.iter().all(content)
            && !view.orders.values().any(|at| at.value.order.is_in_flight())
    }

    fn next_look(&mut self, view: &View) -> Duration {
        if std::mem::take(&mut self.look_again) {
            return SOON;
        }
        let timing = &self.parts.timing;
        let mut pause = timing.idle;
        for due in [self.evictions.due(), self.quarantines.due()].into_iter().flatten() {
            pause = pause.min(Duration::from_millis(due.0.saturating_sub(view.now.0)).max(SOON));
        }
        if !self.before.short.is_empty() {
            pause = pause.min(timing.second_look);
        }
        let has_step = |at: &At<super::OrderRecord>| {
            use provider::order::OrderState as S;
            !matches!(
                at.value.order.state,
                S::Open(_) | S::Returned(_) | S::Failed { .. } | S::Ambiguous { .. } | S::Draining(_)
            )
        };
        for at in view.orders.values().filter(|at| has_step(at)) {
            let rest = self.before.step_not_before.get(&at.value.key());
            pause = pause.min(rest.map_or(SOON, |rest| rest.left(view.now).max(SOON)));
        }
        pause
    }

    /// Somebody was refused what an order could serve: what rests after a failure is tried as soon as the provider
    /// allows. What it failed of may have been mended since.
    pub(super) fn demanded(&mut self) {
        let Before { order_not_before, step_not_before, .. } = &mut self.before;
        let rests =
            self.rest.iter_mut().chain(order_not_before.values_mut()).chain(step_not_before.values_mut());
        rests.for_each(Rest::cut_short);
    }

    /// Forgets the pauses after failures: something was mended.
    pub(super) fn look_at_once(&mut self, order: &OrderKey, pool: &PoolName) {
        self.rest = None;
        self.before.step_not_before.remove(order);
        self.before.order_not_before.remove(pool);
    }

    /// Forgets the pause after a failed look: what is to be done now need not wait for what failed.
    pub(super) fn look_soon(&mut self) {
        self.rest = None;
    }

    pub(super) fn wall(&self) -> jiff::Timestamp {
        self.parts.clock.wall()
    }

    /// The time of day as the provider has it, where it tells: an order is looked for by it, and this host's clock
    /// may be hours off.
    pub(super) fn provider_time(&self) -> jiff::Timestamp {
        let ahead = self.parts.provider.clock_ahead().unwrap_or_default();
        self.wall().checked_add(ahead).unwrap_or_else(|_| self.wall())
    }

    pub(super) fn zone(&self) -> &ZoneId {
        &self.parts.zone
    }

    /// A new owner of the role waits anew, and a former one that gets it again is a new one.
    pub(super) fn watch_anew(&mut self) {
        (self.evictions, self.quarantines) = watchers(&self.parts.timing);
    }

    /// The time of day at a time of the boot-time clock.
    pub(super) fn wall_at(&self, time: Timestamp) -> jiff::Timestamp {
        let (now, wall) = (self.parts.clock.now().0, self.wall());
        let later = Duration::from_millis(time.0.saturating_sub(now));
        let earlier = Duration::from_millis(now.saturating_sub(time.0));
        wall.checked_add(later).and_then(|wall| wall.checked_sub(earlier)).unwrap_or(wall)
    }

    fn publish(&mut self, view: Option<&View>) {
        let mut status = self.told.status(&self.parts.zone, view);
        status.quarantine = self.quarantine_lines();
        status.silent_hosts = self.silent_hosts();
        self.status.send_if_modified(|told| {
            let changed = *told != status;
            *told = status;
            changed
        });
    }
}

/// Between a look that had something done and the next one.
const SOON: Duration = Duration::from_millis(50);

fn watchers(timing: &Timing) -> (Evictions, Quarantines) {
    let patience = Patience {
        staleness_millis: millis(timing.staleness_max),
        pause_millis: millis(timing.witness_pause),
    };
    (Evictions::new(patience), Quarantines::new(millis(timing.quarantine)))
}
