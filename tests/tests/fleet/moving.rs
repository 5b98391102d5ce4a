//! Containers of several hosts reach everybody, and an address moves between hosts, with a router that
//! keeps what it knows for hours and hears no gratuitous ARP.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use api::{AddressReport, CheckReport, Condition, Source, Status};
use provider_mock::GratuitousArp;
use tests::lab::{Host, Process, until};

use super::scene::{Fleet, SOON, Size};

#[test]
fn containers_reach_everybody_and_a_reserved_address_moves_to_another_host() -> Result<()> {
    let mut layout = Size { hosts: 2, members: 1, prefix: 28 }.layout();
    layout.cloud.fabric.gratuitous_arp = GratuitousArp::Ignore;
    let fleet = Fleet::over(layout)?;
    containers_machines_and_metal_reach_each_other_without_nat(&fleet)?;
    let address = fleet.run("h1", "other", "")?;
    fleet.host("h1").sh("docker rm -f other")?;
    let reserved = fleet.host("h1").sh(&format!("berth address reserve web --address {address}"))?;
    ensure!(reserved.contains(&address.to_string()), "{reserved}");
    let web = format!("--ip {address}");
    ensure!(fleet.run_soon("h1", "web", &web)? == address, "--ip was not heeded");
    a_restarted_container_keeps_a_reserved_address(&fleet, address)?;
    the_address_moves_and_the_router_follows(&fleet, address)?;
    an_unconfirmed_move_is_reported_until_the_router_answers(&fleet, address)
}

fn containers_machines_and_metal_reach_each_other_without_nat(fleet: &Fleet) -> Result<()> {
    let (one, other) = (fleet.run("h1", "one", "")?, fleet.run("h2", "two", "")?);
    for address in [one, other] {
        fleet.vm_reaches(address)?;
    }
    sees_the_true_address(fleet.host("h1"), "one", one, other)?;
    sees_the_true_address(fleet.host("h2"), "two", other, one)?;
    let _sites = [serve(fleet, "vm1")?, serve(fleet, "bm1")?];
    for machine in ["vm1", "bm1"] {
        let address = IpAddr::from(fleet.lab().node(machine)?.address()?);
        sees_the_true_address(fleet.host("h1"), "one", one, address)?;
        sees_the_true_address(fleet.host("h2"), "two", other, address)?;
    }
    fleet.host("h1").sh("docker rm -f one")?;
    fleet.host("h2").sh("docker rm -f two").map(drop)
}

/// Who is visited sees the container's own address.
fn sees_the_true_address(host: &Host, container: &str, own: IpAddr, visited: IpAddr) -> Result<()> {
    let ask = format!("timeout 10 busybox wget -q -O - http://{visited}/cgi-bin/whoami");
    // A site that was started a moment ago may not listen yet.
    let page = until(SOON, &format!("{visited} answers to {container}"), || {
        let said = host.try_sh(&format!("docker exec {container} {ask}"))?;
        Ok(said.is_success().then_some(said.stdout))
    })?;
    ensure!(page.trim() == format!("you are {own}"), "{visited} said to {container} at {own}: {page}");
    Ok(())
}

fn serve(fleet: &Fleet, machine: &str) -> Result<Process> {
    let site = fleet.lab().site()?;
    let folder = site.to_string_lossy();
    fleet.lab().node(machine)?.spawn("busybox", &["httpd", "-f", "-p", "0.0.0.0:80", "-h", &folder])
}

fn a_restarted_container_keeps_a_reserved_address(fleet: &Fleet, address: IpAddr) -> Result<()> {
    let host = fleet.host("h1");
    let endpoint = "docker inspect -f '{{.NetworkSettings.Networks.cloud.EndpointID}}' web";
    let before = host.sh(endpoint)?;
    host.sh("docker restart -t 0 web")?;
    ensure!(host.sh(endpoint)? != before, "docker restart kept the endpoint");
    ensure!(host.address_of("web")? == address, "the reserved address was not kept");
    fleet.vm_reaches(address)
}

fn the_address_moves_and_the_router_follows(fleet: &Fleet, address: IpAddr) -> Result<()> {
    let router = fleet.lab().node("router")?;
    router.sh(&format!("ping -c 1 -W 5 {address}"))?;
    router_believes(fleet, address, "h1")?;
    fleet.host("h1").sh("docker rm -f web")?;
    ensure!(fleet.run_soon("h2", "web", &format!("--ip {address}"))? == address, "--ip was not heeded");
    // Asked for right after the start: the router was told, and did not have to forget.
    until(SOON, "the gateway acknowledged the address", || {
        let report: AddressReport = fleet.host("h2").ask(&format!("address show {address}"))?;
        let kernel = report.words.into_iter().find(|word| word.by == Source::Kernel);
        Ok(kernel.filter(|word| word.says.contains("acknowledged by the gateway") && !word.differs))
    })?;
    router.sh(&format!("ping -c 1 -W 5 {address}"))?;
    router_believes(fleet, address, "h2")?;
    fleet.vm_reaches(address)?;
    fleet.settles().map(drop)
}

fn an_unconfirmed_move_is_reported_until_the_router_answers(fleet: &Fleet, address: IpAddr) -> Result<()> {
    let (router, host) = (fleet.lab().node("router")?, fleet.host("h1"));
    // The router does not hear the address any more, whoever speaks for it.
    router.sh(&format!(
        "nft add table arp deaf; \
         nft 'add chain arp deaf in {{ type filter hook input priority 0; }}'; \
         nft add rule arp deaf in arp saddr ip {address} drop"
    ))?;
    fleet.host("h2").sh("docker rm -f web")?;
    fleet.run_soon("h1", "web", &format!("--ip {address}"))?;
    let status = until(SOON, "the unconfirmed move is reported", || {
        let status: Status = host.ask("status")?;
        let kernel = status.parts.into_iter().find(|part| part.part == Source::Kernel);
        Ok(kernel.and_then(|kernel| match kernel.condition {
            Condition::Failing { problem, .. } => Some(problem),
            _ => None,
        }))
    })?;
    ensure!(status.contains(&address.to_string()) && status.contains("did not acknowledge"), "{status}");
    let shown = host.sh(&format!("berth address show {address}; true"))?;
    ensure!(shown.contains("did not acknowledge"), "{shown}");
    let check: CheckReport = host.ask("check")?;
    ensure!(check.findings.iter().any(|finding| finding.subject == address.to_string()), "{check:?}");
    // It is no false alarm: the router sends to the former host.
    router_believes(fleet, address, "h2")?;
    ensure!(!router.try_sh(&format!("ping -c 1 -W 1 {address}"))?.is_success(), "the router knows after all");

    router.sh("nft delete table arp deaf")?;
    until(SOON, "the router sends to the new host", || {
        Ok(router.try_sh(&format!("ping -c 1 -W 1 {address}"))?.is_success().then_some(()))
    })?;
    router_believes(fleet, address, "h1")?;
    fleet.settles().map(drop)
}

/// The router's neighbour entry of an address is a host's MAC.
fn router_believes(fleet: &Fleet, address: IpAddr, host: &str) -> Result<()> {
    let known = fleet.lab().node("router")?.sh(&format!("ip neighbour show {address}"))?;
    let mac = fleet.host(host).sh("cat /sys/class/net/eth0/address")?;
    ensure!(known.contains(mac.trim()), "{address} should be at {host} ({}): {known}", mac.trim());
    Ok(())
}
