//! Why a store could not be filled. It is nobody's until it is whole, so nothing was lost.

use std::path::PathBuf;

use store::backup::BackupError;
use store::layout::ValueError;
use store::{Key, StoreError};

use crate::journal::JournalError;

/// Why a store could not be filled from another one or a backup.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Two clusters.
    #[error(
        "the old configuration says `cluster = {old:?}`, the new one {new:?}; a migration keeps the name"
    )]
    Names {
        /// The old one's.
        old: String,
        /// The new one's.
        new: String,
    },
    /// From a store to itself.
    #[error("both configurations name the same store; change [store] in the new one")]
    Same,
    /// Nothing to copy.
    #[error("there is no cluster in what is to be copied")]
    NoCluster,
    /// Frozen by a host that saw the store's memory lost.
    #[error(
        "the cluster is frozen, because the store lost what it knew: copying it would give addresses away \
         that are in use; `berth store rebuild` makes it anew: docs/operating.md, \"A frozen cluster\""
    )]
    Frozen,
    /// More hosts than an embedded store serves.
    #[error("an embedded store serves one host, and this cluster has {hosts}; evict the others first")]
    Several {
        /// How many.
        hosts: usize,
    },
    /// What is there is not ours to replace.
    #[error("the new store is not empty: it has {found}; name another `prefix`, or remove what is there")]
    NotEmpty {
        /// Something that was found.
        found: Key,
    },
    /// Somebody else fills the same store.
    #[error("the new store changed while it was being filled; is this command running twice?")]
    Disturbed,
    /// The backup cannot be read.
    #[error("cannot use the backup {}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: BackupError,
    },
    /// Hosts acted since the backup.
    #[error(
        "the backup is older than what this host did: {block} changed since. Addresses may be in use that it \
         shows as free. Nothing was restored; docs/operating.md, \"A frozen cluster\""
    )]
    Stale {
        /// What changed.
        block: Key,
    },
    /// Other hosts' journals cannot be read here.
    #[error(
        "the backup is of {hosts} hosts, and whether the others did something since it was taken cannot be \
         told here. Nothing was restored; restore etcd's own snapshot instead (docs/operating.md, \
         \"A frozen cluster\")"
    )]
    OthersMayKnowMore {
        /// How many.
        hosts: usize,
    },
    /// The backup is of another cluster, or of an earlier generation.
    #[error(
        "the backup is of another cluster or generation than this host's journal, or the journal knows of none; \
         nothing was restored"
    )]
    AnotherLife,
    /// This host's journal is damaged, or berthd has it open.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A store did not answer, or is open elsewhere.
    #[error("a store cannot be used; hint: is berthd still running? Stop it first")]
    Store(#[from] StoreError),
    /// A store has something that cannot be understood.
    #[error("cannot understand what a store has")]
    Value(#[from] ValueError),
}
