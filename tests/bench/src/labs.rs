//! Labs that cells need: real daemons on hosts that share one etcd and one subnet.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use api::Subnet;
use ipnetwork::IpNetwork;
use tests::lab::{BerthConfig, DockerHost, Host, Lab, Layout, Pool, StoreChoice, until};

/// An order takes seconds in the simulated cloud.
const DELIVERY: Duration = Duration::from_secs(120);

/// Hosts h1, h2 …, a virtual machine vm1, and etcd.
pub(crate) fn layout(hosts: u32, members: usize, prefix: u8) -> Layout {
    let pool = Pool { prefix, subnets_max: 1, free_min: 1, cooling_secs: 1, ..Pool::default() };
    let berth = BerthConfig { store: StoreChoice::Etcd, pools: vec![pool], ..BerthConfig::default() };
    let alone = Layout::one_vlan().etcd_members(members);
    let machines = (1..=hosts).fold(alone, |layout, number| {
        let boot_id = format!("00000000-0000-4000-8000-{number:012}");
        let options = DockerHost { boot_id, berth: berth.clone(), ..DockerHost::default() };
        layout.docker_host(&format!("h{number}"), options)
    });
    machines.machine("vm1", provider_mock::MachineKind::Virtual)
}

/// Starts everything, the hosts with these lines before their configuration; the one subnet, with the Docker network
/// `cloud` over it on every host.
pub(crate) fn start(lab: &Lab, options: &str) -> Result<IpNetwork> {
    lab.etcd().start()?;
    let mut hosts = lab.hosts();
    let first = hosts.next().context("a lab without hosts")?;
    start_host(first, options)?;
    first.sh("berth cluster init")?;
    let subnet = delivered(first)?;
    create_network(first, subnet)?;
    // The first has the capacity role by now.
    for host in hosts {
        start_host(host, options)?;
        delivered(host)?;
        create_network(host, subnet)?;
    }
    Ok(subnet)
}

fn start_host(host: &Host, options: &str) -> Result<()> {
    configure(host, options)?;
    host.start_all()
}

/// Puts lines before a host's configuration.
pub(crate) fn configure(host: &Host, options: &str) -> Result<()> {
    let file = host.outside("/etc/berth/berth.toml")?;
    let text = fs::read_to_string(&file)?;
    host.write_config(&format!("{options}\n{text}"))
}

/// The first subnet that a host may use.
pub(crate) fn delivered(host: &Host) -> Result<IpNetwork> {
    until(DELIVERY, &format!("{} knows the subnet", host.name()), || {
        // An agent that was just started does not know its pools yet.
        let subnets: Vec<Subnet> = host.ask("subnet list").unwrap_or_default();
        Ok(subnets.iter().find(|subnet| subnet.counts.usable() > 0).map(|subnet| subnet.subnet))
    })
}

fn create_network(host: &Host, subnet: IpNetwork) -> Result<()> {
    let create = "docker network create -d berth --ipam-driver berth";
    host.sh(&format!("{create} --subnet {subnet} cloud")).map(drop)
}
