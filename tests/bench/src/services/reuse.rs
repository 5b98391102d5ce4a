//! misdelivered_real: containers come and go on one small subnet and are killed, in two services of which one is behind
//! a load balancer; two users ask it all the while, one through its virtual address and one by the service's name. Of
//! their answers none is to be of the other service.
//!
//! Everything is real but Docker: berthd, etcd, the kernel, HAProxy, the calls that dockerd makes, namespaces with
//! servers in them. What Docker would list is told by a stand-in, because ten thousand containers take it hours.

mod container;
mod docker;
mod users;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tests::balancers::{declare, front};
use tests::lab::{Daemon, Lab, until};
use tests::names::answered_at;

use self::container::{Network, Slot};
use self::docker::Docker;
use self::users::{Counts, by_address, by_name};
use super::at_once;
use crate::report::say_once;
use crate::{Size, labs};

/// How many containers run at a time.
const SLOTS: usize = 16;

/// Only a broken agent takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The services, in turn. The first one is behind the load balancer.
const SERVICES: [&str; 2] = ["web", "other"];

pub(crate) fn measure(size: &Size) -> Result<()> {
    let uses = size.of(10_000, 200);
    let lab = Lab::build(labs::layout(1, 1, 27))?;
    lab.etcd().start()?;
    let host = lab.host("h1")?;
    labs::configure(host, "")?;
    let docker = Docker::beside(host)?;
    host.start(Daemon::Berthd)?;
    host.sh("berth cluster init")?;
    let subnet = labs::delivered(host)?;
    let network = Network::create(host, &lab, &docker, subnet)?;
    declare(
        host,
        "name = \"web\"\n[[port]]\nport = 80\n[load_balancer]\nname = \"web-lb\"\norder = \"private\"\n\
         [[load_balancer.listener]]\nport = 80\nprotocol = \"tcp\"\n\
         health = { interval_secs = 2, timeout_secs = 1, retries = 1 }\n",
    )?;
    let front: IpAddr =
        until(PATIENCE, "it was ordered", || front(lab.cloud(), "web-lb"))?.parse().context("an address")?;
    at_once(&lab)?;
    let dns: IpAddr = answered_at(host)?.parse().context("an address")?;
    let user = lab.node("vm1")?.netns().to_owned();

    let (next, used) = (AtomicUsize::new(0), Mutex::new((BTreeSet::new(), 0_usize)));
    let over = AtomicUsize::new(0);
    let counts = Counts::default();
    let begun = Instant::now();
    let played = thread::scope(|scope| {
        let users = [
            scope.spawn(|| by_address(&user, front, &over, &counts)),
            scope.spawn(|| by_name(&user, dns, &over, &counts)),
        ];
        let slots: Vec<_> = (0..SLOTS)
            .map(|_| {
                scope.spawn(|| {
                    let slot = Slot::new(&network)?;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= uses {
                            return Ok::<_, anyhow::Error>(());
                        }
                        let address = play(&slot, number)?;
                        let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
                        used.1 += usize::from(!used.0.insert(address));
                    }
                })
            })
            .collect();
        let played: Result<Vec<()>> =
            slots.into_iter().map(|slot| slot.join().map_err(|_| anyhow!("a slot died"))?).collect();
        over.store(1, Ordering::Relaxed);
        for user in users {
            user.join().map_err(|_| anyhow!("a user died"))??;
        }
        played.map(drop)
    });
    played.with_context(|| host.log_tail(Daemon::Berthd))?;
    let reuses = used.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    let [right, wrong, failed] = counts.read();
    ensure!(right > 0, "nobody was ever answered");
    say_once("misdelivered_real", "requests", wrong as f64);
    say_once("misdelivered_real_reuses", "uses", reuses as f64);
    say_once("misdelivered_real_answered", "requests", right as f64);
    say_once("misdelivered_real_failed", "requests", failed as f64);
    say_once("misdelivered_real_seconds", "s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// One container from its start to its death, once some were answered by it. Answers its address.
fn play(slot: &Slot<'_>, number: usize) -> Result<IpAddr> {
    let service = SERVICES[number % SERVICES.len()];
    let container = slot.start(number, service)?;
    let begun = Instant::now();
    // Nobody asks for the other one: it lives as long as its neighbour, about.
    let lives = |asked: usize| if service == SERVICES[0] { asked < ENOUGH } else { begun.elapsed() < SHORT };
    while lives(container.asked()) {
        ensure!(begun.elapsed() < PATIENCE, "container {number} of {service} is asked by nobody");
        thread::sleep(Duration::from_millis(5));
    }
    let address = container.address();
    container.dies()?;
    Ok(address)
}

/// How many are answered by a container before it dies.
const ENOUGH: usize = 3;

/// The life of a container that nobody asks.
const SHORT: Duration = Duration::from_millis(300);
