//! dockerd and berthd restarted in every order that docker users and packages do it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::lab::{Daemon, DockerHost, Host, Pool, until};

use tests::stage::{SOON, Stage, with_pool, without_cooling};

#[test]
fn a_dockerd_that_restarts_in_order_or_is_killed_leaks_no_address() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let host = stage.host();
    stage.run("auto", "")?;
    for how in [Host::stop, Host::kill] {
        how(host, Daemon::Dockerd)?;
        host.start(Daemon::Dockerd)?;
        // The container is down; its endpoint was released, by dockerd's end or its return.
        stage.settles_on(&[], SOON)?;
        host.sh("docker start auto")?;
        let address = host.address_of("auto")?;
        stage.settles_on(&[address], SOON)?;
        stage.vm_reaches(address)?;
    }
    Ok(())
}

#[test]
fn a_live_restored_container_is_reached_while_dockerd_is_away_and_after() -> Result<()> {
    let stage = Stage::set(DockerHost { live_restore: true, ..DockerHost::default() })?;
    let host = stage.host();
    let address = stage.run("web", "")?;
    for how in [Host::stop, Host::kill] {
        how(host, Daemon::Dockerd)?;
        stage.vm_reaches(address)?;
        host.start(Daemon::Dockerd)?;
        stage.vm_reaches(address)?;
        stage.settles_on(&[address], SOON)?;
    }
    // It died while dockerd was away: released when dockerd returns.
    let pid = host.sh("docker inspect -f '{{.State.Pid}}' web")?;
    host.kill(Daemon::Dockerd)?;
    host.sh(&format!("kill -9 {}", pid.trim()))?;
    host.start(Daemon::Dockerd)?;
    stage.settles_on(&[], SOON)
}

#[test]
fn running_containers_feel_nothing_of_an_agent_that_stops_dies_and_returns() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    let address = stage.run("web", "-p 8080:80")?;
    let changes =
        stage.lab().node("h1")?.spawn("ip", &["-o", "monitor", "link", "route", "neigh", "rule"])?;
    for how in [Host::stop, Host::kill] {
        how(host, Daemon::Berthd)?;
        stage.vm_reaches(address)?;
        host.start(Daemon::Berthd)?;
        stage.settles_on(&[address], SOON)?;
        stage.vm_reaches(address)?;
    }
    let log = std::fs::read_to_string(changes.log()).context("the monitor's log")?;
    let ours: Vec<&str> =
        log.lines().filter(|line| line.contains("Deleted") && line.contains("berth-")).collect();
    ensure!(ours.is_empty(), "taken away and put back: {ours:?}");
    host.sh("docker rm -f web")?;
    stage.settles_on(&[], SOON)
}

#[test]
fn docker_run_waits_while_the_agent_is_replaced() -> Result<()> {
    let stage = Stage::set(DockerHost { sockets_held: true, ..DockerHost::default() })?;
    let host = stage.host();
    host.stop(Daemon::Berthd)?;
    std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.run("web", ""));
        // The call has arrived in the held socket: dockerd waits for an answer.
        until(SOON, "docker run has created its container", || {
            Ok(host.sh("docker ps -a --format '{{.Names}}'")?.contains("web").then_some(()))
        })?;
        // Long enough for a run that does not wait to have failed.
        std::thread::sleep(Duration::from_secs(2));
        ensure!(!run.is_finished(), "docker run did not wait");
        host.start(Daemon::Berthd)?;
        let address = run.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        stage.vm_reaches(address)
    })
}

#[test]
fn a_container_with_an_address_of_its_own_comes_back_with_it_by_itself() -> Result<()> {
    // Longer than any start waits: what is released cools for everybody else.
    let stage = Stage::set(with_pool(Pool { cooling_secs: 600, ..Pool::default() }))?;
    let host = stage.host();
    let fixed = stage.subnet()?.iter().nth(20).context("a small subnet")?;
    stage.run("fixed", &format!("--ip {fixed} --restart always"))?;
    stage.vm_reaches(fixed)?;
    let is_back = || -> Result<()> {
        until(SOON, "the container is back", || {
            let state = host.sh("docker inspect -f '{{.State.Running}}' fixed")?;
            if state.trim() != "true" {
                return Ok(None);
            }
            Ok(host.address_of("fixed").ok().filter(|address| *address == fixed).map(drop))
        })
        .with_context(|| host.log_tail(Daemon::Dockerd))?;
        stage.settles_on(&[fixed], SOON)?;
        stage.vm_reaches(fixed)
    };

    host.sh("docker restart -t 0 fixed")?;
    is_back()?;
    // It dies, and Docker's restart policy starts it again.
    let started = host.sh("docker inspect -f '{{.State.StartedAt}}' fixed")?;
    host.sh("kill -9 $(docker inspect -f '{{.State.Pid}}' fixed)")?;
    until(SOON, "Docker starts it again", || {
        let now = host.sh("docker inspect -f '{{.State.StartedAt}}' fixed")?;
        Ok((now != started).then_some(()))
    })?;
    is_back()?;
    for boot in 2..=3 {
        host.power_off()?;
        host.power_on(&format!("00000000-0000-4000-8000-00000000000{boot}"))?;
        Daemon::ALL.into_iter().try_for_each(|daemon| host.start(daemon))?;
        is_back()?;
    }
    Ok(())
}
