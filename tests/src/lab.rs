//! A lab: a simulated cloud, its machines and real Docker hosts, from one small description.
//!
//! Each machine is a network namespace of the simulated cloud's fabric. A Docker host has namespaces of
//! its own for mounts, host name and processes too, and runs a real containerd, dockerd and `berthd`.
//! Nothing of the machine's own network, Docker, `/etc` or `/run` is touched, and nothing outlives the
//! process that owns the lab: see [`remains`].
//!
//! ```no_run
//! use tests::lab::{Lab, Layout};
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::up(Layout::one_host())?;
//! let host = lab.host("h1")?;
//! host.sh("docker network create -d berth --ipam-driver berth cloud")?;
//! let id = host.sh("docker run -d --name web --network cloud busybox httpd -f -h /www")?;
//! let address = host.address_of(id.trim())?;
//! lab.node("vm1")?.sh(&format!("ping -c 1 {address}"))?;
//! # Ok(())
//! # }
//! ```

mod binaries;
mod capture;
mod cloud;
mod condition;
mod config;
mod daemon;
mod etcd;
mod files;
mod host;
mod image;
mod keeper;
mod layout;
mod member;
mod namespaces;
mod node;
mod place;
mod process;
pub mod remains;
mod signals;
mod sockets;
mod visit;

use std::collections::BTreeMap;

use anyhow::{Context, Result};

pub use capture::Capture;
pub use cloud::Cloud;
pub use condition::until;
pub use config::{BerthConfig, Pool, ProviderChoice, StaticSubnet, StoreChoice};
pub use daemon::Daemon;
pub use etcd::Etcd;
pub use host::Host;
pub use layout::{DockerHost, Layout, VLAN, boot_id};
pub use member::Member;
pub use namespaces::Said;
pub use node::{Node, Way};
pub use process::Process;
pub use signals::{give_way, until_interrupted};
pub use visit::command_on;

use keeper::Keeper;
use place::Place;

/// A running lab. Dropping it takes everything down.
pub struct Lab {
    // Dropped in this order: hosts, etcd, cloud, keeper, and at last the place with all that is left.
    hosts: BTreeMap<String, Host>,
    etcd: Etcd,
    nodes: BTreeMap<String, Node>,
    cloud: Cloud,
    _keeper: Keeper,
    place: Place,
}

impl Lab {
    /// Builds the lab and starts every daemon on every Docker host.
    ///
    /// # Errors
    /// What could not be started, with the end of its log.
    pub fn up(layout: Layout) -> Result<Lab> {
        let lab = Lab::build(layout)?;
        lab.etcd.start()?;
        lab.hosts().try_for_each(Host::start_all)?;
        Ok(lab)
    }

    /// Builds the lab: cloud, fabric and machines, with no daemon running yet.
    ///
    /// # Errors
    /// What could not be made and why; a lab needs root.
    pub fn build(layout: Layout) -> Result<Lab> {
        remains::require_root()?;
        signals::watch();
        let place = Place::claim()?;
        let keeper = Keeper::of_processes(&place)?;
        let cloud = Cloud::start(&place, &keeper, &layout)?;
        let mut nodes = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        for name in layout.node_names() {
            nodes.insert(name.clone(), Node::new(&name, &place, &keeper));
        }
        let members = layout.etcd.iter().filter_map(|name| nodes.get(name)).collect::<Vec<_>>();
        let etcd = Etcd::place(&place, &keeper, &members)?;
        for (name, options) in layout.hosts {
            hosts.insert(name.clone(), Host::boot(&name, &place, options, &cloud, etcd.endpoints())?);
        }
        Ok(Lab { hosts, etcd, nodes, cloud, _keeper: keeper, place })
    }

    /// The lab's id: unique among the labs of this machine; part of the name of all that it makes.
    pub fn id(&self) -> &str {
        self.place.id()
    }

    /// The folder where this lab keeps its logs, sockets and Docker's data.
    pub fn dir(&self) -> &std::path::Path {
        self.place.dir()
    }

    /// The simulated cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The Docker host of this name.
    ///
    /// # Errors
    /// No Docker host is called so.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.hosts.get(name).with_context(|| format!("the lab has no Docker host called {name}"))
    }

    /// The etcd that hosts share; without members, if the layout names none.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// All Docker hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// The folder of a small web site whose page `cgi-bin/whoami` tells each visitor its address; the image
    /// `busybox` has it as `/www`.
    ///
    /// # Errors
    /// It could not be made.
    pub fn site(&self) -> Result<std::path::PathBuf> {
        image::site(&self.place)
    }

    /// The network of any machine of the layout, or of `router`, `client` (on the Internet) or `fabric`.
    ///
    /// # Errors
    /// Nothing is called so.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.nodes.get(name).with_context(|| format!("the lab has no node called {name}"))
    }
}
