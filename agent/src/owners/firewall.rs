//! Looks after one firewall of the provider: look, decide, do, look again.
//!
//! A firewall may apply what it accepted minutes later, or never. So rules that were sent are awaited until a look shows
//! them, or until they can land no more; then they are sent again.

mod book;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::Service;
use ipam::Timestamp;
use provider::{Firewall, FirewallChange, FirewallRule, FirewallSeen, Firewalls};
use services::firewalling::{Edit, Placed, Seen, Wanted, next, wanted};
use services::{Member, Step};

use super::book::Term;
use super::error::OwnerError;
use super::members::Written;
use super::office::millis;
use super::post::Post;
use super::rounds::{Keeper, Pause};
use super::{Followed, Parts};
use book::{FirewallBook, OBJECT};
pub(crate) use book::{FirewallRecord, admitted, named, owner, record};

pub(super) struct FirewallKeeper<P> {
    post: Post<P>,
    book: FirewallBook,
    /// Rules that were sent and are not shown yet, and until when they may still be applied.
    sent: Option<(BTreeSet<FirewallRule>, Timestamp)>,
    /// What the last change did, while it is under way.
    doing: Option<String>,
}

/// What a pass of the owner goes by.
struct Look {
    term: Term,
    wanted: Wanted,
    members: BTreeMap<IpAddr, Written>,
    record: Option<FirewallRecord>,
    placed: Placed,
}

impl<P: Firewalls> FirewallKeeper<P> {
    pub(super) fn new(firewall: Firewall, parts: Arc<Parts<P>>, followed: Followed) -> Self {
        let lands_within = parts.timing.call_max + parts.timing.apply_max;
        let post = Post::new(format!("{OBJECT}{}", firewall.key()), lands_within, parts, followed);
        let book = FirewallBook { book: post.book(), firewall };
        Self { post, book, sent: None, doing: None }
    }

    /// What a pass goes by; or why there is nothing to do here.
    async fn look(&mut self) -> Result<Result<Look, Pause>, OwnerError> {
        let firewall = self.book.firewall.clone();
        let (term, behind) = match self.post.stand(|service| names(service).contains(&firewall)).await? {
            Ok(standing) => standing,
            Err(pause) => return Ok(Err(pause)),
        };
        let services: Vec<(&Service, &[Member])> =
            behind.services.iter().map(|(service, members)| (service, members.as_slice())).collect();
        let subnets = if services.is_empty() { Vec::new() } else { self.book.book.subnets().await? };
        let wanted = wanted(&firewall, &services, &subnets);
        let (record, placed) = self.book.read().await?;
        Ok(Ok(Look { term, wanted, members: behind.members, record, placed }))
    }

    /// What the provider shows.
    async fn see(&mut self, look: &Look) -> Result<Seen, OwnerError> {
        let looked = self.post.parts.clock.now();
        let (parts, interfaces) = (&self.post.parts, &look.wanted.interfaces);
        let firewall = parts.provider.firewall(&self.book.firewall, &parts.cluster, interfaces).await?;
        let shown = firewall.as_ref().map(|firewall| &firewall.ours);
        self.sent.take_if(|(rules, until)| shown == Some(rules) || looked > *until);
        self.post.landing = self.lands_until();
        let settled = self.post.is_settled(looked);
        Ok(Seen { firewall, awaited: self.sent.is_some(), settled })
    }

    async fn take(
        &mut self,
        step: Step<FirewallChange, Edit>,
        look: &Look,
        firewall: Option<&FirewallSeen>,
    ) -> Result<Pause, OwnerError> {
        if !matches!(step, Step::Wait(_)) {
            self.post.stop_polling();
        }
        match step {
            Step::Change(change) => {
                self.change(look, &change).await?;
                Ok(Pause::AtMost(Duration::ZERO))
            }
            Step::Record(edits) => {
                self.book.write(&look.term, &edits, &look.members).await?;
                Ok(Pause::AtMost(Duration::ZERO))
            }
            Step::Wait(word) => {
                let pending = self.doing.as_ref().map_or(word.clone(), |doing| format!("{doing} ({word})"));
                self.tell(look, firewall, Some(pending), Vec::new()).await?;
                Ok(self.post.poll())
            }
            Step::Rest(troubles) => {
                self.doing = None;
                self.tell(look, firewall, None, troubles).await?;
                Ok(Pause::AtMost(self.post.idle()))
            }
        }
    }

    async fn change(&mut self, look: &Look, change: &FirewallChange) -> Result<(), OwnerError> {
        tracing::info!(firewall = self.book.firewall.key(), "{change}");
        if let FirewallChange::SetRules(rules) = change {
            // Also where the answer is lost: sent again and again, it would be applied again and again.
            let until = self.post.parts.clock.now().after(millis(self.post.lands_within()));
            self.sent = Some((rules.clone(), until));
        }
        let parts = Arc::clone(&self.post.parts);
        let call = parts.provider.change_firewall(&self.book.firewall, &parts.cluster, change);
        let done = self.post.send(&look.term, call).await;
        match &done {
            Ok(()) => {
                self.doing = Some(change.to_string());
                let applied = parts.clock.now().after(millis(parts.timing.apply_max));
                self.sent.iter_mut().for_each(|(_, until)| *until = applied);
            }
            Err(error) if error.is_in_doubt() => {}
            Err(_) => self.sent = None,
        }
        self.post.landing = self.lands_until();
        done
    }

    /// Until when rules that were sent may still be applied.
    fn lands_until(&self) -> Timestamp {
        self.sent.as_ref().map_or(Timestamp(0), |(_, until)| *until)
    }

    /// Writes what is new of it.
    async fn tell(
        &self,
        look: &Look,
        firewall: Option<&FirewallSeen>,
        pending: Option<String>,
        troubles: Vec<String>,
    ) -> Result<(), OwnerError> {
        let rules = firewall.map_or(0, |firewall| firewall.ours.len());
        let now = FirewallRecord { rules: u32::try_from(rules).unwrap_or(u32::MAX), pending, troubles };
        self.write_down(look, &now).await
    }

    async fn write_down(&self, look: &Look, now: &FirewallRecord) -> Result<(), OwnerError> {
        if look.record.as_ref() == Some(now) {
            return Ok(());
        }
        for trouble in &now.troubles {
            tracing::warn!(firewall = self.book.firewall.key(), "{trouble}");
        }
        self.book.tell(&look.term, Some(now)).await
    }
}

impl<P: Firewalls> Keeper for FirewallKeeper<P> {
    type Provider = P;

    fn post(&mut self) -> &mut Post<P> {
        &mut self.post
    }

    async fn pass(&mut self) -> Result<Pause, OwnerError> {
        let look = match self.look().await? {
            Ok(look) => look,
            Err(pause) => return Ok(pause),
        };
        if look.record.is_none() && look.placed.is_empty() && !look.wanted.named {
            return Ok(Pause::UntilChange);
        }
        let seen = self.see(&look).await?;
        let step = next(&self.book.firewall, &look.wanted, &look.placed, &seen);
        if self.is_over(&look, &seen, &step) {
            self.book.tell(&look.term, None).await?;
            return Ok(Pause::UntilChange);
        }
        self.take(step, &look, seen.firewall.as_ref()).await
    }

    async fn complain(&mut self, words: String) {
        let Ok(Ok(look)) = self.look().await else { return };
        let known = look.record.clone().unwrap_or_default();
        let now = FirewallRecord { pending: self.doing.clone(), troubles: vec![words], ..known };
        if let Err(error) = self.write_down(&look, &now).await {
            tracing::debug!(%error, firewall = self.book.firewall.key(), "cannot tell what is wrong with it");
        }
    }
}

impl<P> FirewallKeeper<P> {
    /// Whether nobody names it, and nothing of ours is left there or can still land.
    fn is_over(&self, look: &Look, seen: &Seen, step: &Step<FirewallChange, Edit>) -> bool {
        let nothing_left = seen.firewall.as_ref().is_none_or(|it| it.ours.is_empty() && it.odd == 0);
        let rests = matches!(step, Step::Rest(troubles) if troubles.is_empty());
        rests && seen.settled && nothing_left && look.placed.is_empty() && !look.wanted.named
    }
}

/// The firewalls that a service names.
pub(crate) fn names(service: &Service) -> BTreeSet<Firewall> {
    let Some(outside) = &service.firewall else { return BTreeSet::new() };
    let zones = outside.zones.iter().map(|zone| Firewall::Zone(provider::ZoneId::new(zone.clone())));
    zones.chain(outside.security_groups.iter().cloned().map(Firewall::Group)).collect()
}
