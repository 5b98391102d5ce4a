//! A store that lost its memory: restored from an old backup, or empty.

use anyhow::{Context, Result, ensure};
use tests::lab::{Daemon, Host, until};

use super::scene::{Fleet, SOON, Size};

#[test]
fn a_store_that_lost_its_memory_freezes_and_containers_feel_nothing() -> Result<()> {
    let fleet = Fleet::set(Size { hosts: 2, members: 1, prefix: 28 })?;
    let backup = fleet.lab().dir().join("etcd.backup");
    let early = fleet.run("h1", "early", "")?;
    fleet.settles()?;
    fleet.lab().etcd().save(&backup)?;
    // What the backup does not know of.
    let late = fleet.run("h2", "late", "")?;
    fleet.settles()?;
    let pings = [fleet.ping(early)?, fleet.ping(late)?];

    fleet.lab().etcd().restore(&backup)?;
    is_frozen(fleet.host("h2"), "restored from a backup")?;
    // Whoever notices says it to all.
    is_frozen(fleet.host("h1"), "told by the other")?;
    said_to_users(&fleet)?;

    fleet.lab().etcd().wipe()?;
    for host in fleet.hosts() {
        is_frozen(host, "on a wiped store")?;
        host.kill(Daemon::Berthd)?;
        host.start(Daemon::Berthd)?;
        is_frozen(host, "on a wiped store, after a restart")?;
    }
    said_to_users(&fleet)?;
    ensure!(fleet.lab().etcd().keys("blocks/")?.is_empty(), "somebody wrote into the wiped store");
    for ping in pings {
        println!("{} packets, none lost", ping.lost_nothing()?);
    }
    Ok(())
}

/// `berth status` and `berth doctor` say that the cluster is frozen, and why.
fn is_frozen(host: &Host, when: &str) -> Result<()> {
    let mut said = String::new();
    until(SOON, &format!("{} is frozen: {when}", host.name()), || {
        said = host.try_sh("berth status; berth doctor").map(|it| it.stdout + &it.stderr)?;
        Ok(said.to_lowercase().contains("frozen").then_some(()))
    })
    .with_context(|| format!("{said}\n{}", host.log_tail(Daemon::Berthd)))
}

/// Nothing is taken, and whoever asks for more than is held is told why.
fn said_to_users(fleet: &Fleet) -> Result<()> {
    for host in ["h1", "h2"] {
        let said = until(SOON, &format!("nothing that {host} holds is free"), || {
            let said = fleet.host(host).try_sh("docker run -d --network cloud busybox sleep 1000")?;
            Ok((!said.is_success()).then_some(said.stderr))
        })?;
        ensure!(said.contains("frozen"), "{host} was refused without the reason: {said}");
    }
    Ok(())
}
