//! want_max_ms, last_address_ms: what is free is held by others, who must be asked; at 10, 100 and 1,000 hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ipnetwork::IpNetwork;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Size;
use crate::agents::{Agent, World, on_runtime, subnet};
use crate::etcd::Etcd;
use crate::report::{millis, quantile, say};

pub(crate) fn measure(size: &Size) -> Result<()> {
    for hosts in size.of(vec![10, 100, 1_000], vec![4]) {
        on_runtime(async move {
            let etcd = Etcd::one().await?;
            let world = World::found(&etcd, "bench/want/").await?;
            let room = open_for(&world, hosts).await?;
            let agents = world.agents(hosts).await?;
            let mut scene = Scene::fill(&world, &agents, room).await?;
            let suffix = if hosts == 10 { String::new() } else { format!("_{hosts}") };
            scene.wants(&suffix, size.of(12, 3)).await?;
            scene.last_addresses(&suffix, size.of(30, 3)).await
        })?;
    }
    Ok(())
}

/// Opens subnets with an address for each host and a few more; how many addresses they have.
async fn open_for(world: &World, hosts: usize) -> Result<usize> {
    let cidrs: Vec<IpNetwork> = match hosts {
        ..=10 => vec!["10.80.0.0/26".parse()?],
        11..=100 => vec![subnet(0)?],
        _ => (0..hosts / 250).map(subnet).collect::<Result<_>>()?,
    };
    let mut room = 0;
    for cidr in cidrs {
        world.open(cidr, &[]).await?;
        room += cidr.iter().count() - 3;
    }
    Ok(room)
}

/// Every address in use, but for those that were let go.
struct Scene<'a> {
    world: &'a World,
    agents: &'a [Agent],
    /// Who uses what.
    used: BTreeMap<IpAddr, usize>,
    /// How many addresses there are.
    room: usize,
    random: StdRng,
}

impl<'a> Scene<'a> {
    async fn fill(world: &'a World, agents: &'a [Agent], room: usize) -> Result<Scene<'a>> {
        let mut used = BTreeMap::new();
        for number in 0..room {
            let host = number % agents.len();
            let assigned = agents[host].assign().await.with_context(|| format!("the {number}. of {room}"))?;
            used.insert(assigned.address, host);
        }
        world.quiet().await?;
        Ok(Scene { world, agents, used, room, random: StdRng::seed_from_u64(3) })
    }

    /// A host asks while three others have a free address each, and have said so.
    async fn wants(&mut self, suffix: &str, rounds: usize) -> Result<()> {
        let mut taken = Vec::new();
        for _ in 0..rounds {
            let mut holders = Vec::new();
            for _ in 0..3 {
                holders.push(self.let_one_go().await?);
            }
            self.world.quiet().await?;
            taken.push(self.ask(&holders).await?);
            while self.used.len() < self.room {
                self.ask(&[]).await?;
            }
        }
        tell(&format!("want_max_ms{suffix}"), &taken);
        Ok(())
    }

    /// A host asks while one other has the only free address, and had no time to say so.
    async fn last_addresses(&mut self, suffix: &str, rounds: usize) -> Result<()> {
        let mut taken = Vec::new();
        for _ in 0..rounds {
            let holder = self.let_one_go().await?;
            taken.push(self.ask(&[holder]).await?);
        }
        tell(&format!("last_address_ms{suffix}"), &taken);
        Ok(())
    }

    /// Some container ends; on which host.
    async fn let_one_go(&mut self) -> Result<usize> {
        let nth = self.random.random_range(0..self.used.len());
        let (address, host) = self.used.iter().nth(nth).map(|(a, h)| (*a, *h)).context("some are used")?;
        self.agents[host].release(address).await?;
        self.used.remove(&address);
        Ok(host)
    }

    /// Some other host asks for an address: how long the answer takes, in milliseconds.
    async fn ask(&mut self, not: &[usize]) -> Result<f64> {
        let asker = loop {
            let host = self.random.random_range(0..self.agents.len());
            if !not.contains(&host) {
                break host;
            }
        };
        let begun = Instant::now();
        let assigned = self.agents[asker].assign().await?;
        let taken = begun.elapsed();
        let twice = self.used.insert(assigned.address, asker);
        ensure!(twice.is_none(), "{} was in use", assigned.address);
        Ok(millis(taken))
    }
}

/// The longest, and the usual.
fn tell(name: &str, taken: &[f64]) {
    say(name, "ms", &[quantile(taken, 1.0)]);
    say(&name.replace("max_ms", "ms").replace("_ms", "_p50_ms"), "ms", &[quantile(taken, 0.5)]);
}
