//! Load balancers of the simulated cloud, as users and operators meet them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};

use crate::lab::{Cloud, Daemon, Host, Lab, until};
use crate::stage::DELIVERY;

/// A site whose one page is the container's name.
pub const NAMED: &str = "busybox sh -c 'mkdir /tmp/site; hostname >/tmp/site/index.html; \
     exec busybox httpd -f -p 0.0.0.0:80 -h /tmp/site'";

/// Runs a container of service `web`, whose page is its name.
pub fn run_web(host: &Host, name: &str, network: &str) -> Result<IpAddr> {
    let labels = "-l berth.service=web -l berth.port=80";
    host.sh(&format!("docker run -d --name {name} --hostname {name} --network {network} {labels} {NAMED}"))?;
    host.address_of(name)
}

/// Where users reach a load balancer.
pub fn front(cloud: &Cloud, name: &str) -> Result<Option<String>> {
    let state = cloud.state()?;
    let all = state["balancers"].as_array().context("no balancers in the cloud's state")?;
    let found = all.iter().find(|it| it["name"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(name)));
    Ok(found.and_then(|it| Some(it["front"]["address"].as_str()?.to_owned())))
}

/// Who answers requests that come through the load balancer, from a node: as many as there are, and as many again.
pub fn answerers(lab: &Lab, from: &str, front: &str, requests: usize) -> Result<BTreeSet<String>> {
    let ask = format!("timeout 2 busybox wget -q -O - http://{front}/ || echo nobody");
    let said = lab.node(from)?.sh(&format!("for i in $(seq {requests}); do {ask}; done"))?;
    Ok(said.lines().map(str::to_owned).collect())
}

/// Waits until these containers answer there, and no others.
pub fn is_served_by(lab: &Lab, host: &Host, from: &str, front: &str, expected: &[&str]) -> Result<()> {
    let expected: BTreeSet<String> = expected.iter().map(|it| (*it).to_owned()).collect();
    let mut last = BTreeSet::new();
    until(DELIVERY, &format!("{expected:?} answer at {front}"), || {
        last = answerers(lab, from, front, 2 * expected.len() + 2)?;
        Ok((last == expected).then_some(()))
    })
    .with_context(|| {
        let shown = host.sh("berth service show web").unwrap_or_default();
        format!("{last:?} answer\n{shown}\n{}", host.log_tail(Daemon::Berthd))
    })
}

/// Declares a service.
pub fn declare(host: &Host, text: &str) -> Result<()> {
    host.sh(&format!("berth service apply -f - <<'END'\n{text}\nEND\n")).map(drop)
}

/// Whether `berth service show web` says this of its load balancer.
pub fn says(host: &Host, word: &str) -> Result<()> {
    let shown = host.sh("berth service show web")?;
    ensure!(shown.contains(word), "nothing of {word:?} in\n{shown}");
    Ok(())
}
