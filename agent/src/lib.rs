//! berthd: one per Docker host.
