//! `[[pool]]`: what users ask addresses from.

use super::reader::Section;
use super::values;
use ipnetwork::IpNetwork;
use std::time::Duration;

/// `[[pool]]`: what users ask addresses from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// `name`, required, one of its kind: letters, digits, `-`, `_` and `.`. Networks that name no
    /// pool use the one named `default`.
    pub name: String,
    /// `network`: the provider's network the subnets are on.
    pub network: Network,
    /// `prefix`: size of the subnets that are ordered, from /24 to /30.
    pub prefix: u8,
    /// `subnets_max`, required: the spending limit. At most so many subnets in a zone, ordered and
    /// adopted ones together; 0 orders none.
    pub subnets_max: u32,
    /// `free_min`: a subnet is ordered when fewer addresses than this are free.
    pub free_min: u32,
    /// `cooling_secs`: how long an address rests after its release, 0 to 86400. Neighbours may keep
    /// an old entry for that long.
    pub cooling: Duration,
    /// `exclude`: addresses and ranges that are never handed out.
    pub exclude: Vec<IpNetwork>,
}

/// `network` of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// `"private"`: the provider's private network.
    #[default]
    Private,
    /// `"public"`: reachable from the internet.
    Public,
}

impl PoolConfig {
    pub(super) fn read_all(root: &mut Section<'_>) -> Vec<Self> {
        let mut names = Vec::new();
        let example = "[[pool]] with `name = \"default\"` and `subnets_max = 2`";
        let sections = root.sections("pool", example);
        sections.into_iter().filter_map(|section| Self::read(section, &mut names)).collect()
    }

    fn read(mut section: Section<'_>, names: &mut Vec<String>) -> Option<Self> {
        let name = section.required("name", "`name = \"default\"`", |value| values::new_name(value, names));
        let networks = [("private", Network::Private), ("public", Network::Public)];
        let network = section.read("network", |value| values::one_of(value, &networks)).unwrap_or_default();
        let prefix = section.read("prefix", |value| values::integer(value, 24..=30)).unwrap_or(26);
        let subnets_max = section.required(
            "subnets_max",
            "`subnets_max = 2`, the spending limit: at most so many subnets in a zone",
            |value| values::integer(value, 0..=1024),
        );
        // A pool that always wants more than a fresh subnet has would order up to its limit at once.
        let fresh = 2u32.pow(32 - u32::from(prefix)) - 3;
        let free_min =
            section.read("free_min", |value| values::integer(value, 0..=fresh)).unwrap_or(8.min(fresh));
        let cooling_secs =
            section.read("cooling_secs", |value| values::integer(value, 0..=86_400)).unwrap_or(30);
        let exclude = section.read("exclude", values::ranges).unwrap_or_default();
        section.finish();
        Some(Self {
            name: name?,
            network,
            prefix,
            subnets_max: subnets_max?,
            free_min,
            cooling: Duration::from_secs(cooling_secs),
            exclude,
        })
    }
}
