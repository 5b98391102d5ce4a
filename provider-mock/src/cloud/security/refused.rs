//! Why nothing comes of a change.

use crate::cloud::Id;

/// Why a change of a security group is not taken. Of the texts one is recorded (terraform-provider-ibm issue 235);
/// the others are ours, and so is each limit's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityRefused {
    /// Nothing of this id.
    #[error("Unable to find object with id of '{0}'.")]
    NotFound(Id),
    /// It is still attached.
    #[error("Security group {group} cannot be deleted because the following network components are attached: [{}]",
        components.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", "))]
    Attached {
        /// The group.
        group: Id,
        /// Where.
        components: Vec<Id>,
    },
    /// A rule of another group names it.
    #[error("Security group {group} cannot be deleted because it is referenced by the rules of group {by}")]
    Referenced {
        /// The group.
        group: Id,
        /// Whose rule names it.
        by: Id,
    },
    /// More than there may be.
    #[error("The limit of {max} {what} is exceeded.")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The guest is being worked on (release notes of 2018-03-15).
    #[error("The network component {0} cannot be changed while its virtual guest has an active transaction.")]
    InTransaction(Id),
    /// A rule that cannot be.
    #[error("{0}")]
    Rule(&'static str),
}
