//! exact_fit_seconds, exact_fit_served, churn_leaks: as many requests as addresses, and then containers that come
//! and go while every address is in use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Size;
use crate::agents::{Agent, World, on_runtime, subnet};
use crate::baselines::{self, Blocks, OnePerAddress, Strategy, SubnetPerHost};
use crate::etcd::Etcd;
use crate::report::say;

const HOSTS: usize = 10;
const ADDRESSES: usize = 1_000;

/// Containers that come and go in one round of churn.
const CHURN: usize = 50;

/// What a round came to.
#[derive(Default)]
struct Fit {
    seconds: Vec<f64>,
    served: Vec<f64>,
    leaks: Vec<f64>,
    churn_seconds: Vec<f64>,
    churn_refused: Vec<f64>,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    let mut ours = Fit::default();
    let mut plain: BTreeMap<&str, Fit> = BTreeMap::new();
    for seed in 0..size.of(3, 1) {
        let asks = demand(seed);
        on_runtime(fit(&asks, size.of(100, 3), seed, &mut ours))?;
        baseline::<OnePerAddress<_>>(&asks, &mut plain)?;
        baseline::<Blocks<_>>(&asks, &mut plain)?;
        baseline::<SubnetPerHost<_>>(&asks, &mut plain)?;
    }
    tell("exact_fit", &ours);
    say("churn_leaks", "addresses", &ours.leaks);
    say("churn_seconds", "s", &ours.churn_seconds);
    say("churn_refused", "requests", &ours.churn_refused);
    for (name, fit) in &plain {
        tell(&format!("exact_fit_{name}"), fit);
    }
    Ok(())
}

fn tell(name: &str, fit: &Fit) {
    say(&format!("{name}_seconds"), "s", &fit.seconds);
    say(&format!("{name}_served"), "addresses", &fit.served);
}

/// How many containers start on which host: as it comes.
fn demand(seed: u64) -> Vec<usize> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut asks = vec![0; HOSTS];
    (0..ADDRESSES).for_each(|_| asks[random.random_range(0..HOSTS)] += 1);
    asks
}

async fn fit(asks: &[usize], churns: usize, seed: u64, fit: &mut Fit) -> Result<()> {
    let etcd = Etcd::one().await?;
    let world = World::found(&etcd, "bench/fit/").await?;
    // Four /24 have room for 1,012.
    for nth in 0..4 {
        let cidr = subnet(nth)?;
        let excluded: Vec<IpAddr> = cidr.iter().skip(10).take(3).collect();
        world.open(cidr, &excluded).await?;
    }
    let agents = world.agents(HOSTS).await?;
    let begun = Instant::now();
    let answers = join_all(asks.iter().zip(&agents).map(|(count, agent)| many(agent, *count))).await;
    fit.seconds.push(begun.elapsed().as_secs_f64());
    let mut used = BTreeMap::new();
    for (host, addresses) in answers.into_iter().enumerate() {
        for address in addresses {
            ensure!(used.insert(address, host).is_none(), "{address} is used twice");
        }
    }
    fit.served.push(used.len() as f64);
    let begun = Instant::now();
    fit.churn_refused.push(churn(&agents, &mut used, churns, seed).await? as f64);
    fit.churn_seconds.push(begun.elapsed().as_secs_f64());
    fit.leaks.push(leaks(&agents, used).await? as f64);
    Ok(())
}

/// So many containers at once; what they got.
async fn many(agent: &Agent, count: usize) -> Vec<IpAddr> {
    let asked = join_all((0..count).map(|_| agent.assign())).await;
    if let Some(Err(first)) = asked.iter().find(|answer| answer.is_err()) {
        eprintln!("exact_fit: {first:#}");
    }
    asked.into_iter().flatten().map(|assignment| assignment.address).collect()
}

/// Some containers end anywhere, and as many start elsewhere; how many were refused.
async fn churn(
    agents: &[Agent],
    used: &mut BTreeMap<IpAddr, usize>,
    rounds: usize,
    seed: u64,
) -> Result<usize> {
    let mut random = StdRng::seed_from_u64(seed + 100);
    let mut refused = 0;
    for _ in 0..rounds {
        let all: Vec<IpAddr> = used.keys().copied().collect();
        let ending: BTreeSet<IpAddr> = (0..CHURN).map(|_| all[random.random_range(0..all.len())]).collect();
        for address in &ending {
            let host = used.remove(address).context("it was in use")?;
            agents[host].release(*address).await?;
        }
        let mut asks = [0; HOSTS];
        // Those that were refused before ask again.
        (0..ADDRESSES - used.len()).for_each(|_| asks[random.random_range(0..HOSTS)] += 1);
        let asked = ADDRESSES - used.len();
        let answers = join_all(asks.iter().zip(agents).map(|(count, agent)| many(agent, *count))).await;
        let mut got = 0;
        for (host, addresses) in answers.into_iter().enumerate() {
            for address in addresses {
                got += 1;
                ensure!(used.insert(address, host).is_none(), "{address} is used twice");
            }
        }
        refused += asked - got;
    }
    Ok(refused)
}

/// Everything is let go, and one host asks for all of it: how many it does not get.
async fn leaks(agents: &[Agent], used: BTreeMap<IpAddr, usize>) -> Result<usize> {
    try_join_all(used.into_iter().map(|(address, host)| agents[host].release(address))).await?;
    let mut got = BTreeSet::new();
    // In a few bursts: no host starts a thousand containers in one moment.
    for _ in 0..ADDRESSES / CHURN {
        got.extend(many(&agents[0], CHURN).await);
    }
    Ok(ADDRESSES - got.len())
}

fn baseline<S: Strategy<baselines::Etcd> + 'static>(
    asks: &[usize],
    fits: &mut BTreeMap<&str, Fit>,
) -> Result<()> {
    let (seconds, served) = on_runtime(plain::<S>(asks))?;
    let fit = fits.entry(S::NAME).or_default();
    fit.seconds.push(seconds);
    fit.served.push(served as f64);
    Ok(())
}

async fn plain<S: Strategy<baselines::Etcd> + 'static>(asks: &[usize]) -> Result<(f64, usize)> {
    let etcd = Etcd::one().await?;
    let clients = try_join_all(asks.iter().map(|_| etcd.client())).await?;
    let begun = Instant::now();
    let hosts = clients.into_iter().zip(asks.to_vec()).enumerate().map(|(host, (client, count))| {
        tokio::spawn(async move {
            let keys = baselines::Etcd::new(client.kv_client());
            let mut strategy = S::new(keys, host, HOSTS, ADDRESSES);
            let mut got = 0;
            for _ in 0..count {
                got += usize::from(strategy.assign().await?.is_some());
            }
            anyhow::Ok(got)
        })
    });
    let mut served = 0;
    for ended in join_all(hosts).await {
        served += ended??;
    }
    Ok((begun.elapsed().as_secs_f64(), served))
}
