//! A host: its power, its clock, its disk, its kernel, its agent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use ipam::{Epoch, Host, Identity, Input, Prefix, RequestId, Timestamp, Token};

use crate::Moment;
use crate::chance::Chance;
use crate::disk::Disk;
use crate::docker::{Call, Docker};
use crate::follow::Follower;

/// A machine, with everything on it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    pub(crate) power: Power,
    /// The agent; `None` while it is down.
    pub(crate) agent: Option<Agent>,
    pub(crate) disk: Disk,
    pub(crate) docker: Docker,
    /// The addresses that containers use: the kernel's word.
    pub(crate) kernel: BTreeMap<IpAddr, Epoch>,
    pub(crate) path: Path,
    pub(crate) clock: Clock,
    pub(crate) boots: u64,
    /// How many processes of the agent there were: tells the outcomes of one from those of the next.
    pub(crate) lives: u64,
    /// How many milliseconds an fsync takes; 0 is at once.
    pub(crate) fsync: u64,
    /// When the agent is to be killed in the middle of its work.
    pub(crate) trip: Option<Trip>,
    /// What it held may be another's: an untrue word, or a lost journal.
    pub(crate) forsaken: bool,
    /// Made from the image of another, and gone when everything heals.
    pub(crate) is_clone: bool,
    /// The journal as a snapshot of the whole disk has it.
    pub(crate) old_disk: Disk,
    pub(crate) chance: Chance,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    /// Its memory stands still: what its containers use, they still use.
    Suspended,
    Off,
    /// Deleted at the provider, never to return.
    Gone,
}

/// A death in the middle of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trip {
    /// After how many more effects.
    pub(crate) effects: u64,
    /// Whether it is in the middle of the next append.
    pub(crate) torn: bool,
    /// After how many milliseconds the agent is started again.
    pub(crate) restart: u64,
}

/// The way to the store: how many faults of each kind are on it now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Path {
    pub(crate) cut_there: u32,
    pub(crate) cut_back: u32,
    pub(crate) lossy: u32,
    pub(crate) lagging: u32,
}

/// The boot-time clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) booted: Moment,
    /// How far it was set ahead, or back.
    pub(crate) ahead: i64,
}

/// A process of the agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) life: u64,
    pub(crate) host: Host,
    pub(crate) paused: bool,
    /// What arrived while it was paused.
    pub(crate) stalled: VecDeque<Input>,
    pub(crate) followers: BTreeMap<Prefix, Follower>,
    /// The transactions and reads whose outcome it has not heard.
    pub(crate) open: BTreeSet<Token>,
    /// Appends whose fsync has not returned.
    pub(crate) unsynced: u32,
    /// Who waits for which answer.
    pub(crate) calls: BTreeMap<RequestId, Call>,
    pub(crate) requests: u64,
    /// When it is to be woken.
    pub(crate) wake: Option<Moment>,
    /// Its session's number.
    pub(crate) session: Option<u64>,
    /// When it gave its last sign of life.
    pub(crate) signed: Moment,
}

impl Machine {
    /// The agent, if it runs and hears.
    pub(crate) fn awake(&self) -> Option<&Agent> {
        self.agent.as_ref().filter(|agent| self.power == Power::On && !agent.paused)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.power == Power::On
    }
}

impl Clock {
    pub(crate) fn at(&self, now: Moment) -> Timestamp {
        Timestamp((now - self.booted).saturating_add_signed(self.ahead))
    }

    /// How long until the clock shows `then`.
    pub(crate) fn until(&self, now: Moment, then: Timestamp) -> u64 {
        then.0.saturating_sub(self.at(now).0)
    }
}
