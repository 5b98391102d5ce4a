//! Ends quarantines: asks this host and the wire who uses an address, and sends what [`Quarantines`] decides.
//!
//! [`Quarantines`]: ipam::role::Quarantines

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipam::role::{EvictionStep, QuarantineState, UseWord};
use ipam::{HostId, Sent};
use ipnetwork::IpNetwork;
use jiff::Timestamp;
use provider::Provider;
use tracing::{info, warn};

use super::{role::Role, status::chain, term::Term, view::View};

/// One address in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineLine {
    /// Which.
    pub address: IpAddr,
    /// Who held it, if that is known.
    pub was: Option<HostId>,
    /// Whose word it was that the holder is gone.
    pub why: String,
    /// How it stands, in words.
    pub state: String,
    /// Whether something keeps it in quarantine although its rest is over.
    pub is_kept: bool,
    /// When that changes, or is looked at again, if time alone decides.
    pub next: Option<Timestamp>,
}

impl<P: Provider> Role<P> {
    /// Asks about every address whose rest is over, and frees those that nobody uses.
    pub(super) async fn end_quarantines(&mut self, term: &Term, view: &View) {
        let blocks = view.blocks_seen(self.zone());
        let rebuild = view.rebuild.as_ref();
        self.quarantines.rebuild_is_over(rebuild.is_some_and(|at| at.value.is_over(&view.hosts)));
        for (block, addresses) in self.quarantines.look(view.now, &blocks, &view.hosts) {
            for (address, word) in self.who_uses(block.subnet, addresses).await {
                if let UseWord::Used(by) = &word {
                    warn!(%address, by, "an address in quarantine is still used; it stays there");
                }
                self.quarantines.heard(self.parts.clock.now(), address, word);
            }
        }
        for ending in self.quarantines.endings(self.parts.clock.now(), &blocks) {
            let outcome = match self.send(term, &ending.transaction).await {
                Ok(outcome) => outcome,
                Err(trouble) => {
                    warn!(block = %ending.block, error = %chain(&trouble), "cannot end a quarantine");
                    continue;
                }
            };
            if matches!(outcome, Sent::Committed { .. }) {
                info!(block = %ending.block, addresses = ending.addresses.len(), "a quarantine is over");
                self.look_again = true;
            }
            self.quarantines.ended(self.parts.clock.now(), &ending, &outcome);
        }
        self.close_what_was_left_open(term, view).await;
        let states = self.quarantines.states(self.parts.clock.now());
        let named: Vec<IpAddr> = states
            .filter(|(_, _, state)| matches!(state, QuarantineState::Named { .. }))
            .map(|(address, _, _)| address)
            .collect();
        self.remove_members(term, named).await;
    }

    /// Who uses each of these addresses: this host first, which does not answer its own probe, then the wire.
    async fn who_uses(&self, subnet: IpNetwork, addresses: BTreeSet<IpAddr>) -> BTreeMap<IpAddr, UseWord> {
        let all = |word: UseWord| addresses.iter().map(|address| (*address, word.clone())).collect();
        let here = match self.parts.used_here.used(&addresses).await {
            Ok(here) => here,
            Err(silent) => return all(UseWord::Unknown(chain(&silent))),
        };
        let asked: Vec<IpAddr> =
            addresses.iter().filter(|address| !here.contains_key(*address)).copied().collect();
        let mut words: BTreeMap<IpAddr, UseWord> = match self.probe(subnet, asked.clone()).await {
            Ok(occupied) => {
                let word = |address: IpAddr| match occupied.contains(&address) {
                    true => UseWord::Used("the wire: somebody answers for it".to_owned()),
                    false => UseWord::Nobody,
                };
                asked.into_iter().map(|address| (address, word(address))).collect()
            }
            Err(why) => asked.into_iter().map(|address| (address, UseWord::Unknown(why.clone()))).collect(),
        };
        words.extend(
            here.into_iter().map(|(address, by)| (address, UseWord::Used(format!("this host: {by}")))),
        );
        words
    }

    async fn probe(&self, subnet: IpNetwork, asked: Vec<IpAddr>) -> Result<BTreeSet<IpAddr>, String> {
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let occupied = self.parts.probe.occupied(self.zone(), subnet, asked).await;
        occupied.map_err(|error| chain(&error))
    }

    /// A host that gave up its addresses by itself may have died before it closed their endpoints.
    async fn close_what_was_left_open(&mut self, term: &Term, view: &View) {
        let open = |state: &QuarantineState| matches!(state, QuarantineState::EndpointOpen { .. });
        let left: BTreeMap<IpAddr, HostId> = self
            .quarantines
            .states(view.now)
            .filter(|(_, _, state)| open(state))
            .filter_map(|(address, record, _)| Some((address, record.was.as_ref()?.by.host.clone())))
            .collect();
        for (address, host) in left {
            let in_block = view.blocks.iter().find(|at| at.value.quarantined().contains_key(&address));
            let (Some(at), Some(seen)) = (in_block, view.hosts.get(&host)) else { continue };
            let (below, block) = (seen.record.incarnation, at.value.id());
            self.take_step(term, view, EvictionStep::Sweep { host, below, block }).await;
        }
    }

    /// How each quarantine stands, for people.
    pub(super) fn quarantine_lines(&self) -> Vec<QuarantineLine> {
        let states = self.quarantines.states(self.parts.clock.now());
        let line = |(address, record, state): (IpAddr, &ipam::Quarantined, QuarantineState)| {
            let (words, is_kept, next) = in_words(state);
            QuarantineLine {
                address,
                was: record.was.as_ref().map(|was| was.by.host.clone()),
                why: record.why.clone(),
                state: words,
                is_kept,
                next: next.map(|next| self.wall_at(next)),
            }
        };
        states.map(line).collect()
    }
}

/// A state in words, whether something keeps the address, and when that changes or is looked at again.
fn in_words(state: QuarantineState) -> (String, bool, Option<ipam::Timestamp>) {
    match state {
        QuarantineState::Rests { until } => ("rests".into(), false, Some(until)),
        QuarantineState::Ends => ("its rest is over".into(), false, None),
        QuarantineState::InUse { by, again } => (format!("still used, says {by}"), true, Some(again)),
        QuarantineState::Unasked { why, again } => {
            (format!("not known to be unused: {why}"), true, Some(again))
        }
        QuarantineState::EndpointOpen { again } => {
            ("its endpoint is still open in the store".into(), true, Some(again))
        }
        QuarantineState::Named { again } => ("the cloud still names it".into(), true, Some(again)),
        QuarantineState::HolderSilent { host } => (
            format!(
                "{host} gave it up by itself and is silent since: it is free when that host is back and does \
                 not use it, or was evicted"
            ),
            true,
            None,
        ),
        QuarantineState::Unclaimed => (
            "a host that may use it has not answered since the store was made anew: `berth store rebuild` says \
             who is awaited"
                .to_owned(),
            true,
            None,
        ),
    }
}
