//! owner_rss_mib: what a process takes that is the owner of everything, with 200 services and 5,000 endpoints.
//!
//! An account has fifty load balancers at most, so fifty services have one each; all others name one security group,
//! whose owner follows their members as well. The store is a real etcd, the provider is asked over HTTP.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use agent::owners::keep;
use anyhow::{Context, Result};
use clap::Args;
use provider_mock::{CloudSpec, Delays, SimulatedCloud};
use store::{EtcdOptions, EtcdStore};
use tokio_util::sync::CancellationToken;

use super::crowd::{HOSTS, comes, declare_balanced, declare_guarded, found, name, parts, until};
use crate::Size;
use crate::agents::on_runtime;
use crate::etcd::Etcd;
use crate::report::say_once;

/// What an account has at most. Source: `ibm-cloud-docs/loadbalancer-service`, "FAQs".
const BALANCERS: usize = 50;

const PREFIX: &str = "bench/";

const GROUP: &str = "web-hosts";

/// The owner: a process of its own.
#[derive(Args)]
pub(crate) struct Owner {
    #[arg(long)]
    store: String,
    #[arg(long)]
    cloud: String,
}

impl Owner {
    pub(crate) fn run(self) -> Result<()> {
        on_runtime(async {
            let options =
                EtcdOptions { endpoints: vec![self.store], prefix: PREFIX.to_owned(), tls: None, user: None };
            let stop = CancellationToken::new();
            keep(parts(Arc::new(EtcdStore::new(options)), &self.cloud, HOSTS[0], &stop)?, stop).await;
            Ok(())
        })
    }
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    on_runtime(owned(size.of(5_000, 100), size.of(200, 8), size.of(BALANCERS, 2)))
}

async fn owned(endpoints: usize, services: usize, balancers: usize) -> Result<()> {
    let etcd = Etcd::one().await?;
    let options = etcd.options(PREFIX);
    let endpoint = options.endpoints.first().context("an endpoint")?.clone();
    let store = EtcdStore::new(options);
    let cloud = SimulatedCloud::start(CloudSpec { delays: Delays::NONE, ..CloudSpec::small() }).await?;
    found(&store).await?;
    for number in 0..services {
        if number < balancers {
            declare_balanced(&store, number).await?;
        } else {
            declare_guarded(&store, number, GROUP).await?;
        }
    }
    for endpoint in 0..endpoints {
        comes(&store, endpoint, services).await?;
    }
    let mut owner = Command::new(std::env::current_exe()?)
        .args(["owner", "--store", &endpoint, "--cloud", &cloud.endpoint()])
        .spawn()
        .context("the owner does not start")?;
    let served = until("everybody behind a load balancer is served, and the group has its rule", || {
        let cloud = cloud.live().present();
        let members = |name: String| cloud.balancer(&name).map_or(0, |it| it.in_force.members.len());
        let all: usize = (0..balancers).map(name).map(members).sum();
        all == endpoints / services * balancers
            && cloud.security_group(GROUP).is_some_and(|group| !group.rules_in_force.is_empty())
    })
    .await;
    let status = fs::read_to_string(format!("/proc/{}/status", owner.id()));
    owner.kill()?;
    owner.wait()?;
    served?;
    let status = status?;
    say_once("owner_rss_mib", "MiB", mib(&status, "VmRSS:")?);
    say_once("owner_rss_peak_mib", "MiB", mib(&status, "VmHWM:")?);
    Ok(())
}

fn mib(status: &str, what: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(what)).context("no such line")?;
    let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
    Ok(kib / 1024.0)
}
