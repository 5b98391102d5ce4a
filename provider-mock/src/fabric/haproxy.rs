//! A balancer that carries packets: Debian's HAProxy inside the balancer's namespace.
//!
//! A change is a reload of the master (`SIGUSR2`): the new worker takes the listening sockets from the old one,
//! which ends once its last connection has, so no connection is refused or cut.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::FabricError;
use super::configuration::{configuration, measured, revision};
use crate::cloud::balancer::Measured;
use crate::cloud::balancer::setup::Setup;

/// A running HAProxy and its files.
pub(super) struct Haproxy {
    namespace: String,
    /// Its configuration and its socket.
    folder: PathBuf,
    master: Child,
    front: Ipv4Addr,
    /// Counts configurations.
    revision: u64,
}

/// How long HAProxy may take for a new configuration.
const RELOAD: Duration = Duration::from_secs(10);
/// How long it may take for an answer.
const ANSWER: Duration = Duration::from_secs(2);

impl Haproxy {
    /// Starts it inside a namespace; ready when it has taken its configuration.
    pub(super) async fn start(namespace: &str, front: Ipv4Addr, setup: &Setup) -> Result<Self, FabricError> {
        let folder = folder(namespace);
        let inside = |what: &str, source| FabricError::Inside {
            what: what.to_owned(),
            namespace: namespace.to_owned(),
            source,
        };
        prepare(&folder).map_err(|source| inside("make the folder of the load balancer", source))?;
        write(&folder, front, setup, 1).map_err(|source| inside("write its configuration", source))?;
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", namespace, "haproxy", "-W", "-db", "-q", "-S"])
            .arg(folder.join("master"));
        command.arg("-f").arg(folder.join("haproxy.cfg")).kill_on_drop(true);
        let master =
            command.spawn().map_err(|source| FabricError::NoCommand("haproxy".to_owned(), source))?;
        let it = Self { namespace: namespace.to_owned(), folder, master, front, revision: 1 };
        it.until_in_force().await?;
        Ok(it)
    }

    /// Has it do something else from now on.
    pub(super) async fn change(&mut self, setup: &Setup) -> Result<(), FabricError> {
        self.revision += 1;
        // What it knows of its servers' health, for the new worker: HAProxy takes a new server for well.
        let states = self.ask("show servers state").await;
        let states = states.and_then(|states| std::fs::write(self.folder.join("states"), states));
        states.map_err(|source| self.inside("keep the health of its members", source))?;
        let written = write(&self.folder, self.front, setup, self.revision);
        written.map_err(|source| self.inside("write its configuration", source))?;
        let told = self.signal(Signal::SIGUSR2);
        told.map_err(|source| self.inside("tell HAProxy of its configuration", source))?;
        self.until_in_force().await
    }

    /// What it measures.
    pub(super) async fn measure(&self) -> io::Result<Measured> {
        Ok(measured(&self.ask("show stat").await?))
    }

    /// Ends it, with its files.
    pub(super) async fn stop(mut self) -> Result<(), FabricError> {
        let told = self.signal(Signal::SIGTERM);
        told.map_err(|source| self.inside("end HAProxy", source))?;
        let ended = self.master.wait().await.map(|_| ());
        ended.map_err(|source| self.inside("wait for the end of HAProxy", source))?;
        let removed = std::fs::remove_dir_all(&self.folder);
        removed.map_err(|source| self.inside("remove the files of the load balancer", source))
    }

    async fn until_in_force(&self) -> Result<(), FabricError> {
        let end = Instant::now() + RELOAD;
        loop {
            let told = self.ask("show info").await;
            if told.as_ref().is_ok_and(|info| revision(info) == Some(self.revision)) {
                // The worker is ready before the master, which executes itself anew and is deaf until it has.
                let master = self.ask_at("master", "show version").await;
                if master.is_ok_and(|version| !version.trim().is_empty()) {
                    return Ok(());
                }
            }
            if Instant::now() > end {
                let source = told.err().unwrap_or_else(|| io::Error::other("the old one stayed in force"));
                return Err(self.inside("have HAProxy take its configuration", source));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks the worker a question.
    async fn ask(&self, question: &str) -> io::Result<String> {
        self.ask_at("stats", question).await
    }

    async fn ask_at(&self, socket: &str, question: &str) -> io::Result<String> {
        let conversation = async {
            let mut socket = UnixStream::connect(self.folder.join(socket)).await?;
            socket.write_all(format!("{question}\n").as_bytes()).await?;
            // The master goes on listening until it hears that there is no more.
            socket.shutdown().await?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await?;
            Ok(answer)
        };
        timeout(ANSWER, conversation).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.master.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("HAProxy has ended"))?;
        kill(Pid::from_raw(id), signal).map_err(io::Error::from)
    }

    fn inside(&self, what: &str, source: io::Error) -> FabricError {
        FabricError::Inside { what: what.to_owned(), namespace: self.namespace.clone(), source }
    }
}

/// Removes the files of one that no longer runs.
pub(super) fn forget(namespace: &str) -> io::Result<()> {
    remove(&folder(namespace))
}

fn folder(namespace: &str) -> PathBuf {
    std::env::temp_dir().join(namespace)
}

/// Removes a folder, also one that is not there.
fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An empty folder, whatever a killed run left there.
fn prepare(folder: &Path) -> io::Result<()> {
    remove(folder)?;
    std::fs::create_dir(folder)?;
    // No state of any server: version 1 is the format's, as HAProxy itself writes it.
    std::fs::write(folder.join("states"), "1\n")
}

fn write(folder: &Path, front: Ipv4Addr, setup: &Setup, revision: u64) -> io::Result<()> {
    std::fs::write(folder.join("haproxy.cfg"), configuration(front, setup, folder, revision))
}
