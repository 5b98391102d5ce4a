//! Docker's built-in bridge driver with our IPAM only, as Swarm needs it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::lab::{Daemon, Host, until};

use tests::stage::{SITE, SOON, Stage, without_cooling};

/// Swarm looks for the image in vain before it takes the one that is there.
const TASK: Duration = Duration::from_secs(90);

/// What a network of Docker's bridge driver needs so that containers keep their own addresses.
const AS_THEY_ARE: &str = "-o com.docker.network.bridge.inhibit_ipv4=true \
    -o com.docker.network.bridge.enable_ip_masquerade=false";

#[test]
fn dockers_own_bridge_driver_works_with_our_addresses() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let host = stage.host();
    stage.create_theirs()?;
    host.sh(&format!("docker run -d --name web --network theirs {SITE}"))?;
    let address = host.address_of("web")?;
    stage.vm_reaches(address)?;
    stage.settles_on(&[address], SOON)?;
    let shown = host.sh("berth network show theirs")?;
    ensure!(shown.contains(&address.to_string()) && shown.contains("brcloud"), "{shown}");

    // A restart of the agent changes nothing, and the container stays known.
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    stage.vm_reaches(address)?;

    host.sh("docker rm -f web")?;
    stage.settles_on(&[], SOON)
}

#[test]
fn dockers_own_bridge_driver_needs_no_option_of_ours() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let (host, subnet) = (stage.host(), stage.subnet()?);
    host.sh("docker network rm cloud")?;
    let create = "docker network create -d bridge --ipam-driver berth";
    host.sh(&format!("{create} --subnet {subnet} {AS_THEY_ARE} theirs"))?;
    // The first container comes before Docker was seen with its network, the second after.
    for name in ["first", "second"] {
        host.sh(&format!("docker run -d --name {name} --network theirs {SITE}"))?;
    }
    let addresses = [host.address_of("first")?, host.address_of("second")?];
    stage.settles_on(&addresses, SOON)?;
    for address in addresses {
        stage.vm_reaches(address)?;
    }
    let refused = host.try_sh(&format!("docker run --rm --network theirs --ip {} {SITE}", addresses[0]))?;
    ensure!(refused.stderr.contains("in use by container first"), "{}", refused.stderr);

    host.sh("docker rm -f first second")?;
    stage.settles_on(&[], SOON)?;
    // A container with an address of its own restarts with it.
    let fixed = subnet.iter().nth(60).context("a small subnet")?;
    host.sh(&format!("docker run -d --name fixed --network theirs --ip {fixed} {SITE}"))?;
    host.sh("docker restart -t 0 fixed")?;
    stage.settles_on(&[fixed], SOON)?;
    stage.vm_reaches(fixed)
}

#[test]
fn a_service_of_a_swarm_has_addresses_of_the_vlan() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let (host, subnet) = (stage.host(), stage.subnet()?);
    host.sh("docker network rm cloud")?;
    let advertised = stage.lab().node("h1")?.address()?;
    host.sh(&format!("docker swarm init --advertise-addr {advertised}"))?;
    // Each node has the settings, and the manager a network made from them.
    host.sh(&format!(
        "docker network create --config-only --ipam-driver berth --subnet {subnet} {AS_THEY_ARE} cloud-config"
    ))?;
    host.sh("docker network create -d bridge --scope swarm --attachable --config-from cloud-config cloud")?;
    host.sh(&format!(
        "docker service create --detach --no-resolve-image --name web --network cloud \
         --endpoint-mode dnsrr --restart-delay 1s {SITE}"
    ))?;
    let first = task(host, None)?;
    let address = host.address_of(&first)?;
    stage.settles_on(&[address], SOON)?;
    stage.vm_reaches(address)?;

    host.sh(&format!("docker rm -f {first}"))?;
    let second = task(host, Some(&first))?;
    let address = host.address_of(&second)?;
    stage.settles_on(&[address], SOON)?;
    stage.vm_reaches(address)?;

    host.sh("docker service rm web")?;
    stage.settles_on(&[], SOON)
}

/// The running container of the service `web`, another than the one named.
fn task(host: &Host, other_than: Option<&str>) -> Result<String> {
    let list = "docker ps -q --no-trunc --filter label=com.docker.swarm.service.name=web";
    until(TASK, "a task of the service runs", || {
        let running = host.sh(list)?;
        Ok(running.lines().find(|id| Some(*id) != other_than).map(str::to_owned))
    })
    .with_context(|| host.log_tail(Daemon::Dockerd))
}
