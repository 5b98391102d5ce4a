//! The store of a lab with several hosts: etcd, one member or several, each on a machine of its own.
//!
//! Hosts reach the members as they reach any machine of the cloud, through their own interface. A member
//! can be killed, stopped and continued; its link to one machine can be cut while all others stay whole.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::condition::until;
use super::keeper::Keeper;
use super::member::{Member, Peer};
use super::node::{Node, Way};
use super::place::Place;

/// How long an election and the first answers may take on a busy machine.
const READY: Duration = Duration::from_secs(60);

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

    /// Forgets all revisions but the newest: who watched from an older one is told so.
    ///
    /// # Errors
    /// What etcdctl said.
    pub fn compact(&self) -> Result<()> {
        let status = self.status()?;
        let revision = status.iter().filter_map(|it| it.pointer("/Status/header/revision")?.as_u64()).max();
        let revision = revision.context("no member tells its revision")?;
        self.ctl(&format!("compaction --physical {revision}")).map(drop)
    }

    /// The member that leads.
    ///
    /// # Errors
    /// None leads within a minute.
    pub fn leader(&self) -> Result<&Member> {
        until(READY, "etcd has a leader", || {
            let Ok(status) = self.status() else { return Ok(None) };
            let leads = |it: &&Value| {
                let leader = it.pointer("/Status/leader");
                leader.is_some() && leader == it.pointer("/Status/header/member_id")
            };
            let endpoint = status.iter().find(leads).and_then(|it| it["Endpoint"].as_str());
            Ok(self.members.iter().find(|member| Some(member.endpoint().as_str()) == endpoint))
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

    fn status(&self) -> Result<Vec<Value>> {
        let said = self.ctl("endpoint status -w json")?;
        let status: Vec<Value> = serde_json::from_str(&said).context("etcdctl's status is no JSON")?;
        ensure!(!status.is_empty(), "etcdctl knows no member");
        Ok(status)
    }
}
