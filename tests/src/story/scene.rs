//! Where a story happens: a lab, and what the steps tell one another.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ipnetwork::IpNetwork;

use super::narrator::Narrator;
use crate::lab::{Daemon, Host, Lab, Layout, Member, Node, Process, until};

/// The first Docker host of a story, and often the only one.
pub(super) const HOST: &str = "h1";
/// The plain virtual machine.
pub(super) const VIRTUAL: &str = "vm1";
/// The plain bare-metal server.
pub(super) const METAL: &str = "bm1";

/// The lab, and what has been learnt so far.
pub struct Scene {
    narrator: Narrator,
    // Dropped before the lab they run in.
    _web_servers: Vec<Process>,
    lab: Lab,
    /// The subnet that was ordered.
    subnet: Option<IpNetwork>,
    /// The container's address.
    container: Option<IpAddr>,
}

impl Scene {
    /// Builds the lab, and starts every daemon on the first host. Other hosts join in the story.
    pub(super) fn set(narrator: Narrator, layout: Layout) -> Result<Scene> {
        let hosts = if layout.hosts.len() == 1 { "a Docker host" } else { "Docker hosts" };
        println!("A cloud, two plain machines and {hosts}, in namespaces of their own:");
        let what = "the simulated cloud: a VLAN, its router, the API";
        let lab = narrator.during(what, || Lab::build(layout))?;
        narrator.holds(&format!("{what} (lab {}, files in {})", lab.id(), lab.dir().display()));

        let site = narrator.during("the image of the containers", || lab.site())?;
        let mut web_servers = Vec::new();
        for name in [VIRTUAL, METAL] {
            let node = lab.node(name)?;
            let site = site.to_string_lossy();
            web_servers.push(node.spawn("busybox", &["httpd", "-f", "-p", "0.0.0.0:80", "-h", &site])?);
            narrator.holds(&format!("{name} at {}, with a small web server", node.address()?));
        }

        let members = lab.etcd().members();
        if !members.is_empty() {
            narrator.during("etcd starts", || lab.etcd().start())?;
            let names: Vec<&str> = members.iter().map(Member::name).collect();
            narrator.holds(&format!("etcd on {}", names.join(", ")));
        }
        let scene = Scene { narrator, _web_servers: web_servers, lab, subnet: None, container: None };
        scene.start(HOST)?;
        Ok(scene)
    }

    /// Starts every daemon of a Docker host.
    pub(super) fn start(&self, name: &str) -> Result<()> {
        let (narrator, host) = (self.narrator, self.lab.host(name)?);
        for daemon in Daemon::ALL {
            narrator.during(&format!("{daemon} starts"), || host.start(daemon))?;
            narrator.holds(&format!("{daemon} on {name}"));
        }
        narrator.during("Docker imports the image", || host.import_image())?;
        narrator.holds(&format!("Docker on {name} has the image busybox"));
        Ok(())
    }

    /// The lab itself.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(super) fn narrator(&self) -> Narrator {
        self.narrator
    }

    pub(super) fn host(&self) -> Result<&Host> {
        self.lab.host(HOST)
    }

    pub(super) fn node(&self, name: &str) -> Result<&Node> {
        self.lab.node(name)
    }

    /// Runs a command on the first Docker host, in front of the audience.
    pub(super) fn on_host(&self, command: &str) -> Result<String> {
        self.on(HOST, command)
    }

    /// The same, where status 1 is an answer too: `berth` says no, not all is well.
    pub(super) fn ask_host(&self, command: &str) -> Result<String> {
        self.ask(HOST, command)
    }

    /// Runs a command on a Docker host, in front of the audience.
    pub(super) fn on(&self, host: &str, command: &str) -> Result<String> {
        self.show(host, command, || self.lab.host(host)?.sh(command))
    }

    /// The same, where status 1 is an answer too.
    pub(super) fn ask(&self, host: &str, command: &str) -> Result<String> {
        self.show(host, command, || {
            let said = self.lab.host(host)?.try_sh(command)?;
            ensure!(said.code <= 1, "`{command}` failed with status {}: {}", said.code, said.stderr);
            Ok(said.stdout)
        })
    }

    /// Runs a command on a plain machine, in front of the audience.
    pub(super) fn on_node(&self, name: &str, command: &str) -> Result<String> {
        self.show(name, command, || self.node(name)?.sh(command))
    }

    /// Says that something holds, or fails with what was seen instead.
    pub(super) fn check(&self, holds: bool, what: &str, seen: &str) -> Result<()> {
        ensure!(holds, "this does not hold: {what}. Seen instead: {}", seen.trim());
        self.narrator.holds(what);
        Ok(())
    }

    /// Waits for something, and shows that it does.
    pub(super) fn wait<T>(
        &self,
        limit: Duration,
        what: &str,
        look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        self.narrator.during(what, || until(limit, what, look))
    }

    pub(super) fn found_subnet(&mut self, subnet: IpNetwork) {
        self.subnet = Some(subnet);
    }

    pub(super) fn subnet(&self) -> Result<IpNetwork> {
        self.subnet.context("the story has no subnet yet")
    }

    pub(super) fn found_container(&mut self, address: IpAddr) {
        self.container = Some(address);
    }

    pub(super) fn container(&self) -> Result<IpAddr> {
        self.container.context("the story has no container yet")
    }

    pub(super) fn address_of(&self, machine: &str) -> Result<Ipv4Addr> {
        self.node(machine)?.address()
    }

    fn show(&self, machine: &str, command: &str, run: impl FnOnce() -> Result<String>) -> Result<String> {
        self.narrator.command(machine, command);
        let said = self.narrator.during(command, run)?;
        self.narrator.said(&said);
        Ok(said)
    }
}
