//! misdelivered_simulated: a million uses of addresses behind a load balancer, with owners that die, stand still and
//! send calls that land late. It is a count; nothing is timed.

use anyhow::Result;
use simulation::balancing::{Outcome, Plan, simulate};

use crate::Size;
use crate::report::say_once;

pub(crate) fn simulated(size: &Size) -> Result<()> {
    let (seeds, reuses) = (size.of(100, 2), size.of(10_000, 1_000));
    let mut all = Outcome::default();
    for seed in 1..=seeds {
        let outcome = simulate(&Plan { seed, reuses, waits: true });
        if outcome.misdelivered > 0 {
            eprintln!("misdelivered in seed {seed}: {outcome:?}");
        }
        all.reuses += outcome.reuses;
        all.misdelivered += outcome.misdelivered;
        all.terms += outcome.terms;
        all.late += outcome.late;
    }
    say_once("misdelivered_simulated", "requests", all.misdelivered as f64);
    say_once("misdelivered_simulated_reuses", "addresses", all.reuses as f64);
    say_once("misdelivered_simulated_terms", "owners", all.terms as f64);
    say_once("misdelivered_simulated_late_calls", "calls", all.late as f64);
    Ok(())
}
