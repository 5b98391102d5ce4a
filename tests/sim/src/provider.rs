//! The provider: which machines run, as it knows it, and which subnets are ours.

use std::collections::{BTreeMap, BTreeSet};

use ipam::InstanceId;
use ipnetwork::IpNetwork;

use crate::Moment;

/// How old a provider's answer may be at most, in milliseconds: the named assumption R.
pub(crate) const STALENESS_MAX: u64 = 60_000;

/// What the provider says of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineState {
    Running,
    /// Its memory stands still.
    Suspended,
    /// Switched off, its memory lost.
    Off,
    Deleted,
}

/// What is true at the provider, and was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Provider {
    /// The subnets that are ours.
    pub(crate) delivered: BTreeSet<IpNetwork>,
    machines: BTreeMap<InstanceId, Vec<(Moment, MachineState)>>,
    /// Whether reads are old.
    pub(crate) stale: u32,
}

impl Provider {
    pub(crate) fn started(&mut self, now: Moment, instance: &InstanceId) {
        self.became(now, instance, MachineState::Running);
    }

    pub(crate) fn became(&mut self, now: Moment, instance: &InstanceId, state: MachineState) {
        self.machines.entry(instance.clone()).or_default().push((now, state));
    }

    /// A read that is `age` old: the machine's state then.
    pub(crate) fn state(&self, now: Moment, instance: &InstanceId, age: u64) -> MachineState {
        let then = now.saturating_sub(age);
        let states = self.machines.get(instance).map(Vec::as_slice).unwrap_or_default();
        states
            .iter()
            .rev()
            .find(|(at, _)| *at <= then)
            .or(states.first())
            .map_or(MachineState::Deleted, |(_, state)| *state)
    }
}
