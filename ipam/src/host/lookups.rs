//! What is looked up instead of walked over, held against the walk: for who looks after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Host;
use super::blocks::oldest_own;
use super::holding::HeldHere;
use crate::record::Life;
use crate::refusal::Usage;

impl Host {
    /// The look-ups that do not tell what a walk over everything held finds.
    pub(crate) fn lookups_astray(&self) -> Vec<&'static str> {
        let which = |of: &dyn Fn(&HeldHere) -> bool| -> BTreeSet<IpAddr> {
            self.held.iter().filter(|(_, held)| of(held)).map(|(address, _)| *address).collect()
        };
        let free = |held: &HeldHere| {
            matches!(held.holding.state, Life::Free { .. })
                && held.holding.reserved.is_none()
                && self.usable(held)
        };
        let queued: BTreeSet<IpAddr> =
            self.queue.values().flat_map(|queue| queue.values().copied()).collect();
        let timed: BTreeSet<IpAddr> = self.cooling.iter().map(|(_, address)| *address).collect();
        let leaving = |held: &HeldHere| matches!(held.holding.state, Life::Leaving { .. });
        let cooling = |held: &HeldHere| matches!(held.holding.state, Life::Cooling { .. });
        // The timer of a published address may be over.
        let surely_timed = |held: &HeldHere| cooling(held) && !held.holding.state.published();
        let told = [
            ("free addresses", queued == which(&free)),
            (
                "cooling addresses",
                timed.is_subset(&which(&cooling)) && which(&surely_timed).is_subset(&timed),
            ),
            ("leaving addresses", self.leaving == which(&leaving)),
            ("published addresses", self.published_here == which(&|held| held.holding.state.published())),
            ("endpoints", self.endpoints == self.endpoints_walked()),
            ("addresses of a block", self.held.iter().all(|(address, held)| held.block.contains(*address))),
            ("own holdings shown", self.own_holdings_told()),
            ("times", self.block_due == self.soonest_due()),
        ];
        told.into_iter().filter(|(_, right)| !right).map(|(what, _)| what).collect()
    }

    fn endpoints_walked(&self) -> BTreeMap<crate::names::EndpointId, BTreeSet<IpAddr>> {
        let mut walked: BTreeMap<_, BTreeSet<IpAddr>> = BTreeMap::new();
        for (address, held) in &self.held {
            if let Life::Assigned { usage: Usage::Bound(by) | Usage::Gone(by), .. } = &held.holding.state {
                walked.entry(by.clone()).or_default().insert(*address);
            }
        }
        walked
    }

    fn own_holdings_told(&self) -> bool {
        self.blocks.values().all(|facts| {
            let shown = facts.seen.as_ref();
            facts.oldest_own == shown.and_then(|(block, _)| oldest_own(block, &self.identity.host))
        })
    }
}
