//! What a seed makes happen: acts with their times. A story is told again from its seed, and made shorter by
//! leaving acts out.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipam::{Family, Wish};
use ipnetwork::IpNetwork;

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
    pub(crate) hosts: usize,
    pub(crate) subnets: Vec<IpNetwork>,
    pub(crate) cooling: u64,
    /// Each with its time; `None` where one was left out.
    pub(crate) acts: Vec<(Moment, Option<Act>)>,
}

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
        Self { seed, hosts: None, steps: 60, only: None, pause_max: 6_000 }
    }

    pub(crate) fn script(&self) -> Script {
        let mut chance = Chance::new(self.seed, "script");
        let hosts = self.hosts.unwrap_or(chance.between(2, 4) as usize);
        let subnets = match chance.below(3) {
            0 => vec!["10.50.0.0/29"],
            1 => vec!["10.50.0.0/29", "10.50.0.8/29"],
            _ => vec!["10.50.0.0/28"],
        };
        let subnets: Vec<IpNetwork> = subnets.iter().filter_map(|text| text.parse().ok()).collect();
        let cooling = chance.pick(&[1_000, 5_000, 30_000]);
        // Each story has its own few kinds of faults: all of them at once hide each other.
        let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|_| chance.one_in(3)).collect();
        let draining = chance.one_in(3);
        let mut at = 1_000;
        let mut acts = Vec::new();
        for number in 0..self.steps {
            at += chance.skewed(self.pause_max);
            let act = act(&mut chance, hosts, &subnets, &kinds, draining);
            // What is left out keeps its place, so that numbers and times stay.
            let kept = self.only.as_ref().is_none_or(|only| only.contains(&number));
            acts.push((at, kept.then_some(act)));
        }
        Script { seed: self.seed, hosts, subnets, cooling, acts }
    }
}

fn act(chance: &mut Chance, hosts: usize, subnets: &[IpNetwork], kinds: &[Kind], draining: bool) -> Act {
    let machine = chance.place(hosts);
    let nth = chance.place(8);
    let any = Act::Run { machine, wish: Wish::Any(Family::V4), plain: false };
    match chance.below(30) {
        0..=7 => {
            let exact = chance.one_in(4);
            let wish = if exact { Wish::Exact(address(chance, subnets)) } else { Wish::Any(Family::V4) };
            Act::Run { machine, wish, plain: chance.one_in(4) }
        }
        8..=13 => Act::Stop { machine, nth },
        14 => Act::LateRelease { machine, nth },
        15 => Act::LateReap { machine, nth },
        16 | 17 => Act::Publish { machine, nth },
        18 => Act::Name { machine, nth },
        19 if chance.one_in(2) => Act::Unname,
        19 => {
            let address = if chance.one_in(2) { Some(address(chance, subnets)) } else { None };
            Act::Reserve { machine, name: chance.below(3), address }
        }
        20 => Act::Unreserve { machine, name: chance.below(3) },
        21 if draining => Act::Drain { nth: chance.place(subnets.len()) },
        22 if draining && chance.one_in(3) => Act::Undrain { nth: chance.place(subnets.len()) },
        _ if kinds.is_empty() => any,
        _ => {
            let kind = chance.pick(kinds);
            Act::Fault(Fault::new(kind, machine, chance))
        }
    }
}

fn address(chance: &mut Chance, subnets: &[IpNetwork]) -> IpAddr {
    let subnet = &subnets[chance.place(subnets.len())];
    let addresses: Vec<IpAddr> = subnet.iter().collect();
    addresses[2 + chance.place(addresses.len().saturating_sub(3))]
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
