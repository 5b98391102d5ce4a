//! The reconciler: looks at book, assignments, Docker and kernel, and brings them in line.
//!
//! Plugin calls wait for it ([`Reconciler::bring`]) or only nudge it; a timer makes sure that nothing is
//! missed. It is the one place that changes the host's network, and the one that frees what Docker forgot.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hostnet::{Change, HostNet, IfName, Kernel, Policy};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Unnamed;
use crate::docker::events::Watched;
use crate::docker::{Addresses, Book};
use crate::wanted::Interfaces;

mod announce;
mod bridge_ports;
mod finding;
mod judge;
mod pass;

pub use announce::{Announcement, Announcements, Announcer, Arp};
pub use finding::Finding;
pub use judge::{Look, SUSPICION_MILLIS, Step, Suspicions, judge};

/// Room for a burst of container starts; a full queue slows Docker down rather than growing.
const REQUESTS_MAX: usize = 64;

/// How often everything is looked at although nobody asked.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// What a reconciler is made of.
pub struct Parts<A, K, N> {
    /// Who has which address.
    pub addresses: A,
    /// What Docker told us.
    pub book: Book,
    /// The kernel's network.
    pub kernel: K,
    /// Who tells the neighbours.
    pub announcer: N,
    /// The host's interface in each zone; empty until the provider has answered.
    pub interfaces: watch::Receiver<Interfaces>,
    /// What Docker shows.
    pub docker: watch::Receiver<Watched>,
    /// What containers accept, once that is known.
    pub policy: watch::Receiver<Option<Policy>>,
    /// What those accept of which no service says anything.
    pub unnamed: Unnamed,
}

/// A handle on the reconciler's task. Clones reach the same task.
#[derive(Debug, Clone)]
pub struct Reconciler {
    requests: mpsc::Sender<Request>,
    report: watch::Receiver<Report>,
}

/// One wish to have the host in line. Without somebody who waits, it is a nudge.
type Request = Option<oneshot::Sender<Arc<Outcome>>>;

/// What the last pass came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Whether there was a pass at all.
    pub looked: bool,
    /// What the host's network should be.
    pub wanted: HostNet,
    /// The changes that are still missing, in order: what `berth host plan` shows.
    pub missing: Vec<Change>,
    /// What looks wrong.
    pub findings: Vec<Finding>,
}

/// Why the host could not be brought in line.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BringError {
    /// The pass failed as a whole, or a part that the caller needs did.
    #[error("{0}")]
    Failed(String),
    /// The task is not running.
    #[error("berthd is stopping or could not start")]
    Stopped,
}

/// What a pass came to, for those who waited for it.
#[derive(Debug, Default)]
struct Outcome {
    /// It could not look, so nothing was done.
    failed: Option<String>,
    /// Changes that the kernel refused.
    refused: Vec<String>,
    /// What stands in the way.
    obstacles: Vec<hostnet::Obstacle>,
    wanted: HostNet,
    /// A bridge was learned from Docker: there is more to bring in line.
    learned: bool,
}

/// What a caller of [`Reconciler::bring`] cannot do without.
#[derive(Debug, Clone)]
pub struct Needed {
    /// Links that must be ours and there.
    pub links: Vec<IfName>,
    /// The address that must be reachable.
    pub address: IpAddr,
}

impl Reconciler {
    /// Starts the task. When `stop` is cancelled it finishes the pass it is in and ends; the host's
    /// network stays as it is.
    pub fn start<A: Addresses, K: Kernel + 'static, N: Announcer>(
        parts: Parts<A, K, N>,
        stop: CancellationToken,
    ) -> Reconciler {
        let (requests, incoming) = mpsc::channel(REQUESTS_MAX);
        let (reports, report) = watch::channel(Report::default());
        tokio::spawn(run(pass::Passes::new(parts, reports), incoming, stop));
        Reconciler { requests, report }
    }

    /// A handle without a task behind it, for an agent that cannot start: it refuses to bring anything
    /// in line, so running containers keep what they have.
    pub fn absent() -> Reconciler {
        Reconciler { requests: mpsc::channel(1).0, report: watch::channel(Report::default()).1 }
    }

    /// Brings the host in line with the book as it is now, or better. Fails if something that the caller
    /// needs is missing afterwards.
    pub async fn bring(&self, needed: Option<&Needed>) -> Result<(), BringError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Some(answer)).await.map_err(|_| BringError::Stopped)?;
        let outcome = answered.await.map_err(|_| BringError::Stopped)?;
        outcome.suits(needed)
    }

    /// Asks for a pass soon, and does not wait for it.
    pub fn nudge(&self) {
        // A full queue holds requests enough for a pass soon.
        let _ = self.requests.try_send(None);
    }

    /// What the last pass came to; changes with each pass.
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.clone()
    }
}

impl Outcome {
    fn suits(&self, needed: Option<&Needed>) -> Result<(), BringError> {
        if let Some(reason) = self.failed.as_ref().or(self.refused.first()) {
            return Err(BringError::Failed(reason.clone()));
        }
        let Some(needed) = needed else { return Ok(()) };
        match self.obstacles.iter().find(|obstacle| self.concerns(obstacle, needed)) {
            Some(obstacle) => Err(BringError::Failed(obstacle.to_string())),
            None => Ok(()),
        }
    }

    /// Another container's obstacle is no reason to refuse this one.
    fn concerns(&self, obstacle: &hostnet::Obstacle, needed: &Needed) -> bool {
        use hostnet::Obstacle;
        let uses = |interface: &IfName| {
            let bridges = needed.links.iter().filter_map(|link| self.wanted.bridges.get(link));
            bridges.into_iter().any(|bridge| bridge.interface == *interface)
        };
        match obstacle {
            Obstacle::NameTaken(link) | Obstacle::AwaitsDocker(link) | Obstacle::UnknownBridge(link) => {
                needed.links.contains(link)
            }
            Obstacle::NoInterface(interface) => uses(interface),
            Obstacle::NotIpv4(address)
            | Obstacle::UnknownSubnet(address, _)
            | Obstacle::UnknownContainer(address) => *address == needed.address,
            Obstacle::Stranger(_) | Obstacle::NoHostAddress(_) => false,
        }
    }
}

async fn run<A: Addresses, K: Kernel, N: Announcer>(
    mut passes: pass::Passes<A, K, N>,
    mut requests: mpsc::Receiver<Request>,
    stop: CancellationToken,
) {
    let mut timer = tokio::time::interval(LOOK_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waiting = Vec::new();
    loop {
        // Each arm finishes its pass before the next is chosen, so shutdown never cuts a plan in half.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            received = requests.recv_many(&mut waiting, REQUESTS_MAX) => {
                if received == 0 {
                    return;
                }
            }
            changed = passes.something_changed() => {
                if changed == pass::Changed::Policy && passes.follow_policy().await {
                    continue;
                }
            }
            _ = timer.tick() => {}
        }
        let outcome = Arc::new(passes.run().await);
        for waiter in waiting.drain(..).flatten() {
            // Who has gone away needs no answer.
            let _ = waiter.send(Arc::clone(&outcome));
        }
    }
}

#[cfg(test)]
mod tests;
