//! Who has the role of a zone: an owner record with a term in the store, compared by every write.

use ipam::role::{HostSeen, HostsSeen};
use ipam::{ClusterState, HostId, Timestamp, Zone};
use provider::Provider;
use store::{
    Commit, Revision, StoreError, Transaction,
    layout::{self, Item},
};
use tracing::{info, warn};

use crate::allocator::words;
pub(super) use crate::tenure::compared;
use crate::tenure::{self, OwnerRecord};

use super::{
    Parts,
    decide::has_passed,
    look,
    record::owner_key,
    role::Role,
    trouble::Trouble,
    view::{At, View},
};

/// The store's confirmation that this process has the role; every write compares it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    owner: Revision,
    confirmed: Timestamp,
}

/// Whether this process has the role.
enum Claim {
    Ours(Term),
    Anothers(String),
}

impl<P: Provider> Role<P> {
    /// The term and a look at the store; or why there is nothing to do here.
    pub(super) async fn store_look(&mut self) -> Result<Result<(Term, View), String>, Trouble> {
        let store = self.parts.store.clone();
        let Some(own) = look::host(&*store, &self.parts.host).await? else {
            return Ok(Err("waiting for this host to register its boot".to_owned()));
        };
        let Parts { instance, boot, .. } = &self.parts;
        // Whoever has a copy of this host's disk has its name too.
        if own.record.instance != *instance {
            let recorded = &own.record.instance;
            return Ok(Err(format!(
                "nowhere here: this host's record names {recorded}, and this is {instance}"
            )));
        }
        if own.record.boot != *boot {
            return Ok(Err("waiting for this host to register its boot".to_owned()));
        }
        self.me.incarnation = own.record.incarnation;
        let Some(cluster) = look::cluster(&*store).await? else {
            return Ok(Err("waiting for the cluster to be founded".to_owned()));
        };
        if cluster.value.state == ClusterState::Frozen {
            return Ok(Err("the cluster is frozen (docs/operating.md, \"A frozen cluster\")".to_owned()));
        }
        if let Some(host) = self.in_good_hands().await? {
            self.watch_anew();
            return Ok(Err(format!("on host {host}")));
        }
        let hosts = look::hosts(&*store).await?;
        if let Err(error) = self.parts.roll.note(&cluster.value.id, hosts.keys()) {
            warn!(%error, "cannot note which hosts there are; a store that is lost could not be told who is awaited");
        }
        self.cluster = layout::encode(&Item::Cluster.key(), &cluster.value)?;
        match self.claim(&hosts).await? {
            Claim::Anothers(host) => {
                self.watch_anew();
                Ok(Err(format!("on host {host}")))
            }
            Claim::Ours(term) => {
                let view = look::store(&self.parts, hosts).await?;
                Ok(Ok((term, view)))
            }
        }
    }

    /// The other host that has the role, unless it may be taken from it. Asked before all hosts are looked at: a
    /// fleet has thousands, and nearly all of them have no role.
    async fn in_good_hands(&mut self) -> Result<Option<HostId>, Trouble> {
        let store = self.parts.store.clone();
        let entry = store.get(&owner_key(&self.parts.zone)).await?.entry;
        let Some(At { value: record, .. }) = entry.as_ref().map(look::read::<OwnerRecord>).transpose()?
        else {
            return Ok(None);
        };
        let host = record.owner.host.clone();
        if host == self.me.host {
            return Ok(None);
        }
        let seen = look::host(&*store, &host).await?;
        Ok((!self.may_follow(&record, seen.as_ref())).then_some(host))
    }

    async fn claim(&mut self, hosts: &HostsSeen) -> Result<Claim, Trouble> {
        let (key, me) = (owner_key(&self.parts.zone), self.me.clone());
        let (asked, store) = (self.parts.clock.now(), self.parts.store.clone());
        let may_follow = |record: &OwnerRecord| self.may_follow(record, hosts.get(&record.owner.host));
        match tenure::claim(&*store, &key, &me, may_follow).await? {
            tenure::Claim::Ours(owner) => {
                self.silent_owner.is_over();
                Ok(Claim::Ours(Term { owner, confirmed: asked }))
            }
            tenure::Claim::Anothers(host) => Ok(Claim::Anothers(host.to_string())),
            tenure::Claim::Taken { owner, term, .. } => {
                info!(zone = %self.parts.zone, term, "this agent looks after the zone's capacity");
                self.since = Some(self.parts.clock.now());
                self.watch_anew();
                Ok(Claim::Ours(Term { owner, confirmed: asked }))
            }
        }
    }

    /// Whether another host's role may be taken: its session was seen absent, or the host in other zones only, for so
    /// long that no call of its can still be under way.
    fn may_follow(&mut self, owner: &OwnerRecord, host: Option<&HostSeen>) -> bool {
        let zone = Zone(self.zone().to_string());
        let is_there = host.is_some_and(|host| host.alive && host.record.zones.contains(&zone));
        let span = self.parts.timing.term_confirmed_for + self.parts.timing.call_max;
        self.silent_owner.has_lasted(owner, is_there, self.parts.clock.now(), span)
    }

    /// Commits, if this process still has the role.
    pub(super) async fn commit(&self, term: &Term, transaction: Transaction) -> Result<Revision, Trouble> {
        let transaction = transaction
            .unchanged(owner_key(&self.parts.zone), term.owner)
            .holds(Item::Cluster.key(), self.cluster.clone());
        match self.parts.store.commit(transaction).await? {
            Commit::Done { revision } => Ok(revision),
            Commit::Conflict { .. } => Err(Trouble::Overtaken),
        }
    }

    /// Sends what one of the pure machines made, if this process still has the role.
    pub(super) async fn send(
        &self,
        term: &Term,
        transaction: &ipam::Transaction,
    ) -> Result<ipam::Sent, Trouble> {
        let spelled = words::transaction(transaction)?
            .unchanged(owner_key(&self.parts.zone), term.owner)
            .holds(Item::Cluster.key(), self.cluster.clone());
        self.send_spelled(transaction, spelled).await
    }

    pub(super) async fn send_spelled(
        &self,
        transaction: &ipam::Transaction,
        spelled: Transaction,
    ) -> Result<ipam::Sent, Trouble> {
        Ok(match self.parts.store.commit(spelled).await {
            Ok(Commit::Done { revision }) => ipam::Sent::Committed { revision: ipam::Revision(revision.0) },
            Ok(Commit::Conflict { now }) => ipam::Sent::Conflict { now: words::conflict(transaction, &now)? },
            // Landed or not, the next look shows it: each compares what it was decided upon.
            Err(StoreError::UnknownOutcome(_)) => ipam::Sent::Unknown,
            Err(error) => return Err(error.into()),
        })
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
}
