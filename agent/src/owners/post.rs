//! What every keeper has: its object's place among the agents, who is in the services that name the object, and when
//! to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::Service;
use ipam::Timestamp;
use provider::ProviderError;

use super::book::{Book, Term};
use super::error::OwnerError;
use super::members::{Members, Written};
use super::office::{Office, Standing, millis};
use super::rounds::{Pause, backoff, jittered};
use super::{Followed, Parts, Timing};

pub(super) struct Post<P> {
    pub(super) parts: Arc<Parts<P>>,
    followed: Followed,
    office: Office,
    members: Members,
    /// Looks in a row that found a change under way.
    polls: u32,
    /// Until when what the provider accepted may come into force, if no look says that it is.
    pub(super) landing: Timestamp,
}

/// The services that name an object, and who is in them.
pub(super) struct Behind {
    pub(super) services: Vec<(Service, Vec<services::Member>)>,
    /// The same members by address, as they stand in the store.
    pub(super) members: BTreeMap<IpAddr, Written>,
}

impl<P> Post<P> {
    /// A post at this object. What is sent to it lands within that span, or never.
    pub(super) fn new(
        object: String,
        lands_within: Duration,
        parts: Arc<Parts<P>>,
        followed: Followed,
    ) -> Self {
        let members = Members::new(Arc::clone(&parts.store));
        let office = Office::new(object, lands_within, parts.host.clone());
        Self { parts, followed, office, members, polls: 0, landing: Timestamp(0) }
    }

    pub(super) fn object(&self) -> &str {
        &self.office.object
    }

    /// How long after it was sent a change of it may still land.
    pub(super) fn lands_within(&self) -> Duration {
        self.office.lands_within
    }

    pub(super) fn book(&self) -> Book {
        let (store, host) = (Arc::clone(&self.parts.store), self.parts.host.clone());
        Book { store, object: self.office.object.clone(), host }
    }

    /// Returns when something is different from what the last pass went by.
    pub(super) async fn changed(&mut self) {
        let Followed { declared, vigil, owners, living } = &mut self.followed;
        tokio::select! {
            Ok(()) = declared.changed() => {}
            Ok(()) = vigil.changed() => {}
            Ok(()) = owners.changed() => {}
            Ok(()) = living.changed() => {}
            () = self.members.changed() => {}
        }
    }

    /// The services that name the object, if this process is to look after it now; else how long not.
    pub(super) async fn stand(
        &mut self,
        names_it: impl Fn(&Service) -> bool + Send,
    ) -> Result<Result<(Term, Behind), Pause>, OwnerError> {
        let Some(declared) = self.followed.declared.borrow_and_update().clone() else {
            return Ok(Err(Pause::UntilChange));
        };
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
        let named: Vec<&Service> = declared.values().filter(|service| names_it(service)).collect();
        let names: BTreeSet<&str> = named.iter().map(|service| service.name.as_str()).collect();
        let Some(written) = self.members.of(&names) else { return Ok(Err(Pause::UntilChange)) };
        let of = |service: &Service| {
            let members = written.get(&service.name).into_iter().flatten();
            members.map(|it| it.member.clone()).collect()
        };
        let services = named.into_iter().map(|service| (service.clone(), of(service))).collect();
        let members = written.into_values().flatten().map(|it| (it.member.address, it)).collect();
        Ok(Ok((term, Behind { services, members })))
    }

    /// Which hosts are taken for silent.
    pub(super) fn vigil(&mut self) -> services::Vigil {
        self.followed.vigil.borrow_and_update().clone()
    }

    /// Whether no call that was sent before this moment can still land.
    pub(super) fn is_settled(&self, moment: Timestamp) -> bool {
        moment >= self.office.settled()
    }

    /// Nobody answered a call of ours.
    pub(super) fn doubt(&mut self) {
        self.office.doubt(self.parts.clock.now());
    }

    /// Gives the object up, as far as nobody is to wait for a call of ours.
    pub(super) async fn resign(&mut self) {
        self.office.resign(&self.parts, self.landing).await;
    }

    /// Makes one change, unless the store's word that this process is the owner is too old by now: whoever followed
    /// waits for calls that were sent within L of it, and for no others.
    pub(super) async fn send(
        &self,
        term: &Term,
        call: impl Future<Output = Result<(), ProviderError>> + Send,
    ) -> Result<(), OwnerError> {
        let Timing { term_confirmed_for, call_max, .. } = self.parts.timing;
        if term.confirmed.after(millis(term_confirmed_for)) <= self.parts.clock.now() {
            return Err(OwnerError::Overtaken);
        }
        let answered = tokio::time::timeout(call_max, call).await;
        Ok(answered.map_err(|_| OwnerError::Unanswered)??)
    }

    /// When to look again while the provider is at work.
    pub(super) fn poll(&mut self) -> Pause {
        self.polls += 1;
        let (first, most) = self.parts.timing.poll;
        Pause::AtMost(backoff(first, self.polls, most))
    }

    /// It is at work no more.
    pub(super) fn stop_polling(&mut self) {
        self.polls = 0;
    }

    /// When to look again where all is as it should be: somebody may edit it, and calls of before come to their end.
    pub(super) fn idle(&self) -> Duration {
        self.until(self.office.settled()).min(jittered(self.parts.timing.idle))
    }

    /// How long until a time that is still to come; for ever, if it is not.
    pub(super) fn until(&self, due: Timestamp) -> Duration {
        match due.0.saturating_sub(self.parts.clock.now().0) {
            0 => Duration::MAX,
            left => Duration::from_millis(left),
        }
    }
}
