//! A host that something bad happens to, and the questions that tests ask of it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::{Address, AddressState, CheckReport, Condition, Source, Status, Subnet};
use serde_json::Value;
use tests::lab::{BerthConfig, Cloud, Daemon, DockerHost, Host, Lab, Layout, Pool, until};
use tests::plugin::{self, DOCKERS_PATIENCE};

/// An order takes seconds in the simulated cloud; but where only a person can help, the cloud is asked once a minute.
pub(crate) const DELIVERY: Duration = Duration::from_secs(120);

/// Whatever berthd does without being asked.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The usual container: a small web site that tells its visitors their address.
const SITE: &str = "busybox httpd -f -p 0.0.0.0:80 -h /www";

/// A lab with one Docker host.
pub(crate) struct Scene {
    lab: Lab,
}

impl Scene {
    /// Sets it, and creates the Docker network `cloud` as soon as there is a subnet.
    pub(crate) fn set(options: DockerHost) -> Result<Scene> {
        let scene = Scene { lab: Lab::up(Layout::one_host_with(options))? };
        scene.create_network()?;
        Ok(scene)
    }

    /// The same without any daemon running yet.
    pub(crate) fn build(options: DockerHost) -> Result<Scene> {
        Ok(Scene { lab: Lab::build(Layout::one_host_with(options))? })
    }

    /// Creates the Docker network `cloud` as soon as there is a subnet.
    pub(crate) fn create_network(&self) -> Result<()> {
        self.await_subnets(1)?;
        // Docker takes `--ip` only where the subnet was named.
        let subnets: Vec<Subnet> = self.host().ask("subnet list")?;
        let subnet = subnets.first().context("no subnet")?.subnet;
        self.host()
            .sh(&format!("docker network create -d berth --ipam-driver berth --subnet {subnet} cloud"))
            .map(drop)
    }

    /// The Docker host.
    pub(crate) fn host(&self) -> &Host {
        self.lab.host("h1").expect("every layout of these tests has h1")
    }

    /// The simulated cloud.
    pub(crate) fn cloud(&self) -> &Cloud {
        self.lab.cloud()
    }

    /// Runs a container that stays, and answers its address.
    pub(crate) fn run(&self, name: &str, options: &str) -> Result<IpAddr> {
        self.host().sh(&format!("docker run -d --name {name} --network cloud {options} {SITE}"))?;
        self.host().address_of(name)
    }

    /// Runs a container that must be refused, before Docker's patience ends. Answers what Docker's user reads.
    pub(crate) fn refused(&self, options: &str) -> Result<String> {
        let begun = Instant::now();
        let said = self.host().try_sh(&format!("docker run --rm --network cloud {options} busybox true"))?;
        ensure!(!said.is_success(), "docker run {options} was not refused");
        ensure!(
            begun.elapsed() < DOCKERS_PATIENCE,
            "docker run {options} was refused after {} s: {}",
            begun.elapsed().as_secs(),
            said.stderr
        );
        Ok(said.stderr)
    }

    /// The virtual machine gets the container's page.
    pub(crate) fn vm_reaches(&self, address: IpAddr) -> Result<()> {
        let ask = format!("timeout 10 busybox wget -q -O - http://{address}/cgi-bin/whoami");
        self.lab.node("vm1")?.sh(&ask).map(drop).with_context(|| {
            let look = "ip neighbour show proxy; ip route; ip rule; ip -br link; docker ps -a";
            let network = self.host().try_sh(look).map(|said| said.stdout).unwrap_or_default();
            format!("{network}\n{}", self.host().log_tail(Daemon::Berthd))
        })
    }

    /// Waits until the pools have this many subnets with addresses to give.
    pub(crate) fn await_subnets(&self, count: usize) -> Result<()> {
        until(DELIVERY, &format!("{count} subnets are open"), || {
            // An agent that was just started does not know its pools yet.
            let subnets: Vec<Subnet> = self.host().ask("subnet list").unwrap_or_default();
            let open = subnets.iter().filter(|subnet| subnet.counts.usable() > 0).count();
            Ok((open >= count).then_some(()))
        })
        .with_context(|| self.host().log_tail(Daemon::Berthd))
    }

    /// An address as berthd sees it; none if it is plainly free.
    pub(crate) fn state_of(&self, address: IpAddr) -> Result<Option<AddressState>> {
        let found = self.addresses()?.into_iter().find(|it| it.address == address);
        Ok(found.map(|it| it.state))
    }

    /// All addresses that are not plainly free.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>> {
        self.host().ask("address list")
    }

    /// Waits until exactly these addresses are in use, and nobody's word differs from another's.
    pub(crate) fn settles_on(&self, expected: &[IpAddr], limit: Duration) -> Result<()> {
        let mut expected = expected.to_vec();
        expected.sort();
        let mut last = String::new();
        let settled = until(limit, &format!("{expected:?} are in use, and `berth check` is clean"), || {
            let Ok(mut assigned) = self.addresses() else { return Ok(None) };
            assigned.retain(|it| it.state == AddressState::Assigned);
            let assigned: Vec<IpAddr> = assigned.into_iter().map(|it| it.address).collect();
            let check: CheckReport = self.host().ask("check")?;
            last = format!("assigned {assigned:?}, {:#?}", check.findings);
            Ok((assigned == expected && check.findings.is_empty()).then_some(()))
        });
        settled.with_context(|| format!("{last}\n{}", self.host().log_tail(Daemon::Berthd)))
    }

    /// How the cloud is doing, as `berth status` shows it.
    pub(crate) fn cloud_condition(&self) -> Result<Condition> {
        let status: Status = self.host().ask("status")?;
        let cloud = status.parts.into_iter().find(|part| part.part == Source::Cloud);
        Ok(cloud.context("no word of the cloud in `berth status`")?.condition)
    }

    /// One call on the plugin socket, as dockerd makes them: the HTTP status and the answer.
    pub(crate) fn call(&self, path: &str, body: &[u8]) -> Result<(u16, Value)> {
        plugin::call(self.host(), path, body)
    }
}

/// A host with one pool as given.
pub(crate) fn with_pool(pool: Pool) -> DockerHost {
    let berth = BerthConfig { pools: vec![pool], ..BerthConfig::default() };
    DockerHost { berth, ..DockerHost::default() }
}

/// A host whose released addresses are free again at once.
pub(crate) fn without_cooling() -> DockerHost {
    with_pool(Pool { cooling_secs: 1, ..Pool::default() })
}
