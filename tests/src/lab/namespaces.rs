//! Running commands inside a node: `nsenter` into what a keeper holds.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::unistd::Pid;

use super::binaries;

/// No command of a test may hang for ever.
const COMMAND_LIMIT_SECS: &str = "120";

/// The namespaces a command runs in.
///
/// Always a keeper's process namespace, so that nothing we start outlives the keeper.
#[derive(Debug, Clone)]
pub(super) struct Namespaces {
    /// The first process of the keeper's process namespace, as we see it.
    pub(super) keeper: Pid,
    /// Network namespace by path; none for the machine's own, which only the cloud needs.
    pub(super) network: Option<PathBuf>,
    /// Whether to enter the keeper's mounts, host name and network as well: it is a host.
    pub(super) host: bool,
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The exit status; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Namespaces {
    /// A command that will run inside.
    ///
    /// Its environment is made here, so that neither the caller's PATH (a newer docker in /usr/local/bin)
    /// nor a DOCKER_HOST changes what a test does.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/usr/bin/nsenter");
        command.arg(format!("--target={}", self.keeper)).arg("--pid");
        if self.host {
            command.args(["--mount", "--uts", "--net", "--wd=/"]);
        } else if let Some(network) = &self.network {
            command.arg(format!("--net={}", network.display()));
        }
        command.arg("--").arg(program).env_clear().env("PATH", binaries::path()).env("HOME", "/nonexistent");
        command.env("LC_ALL", "C.UTF-8").env("TERM", "dumb").env("ETCDCTL_API", "3");
        if let Some(filter) = std::env::var_os("RUST_LOG") {
            command.env("RUST_LOG", filter);
        }
        command
    }

    /// Runs a shell script and waits for its end.
    pub(super) fn sh(&self, script: &str) -> Result<Said> {
        let mut command = self.command("timeout");
        command.args(["--kill-after=5", COMMAND_LIMIT_SECS, "sh", "-c", script]).stdin(Stdio::null());
        // Ctrl-C is for the lab.
        let output =
            command.process_group(0).output().context("could not run nsenter (package util-linux)")?;
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Said {
    /// Whether the exit status is 0.
    pub fn is_success(&self) -> bool {
        self.code == 0
    }

    /// Standard output if it succeeded.
    ///
    /// # Errors
    /// All that `what` said, if it failed.
    pub fn success_of(self, what: &str) -> Result<String> {
        if !self.is_success() {
            let Said { code, stdout, stderr } = self;
            bail!("`{what}` failed with status {code}\n{stdout}{stderr}");
        }
        Ok(self.stdout)
    }
}
