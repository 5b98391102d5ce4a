//! assign_journalled_p50_us, _p99_us and assign_pairs_per_s: the agent's allocator with its journal on the disk, at
//! 0 and at 99 % full, on one core. What is asked for is held; the store is not part of it.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use crate::Size;
use crate::agents::{Agent, ROOM, World, on_one_core};
use crate::etcd::Etcd;
use crate::report::{micros, quantile, say};

/// Callers at the same time.
const CALLERS: usize = 32;

pub(crate) fn measure(size: &Size) -> Result<()> {
    on_one_core(async {
        let etcd = Etcd::one().await?;
        let world = World::found(&etcd, "bench/journalled/").await?;
        world.open_many(1).await?;
        let agents = world.agents(1).await?;
        let held = ROOM - 1;
        for agent in &agents {
            agent.hold(held).await?;
            world.quiet().await?;
            together(agent, size).await?;
            for (fill, in_use) in [("0", 0), ("99", held - 2)] {
                let used = agent.assign_many(in_use).await?;
                measure_at(agent, fill, size).await?;
                for address in used {
                    agent.release(address).await?;
                }
            }
        }
        Ok(())
    })
}

async fn measure_at(agent: &Agent, fill: &str, size: &Size) -> Result<()> {
    let (mut p50, mut p99, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.of(7, 2) {
        let (taken, whole) = round(agent, size.of(2_000, 200)).await?;
        let taken: Vec<f64> = taken.into_iter().map(micros).collect();
        p50.push(quantile(&taken, 0.50));
        p99.push(quantile(&taken, 0.99));
        pairs.push(taken.len() as f64 / whole.as_secs_f64());
    }
    say(&format!("assign_journalled_p50_us_{fill}_percent_full"), "us", &p50);
    say(&format!("assign_journalled_p99_us_{fill}_percent_full"), "us", &p99);
    say(&format!("assign_pairs_per_s_{fill}_percent_full"), "pairs/s", &pairs);
    Ok(())
}

/// The same by callers that do not wait for each other, as containers that start together are.
async fn together(agent: &Agent, size: &Size) -> Result<()> {
    let each = size.of(500, 50);
    let mut pairs = Vec::new();
    for _ in 0..size.of(7, 2) {
        let begun = Instant::now();
        try_join_all((0..CALLERS).map(|_| round(agent, each))).await?;
        pairs.push((CALLERS * each) as f64 / begun.elapsed().as_secs_f64());
    }
    say(&format!("assign_pairs_per_s_{CALLERS}_callers"), "pairs/s", &pairs);
    Ok(())
}

/// How long each assignment took, and all of it with the releases.
async fn round(agent: &Agent, count: usize) -> Result<(Vec<Duration>, Duration)> {
    let whole = Instant::now();
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        let assigned = agent.assign().await?;
        taken.push(begun.elapsed());
        agent.release(assigned.address).await?;
    }
    Ok((taken, whole.elapsed()))
}
