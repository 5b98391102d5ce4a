//! Docker's built-in bridge driver with our IPAM only, as Swarm needs it.

use anyhow::Result;
use tests::lab::{Daemon, DockerHost};

use tests::stage::{SOON, Stage, without_cooling};

#[test]
fn dockers_own_bridge_driver_works_with_our_addresses() -> Result<()> {
    let stage = Stage::set(without_cooling(DockerHost::default()))?;
    let host = stage.host();
    host.sh("docker network create -d bridge --ipam-driver berth --ipam-opt bridge=brcloud \
         -o com.docker.network.bridge.name=brcloud -o com.docker.network.bridge.inhibit_ipv4=true \
         -o com.docker.network.bridge.enable_ip_masquerade=false theirs")?;
    host.sh("docker run -d --name web --network theirs busybox httpd -f -p 0.0.0.0:80 -h /www")?;
    let address = host.address_of("web")?;
    stage.vm_reaches(address)?;
    stage.settles_on(&[address], SOON)?;

    // A restart of the agent changes nothing, and the container stays known.
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    stage.vm_reaches(address)?;

    host.sh("docker rm -f web")?;
    stage.settles_on(&[], SOON)
}
