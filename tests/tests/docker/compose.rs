//! The guide docs/compose.md, done as it says: a shop behind a load balancer, and a store that the shop alone may ask.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use tests::balancers::{answerers, front};
use tests::lab::{Daemon, DockerHost, until};
use tests::names::answered_at;
use tests::stage::{DELIVERY, Stage};

const GUIDE: &str = include_str!("../../../docs/compose.md");

#[test]
fn the_guide_to_compose_does_what_it_says() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    host.sh("docker network rm cloud")?;
    let at = answered_at(host)?;
    for name in ["web.toml", "store.toml", "compose.yaml"] {
        let text = file(name).with_context(|| format!("the guide has no {name}"))?;
        let text = text.replace("10.40.0.11", &at).replace("demo.internal", "lab.internal");
        host.sh(&format!("cat >{name} <<'WHOLE'\n{text}\nWHOLE\n"))?;
    }
    let mut shop = None;
    for command in commands() {
        let said = host.try_sh(command)?;
        ensure!(said.is_success(), "{command}: {}", said.stderr);
        let expected = match command {
            it if it.ends_with("down") => 0,
            it if it.contains("kill") => 2,
            it if it.contains("--scale") => {
                let count = it.split("web=").nth(1).and_then(|rest| rest.split(' ').next());
                count.context("so many")?.parse()?
            }
            _ => continue,
        };
        let front = match &shop {
            Some(front) => front,
            None => shop.insert(until(DELIVERY, "it was ordered", || front(stage.cloud(), "shop-lb"))?),
        };
        sells(&stage, front, expected, command)?;
    }
    Ok(())
}

/// Waits until so many containers of the shop answer, each with what it has from the store.
fn sells(stage: &Stage, front: &str, containers: usize, after: &str) -> Result<()> {
    let host = stage.host();
    let mut last = BTreeSet::new();
    until(DELIVERY, &format!("{containers} sell after `{after}`"), || {
        last = answerers(stage.lab(), "vm1", front, 3 * containers + 2)?;
        let selling = last.iter().filter(|line| line.ends_with(" sells apples")).count();
        let nobody = last.len() == 1 && last.contains("nobody");
        Ok((selling == last.len() && selling == containers || containers == 0 && nobody).then_some(()))
    })
    .with_context(|| {
        let shown = host.sh("berth service show web; berth service show store").unwrap_or_default();
        format!("{last:?} answer\n{shown}\n{}", host.log_tail(Daemon::Berthd))
    })?;
    // Whoever is no shop asks in vain.
    let store =
        host.sh("docker inspect -f '{{.NetworkSettings.Networks.cloud.IPAddress}}' shop_store_1 || true")?;
    if !store.trim().is_empty() {
        let ask = format!("timeout 1 busybox wget -q -O - http://{}/", store.trim());
        ensure!(!stage.lab().node("vm1")?.try_sh(&ask)?.is_success(), "the store sells to everybody");
    }
    Ok(())
}

/// The commands of the guide.
fn commands() -> impl Iterator<Item = &'static str> {
    GUIDE.lines().filter_map(|line| line.strip_prefix("$ "))
}

/// A file of the guide: the first block after its name.
fn file(name: &str) -> Option<&'static str> {
    let (_, rest) = GUIDE.split_once(&format!("`{name}`:\n"))?;
    let (_, block) = rest.split_once("```")?.1.split_once('\n')?;
    block.split_once("\n```").map(|(text, _)| text)
}
