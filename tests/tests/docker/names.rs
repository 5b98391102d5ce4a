//! Names as containers look them up: `getent` in real containers, on both kinds of network.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::Status;
use tests::lab::{Daemon, Host, until};
use tests::stage::{SITE, SOON, Stage, without_cooling};

/// Docker's own bridge driver with our addresses, as Swarm has it.
const THEIRS: &str = "docker network create -d bridge --ipam-driver berth --ipam-opt bridge=brcloud \
     -o com.docker.network.bridge.name=brcloud -o com.docker.network.bridge.inhibit_ipv4=true \
     -o com.docker.network.bridge.enable_ip_masquerade=false theirs";

#[test]
fn containers_find_services_and_each_other_by_name_and_address() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    plays(&stage, "cloud")
}

#[test]
fn they_do_so_on_dockers_own_bridge_as_well() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    stage.host().sh(THEIRS)?;
    plays(&stage, "theirs")
}

fn plays(stage: &Stage, network: &str) -> Result<()> {
    let host = stage.host();
    let at = answered_at(host)?;
    let run = |name: &str, labels: &str| -> Result<String> {
        host.sh(&format!(
            "docker run -d --name {name} --hostname {name}-box --network {network} --dns {at} {labels} {SITE}"
        ))?;
        Ok(host.address_of(name)?.to_string())
    };
    let asker = run("asker", "")?;
    let web = "-l berth.service=web -l berth.port=80";
    let (one, two) = (run("one", web)?, run("two", web)?);
    // In which order they come is another each time.
    found(host, "web.lab.internal", &[&one, &two])?;
    found(host, "one.containers.lab.internal", &[&one])?;
    found(host, "two-box.containers.lab.internal", &[&two])?;
    found(host, "one-box", &[&one])?;
    found(host, "asker-box", &[&asker])?;
    found(host, &one, &["one"])?;
    let told = host.sh("berth name web.lab.internal")?;
    ensure!(told.contains(&one) && told.contains("the members of service web"), "{told}");

    host.sh("docker rm -f two")?;
    found(host, "web.lab.internal", &[&one])?;
    found(host, "two.containers.lab.internal", &[])?;
    host.sh("berth drain one")?;
    found(host, "web.lab.internal", &[])?;
    host.sh("berth drain one --undo")?;
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    found(host, "web.lab.internal", &[&one])
}

/// Where this host answers names.
fn answered_at(host: &Host) -> Result<String> {
    until(SOON, "names are answered", || {
        let status: Status = host.ask("status")?;
        Ok(status.names.and_then(|names| Some(names.at.first()?.ip().to_string())))
    })
}

/// Waits until a container finds a name so: exactly this many answers, each with its word.
fn found(host: &Host, name: &str, words: &[&str]) -> Result<()> {
    let by = if name.parse::<IpAddr>().is_ok() { "hosts" } else { "ahostsv4" };
    let mut last = String::new();
    until(SOON, &format!("{name} is {words:?}"), || {
        let said = host.try_sh(&format!("docker exec asker getent {by} {name}"))?;
        last = said.stdout.clone();
        let lines: Vec<&str> =
            said.stdout.lines().filter(|line| !line.contains("DGRAM") && !line.contains("RAW")).collect();
        let whole =
            lines.len() == words.len() && words.iter().all(|word| lines.iter().any(|it| it.contains(word)));
        Ok(whole.then_some(()))
    })
    .with_context(|| format!("{last}\n{}", host.log_tail(Daemon::Berthd)))
}
