//! berthd: one per Docker host.

pub mod allocator;
pub mod clock;
pub mod journal;
