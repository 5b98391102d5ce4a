//! Real packets: the simulated cloud's VLANs, router and machines as network namespaces.
//!
//! `--fabric NAME` makes, and removes again on SIGTERM and SIGINT (and at the next start after a kill):
//!
//! - `NAME-fabric`: a bridge `v<vlan id>` for each VLAN;
//! - `NAME-router`: an interface `v<vlan id>` on each VLAN with the gateway address of each subnet there;
//!   it forwards, keeps neighbours for hours, and the API and metadata service listen inside it;
//! - `NAME-<hostname>` for each machine: `eth0` (and `eth1`) with its MAC and primary address, routes through the
//!   router. Nothing runs inside.
//!
//! NAME is 1 to 12 of `a-z0-9`, so that no NAME is the beginning of another's namespaces.
//! Everything is done through `ip` of iproute2: Berth's own netlink code is tested against it.

mod namespace;
pub mod plan;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::str::FromStr;
use std::{fmt, io};

use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cloud::spec::FabricSpec;
use crate::cloud::topology::Topology;
use crate::live::LiveCloud;
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
    #[error("could not run `{0}`; the fabric needs iproute2 and nftables")]
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
        let fabric = Self { name, spec, wired: Topology::default() };
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
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn execute(&self, steps: Vec<Step>) -> Result<(), FabricError> {
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
            }
        }
        Ok(())
    }
}

/// Removes every namespace of this name, with all that is in them. Processes inside live on, without a network.
pub async fn remove(name: &FabricName) -> Result<(), FabricError> {
    let listed = output(&["ip", "netns", "list"].map(str::to_owned), None).await?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let prefix = name.namespace("");
    let ours =
        listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|it| it.starts_with(&prefix));
    for namespace in ours {
        run(&["ip", "netns", "delete", namespace].map(str::to_owned), None).await?;
    }
    Ok(())
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
