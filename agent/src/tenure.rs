//! Who has a role of which there is one: an owner record with a term in the store, which every write of the role
//! compares.
//!
//! A lock would not exclude anybody: whoever had it goes on for a while after it lapsed. A compare does, and what went
//! out before it is waited for.

use std::time::Duration;

use ipam::{HostId, Incarnation, Timestamp};
use serde::{Deserialize, Serialize};
use store::layout::{self, ValueError};
use store::{Commit, Key, Revision, Store, StoreError, Transaction};

/// One process of one host in one life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The host.
    pub host: HostId,
    /// Its life: raised by eviction.
    pub incarnation: Incarnation,
    /// Its process, random.
    pub process: String,
}

/// `owners/<role>`: who has a role, and for which time in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// Who.
    pub owner: Writer,
    /// Grows with each change of the owner.
    pub term: u64,
    /// Whether it gave the role up: none of its calls is under way, and none follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resigned: bool,
}

/// What came of asking for a role.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is this process's, since this revision.
    Ours(Revision),
    /// It is from now on, and was this one's before.
    Taken {
        /// Since now.
        owner: Revision,
        /// Which term that is.
        term: u64,
        /// Whose it was, if it was somebody's.
        former: Option<OwnerRecord>,
    },
    /// It is another's.
    Anothers(HostId),
}

/// A role could not be asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("somebody else took the role at the same moment")]
    Overtaken,
}

/// Takes the role of this key, unless it is another's that may not be followed yet. A former process of this host is
/// dead, or this one could not have opened its journals.
pub(crate) async fn claim(
    store: &dyn Store,
    key: &Key,
    me: &Writer,
    may_follow: impl FnOnce(&OwnerRecord) -> bool,
) -> Result<Claim, ClaimError> {
    let entry = store.get(key).await?.entry;
    let standing =
        entry.as_ref().map(|entry| layout::decode::<OwnerRecord>(key, &entry.value)).transpose()?;
    let revision = entry.map(|entry| entry.revision);
    match (&standing, revision) {
        (Some(record), Some(revision)) if record.owner == *me && !record.resigned => {
            return Ok(Claim::Ours(revision));
        }
        (Some(record), _) if record.owner.host != me.host && !record.resigned && !may_follow(record) => {
            return Ok(Claim::Anothers(record.owner.host.clone()));
        }
        _ => {}
    }
    let term = standing.as_ref().map_or(1, |record| record.term + 1);
    let record = OwnerRecord { owner: me.clone(), term, resigned: false };
    let value = layout::encode(key, &record)?;
    let transaction = compared(Transaction::new(), key.clone(), revision).put(key.clone(), value);
    match store.commit(transaction).await? {
        Commit::Done { revision } => Ok(Claim::Taken { owner: revision, term, former: standing }),
        Commit::Conflict { .. } => Err(ClaimError::Overtaken),
    }
}

/// Adds the compare that an entry is as it was read: there, or not there.
pub(crate) fn compared(transaction: Transaction, key: Key, revision: Option<Revision>) -> Transaction {
    match revision {
        Some(revision) => transaction.unchanged(key, revision),
        None => transaction.absent(key),
    }
}

/// For how long an owner was seen to give no sign of life.
#[derive(Debug, Default)]
pub(crate) struct Silence(Option<(OwnerRecord, Timestamp)>);

impl Silence {
    /// Whether this owner has been silent for so long, at every look in between.
    pub(crate) fn has_lasted(
        &mut self,
        owner: &OwnerRecord,
        is_there: bool,
        now: Timestamp,
        span: Duration,
    ) -> bool {
        if is_there {
            self.0 = None;
            return false;
        }
        let since = match &self.0 {
            Some((known, since)) if known == owner => *since,
            _ => now,
        };
        self.0 = Some((owner.clone(), since));
        since.after(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)) <= now
    }

    /// Forgets whom it watched: the role is somebody's who is there.
    pub(crate) fn is_over(&mut self) {
        self.0 = None;
    }
}
