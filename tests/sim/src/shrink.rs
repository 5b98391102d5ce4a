//! A broken story made short: acts are left out as long as a promise stays broken.

use std::collections::BTreeSet;

use crate::{Plan, Story, run};

/// The same plan with as few acts as still break a promise; unchanged if it breaks none.
pub fn shrink(plan: &Plan) -> Plan {
    let mut acts: Vec<usize> = match &plan.only {
        Some(only) => only.iter().copied().collect(),
        None => (0..plan.steps).collect(),
    };
    let breaks = |acts: &[usize]| {
        let only: BTreeSet<usize> = acts.iter().copied().collect();
        run(&Plan { only: Some(only), ..plan.clone() }, Story::silent()).broken.is_some()
    };
    if !breaks(&acts) {
        return plan.clone();
    }
    let mut chunk = acts.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        while from < acts.len() {
            let mut fewer = acts.clone();
            fewer.drain(from..(from + chunk).min(fewer.len()));
            if breaks(&fewer) {
                acts = fewer;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    Plan { only: Some(acts.into_iter().collect()), ..plan.clone() }
}
