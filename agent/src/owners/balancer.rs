//! Looks after one load balancer: look, decide, do, look again.

mod book;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::Service;
use ipam::Timestamp;
use provider::{BalancerChange, BalancerSeen, Balancers, MemberId};
use services::balancing::{Edit, Known, Seen, Wanted, next, wanted};
use services::{Member, Step};

use super::book::Term;
use super::error::OwnerError;
use super::members::Written;
use super::office::millis;
use super::post::Post;
use super::rounds::{Keeper, Pause, backoff};
use super::{Followed, Parts, Timing};
use book::{BalancerBook, OBJECT};
pub(crate) use book::{BalancerRecord, key_of, known, named, owner, record};

pub(super) struct BalancerKeeper<P> {
    post: Post<P>,
    book: BalancerBook,
    /// Looks in a row that found all as it should be, but for a member that does not serve.
    unwell: u32,
    /// When to ask the provider again how the members are.
    health_due: Timestamp,
    /// What the last change did, while it is under way.
    doing: Option<String>,
    /// The members of the last change that was accepted, where nobody says when it is in force. That it was accepted says
    /// that the one before is.
    unproven: BTreeSet<IpAddr>,
}

/// What a pass of the owner goes by.
struct Look {
    term: Term,
    wanted: Wanted,
    members: BTreeMap<IpAddr, Written>,
    record: Option<BalancerRecord>,
    known: Known,
}

impl<P: Balancers> BalancerKeeper<P> {
    pub(super) fn new(name: &str, parts: Arc<Parts<P>>, followed: Followed) -> Self {
        let Timing { call_max, unsaid_max, .. } = parts.timing;
        let says = parts.provider.says_when_in_force(name);
        let lands_within = if says { call_max } else { call_max + unsaid_max };
        let post = Post::new(format!("{OBJECT}{name}"), lands_within, parts, followed);
        let book = BalancerBook { book: post.book(), name: name.to_owned() };
        Self { post, book, unwell: 0, health_due: Timestamp(0), doing: None, unproven: BTreeSet::new() }
    }

    /// What a pass goes by; or why there is nothing to do here.
    async fn look(&mut self) -> Result<Result<Look, Pause>, OwnerError> {
        let name = self.book.name.clone();
        let is_behind =
            |service: &Service| service.load_balancer.as_ref().is_some_and(|it| key_of(&it.name) == name);
        let vigil = self.post.vigil();
        let (term, behind) = match self.post.stand(is_behind).await? {
            Ok(standing) => standing,
            Err(pause) => return Ok(Err(pause)),
        };
        let services: Vec<(&Service, &[Member])> =
            behind.services.iter().map(|(service, members)| (service, members.as_slice())).collect();
        let wanted = wanted(&services, &vigil);
        let (record, known) = self.book.read().await?;
        Ok(Ok(Look { term, wanted, members: behind.members, record, known }))
    }

    /// What the provider shows.
    async fn see(&mut self, look: &Look) -> Result<Seen, OwnerError> {
        let looked = self.post.parts.clock.now();
        let balancer = self.post.parts.provider.balancer(&self.book.name).await?;
        if looked >= self.post.landing {
            self.unproven.clear();
        }
        let members = balancer.iter().flat_map(|balancer| &balancer.members).map(|member| member.address);
        let unknown: Vec<IpAddr> = members.filter(|it| !look.known.placed.contains_key(it)).collect();
        let subnets = if unknown.is_empty() { Vec::new() } else { self.book.book.subnets().await? };
        let is_ours = |address: &IpAddr| subnets.iter().any(|subnet| subnet.contains(*address));
        Ok(Seen {
            ours: unknown.into_iter().filter(is_ours).collect(),
            settled: self.post.is_settled(looked),
            unproven: self.unproven.clone(),
            health: BTreeMap::new(),
            balancer,
        })
    }

    fn health_is_due(&self, look: &Look) -> bool {
        !look.known.placed.is_empty() && self.health_due <= self.post.parts.clock.now()
    }

    /// Says when to ask again how the members are: soon, and then ever later, while one does not serve.
    fn ask_again(&mut self, all_serve: bool) {
        self.unwell = if all_serve { 0 } else { self.unwell + 1 };
        let timing = &self.post.parts.timing;
        let pause = if all_serve { timing.idle } else { backoff(timing.poll.0, self.unwell, timing.idle) };
        self.health_due = self.post.parts.clock.now().after(millis(pause));
    }

    async fn take(
        &mut self,
        step: Step<BalancerChange, Edit>,
        look: &Look,
        balancer: Option<BalancerSeen>,
    ) -> Result<Pause, OwnerError> {
        let reached_at = balancer.as_ref().and_then(|balancer| balancer.reached_at.clone());
        if !matches!(step, Step::Wait(_)) {
            self.post.stop_polling();
        }
        match step {
            Step::Change(change) => {
                tracing::info!(balancer = self.book.name, "{change}");
                let parts = Arc::clone(&self.post.parts);
                let call = parts.provider.change_balancer(&self.book.name, &change);
                let done = self.post.send(&look.term, call).await;
                self.remember_unproven(&change, balancer.as_ref(), &done);
                done?;
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
                Ok(self.post.poll())
            }
            Step::Rest(troubles) => {
                self.doing = None;
                self.tell(look, reached_at, None, troubles).await?;
                let due = self.post.until(self.health_due).min(self.post.until(self.post.landing));
                Ok(Pause::AtMost(self.post.idle().min(due)))
            }
        }
    }

    /// Remembers whom a change is about, where a look will show it before it is in force. One that was accepted says
    /// that the one before is in force; one that nobody answered says nothing of it.
    fn remember_unproven(
        &mut self,
        change: &BalancerChange,
        balancer: Option<&BalancerSeen>,
        done: &Result<(), OwnerError>,
    ) {
        if self.post.parts.provider.says_when_in_force(&self.book.name) {
            return;
        }
        match done {
            Ok(()) => self.unproven.clear(),
            Err(error) if error.is_in_doubt() => {}
            Err(_) => return,
        }
        let members = || balancer.into_iter().flat_map(|balancer| &balancer.members);
        let named = |ids: &[&MemberId]| -> Vec<IpAddr> {
            members().filter(|member| ids.contains(&&member.id)).map(|member| member.address).collect()
        };
        self.unproven.extend(match change {
            BalancerChange::AddMembers { members, .. } => members.keys().copied().collect(),
            BalancerChange::WeighMembers(list) => named(&list.iter().map(|(id, _)| id).collect::<Vec<_>>()),
            BalancerChange::RemoveMembers(ids) => named(&ids.iter().collect::<Vec<_>>()),
            _ => Vec::new(),
        });
        self.post.landing = self.post.parts.clock.now().after(millis(self.post.parts.timing.unsaid_max));
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
}

impl<P: Balancers> Keeper for BalancerKeeper<P> {
    type Provider = P;

    fn post(&mut self) -> &mut Post<P> {
        &mut self.post
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
        let limits = self.post.parts.limits.clone();
        let step = next(&look.wanted, &look.known, &seen, &limits);
        // How members are is asked where there is nothing better to do.
        let step = match step {
            Step::Rest(_) if self.health_is_due(&look) => {
                seen.health = self.post.parts.provider.balancer_health(&self.book.name).await?;
                self.ask_again(seen.health.values().all(|up| *up));
                next(&look.wanted, &look.known, &seen, &limits)
            }
            step => step,
        };
        self.take(step, &look, seen.balancer).await
    }

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
