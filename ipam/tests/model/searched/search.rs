//! Searches a mix to its end, or to the first broken promise, and tells the way there.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Path};

use super::act::Act;
use super::mix::Mix;
use super::mutation::Mutation;
use super::reached::Event;
use super::stage::Stage;
use super::story::Story;
use super::world::World;

/// What a search found.
pub(crate) struct Searched {
    name: String,
    steps: usize,
    worlds: usize,
    depth: usize,
    took: Duration,
    reached: Vec<(Event, u64)>,
    /// The way to the first promise that was broken, step by step.
    pub(crate) broken: Option<String>,
    /// How many acts lead there.
    pub(crate) acts: usize,
    /// The acts beyond which it was not searched.
    near: Option<usize>,
}

/// Searches every world that the mix can reach, or the first promise that is broken.
pub(crate) fn search(mix: Mix, mutation: Option<Mutation>) -> Searched {
    searched(mix, mutation, None)
}

/// Searches every world that the mix can reach in so many acts.
pub(crate) fn search_near(mix: Mix, mutation: Option<Mutation>, acts: usize) -> Searched {
    searched(mix, mutation, Some(acts))
}

/// One thread, breadth first: so the first broken promise is one of the nearest.
fn searched(mix: Mix, mutation: Option<Mutation>, acts: Option<usize>) -> Searched {
    let begun = Instant::now();
    let story = Story::new(mix, mutation);
    let mut checker = story.clone().checker().finish_when(HasDiscoveries::AnyFailures);
    if let Some(acts) = acts {
        // The first world is at depth 1, and those at the given depth are not looked at any more.
        checker = checker.target_max_depth(acts + 2);
    }
    let checker = checker.spawn_bfs().join();
    let broken = checker.discoveries().into_values().find(|path| path.last_state().broken.is_some());
    let without = mutation.map(|mutation| format!(", mutated: {mutation:?}")).unwrap_or_default();
    let events = Event::ALL.iter().filter(|event| story.has(**event));
    Searched {
        name: format!("{}{without}", story.mix),
        steps: checker.state_count(),
        worlds: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: begun.elapsed(),
        reached: events.map(|event| (*event, story.reached.count(*event))).collect(),
        acts: broken.as_ref().map_or(0, |path| path.clone().into_actions().len()),
        broken: broken.map(|path| narrate(&story, path)),
        near: acts,
    }
}

impl Searched {
    /// Those of `events` that never happened.
    pub(crate) fn never<'a>(&self, events: &'a [Event]) -> Vec<&'a Event> {
        let reached = |event: &Event| self.reached.iter().any(|(reached, _)| reached == event);
        events.iter().filter(|event| !reached(event)).collect()
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, steps, worlds, depth, took, .. } = self;
        let end = match (&self.broken, self.near) {
            (Some(_), _) => format!("up to a broken promise after {} acts", self.acts),
            (None, Some(acts)) => format!("up to {acts} acts"),
            (None, None) => "all of it".to_owned(),
        };
        let seconds = took.as_secs_f64();
        write!(f, "{name}: {end}, {steps} steps, {worlds} worlds, {depth} deep, {seconds:.1} s\n   ")?;
        for (event, count) in &self.reached {
            write!(f, " {event:?} {count}")?;
        }
        if let Some(broken) = &self.broken {
            write!(f, "\n{broken}")?;
        }
        Ok(())
    }
}

/// Tells a way step by step, in the words of the protocol.
fn narrate(story: &Story, path: Path<World, Act>) -> String {
    let mut lines = Vec::new();
    for (number, (world, act)) in path.into_vec().into_iter().enumerate() {
        let Some(act) = act else { continue };
        lines.push(format!("{:>3}. {act}", number + 1));
        let mut stage = Stage::new(world, story, true);
        stage.act(&act);
        stage.settle();
        lines.extend(stage.told.into_iter().flatten().map(|line| format!("       {line}")));
    }
    lines.join("\n")
}
