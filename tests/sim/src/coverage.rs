//! What the stories reached: a promise that was never put to the test is not known to hold.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! sometimes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that must happen in some story.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Sometimes {
            $($(#[$doc])* $name,)*
        }

        impl Sometimes {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

sometimes! {
    /// An address was taken from a block.
    Take,
    /// An address was given back.
    GiveBack,
    /// An address went from one host to another.
    Grant,
    /// A host took again, after a boot, what it held.
    Retake,
    /// A running container's address was claimed from quarantine.
    Claim,
    /// A host whose journal did not know its record's boot evicted itself.
    SelfEviction,
    /// An address got a name, or lost it.
    Reservation,
    /// An address cooled by its timer.
    Cooling,
    /// An address cooled that services knew.
    CoolingPublished,
    /// A compare failed.
    Conflict,
    /// Nobody knew what became of a transaction.
    UnknownOutcome,
    /// A transaction landed long after its sender gave it up.
    LateCommit,
    /// A listing was overtaken by a commit of the host's own.
    OvertakenListing,
    /// A watch asked for changes that were forgotten.
    CompactedWatch,
    /// An agent was killed between two effects of one step.
    KilledBetweenEffects,
    /// An agent was killed in the middle of a write to its journal.
    TornAppend,
    /// The journal could not be written.
    DiskFull,
    /// An outcome of the journal came after other inputs.
    SlowDisk,
    /// A journal was replaced by a snapshot.
    JournalMadeAnew,
    /// Power was lost with records that were not synced, and some of them survived.
    UnsyncedKept,
    /// Power was lost with records that were not synced, and some of them did not survive.
    UnsyncedLost,
    /// An assignment nobody used was closed by two witnesses.
    Reaped,
    /// A container was bound because it was seen.
    BoundOnSight,
    /// dockerd repeated a call with nothing in it.
    EmptyRetry,
    /// A release was repeated while its address was in use again.
    LateReleaseOfUsed,
    /// A request was refused.
    Refused,
    /// An address was used on one host and then on another.
    Moved,
    /// A host was evicted by a witness.
    Evicted,
    /// A provider's read was older than the truth.
    StaleRead,
    /// A quarantine ended.
    QuarantineEnded,
    /// The capacity role went to another host.
    RoleMoved,
    /// Two machines ran from one image.
    Cloned,
    /// A deleted machine's place was taken by another.
    Replaced,
    /// A machine came back in another zone.
    ZoneChanged,
    /// Everything in the store was lost.
    StoreWiped,
    /// The store was made anew.
    Rebuilt,
    /// An endpoint was opened.
    Opened,
    /// An endpoint was named in the cloud.
    Named,
    /// A subnet was being emptied.
    Drained,
    /// A subnet was returned.
    Returned,
    /// A subnet was ordered again.
    OrderedAgain,
}

/// How often each was reached.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    times: BTreeMap<Sometimes, u64>,
}

impl Coverage {
    pub(crate) fn reached(&mut self, what: Sometimes) {
        *self.times.entry(what).or_default() += 1;
    }

    /// Whether this was reached.
    #[cfg(test)]
    pub(crate) fn has(&self, what: Sometimes) -> bool {
        self.times.contains_key(&what)
    }

    /// Adds what another run reached.
    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.times {
            *self.times.entry(*what).or_default() += times;
        }
    }

    /// What was never reached.
    pub fn missing(&self) -> Vec<Sometimes> {
        Sometimes::ALL.iter().copied().filter(|what| !self.times.contains_key(what)).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in Sometimes::ALL {
            let times = self.times.get(what).copied().unwrap_or(0);
            writeln!(f, "  {times:>10}  {what:?}")?;
        }
        Ok(())
    }
}
