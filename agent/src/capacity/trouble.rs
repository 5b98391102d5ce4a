//! What keeps a step of the role from succeeding, and what can be done about it.

use std::time::Duration;

use provider::{ProviderError, Recourse};
use store::{StoreError, layout::ValueError};

use crate::tenure::ClaimError;

use super::ProbeError;

/// How long to wait at least where only a person can help: whoever did should not wait long for the next try.
pub const WAIT_FOR_PERSON: Duration = Duration::from_secs(60);

/// What keeps a step from succeeding.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("the capacity of the zone cannot be looked after without the store")]
    Store(#[from] StoreError),
    #[error("the capacity of the zone cannot be looked after")]
    Value(#[from] ValueError),
    #[error("a subnet cannot be opened before its addresses were probed")]
    Probe(#[from] ProbeError),
    #[error("somebody else wrote in between")]
    Overtaken,
    #[error("{0}")]
    Waiting(String),
    #[error("{reason}")]
    Operator { reason: String, hint: String },
}

impl From<ClaimError> for Trouble {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Store(error) => error.into(),
            ClaimError::Value(error) => error.into(),
            ClaimError::Overtaken => Self::Overtaken,
        }
    }
}

impl Trouble {
    /// How long to wait at least, and what a person can do.
    pub(super) fn advice(&self) -> (Duration, Option<String>) {
        match self {
            Self::Provider(error) => match error.recourse() {
                Recourse::RetryAfter(time) => (time, None),
                Recourse::LookAgain => (Duration::ZERO, None),
                Recourse::AskOperator(hint) => (WAIT_FOR_PERSON, Some(hint)),
            },
            Self::Operator { hint, .. } => (WAIT_FOR_PERSON, Some(hint.clone())),
            Self::Store(_) | Self::Value(_) | Self::Probe(_) | Self::Overtaken | Self::Waiting(_) => {
                (Duration::ZERO, None)
            }
        }
    }

    /// How long the provider wants to be left alone, whoever waits.
    pub(super) fn asked_by_provider(&self) -> Duration {
        match self {
            Self::Provider(error) => match error.recourse() {
                Recourse::RetryAfter(time) => time,
                Recourse::LookAgain | Recourse::AskOperator(_) => Duration::ZERO,
            },
            _ => Duration::ZERO,
        }
    }
}
