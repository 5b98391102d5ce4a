//! The host's network in the real kernel, proven by packets between namespaces. Needs root.
//!
//! What the kernel has is read with `ip -j`, not with our own reader.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

#[path = "netns/arp.rs"]
mod arp;
#[path = "netns/docker_firewall.rs"]
mod docker_firewall;
#[path = "netns/foreign.rs"]
mod foreign;
#[path = "netns/namespace.rs"]
mod namespace;
#[path = "netns/paths.rs"]
mod paths;
#[path = "netns/policy.rs"]
mod policy;
#[path = "netns/published.rs"]
mod published;
#[path = "netns/steps.rs"]
mod steps;
#[path = "netns/talk.rs"]
mod talk;
#[path = "netns/vlan.rs"]
mod vlan;
