//! Docker networks: several, internal, in use, and larger than their first subnet.

use anyhow::{Context, Result, ensure};
use tests::lab::{BerthConfig, DockerHost, Pool};

use tests::stage::{SOON, Stage};

#[test]
fn a_container_on_two_networks_is_reached_on_both() -> Result<()> {
    // Of two pools: Docker refuses a container two addresses of one subnet.
    let pools = vec![Pool::default(), Pool { name: "other".to_owned(), ..Pool::default() }];
    let berth = BerthConfig { pools, ..BerthConfig::default() };
    let stage = Stage::set(DockerHost { berth, ..DockerHost::default() })?;
    stage.await_subnets(2)?;
    let host = stage.host();
    let first = stage.run("web", "")?;
    host.sh("docker network create -d berth --ipam-driver berth --ipam-opt pool=other second")?;
    host.sh("docker network connect second web")?;
    let second = host.sh("docker inspect -f '{{.NetworkSettings.Networks.second.IPAddress}}' web")?;
    let second = second.trim().parse()?;
    stage.vm_reaches(first)?;
    stage.vm_reaches(second)?;

    host.sh("docker network disconnect second web")?;
    stage.settles_on(&[first], SOON)?;
    stage.vm_reaches(first)?;

    let refused = host.try_sh("docker network rm cloud")?;
    ensure!(refused.stderr.contains("has active endpoints"), "rm of a network in use: {}", refused.stderr);
    host.sh("docker network rm second && docker rm -f web && docker network rm cloud")?;
    stage.settles_on(&[], SOON)?;
    let bridges = host.sh("ip -br link show type bridge")?;
    ensure!(!bridges.contains("berth-"), "bridges left behind: {bridges}");
    Ok(())
}

#[test]
fn a_second_network_on_a_subnet_with_containers_wants_the_subnet_named() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    stage.run("web", "")?;
    let create = "docker network create -d berth --ipam-driver berth";
    let refused = stage.host().try_sh(&format!("{create} second"))?;
    ensure!(!refused.is_success() && refused.stderr.contains("hint: add `--subnet"), "{}", refused.stderr);
    stage.host().sh(&format!("{create} --subnet {} second", stage.subnet()?))?;
    stage.host().sh("docker run -d --name other --network second busybox httpd -f -p 0.0.0.0:80 -h /www")?;
    stage.vm_reaches(stage.host().address_of("other")?)
}

#[test]
fn an_internal_network_reaches_its_own_containers_and_nothing_else() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    host.sh("docker network create -d berth --ipam-driver berth --internal inside")?;
    host.sh("docker run -d --name one --network inside busybox httpd -f -p 0.0.0.0:80 -h /www")?;
    host.sh("docker run -d --name two --network inside busybox sleep 1000")?;
    let one = host.address_of("one")?;
    host.sh(&format!("docker exec two timeout 10 wget -q -O - http://{one}/cgi-bin/whoami"))?;

    let vm = stage.lab().node("vm1")?.address()?;
    ensure!(
        !host.try_sh(&format!("docker exec two ping -c 1 -W 1 {vm}"))?.is_success(),
        "two reached the VM"
    );
    ensure!(
        !stage.lab().node("vm1")?.try_sh(&format!("ping -c 1 -W 1 {one}"))?.is_success(),
        "the VM reached one"
    );
    let routes = host.sh("docker exec two ip route")?;
    ensure!(!routes.contains("default"), "a way out: {routes}");
    Ok(())
}

#[test]
fn a_network_outlives_its_first_subnet() -> Result<()> {
    // A /29 has five addresses for containers; the second is ordered when fewer than four are free.
    let pool = Pool { prefix: 29, free_min: 4, ..Pool::default() };
    let berth = BerthConfig { pools: vec![pool], ..BerthConfig::default() };
    let stage = Stage::set(DockerHost { berth, ..DockerHost::default() })?;
    let mut addresses = Vec::new();
    for number in 1..=7 {
        if number == 4 {
            stage.await_subnets(2)?;
        }
        addresses.push(stage.run(&format!("c{number}"), "")?);
    }
    let subnets: Vec<api::Subnet> = stage.host().ask("subnet list")?;
    for subnet in &subnets {
        let here = addresses.iter().find(|address| subnet.subnet.contains(**address));
        let address = here.with_context(|| format!("no container in {}", subnet.subnet))?;
        stage.vm_reaches(*address)?;
    }
    // Each leaves through the gateway of its own subnet, to a place behind the router.
    let endpoint = stage.lab().cloud().endpoint().to_owned();
    let behind = endpoint.trim_start_matches("http://").split(['/', ':']).next().unwrap_or_default();
    for (number, address) in (1..).zip(&addresses) {
        let routes = stage.host().sh(&format!("docker exec c{number} ip route"))?;
        let gateway = routes.lines().find_map(|line| line.strip_prefix("default via ")?.split(' ').next());
        let gateway = gateway.with_context(|| format!("c{number} has no gateway: {routes}"))?.parse()?;
        let own = subnets.iter().find(|subnet| subnet.subnet.contains(*address));
        ensure!(own.is_some_and(|subnet| subnet.subnet.contains(gateway)), "{address} goes out by {gateway}");
        stage.host().sh(&format!("docker exec c{number} ping -c 1 -W 5 {behind}"))?;
    }
    Ok(())
}

#[test]
fn the_mtu_of_containers_is_the_vlans() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    stage.host().sh("ip link set eth0 mtu 1400")?;
    stage.run("web", "")?;
    let inside = stage.host().sh("docker exec web cat /sys/class/net/eth0/mtu")?;
    ensure!(inside.trim() == "1400", "the container's MTU is {inside}");

    // Smaller, where it is asked for.
    let (subnet, option) = (stage.subnet()?, "-o com.docker.network.driver.mtu=1300");
    stage.host().sh(&format!(
        "docker network create -d berth --ipam-driver berth --subnet {subnet} {option} small"
    ))?;
    let inside = stage.host().sh("docker run --rm --network small busybox cat /sys/class/net/eth0/mtu")?;
    ensure!(inside.trim() == "1300", "the container's MTU is {inside}");
    Ok(())
}

#[test]
fn what_cannot_be_had_is_refused_with_what_to_do() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let address = stage.run("web", "")?;
    let subnets: Vec<api::Subnet> = stage.host().ask("subnet list")?;
    let gateway = subnets[0].gateway.context("a subnet without a gateway")?;
    for (command, says) in [
        (format!("docker run --rm --network cloud --ip {address} busybox true"), "in use by"),
        (format!("docker run --rm --network cloud --ip {gateway} busybox true"), "set aside"),
        ("docker network create -d berth plain".to_owned(), "--ipam-driver berth"),
        (
            "docker network create -d berth --ipam-driver berth --ipam-opt pool=none x".to_owned(),
            "berth pool list",
        ),
        (
            "docker network create -d berth --ipam-driver berth --subnet 10.99.0.0/24 x".to_owned(),
            "berth subnet list",
        ),
        (
            format!(
                "docker network create -d berth --ipam-driver berth --subnet {0} --ip-range {0} x",
                subnets[0].subnet
            ),
            "--ip-range",
        ),
        ("docker run --rm --network cloud -p 80:80/sctp busybox true".to_owned(), "tcp and udp can"),
        (
            format!(
                "docker network create -d berth --ipam-driver berth --subnet {} \
                 -o com.docker.network.driver.mtu=big x",
                subnets[0].subnet
            ),
            "is no MTU",
        ),
    ] {
        let said = stage.host().try_sh(&command)?;
        ensure!(
            !said.is_success() && said.stderr.contains(says),
            "{command}: {}{}",
            said.stdout,
            said.stderr
        );
    }
    stage.settles_on(&[address], SOON)
}
