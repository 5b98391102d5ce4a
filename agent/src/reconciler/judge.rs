//! What the reconciler makes of a look: which releases Docker forgot, and what looks wrong. Pure.
//!
//! Nothing is freed by one witness, nor by one look: Docker must not list it *and* the kernel must not
//! show it in a container, at every look over [`SUSPICION_MILLIS`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hostnet::{IfName, Observed};
use ipam::{EndpointId, Epoch, Timestamp};

use super::finding::Finding;
use crate::docker::events::{Attachment, Sight};
use crate::docker::{Assigned, Endpoint, Lent, NetworkId, Pages, Stage};

/// How long both witnesses must have missed an assignment before it is closed, in milliseconds. Longer
/// than any start of a container can hang between two of its calls: each call has 13 s, and dockerd gives
/// up connecting to a plugin after 15 s.
pub const SUSPICION_MILLIS: u64 = 60_000;

/// Everything one pass has seen.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// What Docker told us.
    pub pages: &'a Pages,
    /// What is assigned, or left as it is because nothing is known of it yet.
    pub assigned: &'a [Assigned],
    /// What the allocator says is not assigned.
    pub unassigned: &'a BTreeSet<IpAddr>,
    /// What Docker lists, if it answers.
    pub sight: Option<&'a Sight>,
    /// What the kernel shows.
    pub observed: &'a Observed,
    /// How many containers each of Docker's own bridges has ports for.
    pub bridge_ports: &'a BTreeMap<IfName, usize>,
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Tell the allocator what Docker has told us of this endpoint.
    Pay(EndpointId),
    /// Docker forgot to release this endpoint: do it in its place.
    Release(EndpointId),
    /// Nobody came for this assignment, or nobody knows for whom it was: close it.
    Reap {
        /// The address.
        address: IpAddr,
        /// The assignment.
        epoch: Epoch,
    },
    /// A container of Docker's bridge driver was seen with its address: bind it.
    Bind {
        /// The address.
        address: IpAddr,
        /// Docker's endpoint.
        endpoint: EndpointId,
        /// The bridge that it is behind, if Docker tells.
        bridge: Option<IfName>,
    },
    /// Neither Docker nor the kernel shows a container with this lent address any more: take it back,
    /// if it is still lent so.
    TakeBack(Lent),
}

/// Since when both witnesses have missed which assignments. Forgotten with the agent: it then looks anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspicions(BTreeMap<(IpAddr, Epoch), Timestamp>);

/// Judges a look, and remembers what is suspicious for the next one.
pub fn judge(look: Look<'_>, suspicions: &mut Suspicions) -> (Vec<Step>, Vec<Finding>) {
    let mut judgement = Judgement {
        look,
        before: std::mem::take(&mut suspicions.0),
        now: BTreeMap::new(),
        steps: Vec::new(),
        findings: Vec::new(),
    };
    for assigned in look.assigned {
        judgement.judge_assignment(assigned);
    }
    for endpoint in look.pages.endpoints.values() {
        judgement.judge_endpoint(endpoint);
    }
    judgement.judge_networks();
    // Without a look at Docker nothing is known against them, and nothing for them either.
    suspicions.0 = if look.sight.is_some() { judgement.now } else { judgement.before };
    (judgement.steps, judgement.findings)
}

struct Judgement<'a> {
    look: Look<'a>,
    before: BTreeMap<(IpAddr, Epoch), Timestamp>,
    now: BTreeMap<(IpAddr, Epoch), Timestamp>,
    steps: Vec<Step>,
    findings: Vec<Finding>,
}

impl Judgement<'_> {
    fn judge_assignment(&mut self, assigned: &Assigned) {
        let (address, epoch) = (assigned.address, assigned.epoch);
        let pages = self.look.pages;
        let endpoint = pages.endpoints.values().find(|it| it.address.ip() == address && it.epoch == epoch);
        match (endpoint, pages.lent.get(&address).filter(|lent| lent.epoch == epoch)) {
            (Some(endpoint), _) if endpoint.stage == Stage::Aside => {}
            // Paid below, with the other debts.
            (Some(endpoint), _) if endpoint.stage == Stage::Released => {}
            (Some(endpoint), _) => {
                if self.is_missed_for_long(address, epoch, self.shows_endpoint(endpoint)) {
                    self.steps.push(Step::Release(endpoint.id.clone()));
                }
            }
            (None, Some(lent)) => self.judge_lent(lent),
            (None, None) => {
                let shown = self.shows_address(address);
                if self.is_missed_for_long(address, epoch, shown) {
                    self.steps.push(Step::Reap { address, epoch });
                }
            }
        }
    }

    fn judge_lent(&mut self, lent: &Lent) {
        let address = lent.address.ip();
        let Some(sight) = self.look.sight else { return };
        let is_old = |at: &&Attachment| at.endpoint.is_some() && at.endpoint == lent.former;
        let attachment = sight.attachment_at(address).filter(|at| !is_old(at));
        let endpoint = attachment.and_then(|attachment| attachment.endpoint.clone());
        let bridge = attachment.and_then(|attachment| sight.bridge_of(attachment).cloned());
        let shown = endpoint.is_some() || self.has_unexplained_port(lent, sight);
        match endpoint {
            Some(endpoint)
                if lent.endpoint.as_ref() != Some(&endpoint)
                    || (lent.bridge.is_none() && bridge.is_some()) =>
            {
                self.steps.push(Step::Bind { address, endpoint, bridge });
            }
            // Docker itself asked for the release: the witnesses need not be heard twice.
            None if lent.released && !shown => self.steps.push(Step::TakeBack(lent.clone())),
            _ => {
                if self.is_missed_for_long(address, lent.epoch, Some(shown)) {
                    self.steps.push(Step::TakeBack(lent.clone()));
                }
            }
        }
    }

    fn judge_endpoint(&mut self, endpoint: &Endpoint) {
        if endpoint.stage >= Stage::Deleted {
            self.steps.push(Step::Pay(endpoint.id.clone()));
            return;
        }
        let address = endpoint.address.ip();
        let is_anothers = |it: &Assigned| it.address == address && it.epoch != endpoint.epoch;
        // Only a word against it counts: an agent that has just started knows of nothing.
        if !self.look.unassigned.contains(&address) && !self.look.assigned.iter().any(is_anothers) {
            return;
        }
        let Some(sight) = self.look.sight else { return };
        match sight.container_of(&endpoint.id) {
            Some(container) => self.findings.push(Finding::NotAssigned {
                address: endpoint.address.ip(),
                container: container.name.clone(),
            }),
            // It has no address to lose; what is left is to strike it from the book.
            None => self.steps.push(Step::Release(endpoint.id.clone())),
        }
    }

    fn judge_networks(&mut self) {
        let Some(sight) = self.look.sight else { return };
        let listed: Vec<&NetworkId> = sight.networks.iter().map(|network| &network.id).collect();
        for id in self.look.pages.networks.keys().filter(|id| !listed.contains(id)) {
            self.findings.push(Finding::NetworkNotAtDocker { network: id.clone() });
        }
        let ours = sight.networks.iter().filter(|network| network.driver == crate::docker::DRIVER);
        for network in ours.filter(|network| !self.look.pages.networks.contains_key(&network.id)) {
            let (network, name) = (network.id.clone(), network.name.clone());
            self.findings.push(Finding::NetworkNotInBook { network, name });
        }
    }

    /// Whether a witness shows the endpoint; unknown while Docker does not answer.
    fn shows_endpoint(&self, endpoint: &Endpoint) -> Option<bool> {
        let sight = self.look.sight?;
        let listed = sight.container_of(&endpoint.id).is_some()
            || sight.attachment_at(endpoint.address.ip()).is_some_and(|at| at.network == endpoint.network);
        // A port whose other end lies in our namespace is in nobody's container.
        let port = self.look.observed.ports.get(&IfName::port(&endpoint.id.0));
        Some(listed || port.is_some_and(|port| port.container_end.is_none()))
    }

    fn shows_address(&self, address: IpAddr) -> Option<bool> {
        let sight = self.look.sight?;
        // A port says in its label whose it is, also when the book has forgotten.
        let label = address.to_string();
        let labelled = |alias: &String| alias.split_whitespace().last() == Some(label.as_str());
        let mut ports = self.look.observed.ports.values().filter(|port| port.container_end.is_none());
        let in_a_container = ports.any(|port| port.alias.as_ref().is_some_and(labelled));
        Some(sight.attachment_at(address).is_some() || in_a_container)
    }

    /// Whether the bridge has more ports than Docker lists containers for.
    fn has_unexplained_port(&self, lent: &Lent, sight: &Sight) -> bool {
        let Some(bridge) = &lent.bridge else { return false };
        let ports = self.look.bridge_ports.get(bridge).copied().unwrap_or(0);
        let here = self.look.pages.lent.values().filter(|other| other.bridge == lent.bridge);
        let explained = here.filter(|other| sight.attachment_at(other.address.ip()).is_some()).count();
        ports > explained
    }

    fn is_missed_for_long(&mut self, address: IpAddr, epoch: Epoch, shown: Option<bool>) -> bool {
        let (Some(false), Some(sight)) = (shown, self.look.sight) else { return false };
        let since = *self.before.get(&(address, epoch)).unwrap_or(&sight.at);
        self.now.insert((address, epoch), since);
        let for_long = sight.at >= since.after(SUSPICION_MILLIS);
        if !for_long {
            self.findings.push(Finding::Missed { address, epoch });
        }
        for_long
    }
}

#[cfg(test)]
mod tests;
