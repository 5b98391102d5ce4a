//! fleet_5000_store_mib, fleet_agent_rss_mib, fleet_agent_watch_events_per_s: one real berthd on an etcd that is full
//! of what 5,000 hosts with 1,000,000 addresses leave there, while they go on.
//!
//! The hosts are simulated: their keys are written as production writes them, at the pace of a fleet in which every
//! host takes or gives back once a minute.

mod keys;

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::Explanation;
use clap::Args;
use store::{EtcdOptions, EtcdStore, Store};
use tests::lab::{Daemon, Lab, Process, ProviderChoice, StaticSubnet, until};

use crate::agents::on_runtime;
use crate::report::{say, say_once};
use crate::{Size, labs};
use keys::{Fleet, Zones};

/// What the lab's keys begin with.
const PREFIX: &str = "berth/lab/";

/// The zone of the real berthd, and of the first of the simulated hosts.
const ZONE: &str = "zone-0000";

const FILLED: Duration = Duration::from_secs(300);

/// How long events are counted.
const COUNTED: Duration = Duration::from_secs(12);

/// Fills the store.
#[derive(Args)]
pub(crate) struct Fill {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    hosts: usize,
    /// Where to begin, so that a fleet can grow.
    #[arg(long, default_value_t = 0)]
    from: usize,
}

/// Goes on as a fleet does, until it is ended.
#[derive(Args)]
pub(crate) struct Traffic {
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    hosts: usize,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    let (few, all) = size.of((500, 5_000), (50, 100));
    let mut layout = labs::layout(1, 1, 24);
    let subnet =
        StaticSubnet { cidr: "10.60.0.0/24".parse()?, gateway: "10.60.0.1".parse()?, exclude: Vec::new() };
    for options in layout.hosts.values_mut() {
        options.berth.provider = ProviderChoice::Static {
            zone: ZONE.to_owned(),
            interface: "eth0".to_owned(),
            subnets: vec![subnet.clone()],
        };
    }
    let lab = Lab::build(layout)?;
    lab.etcd().start()?;
    let host = lab.host("h1")?;
    host.start(Daemon::Berthd)?;
    host.sh("berth cluster init")?;
    until(Duration::from_secs(60), "berthd holds an address", || holds(host))?;
    let etcd = lab.etcd().endpoints().into_iter().next().context("one member")?;
    let node = lab.node("etcd1")?;
    let program = std::env::current_exe()?.display().to_string();
    let part = |part: &str, options: &[&str]| -> Result<Process> {
        let first = [part, "--endpoint", etcd.as_str()];
        node.spawn(&program, &[&first[..], options].concat())
    };
    let (mut filled, mut rss, mut events, mut ready) = (0, Vec::new(), Vec::new(), Vec::new());
    for hosts in [few, all] {
        host.stop(Daemon::Berthd)?;
        let mut fill = part("fill", &["--hosts", &hosts.to_string(), "--from", &filled.to_string()])?;
        let status = until(FILLED, "the store is filled", || fill.ended())?;
        ensure!(status.success(), "the store was not filled: {}", fill.log_tail());
        filled = hosts;
        compact(&lab)?;
        let begun = Instant::now();
        host.start(Daemon::Berthd)?;
        until(Duration::from_secs(120), "berthd is ready", || holds(host))?;
        ready.push(begun.elapsed().as_secs_f64());
        let traffic = part("traffic", &["--hosts", &hosts.to_string()])?;
        sleep(Duration::from_secs(2));
        let before = sent(&lab)?;
        let begun = Instant::now();
        sleep(COUNTED);
        events.push((sent(&lab)? - before) / begun.elapsed().as_secs_f64());
        rss.push(rss_mib(host.pid(Daemon::Berthd)?)?);
        drop(traffic);
    }
    let size_mib = fs::metadata(lab.dir().join("etcd1/data/member/snap/db"))?.len() as f64 / 1024.0 / 1024.0;
    say_once(&format!("fleet_{all}_store_mib"), "MiB", size_mib);
    for (at, hosts) in [few, all].into_iter().enumerate() {
        let suffix = if hosts == all { String::new() } else { format!("_{hosts}") };
        say(&format!("fleet_agent_rss_mib{suffix}"), "MiB", &[rss[at]]);
        say(&format!("fleet_agent_watch_events_per_s{suffix}"), "events/s", &[events[at]]);
        say(&format!("fleet_agent_ready_s{suffix}"), "s", &[ready[at]]);
    }
    Ok(())
}

/// Whether berthd has an address for the next container.
fn holds(host: &tests::lab::Host) -> Result<Option<()>> {
    // An agent that was just started does not know its pools yet.
    let explained: Option<Explanation> = host.ask("address explain").ok();
    Ok(explained.is_some_and(|it| it.granted && it.address.is_some()).then_some(()))
}

/// Forgets history, and gives back what it took.
fn compact(lab: &Lab) -> Result<()> {
    lab.etcd().compact()?;
    lab.etcd().members()[0].node().sh(&format!(
        "etcdctl --endpoints={} --command-timeout=60s defrag",
        lab.etcd().endpoints().join(",")
    ))?;
    Ok(())
}

/// Events that etcd has sent to watchers: berthd is the only one.
fn sent(lab: &Lab) -> Result<f64> {
    let endpoint = lab.etcd().endpoints().into_iter().next().context("one member")?;
    let page = lab.etcd().members()[0].node().sh(&format!("busybox wget -q -O - {endpoint}/metrics"))?;
    let name = "etcd_debugging_mvcc_events_total ";
    let line = page.lines().find_map(|line| line.strip_prefix(name)).context("etcd does not tell")?;
    Ok(line.parse()?)
}

fn rss_mib(pid: i32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    Ok(kib.context("a process has an RSS")?.parse::<f64>()? / 1024.0)
}

fn store(endpoint: &str) -> EtcdStore {
    let endpoints = vec![endpoint.to_owned()];
    EtcdStore::new(EtcdOptions { endpoints, prefix: PREFIX.to_owned(), tls: None, user: None })
}

/// A prime: steps of it come to every host.
const STRIDE: usize = 7_919;

impl Fill {
    pub(crate) fn run(self) -> Result<()> {
        on_runtime(async {
            let store = store(&self.endpoint);
            let fleet = Fleet::read(&store).await?;
            for transaction in fleet.keys(self.from, self.hosts)? {
                store.commit(transaction).await?;
            }
            Ok(())
        })
    }
}

impl Traffic {
    pub(crate) fn run(self) -> Result<()> {
        on_runtime(async {
            let store = store(&self.endpoint);
            let fleet = Fleet::read(&store).await?;
            let mut zones = Zones::default();
            // Each host once a minute.
            let mut turn = tokio::time::interval(Duration::from_secs(60) / u32::try_from(self.hosts)?);
            for turns in 0.. {
                turn.tick().await;
                // Not one zone after the other: each hears of its hosts all the time.
                let host = turns * STRIDE % self.hosts;
                store.commit(fleet.turn(&mut zones, host, turns as u64)?).await?;
            }
            Ok(())
        })
    }
}
