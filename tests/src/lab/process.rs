//! A program that runs in a node until it is told to stop.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::condition::until;

/// A running program and its log. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    /// `nsenter`, our child, which waits for the program and ends as it ended.
    child: Child,
    pid: Pid,
    what: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with no input and with its output in `log`.
    pub(super) fn start(what: &str, mut command: Command, log: &Path) -> Result<Process> {
        command.stdin(Stdio::null()).stdout(open(log)?);
        Process::start_with_stdio(what, command, log)
    }

    /// Starts `command` with standard input and output as it has them; its errors go to `log`.
    pub(super) fn start_with_stdio(what: &str, mut command: Command, log: &Path) -> Result<Process> {
        command.stderr(open(log)?);
        // In a process group of its own: Ctrl-C is for the lab, which takes things down in order.
        let mut child =
            command.process_group(0).spawn().with_context(|| format!("could not start {what}"))?;
        let nsenter = Pid::from_raw(child.id().cast_signed());
        let pid = until(Duration::from_secs(10), &format!("{what} starts"), || {
            if let Some(status) = child.try_wait()? {
                bail!("{what} ended at once: {status}\n{}", tail(log));
            }
            only_child(nsenter)
        })?;
        Ok(Process { child, pid, what: what.to_owned(), log: log.to_owned() })
    }

    /// The program's process, as seen from outside the lab.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The end of its output.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The kernel would not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("could not ask after {}", self.what))
    }

    /// Sends a signal to the program; one that ended already needs none.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Until nsenter is gone, the pid is the program's.
        if self.ended()?.is_some() {
            return Ok(());
        }
        let sent = kill(self.pid, signal);
        if matches!(signal, Signal::SIGCONT | Signal::SIGKILL) {
            // nsenter stops with the program, and would never see it end. It may be gone already.
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGCONT);
        }
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("could not send {signal} to {}", self.what)),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It did not end within `limit`: the end of its log.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.what);
        until(limit, &what, || self.ended()).with_context(|| self.log_tail())
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn stop(mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(limit)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killed, and waited for, so that no zombie stays. Errors: it is gone already.
        let _ = self.signal(Signal::SIGKILL);
        let _ = self.wait(Duration::from_secs(10));
    }
}

fn open(log: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(log);
    file.with_context(|| format!("could not open {}", log.display()))
}

/// The one child of a process, once it has one.
pub(super) fn only_child(parent: Pid) -> Result<Option<Pid>> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let first = children.split_whitespace().next();
    first.map(|pid| pid.parse().map(Pid::from_raw).context("a pid that is no number")).transpose()
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // dockerd tells each step of each gRPC connection.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("module=grpc")).collect();
    let from = lines.len().saturating_sub(25);
    format!("the end of {}:\n{}", log.display(), lines[from..].join("\n"))
}
