//! Looks after one load balancer: look, decide, do, look again. Level-triggered: nothing is remembered that the store
//! and the provider do not show, but for what is about waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::Service;
use ipam::Timestamp;
use provider::{BalancerChange, BalancerSeen, Balancers};
use services::{Known, Member, Seen, Step, Wanted, next, wanted};
use tokio_util::sync::CancellationToken;

use super::book::{BalancerRecord, Book, Term, key_of};
use super::error::OwnerError;
use super::members::{Members, Written};
use super::office::{Office, Standing, millis};
use super::{Followed, Parts, Timing};
use crate::troubles::with_causes;

/// Members come and go in bursts: one pass serves them all.
const BURST: Duration = Duration::from_millis(20);

/// How long a call may go on that is under way when this agent stops.
const GRACE: Duration = Duration::from_secs(5);

/// How long until the next pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// Until something changes.
    UntilChange,
    /// At most so long.
    AtMost(Duration),
    /// So long, whatever changes.
    Exactly(Duration),
}

pub(super) struct Keeper<B> {
    parts: Arc<Parts<B>>,
    followed: Followed,
    office: Office,
    members: Members,
    book: Book,
    /// Failures in a row.
    failures: u32,
    /// Looks in a row that found a change under way.
    polls: u32,
    /// Looks in a row that found all as it should be, but for a member that does not serve.
    unwell: u32,
    /// When to ask the provider again how the members are.
    health_due: Timestamp,
    /// What the last change did, while it is under way.
    doing: Option<String>,
}

/// What a pass of the owner goes by.
struct Look {
    term: Term,
    wanted: Wanted,
    members: BTreeMap<IpAddr, Written>,
    record: Option<BalancerRecord>,
    known: Known,
}

impl<B: Balancers> Keeper<B> {
    pub(super) fn new(name: &str, parts: Arc<Parts<B>>, followed: Followed) -> Self {
        let (store, host) = (Arc::clone(&parts.store), parts.host.clone());
        Self {
            office: Office::new(name, host.clone()),
            members: Members::new(Arc::clone(&store)),
            book: Book { store, name: name.to_owned(), host },
            parts,
            followed,
            failures: 0,
            polls: 0,
            unwell: 0,
            health_due: Timestamp(0),
            doing: None,
        }
    }

    /// Looks after it until `stop`. A call that is under way then is waited for a while: cut off, it is in doubt, and
    /// the next owner waits for it.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let cut_off = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::pin!(cut_off);
        while !stop.is_cancelled() {
            let outcome = tokio::select! {
                outcome = self.pass() => outcome,
                () = &mut cut_off => return,
            };
            let pause = match outcome {
                Ok(pause) => {
                    self.failures = 0;
                    pause
                }
                Err(error) => self.rest_after(&error).await,
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wait(pause) => {}
            }
        }
        self.office.resign(&self.parts).await;
    }

    async fn wait(&mut self, pause: Pause) {
        let Followed { declared, vigil, owners, living } = &mut self.followed;
        let something = async {
            tokio::select! {
                Ok(()) = declared.changed() => {}
                Ok(()) = vigil.changed() => {}
                Ok(()) = owners.changed() => {}
                Ok(()) = living.changed() => {}
                () = self.members.changed() => {}
            }
            tokio::time::sleep(BURST).await;
        };
        match pause {
            Pause::Exactly(span) => tokio::time::sleep(span).await,
            Pause::UntilChange => something.await,
            Pause::AtMost(span) => drop(tokio::time::timeout(span, something).await),
        }
    }

    async fn pass(&mut self) -> Result<Pause, OwnerError> {
        let look = match self.look().await? {
            Ok(look) => look,
            Err(pause) => return Ok(pause),
        };
        if look.has_nothing_of_ours() {
            if look.record.is_some() {
                self.book.tell(&look.term, None).await?;
            }
            return Ok(Pause::UntilChange);
        }
        let mut seen = self.see(&look).await?;
        let step = next(&look.wanted, &look.known, &seen, &self.parts.limits);
        // How members are is asked where there is nothing better to do.
        let step = match step {
            Step::Rest(_) if self.health_is_due(&look) => {
                seen.health = self.parts.provider.balancer_health(&self.book.name).await?;
                self.ask_again(seen.health.values().all(|up| *up));
                next(&look.wanted, &look.known, &seen, &self.parts.limits)
            }
            step => step,
        };
        self.take(step, &look, seen.balancer).await
    }

    /// What a pass goes by; or why there is nothing to do here.
    async fn look(&mut self) -> Result<Result<Look, Pause>, OwnerError> {
        let Some(declared) = self.followed.declared.borrow_and_update().clone() else {
            return Ok(Err(Pause::UntilChange));
        };
        let vigil = self.followed.vigil.borrow_and_update().clone();
        self.followed.owners.mark_unchanged();
        self.followed.living.mark_unchanged();
        let term = match self.office.stand(&self.parts, &self.followed).await? {
            Standing::Ours(term) => term,
            Standing::Anothers => {
                self.members.leave();
                return Ok(Err(Pause::UntilChange));
            }
            Standing::NotYet(span) => return Ok(Err(Pause::AtMost(span))),
        };
        let behind: Vec<&Service> = declared.values().filter(|it| self.is_behind(it)).collect();
        let names: BTreeSet<&str> = behind.iter().map(|service| service.name.as_str()).collect();
        let Some(written) = self.members.of(&names) else { return Ok(Err(Pause::UntilChange)) };
        let members: Vec<Vec<Member>> = behind
            .iter()
            .map(|service| {
                written.get(&service.name).into_iter().flatten().map(|it| it.member.clone()).collect()
            })
            .collect();
        let services: Vec<(&Service, &[Member])> =
            behind.iter().copied().zip(members.iter().map(Vec::as_slice)).collect();
        let wanted = wanted(&services, &vigil);
        let members = written.into_values().flatten().map(|it| (it.member.address, it)).collect();
        let (record, known) = self.book.read().await?;
        Ok(Ok(Look { term, wanted, members, record, known }))
    }

    fn is_behind(&self, service: &Service) -> bool {
        service.load_balancer.as_ref().is_some_and(|it| key_of(&it.name) == self.book.name)
    }

    /// What the provider shows.
    async fn see(&mut self, look: &Look) -> Result<Seen, OwnerError> {
        let looked = self.parts.clock.now();
        let balancer = self.parts.provider.balancer(&self.book.name).await?;
        let members = balancer.iter().flat_map(|balancer| &balancer.members).map(|member| member.address);
        let unknown: Vec<IpAddr> = members.filter(|it| !look.known.placed.contains_key(it)).collect();
        let subnets = if unknown.is_empty() { Vec::new() } else { self.book.subnets().await? };
        let is_ours = |address: &IpAddr| subnets.iter().any(|subnet| subnet.contains(*address));
        Ok(Seen {
            ours: unknown.into_iter().filter(is_ours).collect(),
            settled: looked >= self.office.settled(),
            health: BTreeMap::new(),
            balancer,
        })
    }

    fn health_is_due(&self, look: &Look) -> bool {
        !look.known.placed.is_empty() && self.health_due <= self.parts.clock.now()
    }

    /// Says when to ask again how the members are: soon, and then ever later, while one does not serve.
    fn ask_again(&mut self, all_serve: bool) {
        self.unwell = if all_serve { 0 } else { self.unwell + 1 };
        let idle = self.parts.timing.idle;
        let pause = if all_serve { idle } else { backoff(self.parts.timing.poll.0, self.unwell, idle) };
        self.health_due = self.parts.clock.now().after(millis(pause));
    }

    async fn take(
        &mut self,
        step: Step,
        look: &Look,
        balancer: Option<BalancerSeen>,
    ) -> Result<Pause, OwnerError> {
        let reached_at = balancer.and_then(|balancer| balancer.reached_at);
        if !matches!(step, Step::Wait(_)) {
            self.polls = 0;
        }
        match step {
            Step::Change(change) => {
                self.change(&look.term, &change).await?;
                self.doing = Some(change.to_string());
                self.health_due = Timestamp(0);
                Ok(Pause::AtMost(Duration::ZERO))
            }
            Step::Record(edits) => {
                self.book.write(&look.term, &edits, look.record.clone(), &look.members).await?;
                Ok(Pause::AtMost(Duration::ZERO))
            }
            Step::Wait(word) => {
                let pending = self.doing.as_ref().map_or(word.clone(), |doing| format!("{doing} ({word})"));
                self.tell(look, reached_at, Some(pending), Vec::new()).await?;
                self.polls += 1;
                let (first, most) = self.parts.timing.poll;
                Ok(Pause::AtMost(backoff(first, self.polls, most)))
            }
            Step::Rest(troubles) => {
                self.doing = None;
                self.tell(look, reached_at, None, troubles).await?;
                let idle = jittered(self.parts.timing.idle);
                Ok(Pause::AtMost(
                    self.until(self.office.settled()).min(self.until(self.health_due)).min(idle),
                ))
            }
        }
    }

    /// Makes one change, unless the store's word that this process is the owner is too old by now: whoever followed
    /// waits for calls that were sent within L of it, and for no others.
    async fn change(&mut self, term: &Term, change: &BalancerChange) -> Result<(), OwnerError> {
        let Timing { term_confirmed_for, call_max, .. } = self.parts.timing;
        if term.confirmed.after(millis(term_confirmed_for)) <= self.parts.clock.now() {
            return Err(OwnerError::Overtaken);
        }
        tracing::info!(balancer = self.book.name, "{change}");
        let call = self.parts.provider.change_balancer(&self.book.name, change);
        match tokio::time::timeout(call_max, call).await {
            Ok(done) => Ok(done?),
            Err(_) => {
                self.office.doubt(&self.parts);
                Err(OwnerError::Overtaken)
            }
        }
    }

    /// Writes what is new of it.
    async fn tell(
        &self,
        look: &Look,
        reached_at: Option<String>,
        pending: Option<String>,
        troubles: Vec<String>,
    ) -> Result<(), OwnerError> {
        let listeners = look.known.listeners.clone();
        let now = BalancerRecord { listeners, reached_at, pending, troubles };
        if look.record.as_ref() == Some(&now) {
            return Ok(());
        }
        for trouble in &now.troubles {
            tracing::warn!(balancer = self.book.name, "{trouble}");
        }
        self.book.tell(&look.term, Some(&now)).await
    }

    /// How long until a time that is still to come; for ever, if it is not.
    fn until(&self, due: Timestamp) -> Duration {
        match due.0.saturating_sub(self.parts.clock.now().0) {
            0 => Duration::MAX,
            left => Duration::from_millis(left),
        }
    }

    async fn rest_after(&mut self, error: &OwnerError) -> Pause {
        if error.is_in_doubt() {
            self.office.doubt(&self.parts);
        }
        self.failures += 1;
        let (first, most) = self.parts.timing.retry;
        if error.is_a_race() {
            return Pause::AtMost(jittered(first / 4));
        }
        let pause = jittered(backoff(first, self.failures - 1, most).max(error.rest()));
        let words = with_causes(error);
        tracing::warn!(balancer = self.book.name, error = words, again_in = ?pause, "cannot look after a load balancer");
        self.complain(words).await;
        if error.asks_for_rest() { Pause::Exactly(pause) } else { Pause::AtMost(pause) }
    }

    /// Tells whoever asks for the service. Where the store is what fails, nobody can be told.
    async fn complain(&mut self, words: String) {
        let Ok(Ok(look)) = self.look().await else { return };
        let known = look.record.clone().unwrap_or_default();
        if let Err(error) = self.tell(&look, known.reached_at, self.doing.clone(), vec![words]).await {
            tracing::debug!(%error, balancer = self.book.name, "cannot tell what is wrong with it");
        }
    }
}

impl Look {
    /// Whether no service is behind it, and nothing of ours is left there.
    fn has_nothing_of_ours(&self) -> bool {
        let Known { listeners, placed } = &self.known;
        self.wanted == Wanted::default() && listeners.is_empty() && placed.is_empty()
    }
}

/// Doubles with each time, up to a limit.
fn backoff(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(most)
}

/// Owners of many load balancers do not all ask at once.
fn jittered(span: Duration) -> Duration {
    span.mul_f64(rand::random_range(0.8..1.2))
}
