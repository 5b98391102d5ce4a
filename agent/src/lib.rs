//! berthd: one per Docker host.

pub mod capacity;
pub mod clock;
pub mod cloud;
pub mod journal;
pub mod whoami;
