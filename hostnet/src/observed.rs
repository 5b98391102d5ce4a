//! What a look found: our own things, and of others only what the plan has to know.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Admission, IfName, Mac, Policy, Proxy, Route, Rule, Sysctl};

/// What is in the kernel. Everything but `interfaces`, `strangers` and their sysctls carries our mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Our bridges.
    pub bridges: BTreeMap<IfName, BridgeSeen>,
    /// Our veth pairs, by the name of the host end.
    pub ports: BTreeMap<IfName, PortSeen>,
    /// Links of others. They are looked at and never changed, but for a few sysctls.
    pub interfaces: BTreeMap<IfName, InterfaceSeen>,
    /// Links that are named like ours and carry no mark: somebody else's, so they are left alone.
    pub strangers: BTreeSet<IfName>,
    /// The switches of our bridges and of `interfaces`, as far as the data path needs them.
    #[serde(with = "crate::sysctl::as_list")]
    pub sysctls: BTreeMap<Sysctl, u32>,
    /// Our routes.
    pub routes: BTreeSet<Route>,
    /// Our rules.
    pub rules: BTreeSet<Rule>,
    /// The addresses we answer for.
    pub proxies: BTreeSet<Proxy>,
    /// Our nftables table: each rule in words, as [`Firewall::sentences`](crate::Firewall::sentences)
    /// gives them; `None` when there is no table.
    pub firewall: Option<Vec<String>>,
    /// Our rules in Docker's chain `DOCKER-USER`; `None` when there is no such chain.
    pub admissions: Option<BTreeSet<Admission>>,
    /// Our table of policy; `None` when there is no table.
    #[serde(default)]
    pub policy: Option<Policy>,
}

/// A bridge of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeSeen {
    /// Its MAC.
    pub mac: Mac,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Is it up?
    pub up: bool,
    /// Its alias.
    pub alias: Option<String>,
    /// Its IPv4 addresses.
    pub addresses: BTreeSet<IpAddr>,
}

/// The host end of a veth pair of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSeen {
    /// The bridge it is on.
    pub bridge: Option<IfName>,
    /// Is it up?
    pub up: bool,
    /// Its alias.
    pub alias: Option<String>,
    /// Name of the other end while it is in this namespace; `None` once a container has it.
    pub container_end: Option<IfName>,
}

/// A link of somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSeen {
    /// Its MAC, where it has one.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its first address of global scope: the host's own on this VLAN.
    pub address: Option<IpAddr>,
}
