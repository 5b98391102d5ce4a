//! The agent and dockerd killed at bad moments: nothing leaks, nothing doubles.

use std::time::Duration;

use anyhow::Result;
use tests::lab::{Daemon, DockerHost, until};

use tests::stage::{REAPED, SOON, Stage, without_cooling};

#[test]
fn an_agent_killed_while_containers_come_and_go_leaks_nothing() -> Result<()> {
    let stage = Stage::set(DockerHost { sockets_held: true, ..without_cooling() })?;
    let host = stage.host();
    // Killed a little later in the life of a container each time.
    for delay_millis in [50, 150, 300, 500, 800] {
        std::thread::scope(|scope| -> Result<()> {
            let life = scope.spawn(|| {
                // Some of these fail, which is right: their call was cut off.
                host.try_sh("docker run -d --name web --network cloud busybox sleep 1000; docker rm -f web")
            });
            std::thread::sleep(Duration::from_millis(delay_millis));
            host.kill(Daemon::Berthd)?;
            host.start(Daemon::Berthd)?;
            life.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
            Ok(())
        })?;
    }
    host.sh("docker ps -aq | xargs -r docker rm -f")?;
    stage.settles_on(&[], REAPED)?;
    let ports = host.sh("ip -br link show type veth")?;
    anyhow::ensure!(!ports.contains("berth-"), "ports left behind: {ports}");
    let address = stage.run("web", "")?;
    stage.vm_reaches(address)
}

#[test]
fn endpoints_that_a_killed_dockerd_never_released_are_released_by_two_witnesses() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let host = stage.host();
    let leaked = stage.run("leaked", "")?;
    host.kill(Daemon::Dockerd)?;
    host.kill(Daemon::Berthd)?;
    // dockerd comes up without the plugin, waits for it in vain, and forgets the endpoint.
    host.start(Daemon::Dockerd)?;
    host.start(Daemon::Berthd)?;
    let state = host.sh("docker inspect -f '{{.State.Running}}' leaked")?;
    anyhow::ensure!(state.trim() == "false", "the container outlived dockerd");
    stage.settles_on(&[], REAPED)?;
    until(SOON, "the address is free", || {
        let said = host.try_sh(&format!("docker run --rm --network cloud --ip {leaked} busybox true"))?;
        Ok(said.is_success().then_some(()))
    })
}
