//! Real packets: the simulated cloud's VLANs, router and machines as network namespaces.
//!
//! `--fabric NAME` makes, and removes again on SIGTERM and SIGINT (and at the next start after a kill):
//!
//! - `NAME-fabric`: a bridge `v<vlan id>` for each VLAN, and the rules of security groups (br_netfilter);
//! - `NAME-router`: an interface `v<vlan id>` on each VLAN with the gateway address of each subnet there;
//!   it forwards, keeps neighbours for hours, has the rules of VLANs' firewalls, and the API and metadata service listen inside it;
//! - `NAME-client`: 192.0.2.10, somebody on the Internet, who reaches public addresses only;
//! - `NAME-balancer-<id>` for each load balancer: `eth0` (private) and `eth1` (public) where it has them, and
//!   Debian's HAProxy inside, which does what the cloud has in force;
//! - `NAME-<hostname>` for each machine: `eth0` (and `eth1`) with its MAC and primary address, routes through the
//!   router. Nothing runs inside.
//!
//! NAME is 1 to 12 of `a-z0-9`, so that no NAME is the beginning of another's namespaces.
//! Everything is done through `ip` of iproute2: Berth's own netlink code is tested against it.

mod configuration;
mod guards;
mod haproxy;
mod namespace;
pub mod plan;
mod rules;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::str::FromStr;
use std::time::Duration;
use std::{fmt, io};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cloud::balancer::Measured;
use crate::cloud::spec::FabricSpec;
use crate::cloud::topology::{Topology, WiredBalancer};
use crate::live::LiveCloud;
use haproxy::Haproxy;
use plan::{Step, plan, raise};

/// The first part of the names of a fabric's namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FabricName(String);

/// Why wires could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum FabricError {
    /// Not a name for a fabric.
    #[error("{0:?} cannot name a fabric: 1 to 12 of a-z and 0-9")]
    Name(String),
    /// The command could not be started.
    #[error("could not run `{0}`; the fabric needs iproute2, nftables and haproxy")]
    NoCommand(String, #[source] io::Error),
    /// The command failed.
    #[error("`{command}` failed: {text}; the fabric needs root")]
    Failed {
        /// What was run.
        command: String,
        /// What it printed.
        text: String,
    },
    /// Something inside a namespace could not be done.
    #[error("could not {what} in namespace {namespace}")]
    Inside {
        /// What we were doing.
        what: String,
        /// Where.
        namespace: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl FromStr for FabricName {
    type Err = FabricError;

    fn from_str(text: &str) -> Result<Self, FabricError> {
        let fits = (1..=12).contains(&text.len());
        let plain = text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(FabricError::Name(text.to_owned())) }
    }
}

impl fmt::Display for FabricName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FabricName {
    /// The namespace of a machine, of `fabric` or of `router`.
    pub fn namespace(&self, member: &str) -> String {
        format!("{}-{member}", self.0)
    }
}

/// Namespaces and wires that follow a cloud.
pub struct Fabric {
    name: FabricName,
    spec: FabricSpec,
    wired: Topology,
    /// The load balancers that run, by the names of their machines.
    balancers: BTreeMap<String, Haproxy>,
}

/// How far the wires have followed the cloud.
#[derive(Clone, Debug, Default)]
pub struct Wired {
    /// The number of the last change of the cloud that was looked at.
    pub change: u64,
    /// What went wrong since the start, if something did; the wires are then not as they should be.
    pub failure: Option<String>,
}

impl Fabric {
    /// Makes the fabric's and the router's namespace, after removing what a killed run left behind.
    pub async fn raise(name: FabricName, spec: FabricSpec) -> Result<Self, FabricError> {
        remove(&name).await?;
        let mut fabric = Self { name, spec, wired: Topology::default(), balancers: BTreeMap::new() };
        fabric.execute(raise(&fabric.name, &fabric.spec)).await?;
        Ok(fabric)
    }

    /// Changes the wires to those of a cloud.
    pub async fn bring_to(&mut self, wanted: Topology) -> Result<(), FabricError> {
        let steps = plan(&self.name, &self.spec, &self.wired, &wanted);
        // Remembered before it is done: a step that failed is reported and not tried again.
        self.wired = wanted;
        self.execute(steps).await
    }

    /// A socket for the API, on the service address inside the router's namespace.
    pub fn listen(&self) -> Result<TcpListener, FabricError> {
        let namespace = self.name.namespace("router");
        let address = (self.spec.service_address, self.spec.service_port);
        let bound = namespace::inside(&namespace, move || TcpListener::bind(address));
        bound.map_err(|source| {
            let what = format!("listen on {}:{}", address.0, address.1);
            FabricError::Inside { what, namespace, source }
        })
    }

    /// Follows the cloud until told to stop; says in `wired` how far.
    pub async fn follow(mut self, live: LiveCloud, wired: watch::Sender<Wired>, stop: CancellationToken) {
        let mut changes = live.changes();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let change = *changes.borrow_and_update();
            let result = self.bring_to(live.topology()).await;
            wired.send_modify(|wired| {
                wired.change = change;
                if let Err(error) = result {
                    tracing::error!(%error, "the wires are not as they should be");
                    wired.failure = Some(error.to_string());
                }
            });
            self.measure(&live).await;
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return self.end().await,
                    changed = changes.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return self.end().await,
                    },
                    _ = look.tick(), if !self.balancers.is_empty() => self.measure(&live).await,
                }
            }
        }
    }

    /// Tells the cloud what its balancers measure. One that cannot be asked keeps silent of its members' health.
    async fn measure(&self, live: &LiveCloud) {
        let mut all = BTreeMap::new();
        for balancer in live.present().balancers.values() {
            let running = self.balancers.get(&format!("balancer-{}", balancer.id));
            let measured = match running {
                Some(running) => running.measure().await.unwrap_or_default(),
                None => Measured::default(),
            };
            all.insert(balancer.id, measured);
        }
        live.measure_balancers(all);
    }

    async fn end(self) {
        for (name, balancer) in self.balancers {
            if let Err(error) = balancer.stop().await {
                tracing::error!(%error, name, "a load balancer did not end");
            }
        }
    }

    async fn execute(&mut self, steps: Vec<Step>) -> Result<(), FabricError> {
        for step in steps {
            tracing::debug!(%step, "fabric");
            match step {
                Step::Run { command, input } => run(&command, input.as_deref()).await?,
                Step::Write { namespace, key, value } => {
                    let path = PathBuf::from("/proc/sys").join(&key);
                    let written = namespace::inside(&namespace, move || std::fs::write(path, value));
                    let what = format!("set {key}");
                    written.map_err(|source| FabricError::Inside { what, namespace, source })?;
                }
                Step::Balance(balancer) => self.balance(&balancer).await?,
                Step::Unbalance { hostname } => {
                    if let Some(running) = self.balancers.remove(&hostname) {
                        running.stop().await?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Fabric {
    async fn balance(&mut self, wanted: &WiredBalancer) -> Result<(), FabricError> {
        let hostname = &wanted.machine.hostname;
        match self.balancers.get_mut(hostname) {
            Some(running) => running.change(&wanted.setup).await,
            None => {
                let namespace = self.name.namespace(hostname);
                let started = Haproxy::start(&namespace, wanted.front, &wanted.setup).await?;
                self.balancers.insert(hostname.clone(), started);
                Ok(())
            }
        }
    }
}

/// How often the health of members is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Removes every namespace of this name, with all that is in them. Processes inside live on, without a network; only
/// the load balancers of a killed run are ended.
pub async fn remove(name: &FabricName) -> Result<(), FabricError> {
    let listed = output(&["ip", "netns", "list"].map(str::to_owned), None).await?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let prefix = name.namespace("");
    let ours =
        listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|it| it.starts_with(&prefix));
    for namespace in ours {
        if namespace.starts_with(&name.namespace("balancer-")) {
            end_all_inside(namespace).await?;
        }
        run(&["ip", "netns", "delete", namespace].map(str::to_owned), None).await?;
    }
    Ok(())
}

/// Ends what runs inside a namespace: what a killed run left in one that was its own.
async fn end_all_inside(namespace: &str) -> Result<(), FabricError> {
    let listed = output(&["ip", "netns", "pids", namespace].map(str::to_owned), None).await?;
    for id in String::from_utf8_lossy(&listed.stdout).lines().filter_map(|line| line.trim().parse().ok()) {
        // One that is gone by now is as good.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
    let what = "remove the files of a killed run".to_owned();
    haproxy::forget(namespace).map_err(|source| FabricError::Inside {
        what,
        namespace: namespace.to_owned(),
        source,
    })
}

async fn run(command: &[String], input: Option<&str>) -> Result<(), FabricError> {
    let output = output(command, input).await?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(FabricError::Failed { command: command.join(" "), text })
}

async fn output(command: &[String], input: Option<&str>) -> Result<Output, FabricError> {
    let failed = |error| FabricError::NoCommand(command.join(" "), error);
    let mut process = Command::new(command.first().map_or("ip", String::as_str));
    process.args(command.iter().skip(1)).args(input).kill_on_drop(true);
    process.output().await.map_err(failed)
}
