//! How an agent follows a prefix of the store: list, then watch, and list again when it must. As
//! `agent/src/allocator/follow.rs` does it, with the ways that take time.

use ipam::{Input, Prefix, Revision, Seen};

use crate::coverage::Sometimes;
use crate::fleet::{Event, Fleet};
use crate::words;

/// The longest pause before a store that did not answer is listed again.
const PAUSE_MAX: u64 = 2_000;

/// One prefix, followed.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    /// The revision up to which changes were shown; `None` until listed.
    shown: Option<u64>,
    /// Whether a look for changes is on its way.
    looking: bool,
    pause: u64,
    /// The newest revision that the host was shown since the listing was asked for.
    pub(crate) newest: u64,
}

impl Fleet {
    /// Begins to follow everything that the agent watches and does not follow yet.
    pub(crate) fn follow_all(&mut self, machine: usize) {
        let Some(agent) = &self.machines[machine].agent else { return };
        let mut watches = agent.host.watches();
        watches.retain(|prefix| !agent.followers.contains_key(prefix));
        for prefix in watches {
            self.list_soon(machine, prefix, 0);
        }
    }

    fn list_soon(&mut self, machine: usize, prefix: Prefix, pause: u64) {
        let wait = pause + self.latency(machine);
        let Some(agent) = &mut self.machines[machine].agent else { return };
        let life = agent.life;
        agent.followers.insert(prefix.clone(), Follower { pause, ..Follower::default() });
        self.after(wait, Event::List { machine, life, prefix });
    }

    /// A listing is asked for, and arrives at the store.
    pub(crate) fn list(&mut self, machine: usize, life: u64, prefix: Prefix) {
        if self.agent(machine, life).is_none() {
            return;
        }
        let Some(agent) = &mut self.machines[machine].agent else { return };
        let follower = agent.followers.entry(prefix.clone()).or_default();
        follower.newest = 0;
        let pause = follower.pause;
        if !self.answers(machine) {
            return self.list_soon(machine, prefix, (pause * 2).clamp(50, PAUSE_MAX));
        }
        let revision = self.store.revision();
        let entries = words::list(&self.store, &prefix);
        let wait = self.latency(machine);
        self.after(wait, Event::Listed { machine, life, prefix, revision, entries });
    }

    pub(crate) fn listed(
        &mut self,
        (machine, life): (usize, u64),
        prefix: Prefix,
        revision: u64,
        entries: Vec<Seen>,
    ) {
        if !self.hears(machine) {
            return self.list_soon(machine, prefix, PAUSE_MAX);
        }
        let Some(agent) = self.agent(machine, life) else { return };
        if agent.paused {
            return self.after(PAUSE_MAX, Event::Listed { machine, life, prefix, revision, entries });
        }
        // A commit of its own was answered between: told now, the store would look as if it had gone back.
        if agent.followers.get(&prefix).is_some_and(|follower| revision < follower.newest) {
            self.coverage.reached(Sometimes::OvertakenListing);
            return self.list_soon(machine, prefix, 0);
        }
        let follower = Follower { shown: Some(revision), ..Follower::default() };
        if let Some(agent) = &mut self.machines[machine].agent {
            agent.followers.insert(prefix.clone(), follower);
        }
        self.feed(machine, Input::Listed { prefix: prefix.clone(), revision: Revision(revision), entries });
        self.follow_all(machine);
        self.look_soon(machine, &prefix);
    }

    /// The store changed: every watch of it will show that, sooner or later.
    pub(crate) fn changed(&mut self) {
        let Some(change) = self.store.last_change() else { return };
        let watches = |(prefix, follower): &(&Prefix, &Follower)| {
            let covers = |key: &words::Key| matches!(key, words::Key::Ipam(key) if prefix.contains(key));
            !follower.looking && follower.shown.is_some() && change.events.iter().any(|(key, _)| covers(key))
        };
        let mut watching: Vec<(usize, Prefix)> = Vec::new();
        for (machine, at) in self.machines.iter().enumerate() {
            let followers = at.agent.iter().flat_map(|agent| &agent.followers).filter(watches);
            watching.extend(followers.map(|(prefix, _)| (machine, prefix.clone())));
        }
        for (machine, prefix) in watching {
            self.look_soon(machine, &prefix);
        }
    }

    fn look_soon(&mut self, machine: usize, prefix: &Prefix) {
        let wait = self.lag(machine);
        let Some(agent) = &mut self.machines[machine].agent else { return };
        let life = agent.life;
        if let Some(follower) = agent.followers.get_mut(prefix).filter(|follower| !follower.looking) {
            follower.looking = true;
            self.after(wait, Event::Show { machine, life, prefix: prefix.clone() });
        }
    }

    /// A watch shows its next change.
    pub(crate) fn show(&mut self, machine: usize, life: u64, prefix: Prefix) {
        let reachable = self.answers(machine) && self.hears(machine);
        let lag = self.lag(machine);
        let Some(agent) = self.machines[machine].agent.as_mut().filter(|agent| agent.life == life) else {
            return;
        };
        let paused = agent.paused;
        let Some(follower) = agent.followers.get_mut(&prefix) else { return };
        let Some(shown) = follower.shown else { return };
        if !reachable || paused {
            // What it has missed it will be shown when it can be reached.
            return self.after(lag + PAUSE_MAX, Event::Show { machine, life, prefix });
        }
        match self.store.change_after(&prefix, shown) {
            Err(_) => {
                self.coverage.reached(Sometimes::CompactedWatch);
                self.list_soon(machine, prefix, 0);
            }
            Ok(None) => {
                // Nothing more of this family up to now.
                follower.shown = Some(self.store.revision());
                follower.looking = false;
            }
            Ok(Some(change)) => {
                follower.shown = Some(change.revision);
                follower.looking = false;
                self.feed(machine, Input::Seen(words::events(change)));
                self.look_soon(machine, &prefix);
            }
        }
    }

    /// The watches of an agent break: all of them begin anew.
    pub(crate) fn watches_break(&mut self, machine: usize) {
        let Some(agent) = &self.machines[machine].agent else { return };
        let prefixes: Vec<Prefix> = agent.followers.keys().cloned().collect();
        for prefix in prefixes {
            self.list_soon(machine, prefix, 0);
        }
    }
}
