//! Why an allocator did not do what it was asked.

use ipam::{Answer, Refusal};

/// A request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AllocateError {
    /// Refused, with the whole reason and what to do.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The agent is stopping.
    #[error("berthd is stopping; try again when it is back")]
    Stopped,
    /// No answer within the time that Docker waits. It may still be carried out: what is then assigned
    /// without an endpoint is found and closed by the reconciler.
    #[error(
        "the allocator does not answer; is the disk of berthd's state directory hanging? See `berth status`"
    )]
    Silent,
    /// The host answered another question than was asked.
    #[error("the allocator answered another question ({0:?}); this is a mistake in Berth, please report it")]
    OtherAnswer(Answer),
}
