//! What the lab's etcd promises to the tests that stand on it.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tests::lab::{Lab, Layout, Way, until};

/// Elections take a few seconds; the machine may be busy.
const ELECTION: Duration = Duration::from_secs(60);

fn lab(members: usize) -> Result<Lab> {
    let lab = Lab::build(Layout::one_host().etcd_members(members))?;
    lab.etcd().start()?;
    Ok(lab)
}

#[test]
fn three_members_go_on_without_their_leader_and_not_without_two() -> Result<()> {
    let lab = lab(3)?;
    let etcd = lab.etcd();
    etcd.ctl("put fruit apple")?;
    let first = etcd.leader()?;
    first.kill()?;
    let second = etcd.leader()?;
    ensure!(first.name() != second.name(), "a dead leader");
    let [third] =
        etcd.members().iter().filter(|it| it.runs() && it.name() != second.name()).collect::<Vec<_>>()[..]
    else {
        anyhow::bail!("not one member is left beside the leader");
    };
    ensure!(third.ctl("get fruit --print-value-only")?.trim() == "apple", "the third forgot");

    // Stopped, not dead: it holds its connections and says nothing.
    second.signal(Signal::SIGSTOP)?;
    ensure!(third.ctl("put fruit pear").is_err(), "one of three wrote");
    second.signal(Signal::SIGCONT)?;
    first.start()?;
    until(ELECTION, "a majority writes", || Ok(etcd.ctl("put fruit pear").ok()))?;
    ensure!(first.ctl("get fruit --print-value-only")?.trim() == "pear", "the first did not catch up");
    Ok(())
}

#[test]
fn a_host_cut_off_from_etcd_reaches_everybody_else() -> Result<()> {
    let lab = lab(1)?;
    let (host, vm) = (lab.node("h1")?, lab.node("vm1")?);
    let health = format!("timeout 3 busybox wget -q -O - {}/health", lab.etcd().endpoints()[0]);
    host.sh(&health)?;

    lab.etcd().cut_off(host, Way::Both)?;
    ensure!(!host.try_sh(&health)?.is_success(), "the link is whole");
    vm.sh(&health)?;
    host.sh(&format!("ping -c 1 -W 5 {}", vm.address()?))?;
    lab.etcd().mend(host)?;
    host.sh(&health).map(drop)
}

#[test]
fn a_restored_etcd_shows_what_it_had_and_a_wiped_one_nothing() -> Result<()> {
    let lab = lab(1)?;
    let (etcd, file) = (lab.etcd(), lab.dir().join("etcd.snapshot"));
    etcd.ctl("put fruit apple")?;
    etcd.save(&file)?;
    etcd.ctl("put fruit pear")?;
    etcd.compact()?;
    ensure!(etcd.ctl("get fruit --rev=2").is_err(), "an old revision outlived a compaction");
    etcd.restore(&file)?;
    ensure!(etcd.ctl("get fruit --print-value-only")?.trim() == "apple", "not the old value");
    etcd.wipe()?;
    ensure!(etcd.ctl("get fruit --print-value-only")?.trim().is_empty(), "not empty");
    Ok(())
}

#[test]
fn an_etcd_that_is_full_refuses_writes() -> Result<()> {
    let lab = lab(1)?;
    let etcd = lab.etcd();
    etcd.kill()?;
    // The least that etcd starts with is the size of an empty database.
    etcd.members()[0].limit(256 * 1024);
    etcd.start()?;
    let filled = until(ELECTION, "the quota is used up", || {
        let put = etcd.ctl(&format!("put filler {}", "x".repeat(60_000)));
        Ok(put.err().map(|error| format!("{error:#}")))
    })?;
    ensure!(filled.contains("database space exceeded"), "{filled}");
    ensure!(etcd.ctl("alarm list")?.contains("NOSPACE"), "no alarm");
    Ok(())
}
