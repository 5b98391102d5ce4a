//! take_vs_txn_p99_ratio: a take beside a plain transaction on the same etcd. take_contended_p99_ms_10, _50: hosts
//! that all take from one /26 in the moment in which it is opened.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use ipam::Wish;
use tokio::time::sleep;

use crate::Size;
use crate::agents::{Agent, World, on_runtime, pool, subnet};
use crate::baselines::put_if_absent;
use crate::etcd::Etcd;
use crate::report::{millis, quantile, say, say_once};

/// How often a host looks whether the subnet is there.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Nobody waits for longer: it starved.
const STARVED: Duration = Duration::from_secs(30);

pub(crate) fn measure(size: &Size) -> Result<()> {
    on_runtime(uncontended(size))?;
    for hosts in [10, 50] {
        on_runtime(contended(hosts, size))?;
    }
    Ok(())
}

/// Each address is asked for by name and free in its block, so each costs one take: fsync and transaction. A plain
/// transaction goes before each.
async fn uncontended(size: &Size) -> Result<()> {
    let etcd = Etcd::one().await?;
    let world = World::found(&etcd, "bench/take/").await?;
    let (rounds, takes) = (size.of(5, 2), size.of(240, 20));
    world.open_many(rounds * takes / 120 + 1).await?;
    let agents = world.agents(1).await?;
    let agent = agents.first().context("one agent")?;
    let mut client = etcd.client().await?.kv_client();
    let (mut ratio, mut take, mut single) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (mut takes_ms, mut single_ms) = (Vec::new(), Vec::new());
        for number in 0..takes {
            let begun = Instant::now();
            put_if_absent(&mut client, &format!("plain/{round}/{number}"), "bench").await?;
            single_ms.push(millis(begun.elapsed()));
            let nth = round * takes + number;
            let address = subnet(nth / 120)?.iter().nth(10 + 2 * (nth % 120)).context("it has 256")?;
            let begun = Instant::now();
            agent.allocator.assign(&pool(), Wish::Exact(address)).await?;
            takes_ms.push(millis(begun.elapsed()));
        }
        let (of_take, of_single) = (quantile(&takes_ms, 0.99), quantile(&single_ms, 0.99));
        ratio.push(of_take / of_single);
        take.push(of_take);
        single.push(of_single);
    }
    say("take_vs_txn_p99_ratio", "times", &ratio);
    say("take_p99_ms", "ms", &take);
    say("take_single_txn_p99_ms", "ms", &single);
    Ok(())
}

async fn contended(hosts: usize, size: &Size) -> Result<()> {
    let etcd = Etcd::one().await?;
    let rounds = size.of(7, 2);
    let (mut p99, mut most, mut served) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        let world = World::found(&etcd, &format!("bench/contended-{round}/")).await?;
        let agents: Vec<Agent> = (0..hosts).map(|number| world.start(number)).collect::<Result<_>>()?;
        world.quiet().await?;
        let waiting = agents.iter().map(first_address);
        let (opened, waited) = futures::future::join(
            async {
                let begun = Instant::now();
                world.open("10.80.0.0/26".parse()?, &[]).await?;
                anyhow::Ok(begun)
            },
            join_all(waiting),
        )
        .await;
        let (opened, waited) = (opened?, waited.into_iter().flatten().collect::<Vec<_>>());
        let waits: Vec<f64> = waited.iter().map(|(_, at)| millis(at.duration_since(opened))).collect();
        let mut addresses: Vec<IpAddr> = waited.iter().map(|(address, _)| *address).collect();
        addresses.sort();
        addresses.dedup();
        ensure!(addresses.len() == waited.len(), "an address was given twice");
        served += addresses.len();
        p99.push(quantile(&waits, 0.99));
        most.push(quantile(&waits, 0.5));
    }
    say(&format!("take_contended_p99_ms_{hosts}"), "ms", &p99);
    say(&format!("take_contended_p50_ms_{hosts}"), "ms", &most);
    say_once(&format!("take_contended_served_{hosts}"), "hosts", served as f64 / rounds as f64);
    Ok(())
}

/// Asks until there is an address: before the subnet is opened there is none at all. None for a host that starves.
async fn first_address(agent: &Agent) -> Option<(IpAddr, Instant)> {
    let begun = Instant::now();
    loop {
        if let Ok(assignment) = agent.assign().await {
            return Some((assignment.address, Instant::now()));
        }
        if begun.elapsed() > STARVED {
            return None;
        }
        sleep(LOOK_EVERY).await;
    }
}
