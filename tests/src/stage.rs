//! A host with a subnet and a Docker network `cloud`, as tests use it; what they ask of it is in `questions`.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ipnetwork::IpNetwork;
use serde_json::Value;

use crate::lab::{BerthConfig, Cloud, DockerHost, Host, Lab, Layout, Pool};
use crate::plugin;
pub use crate::plugin::DOCKERS_PATIENCE;

mod questions;

/// An order takes seconds in the simulated cloud; but where only a person can help, the cloud is asked once
/// a minute.
pub const DELIVERY: Duration = Duration::from_secs(120);

/// Whatever berthd does without being asked.
pub const SOON: Duration = Duration::from_secs(30);

/// The reconciler wants both witnesses to miss an endpoint for a minute, and looks every twenty seconds.
pub const REAPED: Duration = Duration::from_secs(150);

/// The usual container: a small web site that tells its visitors their address.
pub const SITE: &str = "busybox httpd -f -p 0.0.0.0:80 -h /www";

/// A lab with one Docker host.
pub struct Stage {
    lab: Lab,
}

impl Stage {
    /// Sets it, with the Docker host set up as given, and creates the Docker network `cloud`.
    pub fn set(options: DockerHost) -> Result<Stage> {
        Stage::set_in(Layout::one_host_with(options))
    }

    /// The same in a cloud that has more to it.
    pub fn set_in(layout: Layout) -> Result<Stage> {
        let stage = Stage { lab: Lab::up(layout)? };
        stage.create_network()?;
        Ok(stage)
    }

    /// The same without any daemon running yet, and without the network.
    pub fn build(options: DockerHost) -> Result<Stage> {
        Ok(Stage { lab: Lab::build(Layout::one_host_with(options))? })
    }

    /// Creates the Docker network `cloud` as soon as there is a subnet.
    pub fn create_network(&self) -> Result<()> {
        self.await_subnets(1)?;
        // Docker takes `--ip` only where the subnet was named.
        let subnet = self.subnet()?;
        let create = format!("docker network create -d berth --ipam-driver berth --subnet {subnet} cloud");
        self.host().sh(&create).map(drop)
    }

    /// Creates the Docker network `theirs` on bridge `brcloud`: of Docker's own bridge driver with our addresses, as
    /// Swarm has it, whose containers keep their own addresses.
    pub fn create_theirs(&self) -> Result<()> {
        let create = "docker network create -d bridge --ipam-driver berth --ipam-opt bridge=brcloud \
             -o com.docker.network.bridge.name=brcloud -o com.docker.network.bridge.inhibit_ipv4=true \
             -o com.docker.network.bridge.enable_ip_masquerade=false theirs";
        self.host().sh(create).map(drop)
    }

    /// The Docker host.
    pub fn host(&self) -> &Host {
        self.lab.host("h1").expect("every layout of these tests has h1")
    }

    /// The simulated cloud.
    pub fn cloud(&self) -> &Cloud {
        self.lab.cloud()
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// A shell on the plain virtual machine, which must succeed.
    pub fn on_vm(&self, script: &str) -> Result<String> {
        self.lab.node("vm1")?.sh(script)
    }

    /// The pool's first subnet.
    pub fn subnet(&self) -> Result<IpNetwork> {
        let subnets: Vec<api::Subnet> = self.host().ask("subnet list")?;
        Ok(subnets.first().context("no subnet")?.subnet)
    }

    /// Runs a container that stays, and answers its address.
    pub fn run(&self, name: &str, options: &str) -> Result<IpAddr> {
        self.host().sh(&format!("docker run -d --name {name} --network cloud {options} {SITE}"))?;
        self.host().address_of(name)
    }

    /// Runs a container that must be refused, before Docker's patience ends. Answers what Docker's user reads.
    pub fn refused(&self, options: &str) -> Result<String> {
        let begun = Instant::now();
        let said = self.host().try_sh(&format!("docker run --rm --network cloud {options} busybox true"))?;
        ensure!(!said.is_success(), "docker run {options} was not refused");
        let took = begun.elapsed();
        ensure!(took < DOCKERS_PATIENCE, "docker run {options} was refused after {took:?}: {}", said.stderr);
        Ok(said.stderr)
    }

    /// One call on the plugin socket, as dockerd makes them: the HTTP status and the answer.
    pub fn call(&self, path: &str, body: &[u8]) -> Result<(u16, Value)> {
        plugin::call(self.host(), path, body)
    }
}

/// A host with one pool as given.
pub fn with_pool(pool: Pool) -> DockerHost {
    let berth = BerthConfig { pools: vec![pool], ..BerthConfig::default() };
    DockerHost { berth, ..DockerHost::default() }
}

/// A host whose released addresses are free again at once, for tests that use them over and over.
pub fn without_cooling() -> DockerHost {
    with_pool(Pool { cooling_secs: 1, ..Pool::default() })
}
