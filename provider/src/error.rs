//! How a provider fails, and what can be done about it.

use std::{error::Error, time::Duration};

/// What lay behind a failure.
pub type Cause = Box<dyn Error + Send + Sync + 'static>;

/// A call to a provider that did not succeed. `doing` says what was attempted, to what.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Nobody answered, and nothing was changed.
    #[error("{provider} is not answering while {doing}")]
    Unavailable {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// The provider asked us to slow down; nothing was changed.
    #[error("{provider} asks us to slow down while {doing}")]
    Throttled {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// How long to wait at least.
        retry_after: Duration,
    },
    /// The user or key is wrong.
    #[error("{provider} does not accept the credentials of user {user} while {doing}: {reason}")]
    Unauthorized {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// The user that the key belongs to.
        user: String,
        /// The provider's words.
        reason: String,
    },
    /// The provider understood and said no; nothing was changed.
    #[error("{provider} refused {doing}: {reason}")]
    Refused {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// The provider's words and error code.
        reason: String,
    },
    /// The object is being changed by somebody else right now; nothing was changed by us.
    #[error("{provider} is busy with another change while {doing}: {reason}")]
    Busy {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// The provider's words.
        reason: String,
    },
    /// The object is not there, or not visible to this user.
    #[error("{provider} does not know {what} while {doing}")]
    Gone {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// What is missing.
        what: String,
    },
    /// A change may or may not have been made: its answer was lost, or made no sense.
    #[error("it is not known whether {provider} finished {doing}")]
    InDoubt {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// What came instead of an answer.
        #[source]
        source: Cause,
    },
    /// An answer that we do not understand, to a question that changes nothing.
    #[error("{provider} gave an answer that makes no sense while {doing}")]
    Malformed {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// This provider has no such thing.
    #[error("{provider} does not offer {doing}")]
    NotOffered {
        /// Which provider.
        provider: &'static str,
        /// What was attempted.
        doing: String,
    },
}

/// What the caller can do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recourse {
    /// Try again, no sooner than after this time.
    RetryAfter(Duration),
    /// The world is not as we thought: read it again before deciding anything.
    LookAgain,
    /// Nothing will change by itself; the text says what a person can do.
    AskOperator(String),
}

impl ProviderError {
    /// What can be done about it.
    pub fn recourse(&self) -> Recourse {
        match self {
            Self::Unavailable { .. } => Recourse::RetryAfter(Duration::from_secs(5)),
            Self::Throttled { retry_after, .. } => Recourse::RetryAfter(*retry_after),
            Self::Busy { .. } => Recourse::RetryAfter(Duration::from_secs(10)),
            Self::Malformed { .. } => Recourse::RetryAfter(Duration::from_secs(30)),
            Self::Gone { .. } | Self::InDoubt { .. } => Recourse::LookAgain,
            Self::Unauthorized { user, .. } => Recourse::AskOperator(format!(
                "check the user name and API key of {user} in the credentials file; it is read again at the next try"
            )),
            Self::Refused { provider, .. } => Recourse::AskOperator(format!(
                "remove what {provider} objects to (the API user's permissions, the VLAN, the size); it is tried again by itself"
            )),
            Self::NotOffered { provider, .. } => Recourse::AskOperator(format!(
                "{provider} subnets are named by the operator: add one to the configuration and restart berthd"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_in_doubt_is_looked_for_and_never_just_repeated() {
        let lost = ProviderError::InDoubt {
            provider: "SoftLayer",
            doing: "ordering a /26 in zone 1404267".into(),
            source: "connection reset".into(),
        };
        assert_eq!(lost.recourse(), Recourse::LookAgain);
        assert_eq!(
            lost.to_string(),
            "it is not known whether SoftLayer finished ordering a /26 in zone 1404267"
        );
    }
}
