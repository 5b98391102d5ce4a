//! One etcd member: a process on a machine of the lab, and its data in the lab's folder.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

use super::condition::until;
use super::keeper::Keeper;
use super::node::Node;
use super::place::Place;
use super::process::Process;

/// Ports of etcd's own choice.
const CLIENTS: u16 = 2379;
const PEERS: u16 = 2380;

/// A killed process ends at once; one that writes its last words takes a moment.
const END: Duration = Duration::from_secs(20);

/// A member's name and address.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
}

/// A member of the lab's etcd.
pub struct Member {
    own: Peer,
    node: Node,
    /// `name=http://address:2380,…` of all members, as etcd is told at its first start.
    founders: String,
    home: PathBuf,
    /// How large its database may become before etcd refuses writes, where that matters.
    quota_bytes: Mutex<Option<u64>>,
    process: Mutex<Option<Process>>,
}

impl Member {
    pub(super) fn place(own: Peer, all: &[Peer], place: &Place, keeper: &Keeper) -> Result<Member> {
        let home = place.folder(&own.name)?;
        let node = Node::new(&own.name, place, keeper);
        let founders: Vec<String> =
            all.iter().map(|peer| format!("{}={}", peer.name, peer.url(PEERS))).collect();
        let founders = founders.join(",");
        Ok(Member { own, node, founders, home, quota_bytes: Mutex::new(None), process: Mutex::new(None) })
    }

    /// Its name, which is its machine's.
    pub fn name(&self) -> &str {
        &self.own.name
    }

    /// The network of its machine.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where clients find it.
    pub fn endpoint(&self) -> String {
        self.own.url(CLIENTS)
    }

    /// Whether it was started and not ended since; one that is stopped by SIGSTOP runs.
    pub fn runs(&self) -> bool {
        self.process().is_some()
    }

    /// Limits its database from its next start on; etcd refuses writes beyond (alarm NOSPACE).
    pub fn limit(&self, bytes: u64) {
        *self.quota_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    /// Starts it and does not wait: it answers only when a majority runs.
    ///
    /// # Errors
    /// It runs already, or ended at once.
    pub fn launch(&self) -> Result<()> {
        let mut process = self.process();
        ensure!(process.is_none(), "etcd runs already on {}", self.name());
        let (clients, peers) = (self.endpoint(), self.own.url(PEERS));
        let data = self.data().display().to_string();
        let mut arguments = vec![
            "--name",
            self.name(),
            "--data-dir",
            &data,
            "--listen-client-urls",
            &clients,
            "--advertise-client-urls",
            &clients,
            "--listen-peer-urls",
            &peers,
            "--initial-advertise-peer-urls",
            &peers,
            "--initial-cluster",
            &self.founders,
            // Twice etcd's own: an election because two processors were busy is no fault of the store.
            "--heartbeat-interval=200",
            "--election-timeout=2000",
            "--log-level=warn",
        ];
        let quota = *self.quota_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let quota = quota.map(|bytes| format!("--quota-backend-bytes={bytes}"));
        arguments.extend(quota.as_deref());
        *process = Some(self.node.spawn("etcd", &arguments)?);
        Ok(())
    }

    /// Waits until it answers a read that a majority agrees on.
    ///
    /// # Errors
    /// It ended, or does not answer within `limit`: the end of its log.
    pub fn wait_ready(&self, limit: Duration) -> Result<()> {
        let ready = until(limit, &format!("etcd on {} answers", self.name()), || {
            if let Some(status) = self.with(Process::ended)? {
                bail!("etcd on {} ended: {status}", self.name());
            }
            Ok(self.ctl("get nothing").ok().map(drop))
        });
        ready.with_context(|| self.with(|process| Ok(process.log_tail())).unwrap_or_default())
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// As [`Member::launch`] and [`Member::wait_ready`].
    pub fn start(&self) -> Result<()> {
        self.launch()?;
        self.wait_ready(END)
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self) -> Result<()> {
        let mut process = self.process().take().with_context(|| format!("no etcd on {}", self.name()))?;
        process.signal(Signal::SIGKILL)?;
        process.wait(END).map(drop)
    }

    /// Sends it a signal: SIGSTOP and SIGCONT, for instance.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.with(|process| process.signal(signal))
    }

    /// Runs etcdctl against this member alone; returns what it printed.
    ///
    /// # Errors
    /// What it said.
    pub fn ctl(&self, arguments: &str) -> Result<String> {
        self.ctl_with(&self.endpoint(), arguments)
    }

    pub(super) fn ctl_with(&self, endpoints: &str, arguments: &str) -> Result<String> {
        self.node.sh(&format!(
            "etcdctl --endpoints={endpoints} --dial-timeout=2s --command-timeout=5s {arguments}"
        ))
    }

    /// Throws its data away.
    pub(super) fn forget(&self) -> Result<()> {
        ensure!(!self.runs(), "etcd runs on {}", self.name());
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove the data of {}", self.name()))
            }
            _ => Ok(()),
        }
    }

    /// Makes its data anew from a snapshot.
    pub(super) fn restore(&self, file: &Path) -> Result<()> {
        self.forget()?;
        let (file, name, data) = (file.display(), self.name(), self.data());
        let (founders, own) = (&self.founders, self.own.url(PEERS));
        self.node
            .sh(&format!(
                "etcdctl snapshot restore {file} --name {name} --data-dir {} \
                 --initial-cluster {founders} --initial-advertise-peer-urls {own}",
                data.display()
            ))
            .map(drop)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        let mut process = self.process();
        act(process.as_mut().with_context(|| format!("no etcd on {}", self.name()))?)
    }
}

impl Peer {
    fn url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.address)
    }
}
