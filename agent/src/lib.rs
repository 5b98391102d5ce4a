//! berthd: one per Docker host.

pub mod allocator;
pub mod clock;
pub mod docker;
pub mod journal;
pub mod reconciler;
pub mod wanted;
