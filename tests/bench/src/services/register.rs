//! register_calls_per_lb, register_busy_refusals, register_cycles: 200 endpoints of 20 services, each behind a load
//! balancer of its own, come within two seconds on three hosts; the provider takes a second for each change.
//!
//! The three agents' owners are in this process, over one store in memory and SoftLayer's real protocol. Members are
//! written as the hosts' registrars write them, one transaction each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::owners::keep;
use anyhow::Result;
use provider_mock::{CloudSpec, Delays, SimulatedCloud};
use store::MemoryStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::crowd::{HOSTS, comes, declare_balanced, found, name, parts, until};
use crate::Size;
use crate::report::say_once;

const SERVICES: usize = 20;
const ENDPOINTS: usize = 200;

/// The calls that change who is served.
const MEMBER_CALLS: &str = "LoadBalancerMembers";

pub(crate) fn measure(_: &Size) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(register())
}

async fn register() -> Result<()> {
    let mut spec = CloudSpec::small();
    spec.delays = Delays { balancer_update_ms: 1_000, ..Delays::NONE };
    let cloud = SimulatedCloud::start(spec).await?;
    let store = MemoryStore::new();
    found(&store).await?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    for host in HOSTS {
        let parts = parts(Arc::new(store.clone()), &cloud.endpoint(), host, &stop)?;
        tasks.spawn(keep(parts, stop.clone()));
    }
    for number in 0..SERVICES {
        declare_balanced(&store, number).await?;
    }
    until("every load balancer is there and listens", || {
        let cloud = cloud.live().present();
        let listens = |name: String| cloud.balancer(&name).is_some_and(|it| it.in_force.listeners.len() == 1);
        (0..SERVICES).map(name).all(listens)
    })
    .await?;
    let before = cloud.live().requests().len();
    let begun = Instant::now();
    for endpoint in 0..ENDPOINTS {
        comes(&store, endpoint, SERVICES).await?;
        tokio::time::sleep(Duration::from_millis(2_000 / ENDPOINTS as u64)).await;
    }
    until("everybody is served", || {
        let cloud = cloud.live().present();
        let members = |name: String| cloud.balancer(&name).map_or(0, |it| it.in_force.members.len());
        (0..SERVICES).map(name).map(members).sum::<usize>() == ENDPOINTS
    })
    .await?;
    let took = begun.elapsed();
    tell(&cloud, before, took);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

fn tell(cloud: &SimulatedCloud, before: usize, took: Duration) {
    let all = cloud.live().requests();
    let calls = all.iter().skip(before).filter(|it| it.method.ends_with(MEMBER_CALLS));
    let (done, refused): (Vec<_>, Vec<_>) = calls.partition(|it| it.status == Some(200));
    let each = (done.len() + refused.len()) as f64 / SERVICES as f64;
    say_once("register_calls_per_lb", "calls", each);
    say_once("register_busy_refusals", "calls", refused.len() as f64);
    // Each change that is accepted is one cycle of the provider.
    say_once("register_cycles", "cycles", done.len() as f64 / SERVICES as f64);
    say_once("register_seconds", "s", took.as_secs_f64());
    let looks = all.len() - before - done.len() - refused.len();
    say_once("register_looks_per_lb", "calls", looks as f64 / SERVICES as f64);
}
