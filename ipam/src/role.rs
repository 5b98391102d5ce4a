//! What the zone's capacity role decides about hosts and about what they held: pure.
//!
//! One agent of a zone has the role, under a term. A shell looks at the store, hands what it saw to
//! these machines with the time, and carries out what they ask for. Every transaction they make
//! is sent together with the compares of the role's term and of the cluster record, which the shell
//! adds: a former owner can do nothing.
//!
//! - [`Evictions`]: when a silent host may be taken for dead, and how its holdings go to quarantine.
//! - [`Quarantines`]: when an address in quarantine is free again.
//!
//! Both are forgotten with the term: a new owner of the role waits anew.
//!
//! [`sweep_wants`] remembers nothing: it removes what hosts that are gone asked, or were asked.

mod eviction;
mod quarantine;
mod wants;

use std::collections::BTreeMap;

use crate::block::Block;
use crate::cluster::HostRecord;
use crate::names::{HostId, Incarnation, Revision, Zone};

pub use eviction::{EvictionStep, Evictions, Patience, ProviderWord, Suspicion, lost_to, raise, sweep};
pub use quarantine::{Ending, QuarantineState, Quarantines, UseWord};
pub use wants::{WantSeen, sweep_wants};

/// A host as one look at the store showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSeen {
    /// Its record.
    pub record: HostRecord,
    /// When that was last written.
    pub revision: Revision,
    /// Whether its session stands.
    pub alive: bool,
    /// The incarnation that its last eviction raised it to: of what it held in an earlier one, a
    /// witness said that the host does not use it any more. `None` if it was never evicted by others.
    pub witnessed: Option<Incarnation>,
}

/// The hosts of the cluster, as one look showed them.
pub type HostsSeen = BTreeMap<HostId, HostSeen>;

/// A block as one look at the store showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSeen {
    /// The zone of its subnet.
    pub zone: Zone,
    /// Its value.
    pub block: Block,
    /// When that was last written.
    pub revision: Revision,
}
