//! storm_seconds, storm_served, storm_duplicates, storm_txn_per_assignment: agents that all start a hundred
//! containers in the same moment, until every answer is there and the ledger shows all of them as running. Beside
//! it the baselines, which publish nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use ledger::{Query, Segment};
use store::Store;
use store::layout::Under;
use tokio::time::{sleep, timeout};

use crate::Size;
use crate::agents::{Agent, ROOM, World, on_runtime};
use crate::baselines::{self, Blocks, OnePerAddress, Strategy, SubnetPerHost};
use crate::etcd::Etcd;
use crate::report::{say, say_once};

/// Containers that each agent starts.
const EACH: usize = 100;

/// How long publication may take at most.
const PUBLISHED: Duration = Duration::from_secs(120);

/// What a storm came to.
struct Storm {
    seconds: f64,
    served: usize,
    duplicates: usize,
    transactions: u64,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    let agents = size.of(500, 10);
    for (suffix, agents) in size.of(vec![("_10", 10), ("_100", 100), ("", 500)], vec![("", agents)]) {
        let rounds = if agents == 500 { 1 } else { 3 };
        let mut storms = Vec::new();
        for _ in 0..rounds {
            storms.push(on_runtime(storm(agents, suffix))?);
        }
        tell("storm", suffix, &storms);
        baseline::<OnePerAddress<_>>(agents, suffix, rounds)?;
        baseline::<Blocks<_>>(agents, suffix, rounds)?;
        baseline::<SubnetPerHost<_>>(agents, suffix, rounds)?;
    }
    Ok(())
}

/// A tenth more addresses than are asked for.
fn subnets(agents: usize) -> usize {
    (agents * EACH * 11 / 10).div_ceil(ROOM)
}

async fn storm(count: usize, suffix: &str) -> Result<Storm> {
    let etcd = Etcd::one().await?;
    let world = World::found(&etcd, "bench/storm/").await?.with_ledger();
    world.open_many(subnets(count)).await?;
    let begun = Instant::now();
    let agents = world.agents(count).await?;
    say_once(&format!("storm_agents_started_s{suffix}"), "s", begun.elapsed().as_secs_f64());
    let before = world.counts().commits();
    let begun = Instant::now();
    let answers = join_all(agents.iter().map(containers)).await;
    let answered = begun.elapsed();
    let (addresses, refused): (Vec<Vec<IpAddr>>, Vec<Option<String>>) = answers.into_iter().unzip();
    let (addresses, refused) = (addresses.concat(), refused.into_iter().flatten());
    if let Some(first) = refused.clone().next() {
        eprintln!("storm: refused on {} of {count} agents, on one of them so: {first}", refused.count());
    }
    timeout(PUBLISHED, published(&world, addresses.len()))
        .await
        .context("not all of them are published")??;
    let seconds = begun.elapsed().as_secs_f64();
    say_once(&format!("storm_answered_s{suffix}"), "s", answered.as_secs_f64());
    let transactions = world.counts().commits() - before;
    let distinct = addresses.iter().collect::<BTreeSet<_>>().len();
    Ok(Storm { seconds, served: addresses.len(), duplicates: addresses.len() - distinct, transactions })
}

/// A hundred containers at once; what they got, and why the first that was refused was.
async fn containers(agent: &Agent) -> (Vec<IpAddr>, Option<String>) {
    let asked = join_all((0..EACH).map(|_| agent.assign())).await;
    let refused = asked.iter().find_map(|answer| answer.as_ref().err()).map(|error| format!("{error:#}"));
    (asked.into_iter().flatten().map(|assignment| assignment.address).collect(), refused)
}

/// Returns once the store shows so many intervals as running.
async fn published(world: &World, count: usize) -> Result<()> {
    loop {
        let mut running = 0;
        // A store that is busy with the storm is asked again.
        let shown = world.store().range(&Under::Running.prefix()).await.map(|all| all.entries);
        for entry in shown.unwrap_or_default() {
            let bytes = entry.value.as_slice();
            running += Segment::check(bytes)?.find(&bytes, &Query::default())?.len();
        }
        if running >= count {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn baseline<S: Strategy<baselines::Etcd> + 'static>(hosts: usize, suffix: &str, rounds: usize) -> Result<()> {
    let storms: Result<Vec<Storm>> = (0..rounds).map(|_| on_runtime(plain::<S>(hosts))).collect();
    tell(&format!("storm_{}", S::NAME), suffix, &storms?);
    Ok(())
}

async fn plain<S: Strategy<baselines::Etcd> + 'static>(hosts: usize) -> Result<Storm> {
    let etcd = Etcd::one().await?;
    let clients = try_join_all((0..hosts).map(|_| etcd.client())).await?;
    let room = subnets(hosts) * ROOM;
    let begun = Instant::now();
    let storms = clients.into_iter().enumerate().map(|(host, client)| {
        tokio::spawn(async move {
            let mut strategy = S::new(baselines::Etcd::new(client.kv_client()), host, hosts, room);
            let mut got = Vec::new();
            for _ in 0..EACH {
                got.extend(strategy.assign().await?);
            }
            anyhow::Ok((got, baselines::Keys::asked(strategy.keys())))
        })
    });
    let (mut addresses, mut transactions) = (Vec::new(), 0);
    for ended in join_all(storms).await {
        let (got, asked) = ended??;
        addresses.extend(got);
        transactions += asked;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let distinct = addresses.iter().collect::<BTreeSet<_>>().len();
    Ok(Storm { seconds, served: addresses.len(), duplicates: addresses.len() - distinct, transactions })
}

fn tell(name: &str, suffix: &str, storms: &[Storm]) {
    let of = |what: fn(&Storm) -> f64| storms.iter().map(what).collect::<Vec<_>>();
    say(&format!("{name}_seconds{suffix}"), "s", &of(|it| it.seconds));
    say(&format!("{name}_served{suffix}"), "addresses", &of(|it| it.served as f64));
    say(&format!("{name}_duplicates{suffix}"), "addresses", &of(|it| it.duplicates as f64));
    let per = |it: &Storm| it.transactions as f64 / it.served.max(1) as f64;
    say(&format!("{name}_txn_per_assignment{suffix}"), "transactions", &of(per));
}
