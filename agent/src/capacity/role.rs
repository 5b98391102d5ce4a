//! Who has the role, and one pass of it: look, decide, act.

use std::{collections::BTreeMap, time::Duration};

use ipam::{ClusterState, Timestamp};
use provider::{Provider, ProviderError, Recourse, ZoneId};
use store::{
    Commit, Key, Revision, StoreError, Transaction,
    layout::{self, Item, ValueError},
};
use tokio::sync::watch;
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    CapacityStatus, Parts, ProbeError, SettleError, Settlement,
    decide::{Action, Need, decide, has_passed, millis, need},
    look,
    record::{OrderKey, OwnerRecord, Writer, owner_key},
    status::{self, Told},
    view::{At, Before, View},
};

/// The role as one agent plays it. It owns nothing that matters: a new one on the same store goes on where this one
/// stopped.
pub struct Role<P> {
    pub(super) parts: Parts<P>,
    pub(super) me: Writer,
    /// Since when this process has the role.
    pub(super) since: Option<Timestamp>,
    /// When orders were sent by this process.
    pub(super) sent: BTreeMap<OrderKey, Timestamp>,
    before: Before,
    failures: BTreeMap<OrderKey, u32>,
    order_failures: BTreeMap<ipam::PoolName, u32>,
    pass_failures: u32,
    /// After a failure: no look before this time, whoever nudges.
    rest_until: Option<Timestamp>,
    cloud_seen: Option<(Timestamp, Vec<provider::CloudSubnet>)>,
    /// Another owner whose session is absent, and since when we have seen it so.
    silent_owner: Option<(OwnerRecord, Timestamp)>,
    told: Told,
    status: watch::Sender<CapacityStatus>,
}

/// The store's confirmation that this process has the role; every write compares it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    owner: Revision,
    cluster: Revision,
    confirmed: Timestamp,
}

/// What keeps a step from succeeding.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("the capacity of the zone cannot be looked after without the store")]
    Store(#[from] StoreError),
    #[error("the capacity of the zone cannot be looked after")]
    Value(#[from] ValueError),
    #[error("a subnet cannot be opened before its addresses were probed")]
    Probe(#[from] ProbeError),
    #[error("somebody else wrote in between")]
    Overtaken,
    #[error("{0}")]
    Waiting(String),
    #[error("{reason}")]
    Operator { reason: String, hint: String },
}

impl Trouble {
    /// How long to wait at least, and what a person can do.
    pub(super) fn advice(&self) -> (Duration, Option<String>) {
        match self {
            Self::Provider(error) => match error.recourse() {
                Recourse::RetryAfter(time) => (time, None),
                Recourse::LookAgain => (Duration::ZERO, None),
                Recourse::AskOperator(hint) => (Duration::from_secs(60), Some(hint)),
            },
            Self::Operator { hint, .. } => (Duration::from_secs(60), Some(hint.clone())),
            Self::Store(_) | Self::Value(_) | Self::Probe(_) | Self::Overtaken | Self::Waiting(_) => {
                (Duration::ZERO, None)
            }
        }
    }
}

/// Whether this process has the role.
enum Claim {
    Ours(Term),
    Anothers(String),
}

impl<P: Provider> Role<P> {
    /// A role that tells its status to `status`.
    pub fn new(parts: Parts<P>, status: watch::Sender<CapacityStatus>) -> Self {
        let process = Uuid::new_v4().to_string();
        let me = Writer { host: parts.host.clone(), incarnation: ipam::Incarnation(0), process };
        Self {
            parts,
            me,
            since: None,
            sent: BTreeMap::new(),
            before: Before::default(),
            failures: BTreeMap::new(),
            order_failures: BTreeMap::new(),
            pass_failures: 0,
            rest_until: None,
            cloud_seen: None,
            silent_owner: None,
            told: Told::default(),
            status,
        }
    }

    /// Looks once, does what that calls for, and answers how long to wait before the next look.
    pub async fn pass(&mut self) -> Duration {
        let now = self.parts.clock.now();
        if let Some(until) = self.rest_until.filter(|until| *until > now) {
            return Duration::from_millis(until.0 - now.0);
        }
        match self.try_pass().await {
            Ok(pause) => {
                self.pass_failures = 0;
                self.rest_until = None;
                pause
            }
            Err(trouble) => {
                self.pass_failures += 1;
                let pause = self.pause_after(&trouble, self.pass_failures);
                warn!(zone = %self.parts.zone, error = %status::chain(&trouble), "the capacity role could not look");
                self.told.trouble(&trouble, self.wall(), pause);
                self.publish(None);
                self.rest_until = Some(self.parts.clock.now().after(millis(pause)));
                pause
            }
        }
    }

    /// Takes the operator's word on an order.
    ///
    /// # Errors
    /// When there is no such order, its state does not allow it, or the word could not be written down.
    pub async fn settle(&mut self, key: OrderKey, settlement: Settlement) -> Result<(), SettleError> {
        let not_written = |source| SettleError::NotWritten { key: key.clone(), source };
        let (term, view) = match self.store_look().await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => return Err(not_written(None)),
            Err(Trouble::Store(source)) => return Err(not_written(Some(source))),
            Err(_) => return Err(not_written(None)),
        };
        let Some(at) = view.orders.get(&key) else { return Err(SettleError::Unknown(key)) };
        let word = self.take_word(&term, &view, at, settlement).await;
        self.rest_until = None;
        self.before.step_not_before.remove(&key);
        self.before.order_not_before.remove(&at.value.pool);
        match word {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(SettleError::Refused { key, source }),
            Err(Trouble::Store(source)) => Err(not_written(Some(source))),
            Err(_) => Err(not_written(None)),
        }
    }

    async fn try_pass(&mut self) -> Result<Duration, Trouble> {
        let (term, mut view) = match self.store_look().await? {
            Ok(found) => found,
            Err(why) => {
                self.told.role(&why);
                self.publish(None);
                return Ok(self.parts.timing.retry_first);
            }
        };
        self.told.role("here");
        if !self.is_quiet(&view) {
            view.cloud = self.cloud(view.now).await?;
        }
        let decision = decide(&view, &self.before, &self.parts.zone, &self.parts.timing);
        self.before = decision.before;
        for action in &decision.actions {
            self.carry_out(&term, &view, action).await;
        }
        // What was done shows in the next look; what stands now is told at once.
        let view = look::store(&self.parts, view.hosts).await?;
        self.publish(Some(&view));
        Ok(self.next_look(&view))
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
                let pause = self.pause_after(&trouble, count);
                self.before.order_not_before.insert(pool.clone(), now.after(millis(pause)));
                warn!(%pool, error = %status::chain(&trouble), "cannot get a subnet");
                self.told.pool_trouble(pool, &trouble, self.wall(), pause);
            }
            (Action::Poll(key) | Action::Seek(key), Ok(())) => {
                self.failures.remove(key);
                self.told.order_recovered(key);
                self.before
                    .step_not_before
                    .insert(key.clone(), now.after(millis(self.parts.timing.order_poll)));
            }
            (
                Action::Open(key) | Action::Drain(key) | Action::BeginReturn(key) | Action::Return(key),
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
                | Action::Return(key),
                Err(trouble),
            ) => {
                let count = self.failures.entry(key.clone()).or_default();
                *count += 1;
                let count = *count;
                let pause = self.pause_after(&trouble, count);
                self.before.step_not_before.insert(key.clone(), now.after(millis(pause)));
                warn!(order = %key, error = %status::chain(&trouble), "an order does not go on");
                self.told.order_trouble(key, &trouble, self.wall(), pause);
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

    fn next_look(&self, view: &View) -> Duration {
        let timing = &self.parts.timing;
        let mut pause = timing.idle;
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
            let due = self.before.step_not_before.get(&at.value.key()).copied().unwrap_or(view.now);
            pause = pause
                .min(Duration::from_millis(due.0.saturating_sub(view.now.0)).max(Duration::from_millis(50)));
        }
        pause
    }

    /// Grows with each failure, within what the provider asked for and the longest that we wait.
    fn pause_after(&self, trouble: &Trouble, failures: u32) -> Duration {
        let timing = &self.parts.timing;
        let backoff = timing.retry_first.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let (asked, _) = trouble.advice();
        backoff.max(asked).min(timing.retry_max.max(asked))
    }

    /// The term and a look at the store; or why there is nothing to do here.
    pub(super) async fn store_look(&mut self) -> Result<Result<(Term, View), String>, Trouble> {
        let store = self.parts.store.clone();
        let hosts = look::hosts(&*store).await?;
        let Some(incarnation) = hosts.get(&self.parts.host) else {
            return Ok(Err("waiting for this host to register its boot".to_owned()));
        };
        self.me.incarnation = *incarnation;
        let Some(cluster) = look::cluster(&*store).await? else {
            return Ok(Err("waiting for the cluster to be founded".to_owned()));
        };
        if cluster.value.state == ClusterState::Frozen {
            return Ok(Err("the cluster is frozen: `berth store rebuild` is needed".to_owned()));
        }
        match self.claim(cluster.revision).await? {
            Claim::Anothers(host) => Ok(Err(format!("on host {host}"))),
            Claim::Ours(term) => {
                let view = look::store(&self.parts, hosts).await?;
                Ok(Ok((term, view)))
            }
        }
    }

    async fn claim(&mut self, cluster: Revision) -> Result<Claim, Trouble> {
        let key = owner_key(&self.parts.zone);
        let asked = self.parts.clock.now();
        let entry = self.parts.store.get(&key).await?.entry;
        let standing = entry.as_ref().map(look::read::<OwnerRecord>).transpose()?;
        let term = match &standing {
            Some(At { value, revision }) if value.owner == self.me => {
                self.silent_owner = None;
                return Ok(Claim::Ours(Term { owner: *revision, cluster, confirmed: asked }));
            }
            // A former process of this host: it is dead, or this one could not have opened the journals.
            Some(At { value, .. }) if value.owner.host == self.me.host => value.term + 1,
            Some(At { value, .. }) if !self.may_follow(value).await? => {
                return Ok(Claim::Anothers(value.owner.host.to_string()));
            }
            Some(At { value, .. }) => value.term + 1,
            None => 1,
        };
        let record = OwnerRecord { owner: self.me.clone(), term };
        let transaction = compared(Transaction::new(), key.clone(), look::revision_of(entry.as_ref()));
        let value = layout::encode(&key, &record)?;
        match self.parts.store.commit(transaction.put(key, value)).await? {
            Commit::Done { revision } => {
                info!(zone = %self.parts.zone, term, "this agent looks after the zone's capacity");
                self.since = Some(self.parts.clock.now());
                Ok(Claim::Ours(Term { owner: revision, cluster, confirmed: asked }))
            }
            Commit::Conflict { .. } => Err(Trouble::Overtaken),
        }
    }

    /// Whether another host's role may be taken: its session was seen absent for so long that no call of its can still
    /// be under way.
    async fn may_follow(&mut self, owner: &OwnerRecord) -> Result<bool, Trouble> {
        let session = Item::Session(owner.owner.host.to_string()).key();
        if self.parts.store.get(&session).await?.entry.is_some() {
            self.silent_owner = None;
            return Ok(false);
        }
        let now = self.parts.clock.now();
        let since = match &self.silent_owner {
            Some((known, since)) if known == owner => *since,
            _ => {
                self.silent_owner = Some((owner.clone(), now));
                now
            }
        };
        let timing = &self.parts.timing;
        Ok(has_passed(now, since, timing.term_confirmed_for + timing.call_max))
    }

    /// Commits, if this process still has the role.
    pub(super) async fn commit(&self, term: &Term, transaction: Transaction) -> Result<Revision, Trouble> {
        let transaction = transaction
            .unchanged(owner_key(&self.parts.zone), term.owner)
            .unchanged(Item::Cluster.key(), term.cluster);
        match self.parts.store.commit(transaction).await? {
            Commit::Done { revision } => Ok(revision),
            Commit::Conflict { .. } => Err(Trouble::Overtaken),
        }
    }

    /// The term as a commit that begins now will have confirmed it.
    pub(super) fn confirming(&self, term: &Term) -> Term {
        Term { confirmed: self.parts.clock.now(), ..*term }
    }

    /// Refuses to go to the provider on a confirmation of the role that is too old.
    pub(super) fn check_term(&self, term: &Term) -> Result<(), Trouble> {
        if has_passed(self.parts.clock.now(), term.confirmed, self.parts.timing.term_confirmed_for) {
            return Err(Trouble::Waiting(
                "the role must be confirmed again before the provider is called".to_owned(),
            ));
        }
        Ok(())
    }

    pub(super) fn wall(&self) -> jiff::Timestamp {
        self.parts.clock.wall()
    }

    pub(super) fn zone(&self) -> &ZoneId {
        &self.parts.zone
    }

    fn publish(&mut self, view: Option<&View>) {
        let status = self.told.status(&self.parts.zone, view);
        self.status.send_if_modified(|told| {
            let changed = *told != status;
            *told = status;
            changed
        });
    }
}

/// Adds the compare that an entry is as it was read: there, or not there.
pub(super) fn compared(transaction: Transaction, key: Key, revision: Option<Revision>) -> Transaction {
    match revision {
        Some(revision) => transaction.unchanged(key, revision),
        None => transaction.absent(key),
    }
}
