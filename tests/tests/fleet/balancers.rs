//! A service of several hosts behind a load balancer: what becomes of it when a host is lost, its owner's above all.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tests::balancers::{answerers, declare, front, is_served_by, run_web};
use tests::lab::{Daemon, Host, until};

use super::scene::{Fleet, SOON, Size};

/// Health checks as slow as they may be: they are not what takes the lost host's container out.
const WEB: &str = "name = \"web\"\n[[port]]\nport = 80\n[load_balancer]\nname = \"web-lb\"\norder = \"private\"\n\
     [[load_balancer.listener]]\nport = 80\nprotocol = \"http\"\n\
     health = { interval_secs = 60, timeout_secs = 30, retries = 10 }\n";

#[test]
fn a_lost_host_is_out_of_rotation_soon_also_where_it_was_the_owner_and_keeps_its_address() -> Result<()> {
    let fleet = Fleet::set(Size { hosts: 2, members: 1, prefix: 28 })?;
    let (h1, lab) = (fleet.host("h1"), fleet.lab());
    for (host, name) in [("h1", "one"), ("h2", "two")] {
        run_web(fleet.host(host), name, "cloud")?;
    }
    declare(h1, WEB)?;
    let front = until(SOON, "it was ordered", || front(lab.cloud(), "web-lb"))?;
    is_served_by(lab, h1, "vm1", &front, &["one", "two"])?;

    let (lost, left) = if is_owner(&fleet, h1)? { ("h1", "h2") } else { ("h2", "h1") };
    let (gone, stays) = if lost == "h1" { ("one", "two") } else { ("two", "one") };
    let host = fleet.host(left);
    let address = fleet.host(lost).address_of(gone)?;
    let begun = Instant::now();
    fleet.host(lost).power_off()?;
    until(SOON, "it gets nothing more", || {
        let shown = host.sh("berth service show web")?;
        let line = shown.lines().find(|line| line.contains(gone)).unwrap_or_default();
        Ok((line.contains("weight 0") && line.contains("gives no sign of life")).then_some(()))
    })
    .with_context(|| host.log_tail(Daemon::Berthd))?;
    println!("out of rotation {:.1} s after its owner's host was lost", begun.elapsed().as_secs_f64());
    let answered = answerers(lab, "vm1", &front, 20)?;
    ensure!(answered.iter().eq([stays]), "{answered:?} answer");
    let shown = host.sh(&format!("berth address show {address}"))?;
    ensure!(shown.contains("store    held by"), "it lost its address: {shown}");
    Ok(())
}

fn is_owner(fleet: &Fleet, host: &Host) -> Result<bool> {
    let shown = fleet.host("h1").sh("berth service show web")?;
    let id = host.sh("berth status -o json")?;
    let line = shown.lines().find(|line| line.contains("looked after by")).context("no owner")?;
    let owner = line.split_whitespace().last().context("no owner")?;
    Ok(id.contains(owner))
}
