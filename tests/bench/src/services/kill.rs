//! kill_to_member_removed_p99_ms, kill_to_policy_p99_ms, kill_to_dns_p99_ms: from the moment in which a container's
//! process is killed until its place at the load balancer, what others accept from it, and its name are gone.
//!
//! The provider carries out every change at once, and no other call of the agent is due: it keeps itself below the
//! provider's limit. What is looked at costs some milliseconds itself, which are in it. Of twenty rounds the 99th
//! percentile is the slowest.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::balancers::{is_served_by, run_web};
use tests::lab::{Host, Lab};
use tests::names::answered_at;

use super::{at_once, served};
use crate::report::{millis, quantile, say_once};
use crate::{Size, labs};

/// Only a broken agent takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// In so long the agent may make as many calls again as it makes for a container.
const QUIET: Duration = Duration::from_secs(4);

pub(crate) fn measure(size: &Size) -> Result<()> {
    let lab = Lab::build(labs::layout(1, 1, 26))?;
    // Whoever is in it is let in to itself: its address is in a set of the kernel.
    let front = served(&lab, 2, "[[policy]]\nfrom = [\"any\"]\n[[policy]]\nfrom = [\"service/web\"]\n")?;
    at_once(&lab)?;
    let host = lab.host("h1")?;
    let dns = answered_at(host)?;
    let (mut member, mut policy, mut name) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..size.of(20, 2) {
        for (figures, gone) in [
            (&mut member, &(|at| at_provider(&lab, at)) as &dyn Fn(IpAddr) -> Result<bool>),
            (&mut policy, &|at| in_policy(host, at)),
            (&mut name, &|at| in_dns(host, &dns, at)),
        ] {
            let victim = format!("victim-{round}-{}", figures.len());
            let address = run_web(host, &victim, "cloud")?;
            is_there(&lab, host, &dns, address)?;
            std::thread::sleep(QUIET);
            figures.push(kill(host, &victim, || gone(address))?);
            host.sh(&format!("docker rm -f {victim}"))?;
        }
    }
    is_served_by(&lab, host, "vm1", &front, &["web-0", "web-1"])?;
    for (what, figures) in [("member_removed", member), ("policy", policy), ("dns", name)] {
        say_once(&format!("kill_to_{what}_p50_ms"), "ms", quantile(&figures, 0.5));
        say_once(&format!("kill_to_{what}_p99_ms"), "ms", quantile(&figures, 0.99));
    }
    Ok(())
}

/// Milliseconds from the death of the container's process until `still` is false.
fn kill(host: &Host, container: &str, still: impl Fn() -> Result<bool>) -> Result<f64> {
    let pid = host.sh(&format!("docker inspect -f '{{{{.State.Pid}}}}' {container}"))?;
    let begun = Instant::now();
    host.sh(&format!("kill -9 {}", pid.trim()))?;
    while still()? {
        ensure!(begun.elapsed() < PATIENCE, "{container} is still there");
    }
    Ok(millis(begun.elapsed()))
}

fn is_there(lab: &Lab, host: &Host, dns: &str, address: IpAddr) -> Result<()> {
    let begun = Instant::now();
    while !(at_provider(lab, address)? && in_policy(host, address)? && in_dns(host, dns, address)?) {
        ensure!(begun.elapsed() < PATIENCE, "{address} takes no part");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn at_provider(lab: &Lab, address: IpAddr) -> Result<bool> {
    let state = lab.cloud().state()?;
    let balancers = state["balancers"].as_array().context("no balancers")?;
    let members =
        balancers.iter().flat_map(|it| it["in_force"]["members"].as_array().cloned().unwrap_or_default());
    Ok(members.into_iter().any(|it| it["address"].as_str() == Some(&address.to_string())))
}

fn in_policy(host: &Host, address: IpAddr) -> Result<bool> {
    Ok(host.sh("nft list table inet berth_policy")?.contains(&address.to_string()))
}

fn in_dns(host: &Host, dns: &str, address: IpAddr) -> Result<bool> {
    let said = host.try_sh(&format!("busybox nslookup -type=a web.lab.internal {dns}"))?;
    Ok(said.stdout.contains(&address.to_string()))
}
