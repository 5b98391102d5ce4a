//! A machine: its agent, its disk, its containers, and what is on its way between agent and store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use ipam::*;

use super::disk::Disk;
use super::mix::Faults;
use super::normal::{NormalForm, base};

/// One of a world's hosts.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    pub(crate) now: Timestamp,
    pub(crate) powered: bool,
    pub(crate) boots: u8,
    /// The agent; `None` while it is down.
    pub(crate) agent: Option<Host>,
    /// Whether the agent has read the store since it started.
    pub(crate) listed: bool,
    pub(crate) disk: Disk,
    /// The next write to the disk fails; whether it is there all the same.
    pub(crate) disk_fails: Option<bool>,
    /// What the agent sent, and the store has not got yet.
    pub(crate) calls: Vec<Call>,
    /// Transactions of unknown outcome that may land yet, of a former life of the agent too.
    pub(crate) late: Vec<Transaction>,
    /// Answers of the store that are on their way.
    pub(crate) answers: VecDeque<Input>,
    /// What the watches have not shown yet.
    pub(crate) unseen: BTreeMap<Prefix, VecDeque<Arc<Vec<Seen>>>>,
    /// Requests of containers that were not answered yet.
    pub(crate) asked: BTreeSet<RequestId>,
    /// What containers use, from the answer until they are removed or the power is cut.
    pub(crate) in_use: BTreeMap<IpAddr, Epoch>,
    /// The last assignment of each address that is over: what a late release may still name.
    pub(crate) over: BTreeMap<IpAddr, Epoch>,
    /// What the capacity role knows of this host since it asked the provider first.
    pub(crate) suspected: Option<role::Evictions>,
    /// The record of this host as it stood before its eviction.
    pub(crate) evicted_from: Option<Revision>,
    /// What was reported as written and is not ([`super::mutation::Mutation::AnswerBeforeJournal`]).
    pub(crate) unwritten: Vec<(Vec<Record>, bool)>,
    /// Whether its journal was lost: what its containers use it does not know until it claims it.
    pub(crate) lost_journal: bool,
    /// What was gained in an earlier incarnation is swept.
    pub(crate) swept_below: Option<Incarnation>,
}

/// Something the agent asked of the store.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) token: Token,
    pub(crate) what: Asked,
}

/// What a [`Call`] asks.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Asked {
    Commit(Transaction),
    Read(Vec<Key>),
}

impl Machine {
    pub(crate) fn new(number: usize, zone: Zone, journal: Vec<Record>) -> Self {
        let host = HostId(format!("h{}", number + 1));
        let identity = Identity {
            instance: InstanceId(format!("i{}", number + 1)),
            boot: boot_id(&host, 1),
            zones: [zone].into(),
            host,
        };
        Self {
            identity,
            now: Timestamp(base::TIME),
            powered: true,
            boots: 1,
            agent: None,
            listed: false,
            disk: Disk::with(journal),
            disk_fails: None,
            calls: Vec::new(),
            late: Vec::new(),
            answers: VecDeque::new(),
            unseen: BTreeMap::new(),
            asked: BTreeSet::new(),
            in_use: BTreeMap::new(),
            over: BTreeMap::new(),
            suspected: None,
            evicted_from: None,
            unwritten: Vec::new(),
            lost_journal: false,
            swept_below: None,
        }
    }

    pub(crate) fn host(&self) -> &HostId {
        &self.identity.host
    }

    /// The agent dies; its containers live on, and what it sent may still land.
    pub(crate) fn agent_dies(&mut self) {
        self.agent = None;
        self.unwritten.clear();
        self.listed = false;
        self.answers.clear();
        self.unseen.clear();
        self.asked.clear();
    }

    /// The power is cut: memory and containers are gone.
    pub(crate) fn power_is_cut(&mut self, unsynced_kept: bool) {
        self.agent_dies();
        self.powered = false;
        for (address, epoch) in std::mem::take(&mut self.in_use) {
            self.over.insert(address, epoch);
        }
        self.disk.power_loss(unsynced_kept);
        self.now = Timestamp(base::TIME);
    }

    pub(crate) fn power_on(&mut self) {
        self.powered = true;
        self.boots += 1;
        self.identity.boot = boot_id(&self.identity.host, self.boots);
    }

    /// The assignments that the agent shows.
    pub(crate) fn assigned(&self) -> BTreeMap<IpAddr, Epoch> {
        self.agent.as_ref().map(|agent| check::assigned_in(&agent.view(self.now))).unwrap_or_default()
    }

    /// Gives what makes a difference to the normal form.
    ///
    /// A journal that nothing will read again makes none, nor what of it only power loss would show.
    pub(crate) fn normal(&self, number: usize, left: &Faults, form: &mut NormalForm) {
        form.machine(number, self.now.0);
        match &self.agent {
            Some(agent) => {
                self.listed.hash(form);
                form.agent(agent);
            }
            None => self.powered.hash(form),
        }
        self.boots.hash(form);
        let read_again = left.power_cuts + left.kills + left.rebuilds > 0 || self.agent.is_none();
        if left.power_cuts > 0 {
            self.disk.hash(form);
        } else if read_again {
            self.disk.records().hash(form);
        }
        self.disk_fails.hash(form);
        self.calls.len().hash(form);
        for call in &self.calls {
            form.token(call.token.0);
            call.what.hash(form);
        }
        self.late.hash(form);
        self.answers.len().hash(form);
        for answer in &self.answers {
            match answer {
                Input::Sent { token, outcome } => {
                    form.token(token.0);
                    outcome.hash(form);
                }
                other => other.hash(form),
            }
        }
        self.unseen.hash(form);
        self.asked.hash(form);
        self.in_use.hash(form);
        self.over.hash(form);
        self.suspected.hash(form);
        self.unwritten.hash(form);
        self.lost_journal.hash(form);
        self.swept_below.hash(form);
    }
}

fn boot_id(host: &HostId, boots: u8) -> BootId {
    BootId(format!("{host}-{boots}"))
}
