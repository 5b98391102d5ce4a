//! The store of a lab with several hosts: etcd, one member or several, each on a machine of its own.
//!
//! Hosts reach the members as they reach any machine of the cloud, through their own interface. A member
//! can be killed, stopped and continued; its link to one machine can be cut while all others stay whole.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::condition::until;
use super::keeper::Keeper;
use super::member::{Member, Peer};
use super::node::{Node, Way};
use super::place::Place;
use super::process::Process;

/// How long an election and the first answers may take on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// What the keys of the lab's cluster begin with.
const KEYS: &str = "berth/lab/";

/// The members of one etcd cluster.
pub struct Etcd {
    members: Vec<Member>,
}

impl Etcd {
    /// Puts the members on these machines; none runs yet.
    pub(super) fn place(place: &Place, keeper: &Keeper, machines: &[&Node]) -> Result<Etcd> {
        let mut peers = Vec::new();
        for machine in machines {
            peers.push(Peer { name: machine.name().to_owned(), address: machine.address()? });
        }
        let members = peers.iter().map(|own| Member::place(own.clone(), &peers, place, keeper));
        Ok(Etcd { members: members.collect::<Result<_>>()? })
    }

    /// The members, in the order of the layout.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member on the machine of this name.
    ///
    /// # Errors
    /// None is called so.
    pub fn member(&self, name: &str) -> Result<&Member> {
        let found = self.members.iter().find(|member| member.name() == name);
        found.with_context(|| format!("etcd has no member called {name}"))
    }

    /// Where clients find the members.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::endpoint).collect()
    }

    /// Starts every member that does not run and waits until they answer together.
    ///
    /// # Errors
    /// Which does not answer, with the end of its log.
    pub fn start(&self) -> Result<()> {
        for member in self.members.iter().filter(|member| !member.runs()) {
            member.launch()?;
        }
        self.members.iter().try_for_each(|member| member.wait_ready(READY))
    }

    /// Kills every member that runs, all in the same moment as far as a host can tell.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn kill(&self) -> Result<()> {
        self.members.iter().filter(|member| member.runs()).try_for_each(Member::kill)
    }

    /// Kills every member, throws its data away, and starts them as a new and empty etcd.
    ///
    /// # Errors
    /// As [`Etcd::start`].
    pub fn wipe(&self) -> Result<()> {
        self.kill()?;
        self.members.iter().try_for_each(Member::forget)?;
        self.start()
    }

    /// Writes a snapshot of what is in the store now.
    ///
    /// # Errors
    /// What etcdctl said.
    pub fn save(&self, file: &Path) -> Result<()> {
        // A snapshot is of one member's own data.
        let first = self.members.first().context("etcd has no members")?;
        first.ctl(&format!("snapshot save {}", file.display())).map(drop)
    }

    /// Throws everything away and starts from a snapshot, as an operator restores a backup.
    ///
    /// # Errors
    /// What etcdctl said, or as [`Etcd::start`].
    pub fn restore(&self, file: &Path) -> Result<()> {
        self.kill()?;
        self.members.iter().try_for_each(|member| member.restore(file))?;
        self.start()
    }

    /// Runs etcdctl against all members; returns what it printed.
    ///
    /// # Errors
    /// What it said.
    pub fn ctl(&self, arguments: &str) -> Result<String> {
        let running = self.members.iter().find(|member| member.runs()).context("no member runs")?;
        running.ctl_with(&self.endpoints().join(","), arguments)
    }

    /// The keys that begin so, without what all of this cluster's keys begin with.
    ///
    /// # Errors
    /// What etcdctl said.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let listed = self.ctl(&format!("get --prefix {KEYS}{prefix} --keys-only"))?;
        Ok(listed.lines().filter_map(|line| line.strip_prefix(KEYS)).map(str::to_owned).collect())
    }

    /// What is stored under the keys that begin so, as text: one a line.
    ///
    /// # Errors
    /// What etcdctl said.
    pub fn values(&self, prefix: &str) -> Result<Vec<String>> {
        let listed = self.ctl(&format!("get --prefix {KEYS}{prefix} --print-value-only"))?;
        Ok(listed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Takes a key away, as etcd does when its lease is over.
    ///
    /// # Errors
    /// What etcdctl said.
    pub fn forget(&self, key: &str) -> Result<()> {
        self.ctl(&format!("del {KEYS}{key}")).map(drop)
    }

    /// Writes every change of the keys below this one, from the first on, into a log, until it is dropped: `PUT` or
    /// `DELETE`, the key, and what was put, each on a line. For values that are text.
    ///
    /// # Errors
    /// etcdctl could not be started.
    pub fn record(&self, below: &str) -> Result<Process> {
        let first = self.members.first().context("etcd has no members")?;
        let endpoints = format!("--endpoints={}", self.endpoints().join(","));
        let below = format!("{KEYS}{below}");
        first.node().spawn("etcdctl", &[&endpoints, "watch", "--prefix", &below, "--rev=1"])
    }

    /// Forgets all revisions but the newest: who watched from an older one is told so.
    ///
    /// # Errors
    /// What etcdctl said.
    pub fn compact(&self) -> Result<()> {
        let status = self.status();
        let revision = status.iter().filter_map(|(_, it)| it.pointer("/header/revision")?.as_u64()).max();
        let revision = revision.context("no member tells its revision")?;
        self.ctl(&format!("compaction --physical {revision}")).map(drop)
    }

    /// The member that leads.
    ///
    /// # Errors
    /// None leads within a minute.
    pub fn leader(&self) -> Result<&Member> {
        until(READY, "etcd has a leader", || {
            let leads =
                |it: &Value| it["leader"].is_u64() && it.pointer("/header/member_id") == it.get("leader");
            Ok(self.status().into_iter().find(|(_, status)| leads(status)).map(|(member, _)| member))
        })
    }

    /// Cuts the links between one machine and every member; nothing else of the machine is touched.
    ///
    /// # Errors
    /// nft refused.
    pub fn cut_off(&self, machine: &Node, way: Way) -> Result<()> {
        self.members.iter().try_for_each(|member| member.node().cut_from(machine, way))
    }

    /// Mends what [`Etcd::cut_off`] cut.
    ///
    /// # Errors
    /// nft refused.
    pub fn mend(&self, machine: &Node) -> Result<()> {
        self.members.iter().try_for_each(|member| member.node().mend_with(machine))
    }

    /// What each member that answers says of itself.
    fn status(&self) -> Vec<(&Member, Value)> {
        let running = self.members.iter().filter(|member| member.runs());
        let status = |member: &Member| -> Option<Value> {
            let said: Value = serde_json::from_str(&member.ctl("endpoint status -w json").ok()?).ok()?;
            said.pointer("/0/Status").cloned()
        };
        running.filter_map(|member| Some((member, status(member)?))).collect()
    }
}
