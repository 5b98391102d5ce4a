//! berthd: one per Docker host.

pub mod clock;
pub mod journal;
