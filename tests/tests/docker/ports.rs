//! `-p`: the one translation there is, and only where it is asked for.

use anyhow::{Result, ensure};
use api::AddressReport;
use tests::lab::{BerthConfig, DockerHost, Pool, until};

use tests::stage::{SOON, Stage};

#[test]
fn a_published_port_leads_to_its_container_as_long_as_that_runs() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let address = stage.run("web", "-p 8080:80")?;
    let host = stage.lab().node("h1")?.address()?;
    let ask = format!("timeout 10 busybox wget -q -O - http://{host}:8080/cgi-bin/whoami");
    let vm = stage.lab().node("vm1")?.address()?;
    ensure!(stage.on_vm(&ask)?.trim() == format!("you are {vm}"), "the container does not see who asks");
    stage.vm_reaches(address)?;

    let second =
        stage.host().try_sh("docker run -d --name other --network cloud -p 8080:80 busybox sleep 1000")?;
    let says = "host port 8080 is taken by";
    ensure!(!second.is_success() && second.stderr.contains(says), "{}", second.stderr);
    ensure!(second.stderr.contains(&address.to_string()), "{}", second.stderr);

    stage.host().sh("docker rm -f web other")?;
    stage.settles_on(&[], SOON)?;
    ensure!(!stage.lab().node("vm1")?.try_sh(&ask)?.is_success(), "the port is still open");
    Ok(())
}

#[test]
fn a_port_that_names_no_host_port_gets_one_and_berth_shows_which() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    // Somebody listens on the first that there is.
    let _listener = stage.lab().node("h1")?.spawn("busybox", &["nc", "-l", "-p", "49153"])?;
    let listens = "ss -Hlnt 'sport = :49153'";
    until(SOON, "port 49153 is taken", || Ok((!stage.host().sh(listens)?.is_empty()).then_some(())))?;
    let first = stage.run("first", "-p 80")?;
    let second = stage.run("second", "-p 80")?;
    let host = stage.lab().node("h1")?.address()?;
    let vm = stage.lab().node("vm1")?.address()?;
    for (address, port) in [(first, 49154), (second, 49155)] {
        let report: AddressReport = stage.host().ask(&format!("address show {address}"))?;
        ensure!(report.ports == [format!("{port}->80/tcp")], "{address} has {:?}", report.ports);
        let page =
            stage.on_vm(&format!("timeout 10 busybox wget -q -O - http://{host}:{port}/cgi-bin/whoami"))?;
        ensure!(page.trim() == format!("you are {vm}"), "port {port} said {page}");
    }
    let network: api::Network = stage.host().ask("network show cloud")?;
    let mut ports: Vec<String> = network.endpoints.into_iter().flat_map(|endpoint| endpoint.ports).collect();
    ports.sort();
    ensure!(ports == ["49154->80/tcp", "49155->80/tcp"], "{ports:?}");

    let refused = stage.host().try_sh("docker run --rm --network cloud -p 49153:80 busybox true")?;
    ensure!(refused.stderr.contains("49153 is taken by a process of this host"), "{}", refused.stderr);
    stage.settles_on(&[first, second], SOON)
}

#[test]
fn the_ports_of_a_container_on_two_networks_stay_open_when_it_leaves_one() -> Result<()> {
    let pools = vec![Pool::default(), Pool { name: "other".to_owned(), ..Pool::default() }];
    let berth = BerthConfig { pools, ..BerthConfig::default() };
    let stage = Stage::set(DockerHost { berth, ..DockerHost::default() })?;
    stage.await_subnets(2)?;
    stage.run("web", "-p 8080:80")?;
    let host = stage.lab().node("h1")?.address()?;
    let ask = format!("timeout 10 busybox wget -q -O - http://{host}:8080/cgi-bin/whoami");
    stage.on_vm(&ask)?;
    stage.host().sh("docker network create -d berth --ipam-driver berth --ipam-opt pool=other second")?;
    stage.host().sh("docker network connect second web")?;
    stage.on_vm(&ask)?;
    stage.host().sh("docker network disconnect cloud web")?;
    stage.on_vm(&ask)?;
    Ok(())
}
