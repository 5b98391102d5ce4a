//! One pass: look, plan, do. Decides nothing itself: what is wanted, planned and judged are pure functions.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use hostnet::neighbour::Arrival;
use hostnet::{Change, HostNet, IfName, Kernel, Observed, Policy, Proxy, obstacles, plan, plan_policy};
use tokio::sync::watch;

use super::finding::Finding;
use super::judge::{Look, Step, Suspicions, judge};
use super::{Announcer, Outcome, Parts, Report, bridge_ports};
use crate::docker::events::{Sight, Watched};
use crate::docker::{Addresses, Assigned, Endpoint, InUse, Lent, Pages, Record, Stage, debts};
use crate::journal::{Durability, JournalError};
use crate::wanted::{WantedError, assigned_or_left, policy, wanted};

/// Makes passes, and remembers between them what is suspicious.
pub(super) struct Passes<A, K, N> {
    parts: Parts<A, K, N>,
    reports: watch::Sender<Report>,
    suspicions: Suspicions,
    /// What the last pass left in the kernel, if it left nothing undone.
    left: Option<Left>,
}

impl<A: Addresses, K: Kernel, N: Announcer> Passes<A, K, N> {
    pub(super) fn new(parts: Parts<A, K, N>, reports: watch::Sender<Report>) -> Self {
        Self { parts, reports, suspicions: Suspicions::default(), left: None }
    }

    /// Returns when Docker or the interfaces may have changed, or the policy has: whether that is all.
    pub(super) async fn something_changed(&mut self) -> Changed {
        let Parts { interfaces, docker, policy, .. } = &mut self.parts;
        // A sender that is gone changes nothing any more.
        tokio::select! {
            Ok(()) = interfaces.changed() => Changed::Anything,
            Ok(()) = docker.changed() => Changed::Anything,
            Ok(()) = policy.changed() => Changed::Policy,
            else => std::future::pending().await,
        }
    }

    /// Where the policy alone is another: brings that to the kernel, from what the last pass left there, and looks at
    /// nothing. A table of thousands of openings takes a quarter of a second to read. Whether it could; the next pass
    /// sees what was done otherwise meanwhile.
    pub(super) async fn follow_policy(&mut self) -> bool {
        let Some(left) = &mut self.left else { return false };
        let known = self.parts.policy.borrow_and_update().clone();
        let is_left = |address: &IpAddr| left.assigned.iter().any(|it| it.address == *address);
        // The first thing that is guarded, and the last, are about more than the table.
        let stands = left.observed.policy.is_some();
        let only = |known: &Policy| !known.is_empty() && known.guarded.iter().all(is_left);
        if !stands || !known.as_ref().is_some_and(only) {
            return false;
        }
        left.wanted.policy = policy(known, self.parts.unnamed, &left.assigned, &left.observed);
        let Some(change) = plan_policy(&left.wanted, &left.observed) else { return true };
        if let Err(error) = self.parts.kernel.apply(&change).await {
            tracing::debug!(error = with_causes(&error), "the policy is not as it was left: looking at all");
            self.left = None;
            return false;
        }
        tracing::info!(%change, "changed the host's network");
        left.observed.policy = left.wanted.policy.clone().filter(|policy| !policy.is_empty());
        let wanted = left.wanted.clone();
        self.reports.send_modify(|report| report.wanted = wanted);
        true
    }

    /// Brings the kernel in line, then settles what Docker forgot. Where that taught us behind which bridge
    /// an address is, the kernel is brought in line once more.
    pub(super) async fn run(&mut self) -> Outcome {
        let outcome = self.once().await;
        if outcome.learned { self.once().await } else { outcome }
    }

    async fn once(&mut self) -> Outcome {
        // What was wanted stays so where a look fails: else everything there would seem to be too much.
        let wanted = self.reports.borrow().wanted.clone();
        let mut report = Report { looked: true, wanted, ..Report::default() };
        self.left = None;
        let outcome = match self.look().await {
            Ok(seen) => self.act(seen, &mut report).await,
            Err(finding) => {
                let failed = Some(finding.to_string());
                report.findings.push(finding);
                Outcome { failed, ..Outcome::default() }
            }
        };
        self.reports.send_replace(report);
        outcome
    }

    async fn look(&mut self) -> Result<Seen, Finding> {
        let not_seen = |error: &dyn std::error::Error| Finding::NotSeen { reason: with_causes(error) };
        let pages = self.parts.book.pages();
        // After the book: an endpoint is written down only once its address is bound to it.
        let in_use = self.parts.addresses.in_use().await.map_err(|error| not_seen(&error))?;
        let interfaces = self.parts.interfaces.borrow_and_update().clone();
        let observed = self.parts.kernel.observe().await.map_err(|error| not_seen(&error))?;
        let assigned = assigned_or_left(&pages, &in_use, &observed);
        let mut wanted = wanted(&pages, &assigned, &interfaces)
            .map_err(|WantedError::NoInterface(zone)| Finding::NoInterface { zone })?;
        let known = self.parts.policy.borrow_and_update().clone();
        wanted.policy = policy(known, self.parts.unnamed, &assigned, &observed);
        let Watched { sight, .. } = self.parts.docker.borrow_and_update().clone();
        refuse_a_lost_book(&pages, &observed, sight.as_deref())?;
        Ok(Seen { pages, in_use, assigned, wanted, observed, sight })
    }

    async fn act(&mut self, seen: Seen, report: &mut Report) -> Outcome {
        let Seen { pages, in_use, assigned, wanted, observed, sight } = seen;
        let mut outcome = Outcome { obstacles: obstacles(&wanted, &observed), ..Outcome::default() };
        for change in plan(&wanted, &observed) {
            match self.parts.kernel.apply(&change).await {
                Ok(()) => {
                    tracing::info!(%change, "changed the host's network");
                    self.announce(&change, &wanted, &observed);
                }
                Err(error) => {
                    outcome.refused.push(with_causes(&error));
                    report.missing.push(change);
                }
            }
        }
        if outcome.refused.is_empty() {
            self.report_silence(&in_use.revoked).await;
        }
        let bridge_ports = bridge_ports::count(pages.lent.values().filter_map(|lent| lent.bridge.as_ref()));
        let look = Look {
            pages: &pages,
            assigned: &assigned,
            unassigned: &in_use.unassigned,
            sight: sight.as_deref(),
            observed: &observed,
            bridge_ports: &bridge_ports,
        };
        let (steps, findings) = judge(look, &mut self.suspicions);
        report.findings = findings;
        report.findings.extend(outcome.obstacles.iter().cloned().map(Finding::Obstacle));
        report.findings.extend(outcome.refused.iter().cloned().map(|reason| Finding::Refused { reason }));
        let unknown = |address| pages.lent.get(address).is_some_and(|lent| lent.bridge.is_none());
        outcome.learned = steps
            .iter()
            .any(|step| matches!(step, Step::Bind { address, bridge: Some(_), .. } if unknown(address)));
        for step in steps {
            report.findings.extend(self.settle(step).await);
        }
        report.wanted = wanted.clone();
        if outcome.refused.is_empty() {
            let mut observed = observed;
            if wanted.policy.is_some() {
                observed.policy = wanted.policy.clone().filter(|policy| !policy.is_empty());
            }
            self.left = Some(Left { assigned, observed, wanted: wanted.clone() });
        }
        Outcome { wanted, ..outcome }
    }

    /// What the neighbours must hear of a change.
    fn announce(&self, change: &Change, wanted: &HostNet, observed: &Observed) {
        match change {
            Change::AddProxy(Proxy { address, on }) => {
                let Some(at) = wanted.addresses.get(address) else { return };
                if let Some(subnet) = wanted.subnets.get(&at.subnet) {
                    let (address, gateway, interface) = (*address, subnet.gateway, on.clone());
                    self.parts.announcer.arrived(Arrival { address, gateway, interface });
                }
                let label = address.to_string();
                if let Some(port) = wanted.ports.values().find(|port| port.label == label) {
                    self.parts.announcer.moved(at.bridge.clone(), *address, port.mac);
                }
            }
            Change::RemoveProxy(Proxy { address, .. }) => self.parts.announcer.left(*address),
            // Containers that talked to it over the bridge must find it through the router now.
            Change::RemoveRoute(route) if route.to.prefix() == 32 => {
                if let Some(bridge) = observed.bridges.get(&route.through) {
                    self.parts.announcer.moved(route.through.clone(), route.to.ip(), bridge.mac);
                }
            }
            _ => {}
        }
    }

    async fn report_silence(&self, revoked: &[IpAddr]) {
        for address in revoked {
            tracing::error!(%address, "this host was evicted: the address is another's, and silent here now");
            if let Err(error) = self.parts.addresses.silenced(*address).await {
                tracing::warn!(%address, %error, "could not report a silence; tried again");
            }
        }
    }

    /// Takes a step, and says what keeps it from being taken.
    async fn settle(&self, step: Step) -> Option<Finding> {
        tracing::debug!(?step, "settling");
        match step {
            Step::Pay(id) => {
                let endpoint = self.parts.book.read(|pages| pages.endpoints.get(&id).cloned())?;
                self.pay(&endpoint).await
            }
            Step::Release(id) => {
                let endpoint = self.parts.book.read(|pages| pages.endpoints.get(&id).cloned())?;
                tracing::warn!(address = %endpoint.address, endpoint = %id,
                    "neither Docker nor the kernel shows this endpoint: released in Docker's place");
                let released = Endpoint { stage: Stage::Released, ..endpoint };
                match self.write(Record::Endpoint(released.clone())) {
                    Ok(()) => self.pay(&released).await,
                    Err(error) => Some(unwritten(error)),
                }
            }
            Step::Reap { address, epoch } => {
                tracing::warn!(%address, %epoch, "neither Docker nor the kernel shows this address: closed");
                let outcome = self.parts.addresses.reap(address, epoch).await;
                outcome.err().map(|error| Finding::Unpaid { address, reason: with_causes(&error) })
            }
            Step::Bind { address, endpoint, bridge } => {
                let lent = self.parts.book.read(|pages| pages.lent.get(&address).cloned())?;
                if let Err(error) = self.parts.addresses.bind(address, endpoint.clone()).await {
                    return Some(Finding::Unpaid { address, reason: with_causes(&error) });
                }
                // What was named on the network's creation is not guessed anew.
                let bridge = lent.bridge.clone().or(bridge);
                let bound = Lent { endpoint: Some(endpoint), released: false, bridge, ..lent };
                self.write(Record::Lent(bound)).err().map(unwritten)
            }
            Step::TakeBack(lent) => self.take_back(lent).await,
        }
    }

    async fn take_back(&self, lent: Lent) -> Option<Finding> {
        let _turn = self.parts.book.lending().await;
        let address = lent.address.ip();
        // Asked for again since it was judged: it is in use.
        if self.parts.book.read(|pages| pages.lent.get(&address) != Some(&lent)) {
            return None;
        }
        if let Some(endpoint) = lent.endpoint.clone()
            && let Err(error) = self.parts.addresses.endpoint_gone(endpoint).await
        {
            return Some(Finding::Unpaid { address, reason: with_causes(&error) });
        }
        match self.parts.addresses.reap(address, lent.epoch).await {
            // From here on it may be lent anew, and that record is another's.
            Ok(()) => self
                .parts
                .book
                .change(Durability::Written, |pages| {
                    let same = pages.lent.get(&address) == Some(&lent);
                    Ok(same.then_some(Record::LentGone(address)).into_iter().collect())
                })
                .err()
                .map(unwritten),
            Err(error) => Some(Finding::Unpaid { address, reason: with_causes(&error) }),
        }
    }

    async fn pay(&self, endpoint: &Endpoint) -> Option<Finding> {
        let outcome = debts::pay(&self.parts.addresses, &self.parts.book, endpoint).await;
        let address = endpoint.address.ip();
        outcome.err().map(|error| Finding::Unpaid { address, reason: with_causes(&error) })
    }

    fn write(&self, record: Record) -> Result<(), JournalError> {
        self.parts.book.change(Durability::Written, |_| Ok(vec![record]))
    }
}

/// What may be another than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Anything,
    Policy,
}

/// What a pass left in the kernel, and what it went by.
struct Left {
    assigned: Vec<Assigned>,
    observed: Observed,
    wanted: HostNet,
}

/// Everything a pass looked at.
struct Seen {
    pages: Pages,
    in_use: InUse,
    assigned: Vec<Assigned>,
    wanted: HostNet,
    observed: Observed,
    sight: Option<Arc<Sight>>,
}

/// A book without what runs is a lost book, and the kernel is not brought in line with it: neither an empty
/// one beside containers' ports, nor one without endpoints that Docker shows, or may show when it answers.
fn refuse_a_lost_book(pages: &Pages, observed: &Observed, sight: Option<&Sight>) -> Result<(), Finding> {
    let running = observed.ports.iter().filter(|(_, port)| port.container_end.is_none());
    let known: BTreeSet<IfName> = pages.endpoints.keys().map(|id| IfName::port(&id.0)).collect();
    let listed = |port: &IfName| {
        let endpoints = |sight: &Sight| -> bool {
            let attachments = sight.containers.iter().flat_map(|it| &it.attachments);
            attachments.filter_map(|at| at.endpoint.as_ref()).any(|id| IfName::port(&id.0) == *port)
        };
        sight.is_none_or(endpoints)
    };
    let is_empty = pages.networks.is_empty() && pages.endpoints.is_empty();
    let lost = running.filter(|(name, _)| is_empty || (!known.contains(name) && listed(name)));
    match lost.count() {
        0 => Ok(()),
        ports => Err(Finding::BookLost { ports }),
    }
}

fn unwritten(error: JournalError) -> Finding {
    Finding::NotSeen { reason: with_causes(&error) }
}

/// An error and what is behind it, for people.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
