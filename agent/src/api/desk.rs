//! What the API answers from: handles on every part, and who is silent where a part is not there.

use super::glance::Glance;
use crate::allocator::Allocator;
use crate::capacity::Capacity;
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::config::{Config, Mistakes, Rim};
use crate::docker::events::{Sight, Watched};
use crate::docker::{Book, Pages};
use crate::identity::Known;
use crate::late::{LateAllocator, Progress};
use crate::ledger::Ledger;
use crate::names::Names;
use crate::reconciler::{Announcements, Reconciler};
use crate::roll::Roll;
use crate::services::Report;
use crate::troubles::{Troubles, with_causes};
use ::api::{Problem, ProblemKind, Silence, Source};
use hostnet::Netlink;
use ipam::{EndpointId, View};
use jiff::Timestamp;
use provider::{CloudSubnet, Provider, ZoneId};
use services::Vigil;
use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;

/// How long a question waits for Docker to show a container that was just started. Its event and a look at its
/// lists take about a tenth of a second.
const NAMES_WITHIN: Duration = Duration::from_millis(500);

/// Handles on every part of the agent. Clones share them.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    parts: Parts,
    glance: tokio::sync::Mutex<Glance>,
}

/// What a desk is made of. With a bad configuration much of it is missing, and the API says so.
pub struct Parts {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// When this process started.
    pub started: Timestamp,
    /// The configuration, or its mistakes.
    pub config: Result<Config, Mistakes>,
    /// Where things are on this host.
    pub rim: Rim,
    /// How the parts are doing.
    pub troubles: Troubles,
    /// Who may use which address.
    pub addresses: LateAllocator,
    /// What Docker told us.
    pub book: Option<Book>,
    /// What Docker shows.
    pub docker: watch::Receiver<Watched>,
    /// Who this machine is, once that is known.
    pub known: watch::Receiver<Option<Known>>,
    /// The provider, once it can be asked.
    pub cloud: watch::Receiver<Option<Arc<Cloud>>>,
    /// Shared state.
    pub store: Option<Arc<dyn Store>>,
    /// This host's network.
    pub kernel: Option<Netlink>,
    /// Who brings it in line.
    pub reconciler: Reconciler,
    /// Who had which address when, once this host is known.
    pub ledger: watch::Receiver<Option<Ledger>>,
    /// What gateways answered to the addresses that arrived here.
    pub announcements: Announcements,
    /// The capacity role of each zone of this host, once they run.
    pub capacity: watch::Receiver<Vec<Capacity>>,
    /// Which hosts are taken for silent.
    pub vigil: watch::Receiver<Vigil>,
    /// How the members of services on this host are registered.
    pub registered: watch::Receiver<Report>,
    /// Who answers names, once somebody does.
    pub(crate) names: watch::Receiver<Option<Names>>,
    /// The hosts that were ever seen.
    pub roll: Arc<Roll>,
}

impl Desk {
    /// A desk over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, glance: Default::default() }))
    }

    /// The allocator, or why there is none to ask.
    pub(crate) fn allocator(&self) -> Result<Allocator, Problem> {
        match self.addresses.progress() {
            Progress::Ready(allocator) => Ok(allocator),
            Progress::Waiting(reason) => Err(unavailable(
                format!("berthd is starting: {reason}"),
                "`berth status` shows what it waits for",
            )),
            Progress::Never(reason) => Err(unavailable(
                format!("berthd assigns nothing: {reason}"),
                "put it right and restart berthd; `berth status` lists all of it",
            )),
        }
    }

    /// What the allocator knows of every address.
    pub(crate) async fn view(&self) -> Result<View, Problem> {
        self.allocator()?.view().await.map_err(|error| {
            unavailable(with_causes(&error), "see what berthd is doing with `journalctl -u berthd -e`")
        })
    }

    /// What Docker showed last, or why it shows nothing.
    pub(crate) fn sight(&self) -> Result<Arc<Sight>, Silence> {
        let watched = self.docker.borrow();
        match (&watched.silent, &watched.sight) {
            (None, Some(sight)) => Ok(Arc::clone(sight)),
            (Some(reason), _) => Err(silence(Source::Docker, reason)),
            (None, None) => Err(silence(Source::Docker, "it has not been asked yet")),
        }
    }

    /// The same, soon after the containers of these endpoints were started: Docker's events come a moment after
    /// `docker run` returned, and who asks then wants names.
    pub(crate) async fn sight_of(&self, endpoints: &[EndpointId]) -> Result<Arc<Sight>, Silence> {
        let shows_all = |watched: &Watched| match (&watched.silent, &watched.sight) {
            (None, Some(sight)) => endpoints.iter().all(|endpoint| sight.container_of(endpoint).is_some()),
            (silent, _) => silent.is_some(),
        };
        let mut docker = self.docker.clone();
        // Of a container that is still being made Docker shows nothing, however long one waits.
        drop(tokio::time::timeout(NAMES_WITHIN, docker.wait_for(shows_all)).await);
        self.sight()
    }

    /// What Docker told us; nothing if its journal could not be read.
    pub(crate) fn pages(&self) -> Pages {
        self.book.as_ref().map(Book::pages).unwrap_or_default()
    }

    /// The provider, or why it cannot be asked.
    pub(crate) fn cloud(&self) -> Result<Arc<Cloud>, Silence> {
        self.cloud.borrow().clone().ok_or_else(|| match self.troubles.of(Source::Cloud) {
            ::api::Condition::Failing { problem, .. } => silence(Source::Cloud, problem),
            _ => silence(Source::Cloud, "it has not been asked yet"),
        })
    }

    /// The portable subnets of this host's zones, as the provider showed them moments ago.
    pub(crate) async fn in_the_cloud(&self) -> (Vec<CloudSubnet>, Vec<Silence>) {
        let mut glance = self.0.glance.lock().await;
        let now = self.clock.now();
        if let Some(subnets) = glance.fresh(now) {
            return (subnets, Vec::new());
        }
        match self.look_at_the_cloud().await {
            Ok(subnets) => {
                glance.keep(now, subnets.clone());
                (subnets, Vec::new())
            }
            Err(silence) => (Vec::new(), vec![silence]),
        }
    }

    async fn look_at_the_cloud(&self) -> Result<Vec<CloudSubnet>, Silence> {
        let cloud = self.cloud()?;
        let zones: Vec<ZoneId> = match &*self.known.borrow() {
            Some(known) => known.identity.attachments.iter().map(|it| it.zone.clone()).collect(),
            None => return Err(silence(Source::Cloud, "it has not said who this machine is")),
        };
        let mut subnets = Vec::new();
        for zone in zones {
            let found = cloud.subnets(&zone).await;
            subnets.extend(found.map_err(|error| silence(Source::Cloud, with_causes(&error)))?);
        }
        Ok(subnets)
    }
}

impl Deref for Desk {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

/// Someone who did not answer.
pub(crate) fn silence(source: Source, because: impl Into<String>) -> Silence {
    Silence { source, because: because.into() }
}

/// A refusal of what makes no sense.
pub(crate) fn invalid(error: impl Into<String>) -> Problem {
    Problem { kind: ProblemKind::Invalid, error: error.into(), causes: Vec::new(), hint: None }
}

/// What led to an error, the nearest first.
pub(crate) fn causes(error: &dyn Error) -> Vec<String> {
    std::iter::successors(error.source(), |&error| error.source()).map(ToString::to_string).collect()
}

/// A refusal because somebody's word is missing.
pub(crate) fn unavailable(error: impl Into<String>, hint: &str) -> Problem {
    Problem {
        kind: ProblemKind::Unavailable,
        error: error.into(),
        causes: Vec::new(),
        hint: Some(hint.into()),
    }
}
