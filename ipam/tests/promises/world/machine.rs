//! A machine: its agent, its disk, its kernel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use ipam::*;

use super::ZONE;

/// A machine: its agent, its disk, its kernel.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    /// The agent; `None` while it is down.
    pub(crate) agent: Option<Host>,
    pub(crate) powered: bool,
    /// What survives power loss, and what only survives the process.
    pub(crate) synced: Vec<Record>,
    pub(crate) written: Vec<Record>,
    pub(crate) disk_full: bool,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) outcomes: VecDeque<Input>,
    /// Transactions that may land later.
    pub(crate) late: Vec<Transaction>,
    /// How much of the store's history its watch has shown.
    pub(crate) watched: usize,
    pub(crate) answers: BTreeMap<RequestId, Result<Answer, Refusal>>,
    /// Which requests are to be used by a container once answered.
    pub(crate) users: BTreeSet<RequestId>,
    /// What containers use: the kernel's word.
    pub(crate) in_use: BTreeMap<IpAddr, Epoch>,
    pub(crate) boots: u64,
}

impl Machine {
    pub(super) fn new(number: usize) -> Self {
        let host = HostId(format!("h{}", number + 1));
        let identity = Identity {
            instance: InstanceId(format!("i-{}", number + 1)),
            boot: BootId(format!("{host}-boot-0")),
            zones: [Zone::from(ZONE)].into(),
            host,
        };
        Self {
            identity,
            agent: None,
            powered: true,
            synced: Vec::new(),
            written: Vec::new(),
            disk_full: false,
            effects: VecDeque::new(),
            outcomes: VecDeque::new(),
            late: Vec::new(),
            watched: 0,
            answers: BTreeMap::new(),
            users: BTreeSet::new(),
            in_use: BTreeMap::new(),
            boots: 0,
        }
    }
}
