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
}

/// Searches every world that the mix can reach. One thread, breadth first: so the first broken promise
/// is one of the nearest.
pub(crate) fn search(mix: Mix, mutation: Option<Mutation>) -> Searched {
    let begun = Instant::now();
    let story = Story::new(mix, mutation);
    let checker = story.clone().checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
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
        broken: broken.map(|path| narrate(&story, path)),
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
        let end = if self.broken.is_some() { "up to a broken promise" } else { "all of it" };
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
