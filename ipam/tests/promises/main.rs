//! What `ipam` promises, by name: on one host, between hosts, under every fault that can be had
//! without a kernel, and under any sequence of them.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod between_hosts;
mod contention;
mod evictions;
mod inputs;
mod museum;
mod one_host;
mod properties;
mod rebuilds;
mod world;
