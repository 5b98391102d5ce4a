//! Who may reach the containers of a service, with real containers on both kinds of network.

use anyhow::{Context, Result, ensure};
use tests::lab::{BerthConfig, Daemon, DockerHost, Host, until};
use tests::stage::{SITE, SOON, Stage, without_cooling};

/// `web` accepts the members of `front`, and nobody else.
const WEB: &str = "name = \"web\"\n[[port]]\nport = 80\n[[policy]]\nfrom = [\"service/front\"]\n";

#[test]
fn a_service_is_reached_by_those_its_policy_names_and_by_nobody_else() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    plays(&stage, "cloud")
}

#[test]
fn the_same_holds_on_dockers_own_bridge() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    stage.create_theirs()?;
    plays(&stage, "theirs")
}

fn plays(stage: &Stage, network: &str) -> Result<()> {
    let host = stage.host();
    let run = |name: &str, service: &str| {
        let labels = format!("-l berth.service={service} -l berth.port=80");
        host.sh(&format!("docker run -d --name {name} --network {network} {labels} {SITE}"))
    };
    for (name, service) in [("web", "web"), ("front", "front"), ("other", "other")] {
        run(name, service)?;
    }
    let web = host.address_of("web")?;
    let from_vm = || stage.on_vm(&format!("timeout 3 busybox wget -q -O - http://{web}/")).is_ok();
    let from = |name: &str| -> Result<bool> {
        let said =
            host.try_sh(&format!("docker exec {name} timeout 3 busybox wget -q -O - http://{web}/"))?;
        Ok(said.is_success())
    };
    until(SOON, "without a policy everybody reaches it", || Ok((from("other")? && from_vm()).then_some(())))?;

    declare(host, WEB)?;
    refuses(host, || Ok(!from_vm()))?;
    ensure!(!from("other")? && from("front")?, "front, and nobody else");
    let shown = host.sh("berth service show web")?;
    ensure!(shown.contains("service/front; 1 connections begun here"), "{shown}");

    host.kill(Daemon::Berthd)?;
    ensure!(!from("other")? && from("front")? && !from_vm(), "the rules stand while nobody looks after them");
    host.start(Daemon::Berthd)?;
    // Once `front` is gone, who has its address next is not let in for it.
    let address = host.address_of("front")?;
    host.sh("docker rm -f front")?;
    closes(host, &address.to_string())?;
    run("front", "front")?;
    until(SOON, "the new front is let in", || Ok(from("front")?.then_some(())))?;

    host.sh("berth service delete web")?;
    until(SOON, "everybody reaches it again", || Ok(from_vm().then_some(())))
        .with_context(|| host.log_tail(Daemon::Berthd))
}

#[test]
fn where_the_operator_closes_containers_by_default_a_new_one_is_never_open_for_a_moment() -> Result<()> {
    let berth = BerthConfig { extra: "[policy]\ndefault = \"closed\"\n".into(), ..BerthConfig::default() };
    let stage = Stage::set(DockerHost { berth, ..DockerHost::default() })?;
    let host = stage.host();
    let plain = stage.run("plain", "")?;
    ensure!(
        stage.on_vm(&format!("timeout 3 busybox wget -q -O - http://{plain}/")).is_err(),
        "a new container was open"
    );
    stage.on_vm(&format!("ping -c 1 -W 2 {plain}"))?;
    ensure!(
        host.try_sh(&format!("timeout 3 busybox wget -q -O - http://{plain}/"))?.is_success(),
        "its own host reaches it"
    );
    let web = stage.run("web", "-l berth.service=web")?;
    declare(host, "name = \"web\"\n[[port]]\nport = 80\n[[policy]]\nfrom = [\"any\"]\n")?;
    until(SOON, "a service says who may", || {
        Ok(stage.on_vm(&format!("timeout 3 busybox wget -q -O - http://{web}/")).is_ok().then_some(()))
    })?;
    ensure!(
        stage.on_vm(&format!("timeout 3 busybox wget -q -O - http://{plain}/")).is_err(),
        "the other one stays closed"
    );
    Ok(())
}

fn declare(host: &Host, text: &str) -> Result<()> {
    host.sh(&format!("berth service apply -f - <<'END'\n{text}\nEND\n")).map(drop)
}

fn refuses(host: &Host, refused: impl Fn() -> Result<bool>) -> Result<()> {
    until(SOON, "the virtual machine is refused", || Ok(refused()?.then_some(())))
        .with_context(|| host.log_tail(Daemon::Berthd))
}

/// Waits until no opening names this address.
fn closes(host: &Host, address: &str) -> Result<()> {
    until(SOON, "what was open to it is closed", || {
        let sets = host.sh("nft list table inet berth_policy")?;
        Ok((!sets.contains(address)).then_some(()))
    })
}
