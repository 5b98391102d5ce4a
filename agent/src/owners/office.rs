//! Whose an object of the provider is: a load balancer, a firewall.
//!
//! It may be taken as soon as its owner gives no sign of life: what the owner could still send was written down before,
//! and is found. What is waited for is the end of that: until it is over, nothing that is not at the provider counts
//! as gone.

use std::collections::BTreeSet;
use std::time::Duration;

use ipam::{ClusterRecord, ClusterState, HostId, HostRecord, Incarnation, Timestamp};
use store::layout::{self, Item};
use store::{Commit, Revision, Store, Transaction};
use uuid::Uuid;

use super::book::Term;
use super::error::OwnerError;
use super::{Followed, Parts, turn};
use crate::services::in_time;
use crate::tenure::{self, Claim, OwnerRecord, Writer};

/// What this process may do now.
#[derive(Debug)]
pub(super) enum Standing {
    /// Look after it.
    Ours(Term),
    /// Nothing, until something changes.
    Anothers,
    /// Nothing, for so long at least.
    NotYet(Duration),
}

/// The owner's place, as one agent sees it.
pub(super) struct Office {
    /// The object, as its owner record is called: `balancer-web`.
    pub(super) object: String,
    /// How long after it was sent a change of it may still land.
    pub(super) lands_within: Duration,
    me: Writer,
    /// Since when it is nobody's.
    vacant: Option<Timestamp>,
    /// Since when this process has it, and from when on no call of anybody before it can land.
    held: Option<(Revision, Timestamp)>,
    /// From when on no call of this process that nobody answered can land.
    doubted: Timestamp,
}

/// How soon it is asked again whether this host and the cluster are there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Office {
    pub(super) fn new(object: String, lands_within: Duration, host: HostId) -> Self {
        let process = Uuid::new_v4().to_string();
        Self {
            object,
            lands_within,
            me: Writer { host, incarnation: Incarnation(0), process },
            vacant: None,
            held: None,
            doubted: Timestamp(0),
        }
    }

    /// From when on no call that was sent before can still land.
    pub(super) fn settled(&self) -> Timestamp {
        let former = self.held.map(|(_, settled)| settled).unwrap_or_default();
        former.max(self.doubted)
    }

    /// Nobody answered a call of ours.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        self.doubted = now.after(millis(self.lands_within));
    }

    /// Whose it is, by the store's word of this moment.
    pub(super) async fn stand<B>(
        &mut self,
        parts: &Parts<B>,
        followed: &Followed,
    ) -> Result<Standing, OwnerError> {
        let (Some(owners), Some(living)) =
            (followed.owners.borrow().clone(), followed.living.borrow().clone())
        else {
            return Ok(Standing::Anothers);
        };
        let now = parts.clock.now();
        match owners.get(&self.object) {
            // Ours, or that of a process of this host that is dead: nobody else takes it.
            Some(record) if record.owner.host == self.me.host && !record.resigned => {}
            Some(record) if !record.resigned && living.contains(&record.owner.host) => {
                (self.vacant, self.held) = (None, None);
                return Ok(Standing::Anothers);
            }
            _ => {
                let since = *self.vacant.get_or_insert(now);
                let before =
                    u32::try_from(turn::rank(&self.object, &self.me.host, &living)).unwrap_or(u32::MAX);
                let due = since.after(millis(parts.timing.turn.saturating_mul(before)));
                if due > now {
                    return Ok(Standing::NotYet(Duration::from_millis(due.0 - now.0)));
                }
            }
        }
        self.claim(parts, &living).await
    }

    async fn claim<B>(
        &mut self,
        parts: &Parts<B>,
        living: &BTreeSet<HostId>,
    ) -> Result<Standing, OwnerError> {
        let store = &*parts.store;
        let (Some(incarnation), Some(cluster)) = (registered(parts).await?, open_cluster(store).await?)
        else {
            return Ok(Standing::NotYet(LOOK_AGAIN));
        };
        if self.held.is_none() {
            self.me.incarnation = incarnation;
        }
        let key = Item::Owner(self.object.clone()).key();
        let may_follow = |record: &OwnerRecord| !living.contains(&record.owner.host);
        let asked = parts.clock.now();
        let owner = match tenure::claim(store, &key, &self.me, may_follow).await? {
            Claim::Anothers(_) => {
                self.held = None;
                return Ok(Standing::Anothers);
            }
            Claim::Ours(owner) => {
                // Taken by this process, whose answer was lost: nobody remembers whose it was.
                let settled = asked.after(millis(parts.timing.term_confirmed_for + self.lands_within));
                self.held.get_or_insert((owner, settled));
                owner
            }
            Claim::Taken { owner, term, former } => {
                tracing::info!(object = self.object, term, "this agent looks after it");
                let settled = self.settled_after(asked, former.as_ref(), parts).await?;
                self.held = Some((owner, settled));
                owner
            }
        };
        self.vacant = None;
        Ok(Standing::Ours(Term { owner, cluster, confirmed: asked }))
    }

    /// When no call of an owner before can land any more. The last of them may have been told just before, and send for as
    /// long as that counts; a dead process of this host sends nothing, but may have followed such a one a moment ago.
    /// Where the store was made anew nobody knows who it was.
    async fn settled_after<B>(
        &self,
        now: Timestamp,
        former: Option<&OwnerRecord>,
        parts: &Parts<B>,
    ) -> Result<Timestamp, OwnerError> {
        let wait = match former {
            Some(former) if former.resigned => Duration::ZERO,
            None if !was_made_anew(&*parts.store).await? => Duration::ZERO,
            Some(_) | None => parts.timing.term_confirmed_for + self.lands_within,
        };
        Ok(now.after(millis(wait)))
    }

    /// Says that none of our calls is under way, and none follows: whoever is next waits for nobody. What was accepted may
    /// come into force until `landing`.
    pub(super) async fn resign<B>(&mut self, parts: &Parts<B>, landing: Timestamp) {
        let Some((owner, settled)) = self.held.take() else { return };
        // Somebody's call may still land, and the next one must wait for it.
        if settled.max(self.doubted).max(landing) > parts.clock.now() {
            return;
        }
        let key = Item::Owner(self.object.clone()).key();
        let resigning = async {
            let entry = in_time(parts.store.get(&key)).await?.entry;
            let Some(entry) = entry.filter(|entry| entry.revision == owner) else { return Ok(()) };
            let record: OwnerRecord = layout::decode(&key, &entry.value)?;
            let value = layout::encode(&key, &OwnerRecord { resigned: true, ..record })?;
            let transaction = Transaction::new().unchanged(key.clone(), owner).put(key.clone(), value);
            match in_time(parts.store.commit(transaction)).await? {
                Commit::Done { .. } | Commit::Conflict { .. } => Ok::<_, OwnerError>(()),
            }
        };
        if let Err(error) = resigning.await {
            tracing::debug!(%error, object = self.object, "the next owner waits as for one that died");
        }
    }
}

/// This host's life, if its record names this machine and boot. Whoever has a copy of its disk has its name too.
async fn registered<B>(parts: &Parts<B>) -> Result<Option<Incarnation>, OwnerError> {
    let key = Item::Host(parts.host.to_string()).key();
    let Some(entry) = in_time(parts.store.get(&key)).await?.entry else { return Ok(None) };
    let record: HostRecord = layout::decode(&key, &entry.value)?;
    let is_this = record.instance == parts.instance && record.boot == parts.boot;
    Ok(is_this.then_some(record.incarnation))
}

/// The cluster's record, unless the cluster is frozen or not there.
async fn open_cluster(store: &dyn Store) -> Result<Option<Vec<u8>>, OwnerError> {
    let key = Item::Cluster.key();
    let Some(entry) = in_time(store.get(&key)).await?.entry else { return Ok(None) };
    let record: ClusterRecord = layout::decode(&key, &entry.value)?;
    Ok((record.state == ClusterState::Open).then_some(entry.value))
}

/// Whether this store was ever lost and made anew.
async fn was_made_anew(store: &dyn Store) -> Result<bool, OwnerError> {
    Ok(in_time(store.get(&Item::Rebuild.key())).await?.entry.is_some())
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
