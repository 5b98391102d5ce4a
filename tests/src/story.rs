//! The story of one container, from an empty cloud to an address that is free again.
//!
//! `berth-lab run` tells it to a person, `berth-lab smoke` goes through it alone. Both take the same steps
//! and check each of them.

mod evidence;
mod narrator;
mod scene;
mod steps;

use anyhow::Result;

use crate::lab::give_way;

pub use narrator::Narrator;
pub use scene::Scene;

/// One step: what happens, why it matters, and how it is done, shown and checked.
pub struct Step {
    /// A heading.
    pub title: &'static str,
    /// A sentence or two for the newcomer.
    pub why: &'static str,
    /// Does it.
    pub act: fn(&mut Scene) -> Result<()>,
}

/// Tells the story to the end and hands back the scene, still standing.
///
/// # Errors
/// The first step that failed. Its evidence has been printed.
pub fn tell() -> Result<Scene> {
    let narrator = Narrator::new();
    let mut scene = Scene::set(narrator)?;
    for (number, step) in steps::STORY.iter().enumerate() {
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

/// How many steps there are.
pub fn steps() -> usize {
    steps::STORY.len()
}
