//! Why a store is not made anew, or a word on that is not taken.

use ipam::{Generation, HostId};
use store::StoreError;
use store::layout::ValueError;

use crate::migrate::MigrateError;

/// Why a store is not made anew, or a word on that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LostStoreError {
    /// Nothing was lost.
    #[error(
        "the store is whole: its cluster is open, in generation {generation}. Making it anew would take every \
         address out of use; nothing was changed"
    )]
    Whole {
        /// Its generation.
        generation: Generation,
    },
    /// It is another cluster's.
    #[error(
        "the store has the cluster {found}, and this host's journal belongs to {ours}; nothing was changed"
    )]
    Another {
        /// Its id.
        found: String,
        /// Ours.
        ours: String,
    },
    /// It was left on purpose.
    #[error(
        "this store was frozen when the cluster moved to another one, and that one goes on; nothing was changed"
    )]
    Moved,
    /// Another host was faster.
    #[error("somebody else made the store anew meanwhile")]
    Overtaken,
    /// Nothing was made anew here.
    #[error("the store was not made anew, or it is being made anew again")]
    NotAnew,
    /// No such host is awaited.
    #[error("nobody waits for a host {0}")]
    NotAwaited(HostId),
    /// It lives.
    #[error("host {0} is not gone: {1}")]
    NotGone(HostId, String),
    /// It cannot be filled, or somebody else fills it.
    #[error(transparent)]
    Fill(#[from] MigrateError),
    /// The hosts could not be read.
    #[error("cannot read which hosts there are")]
    Hosts(#[source] provider::Cause),
    /// The store did not answer.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The store has something that cannot be understood.
    #[error("cannot understand what the store has")]
    Value(#[from] ValueError),
}
