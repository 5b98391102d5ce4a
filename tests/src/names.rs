//! Names as a container looks them up: with `getent`, as programs do.

use std::net::IpAddr;

use anyhow::{Context, Result};
use api::Status;

use crate::lab::{Daemon, Host, until};
use crate::stage::SOON;

/// Where this host answers names.
pub fn answered_at(host: &Host) -> Result<String> {
    until(SOON, "names are answered", || {
        let status: Status = host.ask("status")?;
        Ok(status.names.and_then(|names| Some(names.at.first()?.ip().to_string())))
    })
}

/// Waits until a container of the host finds a name, or an address, so: this many answers, each with its word.
pub fn found(host: &Host, asker: &str, name: &str, words: &[&str]) -> Result<()> {
    let by = if name.parse::<IpAddr>().is_ok() { "hosts" } else { "ahostsv4" };
    let mut last = String::new();
    until(SOON, &format!("{name} is {words:?} to {asker}"), || {
        let said = host.try_sh(&format!("docker exec {asker} getent {by} {name}"))?;
        last = said.stdout.clone();
        // ahostsv4 tells each address three times, once for each type of socket.
        let once = |line: &&str| !line.contains("DGRAM") && !line.contains("RAW");
        let lines: Vec<&str> = said.stdout.lines().filter(once).collect();
        let each_is_told = words.iter().all(|word| lines.iter().any(|line| line.contains(word)));
        Ok((lines.len() == words.len() && each_is_told).then_some(()))
    })
    .with_context(|| format!("{last}\n{}", host.log_tail(Daemon::Berthd)))
}
