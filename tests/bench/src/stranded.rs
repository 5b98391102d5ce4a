//! stranded_percent_at_first_refusal: how much is free, somewhere, when the first request is refused; and as curves
//! over hosts, skew and fill, how many requests are served.
//!
//! The decisions alone, without a clock: production's `ipam::Host`s, and the baselines over a map.

mod curves;
mod demand;

use std::thread;

use anyhow::{Context, Result, anyhow};
use futures::executor::block_on;
use ipnetwork::IpNetwork;

use crate::Size;
use crate::agents::{ROOM, subnet};
use crate::baselines::{Blocks, Memory, Strategy, SubnetPerHost};
use crate::net::Net;
use crate::report::say;
use curves::{Curve, Panel};
use demand::Demand;

/// Points of a curve.
const POINTS: usize = 50;

/// What is drawn: for each number of hosts, how many addresses each has on average.
const HOSTS: &[usize] = &[10, 100, 500];
const EACH: usize = 10;

/// Exponents of Zipf's law: all alike, then ever fewer hosts that ask for ever more.
const SKEWS: &[f64] = &[0.0, 1.0, 1.5];

pub(crate) fn measure(size: &Size) -> Result<()> {
    let mut rounds: Vec<(&str, Vec<f64>)> = Vec::new();
    let demands = (0..size.of(3, 1)).map(|seed| Demand { hosts: size.of(500, 10), skew: 1.0, seed });
    for refusals in side_by_side(demands.collect(), |demand| first_refusals(&demand))? {
        for (name, percent) in refusals {
            match rounds.iter_mut().find(|(known, _)| *known == name) {
                Some((_, percents)) => percents.push(percent),
                None => rounds.push((name, vec![percent])),
            }
        }
    }
    for (name, percents) in rounds {
        say(&format!("stranded_percent_at_first_refusal{name}"), "%", &percents);
    }
    let Some(file) = &size.svg else { return Ok(()) };
    let panels = panels(size)?;
    std::fs::write(file, curves::svg(&panels)).with_context(|| format!("cannot write {}", file.display()))
}

/// What is free when the first request is refused, in percent of all.
fn first_refusals(demand: &Demand) -> Result<Vec<(&'static str, f64)>> {
    let room = room(demand.hosts);
    Ok([
        ("", of_berth(demand)?),
        ("_blocks_of_16_without_borrowing", served(demand, room, OwnBlocks::new)?),
        ("_blocks_of_16", served(demand, room, Blocks::new)?),
        ("_subnet_per_host", served(demand, room, SubnetPerHost::new)?),
    ]
    .into_iter()
    .map(|(name, served)| {
        let first = served.iter().position(|served| !served).unwrap_or(room);
        (name, 100.0 * (room - first.min(room)) as f64 / room as f64)
    })
    .collect())
}

fn panels(size: &Size) -> Result<Vec<Panel>> {
    let hosts = size.of(HOSTS, &[10]).iter();
    let demands =
        hosts.flat_map(|hosts| SKEWS.iter().map(move |skew| Demand { hosts: *hosts, skew: *skew, seed: 1 }));
    side_by_side(demands.collect(), |demand| {
        let room = room(demand.hosts);
        let curves = vec![
            Curve::new("Berth", &of_berth(&demand)?, POINTS),
            Curve::new("blocks of 16", &served(&demand, room, OwnBlocks::new)?, POINTS),
            Curve::new("subnet per host", &served(&demand, room, SubnetPerHost::new)?, POINTS),
        ];
        Ok(Panel { hosts: demand.hosts, skew: demand.skew, curves })
    })
}

/// No time is measured: each demand has a thread of its own.
fn side_by_side<T: Send>(demands: Vec<Demand>, of: impl Fn(Demand) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let of = &of;
        let threads: Vec<_> = demands.into_iter().map(|demand| scope.spawn(move || of(demand))).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|ended| ended.map_err(|_| anyhow!("a demand was not played to its end"))?).collect()
    })
}

fn subnets(hosts: usize) -> usize {
    (hosts * EACH).div_ceil(ROOM)
}

fn room(hosts: usize) -> usize {
    subnets(hosts) * ROOM
}

/// As many requests as there are addresses, and one more: which of them Berth serves.
fn of_berth(demand: &Demand) -> Result<Vec<bool>> {
    let cidrs: Vec<IpNetwork> = (0..subnets(demand.hosts)).map(subnet).collect::<Result<_>>()?;
    let mut net = Net::new(demand.hosts, &cidrs)?;
    let asked = demand.requests().take(room(demand.hosts) + 1);
    asked.map(|host| Ok(net.assign(host)?.is_some())).collect()
}

fn served<S: Strategy<Memory>>(
    demand: &Demand,
    room: usize,
    new: impl Fn(Memory, usize, usize, usize) -> S,
) -> Result<Vec<bool>> {
    let keys = Memory::default();
    let mut hosts: Vec<S> =
        (0..demand.hosts).map(|host| new(keys.clone(), host, demand.hosts, room)).collect();
    let asked = demand.requests().take(room + 1);
    asked.map(|host| Ok(block_on(hosts[host].assign())?.is_some())).collect()
}

/// Fixed blocks of 16 as they are where nobody borrows.
struct OwnBlocks(Blocks<Memory>);

impl Strategy<Memory> for OwnBlocks {
    const NAME: &'static str = "blocks_of_16_without_borrowing";

    fn new(keys: Memory, host: usize, hosts: usize, room: usize) -> Self {
        Self(Blocks::new(keys, host, hosts, room))
    }

    async fn assign(&mut self) -> Result<Option<usize>> {
        self.0.assign_own().await
    }

    fn keys(&self) -> &Memory {
        self.0.keys()
    }
}
