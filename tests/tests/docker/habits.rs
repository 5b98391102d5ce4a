//! What Docker's users are used to, and would be surprised to miss.

use anyhow::{Context, Result, ensure};
use api::AddressReport;
use tests::lab::{DockerHost, until};

use tests::stage::{SITE, SOON, Stage};

#[test]
fn containers_of_a_network_find_each_other_by_name_and_alias_as_in_compose_files() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    let database = stage.run("database", "--network-alias db")?;
    for name in ["database", "db"] {
        let ask = format!("timeout 20 wget -q -O - http://{name}/cgi-bin/whoami");
        let page = host.sh(&format!("docker run --rm --network cloud busybox {ask}"))?;
        ensure!(page.starts_with("you are "), "{name} said {page}");
    }
    // A second one that lives in the network of the first has its address, and takes none.
    let shown = host.sh("docker run --rm --network container:database busybox ip -4 -o address show eth0")?;
    ensure!(shown.contains(&format!("inet {database}/")), "beside the database: {shown}");
    stage.settles_on(&[database], SOON)
}

#[test]
fn a_container_is_shown_by_its_name_at_once_and_by_a_new_one_soon_and_a_paused_one_keeps_its_address()
-> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    let address = stage.run("old", "")?;
    let listed = stage.addresses()?.into_iter().find(|it| it.address == address);
    ensure!(
        listed.and_then(|it| it.container).as_deref() == Some("old"),
        "just started, and listed without name"
    );
    host.sh("docker rename old new")?;
    until(SOON, "the container is called new", || {
        let report: AddressReport = host.ask(&format!("address show {address}"))?;
        Ok((report.address.container.as_deref() == Some("new")).then_some(()))
    })?;
    host.sh("docker pause new")?;
    stage.settles_on(&[address], SOON)?;
    host.sh("docker unpause new")?;
    stage.vm_reaches(address)?;
    // Created, and never started: it has nothing, and its end changes nothing.
    host.sh(&format!("docker create --name never --network cloud {SITE} && docker rm never"))?;
    stage.settles_on(&[address], SOON)
}

#[test]
fn a_network_made_without_options_is_inspected_as_it_is_and_pruned_when_nobody_uses_it() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    let subnet = stage.subnet()?;
    host.sh("docker network rm cloud && docker network create -d berth --ipam-driver berth cloud")?;
    let shown =
        host.sh("docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}' cloud")?;
    let gateway = subnet.iter().nth(1).context("a small subnet")?;
    ensure!(shown.trim() == format!("{subnet} {gateway}"), "inspect shows {shown}");
    let address = stage.run("web", "")?;
    host.sh("docker network prune -f")?;
    stage.vm_reaches(address)?;

    host.sh("docker rm -f web && docker network prune -f")?;
    stage.settles_on(&[], SOON)?;
    let left = host.sh("docker network ls -q --filter driver=berth; ip -br link show type bridge")?;
    ensure!(!left.contains("berth-") && left.trim().is_empty(), "left behind: {left}");
    Ok(())
}
