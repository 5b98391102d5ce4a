//! Stories of a cloud with Docker hosts: of one container from an empty cloud to an address that is free
//! again, and of hosts that share a subnet and lose things.
//!
//! `berth-lab run` tells one to a person, `berth-lab smoke` goes through it alone. Both take the same steps
//! and check each of them.

mod evidence;
mod fleet;
mod narrator;
mod one_host;
mod scene;

use anyhow::Result;

use crate::lab::{BerthConfig, DockerHost, Layout, Pool, give_way};

pub use narrator::Narrator;
pub use scene::Scene;

/// Long enough to be seen cooling, short enough to wait for.
const COOLING_SECS: u32 = 8;

/// Which story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// Of one Docker host, which needs no other store than a file.
    OneHost,
    /// Of this many that share an etcd of three members; at least three.
    Fleet(u32),
}

/// One step: what happens, why it matters, and how it is done, shown and checked.
pub struct Step {
    /// A heading.
    pub title: &'static str,
    /// A sentence or two for the newcomer.
    pub why: &'static str,
    /// Does it.
    pub act: fn(&mut Scene) -> Result<()>,
}

impl Story {
    /// Its steps, in order.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Story::OneHost => one_host::STORY,
            Story::Fleet(_) => fleet::STORY,
        }
    }

    fn layout(self) -> Layout {
        let pool = Pool { cooling_secs: COOLING_SECS, ..Pool::default() };
        let berth = BerthConfig { pools: vec![pool], ..BerthConfig::default() };
        match self {
            Story::OneHost => Layout::one_host_with(DockerHost { berth, ..DockerHost::default() }),
            Story::Fleet(hosts) => Layout::fleet(hosts, 3, &fleet::impatient(berth)),
        }
    }
}

/// Tells the story to the end and hands back the scene, still standing.
///
/// # Errors
/// The first step that failed. Its evidence has been printed.
pub fn tell(story: Story) -> Result<Scene> {
    let narrator = Narrator::new();
    let mut scene = Scene::set(narrator, story.layout())?;
    for (number, step) in story.steps().iter().enumerate() {
        narrator.heading(number + 1, step.title, step.why);
        if let Err(error) = (step.act)(&mut scene) {
            give_way();
            narrator.failed(&error);
            evidence::print(&scene, narrator);
            return Err(error.context(format!("step {}, \"{}\", failed", number + 1, step.title)));
        }
    }
    Ok(scene)
}
