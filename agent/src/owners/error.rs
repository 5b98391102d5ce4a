//! What keeps an owner from doing what it would.

use std::time::Duration;

use provider::{ProviderError, Recourse};
use store::StoreError;
use store::layout::ValueError;

use crate::capacity::WAIT_FOR_PERSON;
use crate::services::ServicesError;
use crate::tenure::ClaimError;

#[derive(Debug, thiserror::Error)]
pub(super) enum OwnerError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("it cannot be looked after without the store")]
    Store(#[from] ServicesError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("somebody else wrote in between")]
    Overtaken,
    #[error("the provider did not answer in time, and may still do what it was asked")]
    Unanswered,
}

impl From<StoreError> for OwnerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<ValueError> for OwnerError {
    fn from(error: ValueError) -> Self {
        Self::Store(error.into())
    }
}

impl OwnerError {
    /// How long to wait at least.
    pub(super) fn rest(&self) -> Duration {
        let Self::Provider(error) = self else { return Duration::ZERO };
        match error.recourse() {
            Recourse::RetryAfter(after) => after,
            Recourse::LookAgain => Duration::ZERO,
            Recourse::AskOperator(_) => WAIT_FOR_PERSON,
        }
    }

    /// Whether the provider wants to be left alone, whatever else happens. What it refused may be mended by a
    /// declaration.
    pub(super) fn asks_for_rest(&self) -> bool {
        matches!(self, Self::Provider(error) if matches!(error.recourse(), Recourse::RetryAfter(_)))
    }

    /// Whether nobody knows what came of it: it may still land.
    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::InDoubt { .. }) | Self::Unanswered)
    }

    /// Whether it is the course of things that somebody was first.
    pub(super) fn is_a_race(&self) -> bool {
        matches!(self, Self::Overtaken | Self::Claim(ClaimError::Overtaken))
    }
}
