//! The guide docs/swarm.md, done as it says: a swarm of two nodes, a service behind a load balancer of the cloud.

use anyhow::{Context, Result, ensure};
use tests::balancers::{NAMED, answerers, front};
use tests::lab::{Daemon, Host, until};

use super::scene::{Fleet, SOON, Size};

const GUIDE: &str = include_str!("../../../docs/swarm.md");

#[test]
fn the_guide_to_a_swarm_does_what_it_says() -> Result<()> {
    let layout = Size { hosts: 2, members: 1, prefix: 28 }.layout();
    let fleet = Fleet::over(layout)?;
    fleet.on_all(|host| host.sh("docker network rm cloud").map(drop))?;
    let declaration = block("toml").context("the guide declares nothing")?;
    fleet.host("h1").sh(&format!("cat >web.toml <<'END'\n{declaration}\nEND\n"))?;
    for (node, command) in commands().take_while(|(_, command)| !command.contains("scale")) {
        run(&fleet, fleet.host(node), command)?;
    }
    let front = until(SOON, "it was ordered", || front(fleet.lab().cloud(), "web-lb"))?;
    serves(&fleet, &front, 2)?;
    for (node, command) in commands().skip_while(|(_, command)| !command.contains("scale")) {
        run(&fleet, fleet.host(node), command)?;
        let tasks = command.rsplit('=').next().context("so many")?.parse()?;
        serves(&fleet, &front, tasks)?;
    }
    Ok(())
}

/// Waits until so many tasks answer through the load balancer.
fn serves(fleet: &Fleet, front: &str, tasks: usize) -> Result<()> {
    let mut last = Default::default();
    until(2 * SOON, &format!("{tasks} tasks answer at {front}"), || {
        last = answerers(fleet.lab(), "vm1", front, 3 * tasks + 2)?;
        Ok((last.len() == tasks && !last.contains("nobody")).then_some(()))
    })
    .with_context(|| {
        let shown = fleet.host("h2").sh("berth service show web").unwrap_or_default();
        format!("{last:?} answer\n{shown}\n{}", fleet.host("h1").log_tail(Daemon::Dockerd))
    })
}

fn run(fleet: &Fleet, node: &Host, command: &str) -> Result<()> {
    let address = fleet.lab().node("h1")?.address()?;
    let mut command = command.replace("10.40.0.11", &address.to_string());
    command = command.replace("10.50.0.0/26", &fleet.subnet().to_string());
    if command.contains("SWMTKN") {
        let token = fleet.host("h1").sh("docker swarm join-token -q worker")?;
        command = command.replace("SWMTKN-1-…", token.trim());
    }
    if let Some(create) = command.strip_suffix(" nginx") {
        // The lab's one image, which no registry has.
        let create = create.replace("service create", "service create --no-resolve-image");
        command = format!("{create} {NAMED}");
    }
    let said = node.try_sh(&command)?;
    ensure!(said.is_success(), "{command}: {}", said.stderr);
    Ok(())
}

/// The commands of the guide, each with the node on which it is given.
fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    let given = |line: &'static str| {
        let (node, command) = line.split_once("$ ")?;
        match node {
            "node1" => Some(("h1", command)),
            "node2" => Some(("h2", command)),
            _ => None,
        }
    };
    GUIDE.lines().filter_map(given)
}

/// The text of the guide's block of this kind.
fn block(kind: &str) -> Option<&'static str> {
    let (_, rest) = GUIDE.split_once(&format!("```{kind}\n"))?;
    rest.split_once("\n```").map(|(text, _)| text)
}
