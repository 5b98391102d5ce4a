//! What can go wrong, how it begins, and how it ends.

use std::fmt;

use crate::chance::Chance;
use crate::coverage::Sometimes;
use crate::disk::Disk;
use crate::fleet::{Event, Fleet};
use crate::machine::{Clock, Power, Trip};
use crate::provider::MachineState;
use crate::script::zone;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

kinds! {
    /// Messages are late, lost, or land unheard.
    Lossy,
    /// Watches lag by up to 20 s.
    Lagging,
    /// Nothing reaches the store.
    CutThere,
    /// Nothing comes back from the store.
    CutBack,
    /// Neither.
    CutBoth,
    /// The store does not answer.
    StoreAway,
    /// Everything in the store is lost, until it is made anew.
    StoreWiped,
    /// The store forgets its history.
    Compaction,
    /// The watches of a host break.
    WatchesBreak,
    /// kill -9 of an agent.
    Crash,
    /// The same, in the middle of a step.
    CrashMidway,
    /// An agent dies in the middle of a write to its journal.
    TornAppend,
    /// A machine loses power.
    PowerLoss,
    /// A machine loses power, and comes back with an empty disk.
    JournalLost,
    /// An agent's journal is lost while its containers run on.
    Amnesia,
    /// A machine is put back to a snapshot of its disk.
    DiskPutBack,
    /// A machine is switched off, and comes back in another zone.
    ZoneChanged,
    /// Another machine is made from its image.
    Cloned,
    /// The disk of the journal is full.
    DiskFull,
    /// fsync takes its time.
    SlowDisk,
    /// SIGSTOP of an agent.
    Pause,
    /// The whole machine is suspended.
    Suspend,
    /// The boot-time clock jumps ahead.
    ClockAhead,
    /// The boot-time clock falls back.
    ClockBack,
    /// dockerd dies with its containers.
    DockerDies,
    /// The next answer to dockerd is lost.
    AnswerLost,
    /// A machine is deleted; another takes its place in the rack, with nothing of it.
    Gone,
    /// What the provider says is old.
    ProviderStale,
}

/// One fault: what, to whom, for how long, how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) machine: usize,
    pub(crate) millis: u64,
    pub(crate) much: u64,
}

impl Fault {
    pub(crate) fn new(kind: Kind, machine: usize, chance: &mut Chance) -> Self {
        let longest = match kind {
            Kind::StoreAway | Kind::StoreWiped | Kind::PowerLoss | Kind::CutBoth => 300_000,
            Kind::ZoneChanged | Kind::Gone => 300_000,
            Kind::ProviderStale => 600_000,
            Kind::Suspend | Kind::Pause => 120_000,
            _ => 40_000,
        };
        Self { kind, machine, millis: chance.skewed(longest), much: chance.below(1 << 20) }
    }
}

impl Fleet {
    pub(crate) fn begin(&mut self, fault: Fault) {
        // Whoever still could has given its sign of life.
        self.keep_sessions();
        self.faults += 1;
        let machine = fault.machine;
        let millis = fault.millis;
        match fault.kind {
            Kind::Lossy => self.machines[machine].path.lossy += 1,
            Kind::Lagging => self.machines[machine].path.lagging += 1,
            Kind::CutThere => self.machines[machine].path.cut_there += 1,
            Kind::CutBack => self.machines[machine].path.cut_back += 1,
            Kind::CutBoth => {
                self.machines[machine].path.cut_there += 1;
                self.machines[machine].path.cut_back += 1;
            }
            Kind::StoreAway => self.store_away += 1,
            Kind::StoreWiped => return self.wipe_store(millis),
            Kind::Compaction => return self.store.compact(),
            Kind::WatchesBreak => return self.watches_break(machine),
            Kind::Crash => {
                self.kill(machine);
                return self.after(millis, Event::Start { machine });
            }
            Kind::CrashMidway => {
                let trip = Trip { effects: fault.much % 12, torn: false, restart: millis };
                self.machines[machine].trip = Some(trip);
                return;
            }
            Kind::TornAppend => {
                let trip = Trip { effects: fault.much % 4, torn: true, restart: millis };
                self.machines[machine].trip = Some(trip);
                return;
            }
            Kind::PowerLoss | Kind::ZoneChanged => {
                if !self.machines[machine].is_up() {
                    return;
                }
                self.power_off(machine, fault.much, MachineState::Off);
                if fault.kind == Kind::ZoneChanged {
                    self.coverage.reached(Sometimes::ZoneChanged);
                    let zone = zone(usize::try_from(fault.much).unwrap_or(0) % self.script.zones);
                    self.machines[machine].identity.zones = [zone].into();
                }
                return self.after(millis, Event::Start { machine });
            }
            Kind::JournalLost | Kind::DiskPutBack => {
                if !self.machines[machine].is_up() {
                    return;
                }
                self.power_off(machine, fault.much, MachineState::Off);
                let at = &mut self.machines[machine];
                if fault.kind == Kind::JournalLost {
                    at.disk.lose_everything();
                } else {
                    let full = at.disk.full;
                    at.disk = Disk { full, ..at.old_disk.clone() };
                }
                return self.after(millis, Event::Start { machine });
            }
            Kind::Amnesia => {
                let at = &mut self.machines[machine];
                if at.agent.is_none() || !at.is_up() {
                    return;
                }
                // What it held is in quarantine until it is claimed.
                at.forsaken = true;
                self.kill(machine);
                self.machines[machine].disk.lose_everything();
                return self.after(millis, Event::Start { machine });
            }
            Kind::Cloned => return self.clone_machine(machine, fault.much),
            Kind::Gone => {
                let left = self.machines.iter().filter(|at| at.power != Power::Gone && !at.is_clone).count();
                if left > 1 && self.machines[machine].power != Power::Gone {
                    self.power_off(machine, fault.much, MachineState::Deleted);
                    self.machines[machine].power = Power::Gone;
                    self.after(millis, Event::Replace { machine });
                }
                return;
            }
            Kind::DiskFull => self.machines[machine].disk.full = true,
            Kind::SlowDisk => self.machines[machine].fsync = 1 + fault.much % 300,
            Kind::Pause => {
                let Some(agent) = &mut self.machines[machine].agent else { return };
                agent.paused = true;
            }
            Kind::Suspend => {
                let at = &mut self.machines[machine];
                if at.power != Power::On {
                    return;
                }
                at.power = Power::Suspended;
                let instance = at.identity.instance.clone();
                self.provider.became(self.now, &instance, MachineState::Suspended);
            }
            Kind::ClockAhead => {
                let ahead = i64::try_from(fault.much % 7_200_000).unwrap_or(0);
                self.machines[machine].clock.ahead += ahead;
                return;
            }
            Kind::ClockBack => {
                let back = i64::try_from(fault.much % 60_000).unwrap_or(0);
                self.machines[machine].clock.ahead -= back;
                return;
            }
            Kind::DockerDies => {
                if self.machines[machine].is_up() {
                    self.docker_dies(machine);
                }
                return;
            }
            Kind::AnswerLost => {
                self.machines[machine].docker.deaf = true;
                return;
            }
            Kind::ProviderStale => {
                self.provider.stale += 1;
                // A bad day of the datacenter: a link is down as well.
                self.begin(Fault { kind: Kind::CutBoth, ..fault.clone() });
            }
        }
        self.standing.push(fault.clone());
        self.after(millis, Event::End(fault));
    }

    /// A fault ends, unless everything was healed before.
    pub(crate) fn end(&mut self, fault: Fault) {
        let Some(place) = self.standing.iter().position(|standing| *standing == fault) else { return };
        self.standing.remove(place);
        self.keep_sessions();
        let machine = fault.machine;
        let (now, said) = (self.now, fault.to_string());
        self.story.say(now, || format!("ends: {said}"));
        match fault.kind {
            Kind::Lossy => self.machines[machine].path.lossy -= 1,
            Kind::Lagging => self.machines[machine].path.lagging -= 1,
            Kind::CutThere => self.machines[machine].path.cut_there -= 1,
            Kind::CutBack => self.machines[machine].path.cut_back -= 1,
            Kind::CutBoth => {
                self.machines[machine].path.cut_there -= 1;
                self.machines[machine].path.cut_back -= 1;
            }
            Kind::StoreAway => {
                self.store_away -= 1;
                if self.store_away == 0 && fault.much.is_multiple_of(3) {
                    // Every session lapses when the store comes back.
                    self.store.lapse(self.now + 1_000_000);
                } else {
                    self.store.renew_sessions(self.now);
                }
            }
            Kind::DiskFull => self.machines[machine].disk.full = false,
            Kind::SlowDisk => self.machines[machine].fsync = 0,
            Kind::Pause => self.resume(machine),
            Kind::Suspend => {
                let at = &mut self.machines[machine];
                if at.power == Power::Suspended {
                    at.power = Power::On;
                    let instance = at.identity.instance.clone();
                    self.provider.became(now, &instance, MachineState::Running);
                    self.resume(machine);
                }
            }
            Kind::ProviderStale => self.provider.stale -= 1,
            _ => (),
        }
        self.let_through();
    }

    /// A machine with the same image: the same id and journal, another instance. Docker starts its containers.
    fn clone_machine(&mut self, of: usize, much: u64) {
        // Of two machines with one id the first that registers is the original.
        if self.machines.iter().any(|at| at.is_clone) || !self.is_registered(of) {
            return;
        }
        let number = self.machines.len();
        let original = &self.machines[of];
        let mut clone = crate::fleet::machine(self.script.seed, number, original.identity.zones.clone());
        clone.identity.host = original.identity.host.clone();
        clone.identity.boot = ipam::BootId(format!("{}-clone-1", original.identity.host));
        clone.is_clone = true;
        clone.clock.booted = self.now;
        clone.disk = original.disk.clone();
        clone.disk.lose_power(usize::try_from(much).unwrap_or(0) % (clone.disk.unsynced() + 1));
        self.provider.started(self.now, &clone.identity.instance);
        self.machines.push(clone);
        self.coverage.reached(Sometimes::Cloned);
        self.after(1, Event::Start { machine: number });
        for nth in 0..3 {
            self.after(2_000 * nth + much % 2_000, Event::Clone { machine: number });
        }
    }

    /// Another machine takes the place of one that is gone: on the same cable, and nothing else of it.
    pub(crate) fn replace(&mut self, machine: usize) {
        let at = &self.machines[machine];
        if at.power != Power::Gone {
            return;
        }
        let mut new = crate::fleet::machine(self.script.seed, machine, at.identity.zones.clone());
        let (host, lives) = (format!("{}n", at.identity.host), at.lives);
        new.identity.instance = ipam::InstanceId(format!("i-{host}"));
        new.identity.boot = ipam::BootId(format!("{host}-boot-1"));
        new.identity.host = ipam::HostId(host);
        new.clock = Clock { booted: self.now, ahead: 0 };
        (new.lives, new.path, new.chance) = (lives, at.path.clone(), at.chance.clone());
        self.provider.started(self.now, &new.identity.instance);
        self.coverage.reached(Sometimes::Replaced);
        self.machines[machine] = new;
        self.start(machine);
    }

    pub(crate) fn power_off(&mut self, machine: usize, much: u64, state: MachineState) {
        self.kill(machine);
        let now = self.now;
        let at = &mut self.machines[machine];
        let unsynced = at.disk.unsynced();
        let kept = (much as usize) % (unsynced + 1);
        if kept > 0 {
            self.coverage.reached(Sometimes::UnsyncedKept);
        }
        if kept < unsynced {
            self.coverage.reached(Sometimes::UnsyncedLost);
        }
        at.disk.lose_power(kept);
        at.power = Power::Off;
        let instance = at.identity.instance.clone();
        self.docker_dies(machine);
        self.provider.became(now, &instance, state);
        let host = &self.machines[machine].identity.host;
        self.story.say(now, || format!("{host} is off; {kept} of {unsynced} unsynced records are kept"));
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, machine, millis, .. } = self;
        write!(f, "{kind:?} on h{} for {}.{:03} s", machine + 1, millis / 1_000, millis % 1_000)
    }
}
