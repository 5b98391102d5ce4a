//! A host that lost its memory under a running container: it refuses, says how to rebuild, and the
//! container feels nothing of it. Real dockerd, real kernel, simulated cloud. Needs root.

use std::fs;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::AddressState;
use tests::lab::{Daemon, DockerHost, Host, until};

use tests::stage::{SOON, Stage};

const JOURNALS: [&str; 2] = ["allocator.journal", "docker.journal"];

/// A page that a machine of the VLAN fetches again and again, and the log of how often it could not.
struct Visitor<'a> {
    stage: &'a Stage,
    process: tests::lab::Process,
}

impl<'a> Visitor<'a> {
    fn of(stage: &'a Stage, address: IpAddr) -> Result<Visitor<'a>> {
        let script = format!(
            "while sleep 0.2; do timeout 3 busybox wget -q -O - http://{address}/cgi-bin/whoami || echo FAILED; done"
        );
        let process = stage.lab().node("vm1")?.spawn("sh", &["-c", &script])?;
        Ok(Visitor { stage, process })
    }

    /// Ends the visits: none of them failed, and there were some.
    fn was_always_served(self) -> Result<()> {
        let own = self.stage.lab().node("vm1")?.address()?;
        let log = fs::read_to_string(self.process.log())?;
        ensure!(log.contains(&format!("you are {own}")), "nobody was served: {log}");
        ensure!(!log.contains("FAILED"), "not always served: {log}");
        Ok(())
    }
}

/// Turns a byte in the middle of a journal.
fn corrupt(host: &Host, journal: &str) -> Result<()> {
    let path = host.home().join("state").join(journal);
    let mut bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    Ok(fs::write(&path, bytes)?)
}

/// The agent is up, refuses what it must, and everybody is told what to do.
fn refuses_and_says_how(host: &Host, journal: &str) -> Result<()> {
    let run = host.try_sh("docker run --rm --network cloud busybox true")?;
    ensure!(!run.is_success(), "it assigned from a journal it cannot read");
    let status = host.try_sh("berth status")?.stdout;
    let doctor = host.try_sh("berth doctor")?.stdout;
    for said in [&run.stderr, &status, &doctor] {
        ensure!(said.contains("berthd --rebuild") && said.contains(journal), "no word of what to do: {said}");
    }
    Ok(())
}

fn rebuild(host: &Host) -> Result<String> {
    host.stop(Daemon::Berthd)?;
    let said = host.sh("berthd --rebuild").with_context(|| host.log_tail(Daemon::Dockerd))?;
    host.start(Daemon::Berthd)?;
    Ok(said)
}

/// Whether nothing keeps the address from being assigned: it is free here, or held by nobody and so not listed.
fn is_free(host: &Host, address: IpAddr) -> Result<bool> {
    let addresses: Vec<api::Address> = host.ask("address list")?;
    let shown = addresses.into_iter().find(|it| it.address == address);
    Ok(shown.is_none_or(|it| matches!(it.state, AddressState::Free | AddressState::Unheld)))
}

/// What one goes through who loses these journals.
fn a_container_outlives(lost: &[&str]) -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    let address = stage.run("web", "-p 8080:80")?;
    // Used once and released: nobody accounts for it afterwards.
    let gone = stage.run("gone", "")?;
    host.sh("docker rm -f gone")?;
    let visitor = Visitor::of(&stage, address)?;

    host.kill(Daemon::Berthd)?;
    lost.iter().try_for_each(|journal| corrupt(host, journal))?;
    host.start(Daemon::Berthd)?;
    refuses_and_says_how(host, lost[lost.len() - 1])?;

    let said = rebuild(host)?;
    ensure!(said.contains(&format!("{address} of web, epoch")), "{said}");
    stage.settles_on(&[address], SOON)?;
    visitor.was_always_served()?;
    for journal in lost {
        let aside = host.sh(&format!("ls {}/state", host.home().display()))?;
        ensure!(aside.contains(&format!("{journal}.aside-")), "{journal} was not kept: {aside}");
    }
    let published = stage.lab().node("h1")?.address()?;
    stage.on_vm(&format!("timeout 10 busybox wget -q -O - http://{published}:8080/cgi-bin/whoami"))?;

    let other = stage.run("other", "")?;
    ensure!(other != address, "one address for two containers");
    ensure!(other != gone && !is_free(host, gone)?, "{gone} was given away although nobody accounts for it");
    stage.vm_reaches(other)?;
    host.sh("docker rm -f other web")?;
    stage.settles_on(&[], SOON)?;
    until(SOON, &format!("{address} has cooled and is free"), || Ok(is_free(host, address)?.then_some(())))?;
    host.sh("docker network rm cloud").map(drop)
}

#[test]
fn a_container_outlives_the_loss_of_the_allocators_journal() -> Result<()> {
    a_container_outlives(&JOURNALS[..1])
}

#[test]
fn a_container_outlives_the_loss_of_both_journals() -> Result<()> {
    a_container_outlives(&JOURNALS)
}

#[test]
fn a_journal_that_was_deleted_is_not_taken_for_a_new_one() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    let address = stage.run("web", "")?;
    for journal in JOURNALS {
        host.kill(Daemon::Berthd)?;
        fs::remove_file(host.home().join("state").join(journal))?;
        host.start(Daemon::Berthd)?;
        refuses_and_says_how(host, journal)?;
        stage.vm_reaches(address)?;
        rebuild(host)?;
        stage.settles_on(&[address], SOON)?;
        stage.vm_reaches(address)?;
    }
    Ok(())
}
