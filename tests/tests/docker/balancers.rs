//! A web service behind a load balancer of the cloud: real containers, a real HAProxy, users on both sides.

use anyhow::{Context, Result, ensure};
use provider_mock::LocalBalancerSpec;
use tests::balancers::{answerers, declare, front, is_served_by, run_web, says};
use tests::lab::{Daemon, DockerHost, Layout, VLAN, until};
use tests::stage::{DELIVERY, SOON, Stage, without_cooling};

fn web(order: &str) -> String {
    format!(
        "name = \"web\"\n[[port]]\nport = 80\n[load_balancer]\nname = \"web-lb\"\norder = \"{order}\"\n\
         [[load_balancer.listener]]\nport = 80\nprotocol = \"http\"\n\
         health = {{ interval_secs = 2, timeout_secs = 1, retries = 1 }}\n"
    )
}

#[test]
fn a_service_is_reached_from_the_internet_through_a_load_balancer_that_was_ordered_for_it() -> Result<()> {
    let stage = Stage::set_in(Layout::one_host_with(without_cooling()).public_vlan())?;
    plays(&stage, "public", "client", "cloud")
}

#[test]
fn the_same_holds_on_dockers_own_bridge_and_from_the_private_network() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    stage.create_theirs()?;
    plays(&stage, "private", "vm1", "theirs")
}

/// Up, down, drained, killed, restarted, taken back: whoever asks through the load balancer is answered throughout.
fn plays(stage: &Stage, order: &str, from: &str, network: &str) -> Result<()> {
    let (host, lab) = (stage.host(), stage.lab());
    run_web(host, "one", network)?;
    run_web(host, "two", network)?;
    declare(host, &web(order))?;
    let front = until(DELIVERY, "it was ordered", || front(stage.cloud(), "web-lb"))
        .with_context(|| host.log_tail(Daemon::Berthd))?;
    is_served_by(lab, host, from, &front, &["one", "two"])?;
    until(SOON, "both are shown as up", || {
        Ok((host.sh("berth service show web")?.matches("weight 50, up").count() == 2).then_some(()))
    })
    .with_context(|| host.sh("berth service show web").unwrap_or_default())?;
    says(host, "clb.appdomain.cloud")?;

    // Drained, it gets nothing more; nobody who asks meanwhile is turned away.
    host.sh("berth drain one")?;
    let answered = answerers(lab, from, &front, 20)?;
    ensure!(answered.iter().eq(["two"]), "{answered:?} answer after the drain");
    let address = host.address_of("one")?;
    let waits = || -> Result<bool> {
        Ok(host.sh(&format!("berth address show {address}"))?.contains("load balancer web-lb"))
    };
    ensure!(waits()?, "its address is not said to be at the load balancer");
    host.sh("docker rm -f one")?;
    until(DELIVERY, "its address waits for nobody", || Ok((!waits()?).then_some(())))?;
    let answered = answerers(lab, from, &front, 20)?;
    ensure!(answered.iter().eq(["two"]), "{answered:?} answer after its death");

    // The owner is killed, and finds everything again; a new container takes part.
    host.kill(Daemon::Berthd)?;
    ensure!(answerers(lab, from, &front, 5)?.iter().eq(["two"]), "it works while nobody looks after it");
    host.start(Daemon::Berthd)?;
    run_web(host, "three", network)?;
    is_served_by(lab, host, from, &front, &["two", "three"])?;

    // A hard death: the health check sees it first, and its place is removed.
    host.sh("docker kill two")?;
    is_served_by(lab, host, from, &front, &["three"])?;

    host.sh("berth service delete web")?;
    is_served_by(lab, host, from, &front, &["nobody"])
}

#[test]
fn a_local_load_balancer_of_2014_is_used_by_its_virtual_address() -> Result<()> {
    let mut layout = Layout::one_host_with(without_cooling());
    layout.cloud.local_balancers = vec![LocalBalancerSpec { vlan: VLAN }];
    let stage = Stage::set_in(layout)?;
    let (host, lab) = (stage.host(), stage.lab());
    let state = stage.cloud().state()?;
    let front =
        state["local_balancers"][0]["at"]["address"].as_str().context("it has no address")?.to_owned();
    run_web(host, "one", "cloud")?;
    run_web(host, "two", "cloud")?;
    declare(
        host,
        &format!(
            "name = \"web\"\n[[port]]\nport = 80\n[load_balancer]\nname = \"{front}\"\n\
             [[load_balancer.listener]]\nport = 80\nprotocol = \"http\"\n"
        ),
    )?;
    is_served_by(lab, host, "vm1", &front, &["one", "two"])?;
    says(host, &front)?;
    host.sh("berth drain one")?;
    let answered = answerers(lab, "vm1", &front, 20)?;
    ensure!(answered.iter().eq(["two"]), "{answered:?} answer after the drain");
    let address = host.address_of("one")?;
    host.sh("docker rm -f one")?;
    let waits = || -> Result<bool> {
        Ok(host.sh(&format!("berth address show {address}"))?.contains(&format!("load balancer {front}")))
    };
    ensure!(waits()?, "its address does not wait for the load balancer");
    until(DELIVERY, "its address waits for nobody", || Ok((!waits()?).then_some(())))?;
    run_web(host, "three", "cloud")?;
    is_served_by(lab, host, "vm1", &front, &["two", "three"])?;
    host.sh("berth service delete web")?;
    is_served_by(lab, host, "vm1", &front, &["nobody"])
}

#[test]
fn a_load_balancer_that_is_not_there_and_not_to_be_ordered_is_named_and_a_foreign_listener_left() -> Result<()>
{
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    run_web(host, "one", "cloud")?;
    declare(host, &web("private").replace("order = \"private\"\n", ""))?;
    until(SOON, "it is missed", || {
        Ok(host.sh("berth service show web")?.contains("no load balancer of this name").then_some(()))
    })
    .with_context(|| host.sh("berth service show web").unwrap_or_default())?;
    let listing = host.sh("berth service list")?;
    ensure!(listing.contains("web-lb"), "{listing}");
    Ok(())
}
