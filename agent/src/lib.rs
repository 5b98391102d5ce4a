//! berthd: one per Docker host. It knows all the rooms and holds no decision of theirs.

pub mod config;
