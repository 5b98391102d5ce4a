//! berthd: one per Docker host. It knows all the rooms and holds no decision of theirs.

pub mod allocator;
pub mod amnesia;
pub mod api;
pub mod assembly;
pub mod capacity;
pub mod check;
pub mod clock;
pub mod cloud;
pub mod config;
pub mod docker;
pub mod doctor;
pub mod identity;
pub mod journal;
pub mod late;
pub mod metrics;
pub mod own_use;
pub mod probe;
pub mod rebuild;
pub mod reconciler;
pub mod service;
pub mod session;
pub mod sockets;
pub mod testimony;
pub mod troubles;
pub mod wanted;
pub mod whoami;
