//! A whole fleet in one deterministic process: hosts, store, provider, Docker and time.
//!
//! Every host runs the production code, `ipam::Host` and `ipam::Block`; what is simulated is what surrounds it.
//! A seed decides what happens, what goes wrong and when: first chaos, then everything heals. What must always
//! hold is looked at after every step, what must come true in the end at the end. A seed that breaks a promise
//! tells the same story again, word for word, and is made shorter by leaving acts out.
//!
//! ```
//! let ended = simulation::run(&simulation::Plan::of(1), simulation::Story::silent());
//! assert_eq!(ended.broken, None);
//! ```

pub mod balancing;
mod chance;
mod coverage;
mod disk;
mod docker;
mod fault;
mod fleet;
mod follow;
mod heal;
mod lost;
mod machine;
#[cfg(test)]
mod museum;
mod oracle;
mod outage;
mod provider;
mod reconcile;
mod role;
mod script;
mod services;
mod session;
mod shell;
mod shrink;
pub mod store;
mod story;
mod subnets;
mod sum;
mod wire;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use coverage::{Coverage, Sometimes};
pub use outage::outage;
pub use script::Plan;
pub use shrink::shrink;
pub use story::Story;
pub use sum::Sum;

/// Milliseconds since the story began.
pub type Moment = u64;

/// How a story ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The promise that was broken first, if any was.
    pub broken: Option<String>,
    /// What happened, if it was to be told.
    pub story: Story,
    /// What was reached.
    pub coverage: Coverage,
    /// How many inputs the hosts took: each a step of the production code, and looked at.
    pub steps: u64,
    /// How long the story was, in milliseconds.
    pub millis: Moment,
    /// How many hosts there were.
    pub hosts: usize,
    /// How many acts were begun, faults included.
    pub acts: usize,
    /// How many faults were injected.
    pub faults: u64,
}

/// Tells the story of a plan: chaos, then healing.
pub fn run(plan: &Plan, story: Story) -> Ended {
    tell(plan.script(), story)
}

fn tell(script: script::Script, story: Story) -> Ended {
    let hosts = script.hosts.len();
    let end = script.acts.last().map_or(0, |(at, _)| *at) + 5_000;
    let mut fleet = fleet::Fleet::new(script, story);
    // The pure core stops a broken invariant by a panic, before it is committed: that too is an end.
    let told = catch_unwind(AssertUnwindSafe(|| {
        fleet.run_until(end);
        if fleet.broken.is_none() {
            fleet.heal();
        }
    }));
    if let Err(panic) = told {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        fleet.fail(text.to_owned());
    }
    Ended {
        broken: fleet.broken,
        story: fleet.story,
        coverage: fleet.coverage,
        steps: fleet.steps,
        millis: fleet.now,
        hosts,
        acts: fleet.acts,
        faults: fleet.faults,
    }
}
