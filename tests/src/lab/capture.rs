//! Packets as evidence: `tcpdump` on a node's interface.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use super::condition::until;
use super::namespaces::Namespaces;
use super::process::Process;

/// A running packet capture.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    log: PathBuf,
}

impl Capture {
    /// Captures what matches a pcap filter (`icmp`, `arp or tcp port 80`) on an interface, from now on.
    pub(super) fn start(inside: &Namespaces, interface: &str, filter: &str, log: PathBuf) -> Result<Capture> {
        let mut command = inside.command("tcpdump");
        // Immediate mode, because a capture that is stopped loses what the kernel still holds.
        command.args(["-i", interface, "-n", "-e", "-l", "--immediate-mode", filter]);
        let mut process = Process::start("tcpdump", command, &log)?;
        until(Duration::from_secs(10), &format!("tcpdump listens on {interface}"), || {
            if process.ended()?.is_some() {
                bail!("tcpdump ended at once\n{}", process.log_tail());
            }
            Ok(fs::read_to_string(&log)?.contains("listening on").then_some(()))
        })?;
        Ok(Capture { process, log })
    }

    /// Waits until a captured line contains `text`, and returns all lines so far.
    ///
    /// # Errors
    /// No such packet within ten seconds; says what there was instead.
    pub fn wait_for(&self, text: &str) -> Result<Vec<String>> {
        let what = format!("a packet with \"{text}\"");
        let found = until(Duration::from_secs(10), &what, || {
            let lines = self.lines()?;
            Ok(lines.iter().any(|line| line.contains(text)).then_some(lines))
        });
        found.map_err(|error| error.context(self.process.log_tail()))
    }

    /// The packets so far, one a line, as `tcpdump -n -e` prints them.
    ///
    /// # Errors
    /// The output cannot be read.
    pub fn lines(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.log)?;
        let is_packet = |line: &&str| line.starts_with(|first: char| first.is_ascii_digit());
        // tcpdump's closing counts begin with a digit too, but not with a time of day.
        Ok(text.lines().filter(is_packet).filter(|line| line.contains(':')).map(str::to_owned).collect())
    }

    /// Ends the capture and returns its packets.
    ///
    /// # Errors
    /// tcpdump did not end.
    pub fn finish(mut self) -> Result<Vec<String>> {
        self.process.signal(nix::sys::signal::Signal::SIGINT)?;
        self.process.wait(Duration::from_secs(10))?;
        self.lines()
    }
}
