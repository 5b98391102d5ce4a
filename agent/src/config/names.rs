//! `[names]`: how services and containers are answered for by name.

use super::{reader::Section, values};
use names::Domain;
use std::net::SocketAddr;

/// `[names]`: how services and containers are answered for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamesConfig {
    /// `enabled`: whether names are answered, and those of this host's containers are told to other hosts.
    pub enabled: bool,
    /// `domain`: below which they are, the same on all hosts; default `<cluster>.internal`.
    pub domain: Domain,
    /// `listen`: addresses where they are answered, with `:PORT` where that is not 53; without any, this host's address
    /// on its private network.
    pub listen: Vec<SocketAddr>,
    /// `forward`: who is asked about the rest, with `:PORT` where that is not 53; without any, those that
    /// /etc/resolv.conf names.
    pub forward: Vec<SocketAddr>,
    /// `ttl_secs`: for how long an answer may be remembered, also a "no", 1 to 300.
    pub ttl_secs: u32,
}

/// How long an answer may be remembered: so long may a client go on to one who is gone.
const TTL_SECS: u32 = 5;

impl NamesConfig {
    /// What is not written is as it is for this cluster, if its name is right.
    pub(super) fn read(mut section: Section<'_>, cluster: Option<&str>) -> Self {
        let defaults = Self::of(cluster.unwrap_or_default());
        let names = Self {
            enabled: section.read("enabled", values::switch).unwrap_or(defaults.enabled),
            domain: section.read("domain", values::domain).unwrap_or(defaults.domain),
            listen: section.read("listen", values::name_servers).unwrap_or_default(),
            forward: section.read("forward", values::name_servers).unwrap_or_default(),
            ttl_secs: section
                .read("ttl_secs", |value| values::integer(value, 1..=300))
                .unwrap_or(defaults.ttl_secs),
        };
        section.finish();
        names
    }

    /// The defaults of a cluster.
    ///
    /// `.internal` is kept from the public DNS for such as this (ICANN board resolution 2024.07.29.06). `.local` is
    /// multicast DNS's (RFC 6762), `home.arpa` is for homes (RFC 8375), and a made-up domain may be sold tomorrow.
    pub fn of(cluster: &str) -> Self {
        // A cluster's name may begin or end with `-`, which no label does.
        let domain = Domain::parse(&format!("{}.internal", cluster.trim_matches('-'))).unwrap_or_default();
        Self { enabled: true, domain, listen: Vec::new(), forward: Vec::new(), ttl_secs: TTL_SECS }
    }
}
