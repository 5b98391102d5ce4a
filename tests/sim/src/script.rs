//! What a seed makes happen: acts with their times. A story is told again from its seed, and made shorter by
//! leaving acts out.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipam::{Family, Wish, Zone};
use ipnetwork::{IpNetwork, Ipv4Network};

use crate::Moment;
use crate::chance::Chance;
use crate::fault::{Fault, Kind};

/// A seed, and what is made of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many hosts; chosen by the seed if not said.
    pub hosts: Option<usize>,
    /// How many acts.
    pub steps: usize,
    /// The acts that are carried out, by number; all if not said.
    pub only: Option<BTreeSet<usize>>,
    /// Milliseconds between two acts, at most.
    pub pause_max: u64,
}

/// One story, written down.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// The zones that each host has a network in when the story begins.
    pub(crate) hosts: Vec<BTreeSet<Zone>>,
    pub(crate) zones: usize,
    pub(crate) sites: Vec<Site>,
    pub(crate) cooling: u64,
    /// Each with its time; `None` where one was left out.
    pub(crate) acts: Vec<(Moment, Option<Act>)>,
}

/// A subnet, and where it can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) cidr: IpNetwork,
    /// Which of the story's zones.
    pub(crate) zone: usize,
}

/// How long it goes that more containers start than stop, and then how long the other way round.
const TIDE_MILLIS: Moment = 6 * 3_600_000;

/// Hosts from which on a fleet counts as large: with subnets and zones to match.
const LARGE: usize = 9;

/// Something that somebody does, or that befalls somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Run { machine: usize, wish: Wish, plain: bool },
    Stop { machine: usize, nth: usize },
    LateRelease { machine: usize, nth: usize },
    LateReap { machine: usize, nth: usize },
    Publish { machine: usize, nth: usize },
    Name { machine: usize, nth: usize },
    Unname,
    Reserve { machine: usize, name: u64, address: Option<IpAddr> },
    Unreserve { machine: usize, name: u64 },
    Drain { nth: usize },
    Undrain { nth: usize },
    Fault(Fault),
}

impl Plan {
    /// The story of a seed.
    pub fn of(seed: u64) -> Self {
        // Some stories are slow: dead hosts are evicted, and more goes wrong meanwhile.
        let pause_max = if seed.is_multiple_of(4) { 120_000 } else { 6_000 };
        Self { seed, hosts: None, steps: 60, only: None, pause_max }
    }

    pub(crate) fn script(&self) -> Script {
        let mut chance = Chance::new(self.seed, "script");
        let hosts = self.hosts.unwrap_or(chance.between(2, 4) as usize);
        let zones = match hosts {
            LARGE.. => hosts.div_ceil(20),
            3.. if chance.one_in(3) => 2,
            _ => 1,
        };
        let sites = sites(&mut chance, hosts, zones);
        let cooling = chance.pick(&[1_000, 5_000, 30_000]);
        // Each story has its own few kinds of faults: all of them at once hide each other.
        let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|_| chance.one_in(3)).collect();
        let draining = chance.one_in(3);
        let stage = Stage { hosts, zones, sites: &sites, kinds: &kinds, draining };
        let mut at = 1_000;
        let mut acts = Vec::new();
        for number in 0..self.steps {
            at += chance.skewed(self.pause_max);
            let act = stage.act(&mut chance, at);
            // What is left out keeps its place, so that numbers and times stay.
            let kept = self.only.as_ref().is_none_or(|only| only.contains(&number));
            acts.push((at, kept.then_some(act)));
        }
        let hosts = (0..hosts).map(|number| placed(number, zones, &mut chance)).collect();
        Script { seed: self.seed, hosts, zones, sites, cooling, acts }
    }
}

/// The name of a zone.
pub(crate) fn zone(number: usize) -> Zone {
    Zone(format!("dal10-{}", 900 + number))
}

/// Every host is in one zone; some of a small fleet are in all.
fn placed(number: usize, zones: usize, chance: &mut Chance) -> BTreeSet<Zone> {
    if number == 0 && zones == 2 && chance.one_in(2) {
        return (0..zones).map(zone).collect();
    }
    BTreeSet::from([zone(number % zones)])
}

/// Few addresses for few hosts, so that they meet; about five for each host of a large fleet.
fn sites(chance: &mut Chance, hosts: usize, zones: usize) -> Vec<Site> {
    let site = |zone: usize, third: usize, fourth: u8, prefix: u8| {
        let [second, third] = [50 + zone, third].map(|octet| u8::try_from(octet).unwrap_or(u8::MAX));
        let cidr = Ipv4Network::new([10, second, third, fourth].into(), prefix).map(IpNetwork::V4);
        Some(Site { cidr: cidr.ok()?, zone })
    };
    if hosts >= LARGE {
        let each = (hosts.div_ceil(zones) * 5).div_ceil(29);
        let sites = (0..zones).flat_map(|zone| (0..each).map(move |nth| site(zone, nth, 0, 27)));
        return sites.flatten().collect();
    }
    let mut sites = match chance.below(3) {
        0 => vec![site(0, 0, 0, 29)],
        1 => vec![site(0, 0, 0, 29), site(0, 0, 8, 29)],
        _ => vec![site(0, 0, 0, 28)],
    };
    sites.extend((1..zones).map(|zone| site(zone, 0, 0, 29)));
    sites.into_iter().flatten().collect()
}

/// What acts are chosen from.
struct Stage<'a> {
    hosts: usize,
    zones: usize,
    sites: &'a [Site],
    kinds: &'a [Kind],
    draining: bool,
}

impl Stage<'_> {
    fn act(&self, chance: &mut Chance, at: Moment) -> Act {
        let machine = chance.place(self.hosts);
        let nth = chance.place(8);
        let any = Act::Run { machine, wish: Wish::Any(Family::V4), plain: false };
        let starts = if (at / TIDE_MILLIS).is_multiple_of(2) { 8 } else { 6 };
        match chance.below(30) {
            drawn @ 0..14 if drawn < starts => {
                let exact = chance.one_in(4);
                let wish = if exact { Wish::Exact(self.address(chance)) } else { Wish::Any(Family::V4) };
                Act::Run { machine, wish, plain: chance.one_in(4) }
            }
            0..14 => Act::Stop { machine, nth },
            14 => Act::LateRelease { machine, nth },
            15 => Act::LateReap { machine, nth },
            16 | 17 => Act::Publish { machine, nth },
            18 => Act::Name { machine, nth },
            19 if chance.one_in(2) => Act::Unname,
            19 => {
                let address = if chance.one_in(2) { Some(self.address(chance)) } else { None };
                Act::Reserve { machine, name: chance.below(3), address }
            }
            20 => Act::Unreserve { machine, name: chance.below(3) },
            21 if self.draining => Act::Drain { nth: chance.place(self.sites.len()) },
            22 if self.draining && chance.one_in(3) => Act::Undrain { nth: chance.place(self.sites.len()) },
            _ if self.kinds.is_empty() => any,
            _ => {
                let kind = chance.pick(self.kinds);
                // Where there is but one zone, nobody can move to another.
                match kind {
                    Kind::ZoneChanged if self.zones == 1 => any,
                    _ => Act::Fault(Fault::new(kind, machine, chance)),
                }
            }
        }
    }

    fn address(&self, chance: &mut Chance) -> IpAddr {
        let cidr = self.sites[chance.place(self.sites.len())].cidr;
        let usable = cidr.iter().count().saturating_sub(3);
        cidr.iter().nth(2 + chance.place(usable)).unwrap_or(cidr.ip())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { machine, wish, plain } => {
                let how = if *plain { ", on the built-in bridge" } else { "" };
                match wish {
                    Wish::Exact(address) => {
                        write!(f, "h{} runs a container with --ip {address}{how}", machine + 1)
                    }
                    _ => write!(f, "h{} runs a container{how}", machine + 1),
                }
            }
            Self::Stop { machine, .. } => write!(f, "h{} stops a container", machine + 1),
            Self::LateRelease { machine, .. } => write!(f, "a late release on h{}", machine + 1),
            Self::LateReap { machine, .. } => write!(f, "late word of an old assignment on h{}", machine + 1),
            Self::Publish { machine, .. } => write!(f, "h{} publishes an endpoint", machine + 1),
            Self::Name { machine, .. } => {
                write!(f, "the owner on h{} names an endpoint in the cloud", machine + 1)
            }
            Self::Unname => write!(f, "the owners take back what they named"),
            Self::Reserve { machine, name, address: Some(address) } => {
                write!(f, "{address} is reserved as r{name}, through h{}", machine + 1)
            }
            Self::Reserve { machine, name, .. } => write!(f, "r{name} is reserved, through h{}", machine + 1),
            Self::Unreserve { machine, name } => write!(f, "r{name} is given up, through h{}", machine + 1),
            Self::Drain { nth } => write!(f, "subnet {nth} is to be returned"),
            Self::Undrain { nth } => write!(f, "subnet {nth} is not to be returned after all"),
            Self::Fault(fault) => write!(f, "{fault}"),
        }
    }
}
