//! Names as containers look them up: `getent` in real containers, on both kinds of network.

use anyhow::{Context, Result, ensure};
use tests::balancers::declare;
use tests::lab::{Daemon, until};
use tests::names::{answered_at, found};
use tests::stage::{SITE, SOON, Stage, without_cooling};

#[test]
fn containers_find_services_and_each_other_by_name_and_address() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    plays(&stage, "cloud")
}

#[test]
fn a_declared_service_tells_where_its_members_listen_by_the_name_of_the_port() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let host = stage.host();
    let at = answered_at(host)?;
    host.sh(&format!("docker run -d --name one --network cloud --dns {at} -l berth.service=web {SITE}"))?;
    let address = host.address_of("one")?.to_string();
    let target = format!("{}.web.lab.internal", address.replace('.', "-"));
    declare(host, "name = \"web\"\n[[port]]\nname = \"http\"\nport = 80\n")?;
    let ask = format!("docker exec one nslookup -type=srv _http._tcp.web.lab.internal {at}");
    let mut last = String::new();
    until(SOON, "its port is told", || {
        last = host.try_sh(&ask)?.stdout;
        Ok(last.contains(&format!(" 80 {target}")).then_some(()))
    })
    .with_context(|| last.clone())?;
    found(host, "one", &target, &[&address])
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
