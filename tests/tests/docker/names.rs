//! Names as containers look them up: `getent` in real containers, on both kinds of network.

use anyhow::{Result, ensure};
use tests::lab::Daemon;
use tests::names::{answered_at, found};
use tests::stage::{SITE, Stage, without_cooling};

#[test]
fn containers_find_services_and_each_other_by_name_and_address() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    plays(&stage, "cloud")
}

#[test]
fn they_do_so_on_dockers_own_bridge_as_well() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    stage.create_theirs()?;
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
    found(host, "asker", "web.lab.internal", &[&one, &two])?;
    found(host, "asker", "one.containers.lab.internal", &[&one])?;
    found(host, "asker", "two-box.containers.lab.internal", &[&two])?;
    found(host, "asker", "one-box", &[&one])?;
    found(host, "asker", "asker-box", &[&asker])?;
    found(host, "asker", &one, &["one"])?;
    let told = host.sh("berth name web.lab.internal")?;
    ensure!(told.contains(&one) && told.contains("the members of service web"), "{told}");

    host.sh("docker rm -f two")?;
    found(host, "asker", "web.lab.internal", &[&one])?;
    found(host, "asker", "two.containers.lab.internal", &[])?;
    host.sh("berth drain one")?;
    found(host, "asker", "web.lab.internal", &[])?;
    host.sh("berth drain one --undo")?;
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    found(host, "asker", "web.lab.internal", &[&one])
}
