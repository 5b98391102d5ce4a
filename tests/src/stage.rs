//! A host with a subnet and a Docker network `cloud`, and the questions that tests ask of it.

use std::net::IpAddr;
use std::time::Duration;

use crate::lab::{BerthConfig, DockerHost, Host, Lab, Layout, Pool, until};
use anyhow::{Context, Result, ensure};
use api::AddressState;
use ipnetwork::IpNetwork;

/// An order takes seconds in the simulated cloud; the machine may be busy.
pub const DELIVERY: Duration = Duration::from_secs(90);

/// Whatever berthd does without being asked.
pub const SOON: Duration = Duration::from_secs(30);

/// A lab with one Docker host, whose network `cloud` is created.
pub struct Stage {
    lab: Lab,
}

impl Stage {
    /// Sets it, with the Docker host set up as given.
    pub fn set(options: DockerHost) -> Result<Stage> {
        let stage = Stage { lab: Lab::up(Layout::one_host_with(options))? };
        stage.await_subnets(1)?;
        // Docker takes `--ip` only where the subnet was named.
        let subnet = stage.subnet()?;
        stage
            .host()
            .sh(&format!("docker network create -d berth --ipam-driver berth --subnet {subnet} cloud"))?;
        Ok(stage)
    }

    /// The Docker host.
    pub fn host(&self) -> &Host {
        self.lab.host("h1").expect("every layout of these tests has h1")
    }

    /// A shell on the plain virtual machine, which must succeed.
    pub fn on_vm(&self, script: &str) -> Result<String> {
        self.lab.node("vm1")?.sh(script)
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Waits until the pool has this many subnets with addresses to give.
    pub fn await_subnets(&self, count: usize) -> Result<()> {
        until(DELIVERY, &format!("{count} subnets are open"), || {
            let subnets: Vec<api::Subnet> = self.host().ask("subnet list")?;
            let open = subnets.iter().filter(|subnet| subnet.counts.usable() > 0).count();
            Ok((open >= count).then_some(()))
        })
        .with_context(|| self.host().log_tail(crate::lab::Daemon::Berthd))
    }

    /// The pool's first subnet.
    pub fn subnet(&self) -> Result<IpNetwork> {
        let subnets: Vec<api::Subnet> = self.host().ask("subnet list")?;
        Ok(subnets.first().context("no subnet")?.subnet)
    }

    /// Runs a container that stays, and answers its address.
    pub fn run(&self, name: &str, options: &str) -> Result<IpAddr> {
        self.host().sh(&format!(
            "docker run -d --name {name} --network cloud {options} busybox httpd -f -p 0.0.0.0:80 -h /www"
        ))?;
        self.host().address_of(name)
    }

    /// The virtual machine gets the container's page, and the container sees who asks.
    pub fn vm_reaches(&self, address: IpAddr) -> Result<()> {
        let own = self.lab.node("vm1")?.address()?;
        let page = self.on_vm(&format!("timeout 10 busybox wget -q -O - http://{address}/cgi-bin/whoami"))?;
        ensure!(page.trim() == format!("you are {own}"), "{address} said: {page}");
        Ok(())
    }

    /// The addresses that berthd says are in use.
    pub fn assigned(&self) -> Result<Vec<IpAddr>> {
        let addresses: Vec<api::Address> = self.host().ask("address list")?;
        let assigned = addresses.into_iter().filter(|it| it.state == AddressState::Assigned);
        Ok(assigned.map(|it| it.address).collect())
    }

    /// Waits until exactly these addresses are in use, and the kernel answers for exactly these.
    pub fn settles_on(&self, expected: &[IpAddr], limit: Duration) -> Result<()> {
        let mut expected = expected.to_vec();
        expected.sort();
        let mut last = String::new();
        let settled = until(limit, &format!("{expected:?} are in use, and nothing else"), || {
            // An agent that has just started has no answer yet.
            let Ok(assigned) = self.assigned() else { return Ok(None) };
            let proxied = self.proxied()?;
            last = format!("assigned {assigned:?}, answered for {proxied:?}");
            Ok((assigned == expected && proxied == expected).then_some(()))
        });
        settled.with_context(|| format!("{last}\n{}", self.host().log_tail(crate::lab::Daemon::Berthd)))
    }

    /// The addresses that the kernel answers for on the VLAN.
    pub fn proxied(&self) -> Result<Vec<IpAddr>> {
        let said = self.host().sh("ip neighbour show proxy")?;
        let mut proxied: Vec<IpAddr> =
            said.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        proxied.sort();
        Ok(proxied)
    }
}

/// A host whose released addresses are free again at once, for tests that use them over and over.
pub fn without_cooling(options: DockerHost) -> DockerHost {
    let pool = Pool { cooling_secs: 1, ..Pool::default() };
    DockerHost { berth: BerthConfig { pools: vec![pool], ..options.berth }, ..options }
}
