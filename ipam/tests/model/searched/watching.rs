//! What the watches show of what was written, and when.

use std::collections::VecDeque;
use std::sync::Arc;

use ipam::*;

use super::machine::Machine;
use super::mutation::{Mutation, made_new};
use super::stage::Stage;

impl Stage<'_> {
    /// Shows what was written to every agent that watches, at once or when its watch gets there.
    pub(crate) fn show(&mut self, events: Vec<Seen>, but: Option<usize>) {
        if events.is_empty() {
            return;
        }
        for m in 0..self.world.machines.len() {
            let machine = &self.world.machines[m];
            if but == Some(m) || machine.agent.is_none() || !machine.listed {
                continue;
            }
            let seen = events.iter().filter_map(|event| Some((watched(machine, &event.key)?, event.clone())));
            let seen: Vec<(Prefix, Seen)> = seen.collect();
            let lags = |(prefix, _): &(Prefix, Seen)| {
                self.story.mix.lagging > 0 && matches!(prefix, Prefix::Blocks(_) | Prefix::Hosts)
            };
            let (later, now): (Vec<_>, Vec<_>) = seen.into_iter().partition(lags);
            for (prefix, event) in later {
                self.machine(m).unseen.entry(prefix).or_default().push_back(Arc::new(vec![event]));
            }
            if !now.is_empty() {
                self.feed(m, Input::Seen(now.into_iter().map(|(_, event)| event).collect()));
            }
        }
    }

    pub(crate) fn watch(&mut self, m: usize, prefix: &Prefix) {
        let machine = self.machine(m);
        let Some(queue) = machine.unseen.get_mut(prefix) else { return };
        let Some(shown) = queue.pop_front() else { return };
        if queue.is_empty() {
            machine.unseen.remove(prefix);
        }
        let mut seen = shown.to_vec();
        if self.story.mutation == Some(Mutation::LaggingAdoption) && matches!(prefix, Prefix::Blocks(_)) {
            seen = seen.into_iter().map(|seen| made_new(&mut self.world, m, seen)).collect();
        }
        self.feed(m, Input::Seen(seen));
    }

    /// What tells an agent nothing now tells it nothing later: it drops what is older than what it
    /// knows, and what it knows only gets newer. So such events are shown at once.
    pub(crate) fn forget_what_is_no_news(&mut self) {
        // In a new life of the cluster an agent forgets what it knows; and a mutation makes old things
        // look new.
        let every_event_counts =
            self.story.mix.faults.rebuilds > 0 || self.story.mutation == Some(Mutation::LaggingAdoption);
        if every_event_counts {
            return;
        }
        for m in 0..self.world.machines.len() {
            let machine = &self.world.machines[m];
            let Some(agent) = machine.agent.as_ref().filter(|_| !machine.unseen.is_empty()) else { continue };
            let news = |event: &&Arc<Vec<Seen>>| {
                let mut told = agent.clone();
                let effects = told.step(machine.now, Input::Seen(event.to_vec()));
                !effects.is_empty() || told != *agent
            };
            let mut unseen = machine.unseen.clone();
            for queue in unseen.values_mut() {
                *queue = queue.iter().filter(news).cloned().collect();
            }
            unseen.retain(|_, queue| !queue.is_empty());
            self.machine(m).unseen = unseen;
        }
    }

    /// A watch that lags further behind than the mix allows.
    pub(crate) fn too_far_behind(&self) -> Option<(usize, Prefix)> {
        let far = |queue: &VecDeque<_>| queue.len() > self.story.mix.lagging;
        self.world.machines.iter().enumerate().find_map(|(m, machine)| {
            machine.unseen.iter().find(|(_, queue)| far(queue)).map(|(prefix, _)| (m, prefix.clone()))
        })
    }
}

/// Which of a machine's watches shows a key.
fn watched(machine: &Machine, key: &Key) -> Option<Prefix> {
    match key {
        Key::Cluster => Some(Prefix::Cluster),
        Key::Host(_) => Some(Prefix::Hosts),
        Key::Block { zone, .. } => Some(Prefix::Blocks(zone.clone())),
        Key::Want { zone, holder, .. } if holder == machine.host() => {
            Some(Prefix::Wants { zone: zone.clone(), holder: holder.clone() })
        }
        Key::Published { host, .. } if host == machine.host() => Some(Prefix::Published(host.clone())),
        _ => None,
    }
}
