//! Gives the agent its standing: who this machine is, then the cluster, then the allocator, then the
//! capacity roles. Each step is tried until it succeeds; what succeeded before goes on meanwhile.

use super::{growth, history, owners, silence};
use crate::allocator::{self, Allocator, Founding, FoundingError, Line};
use crate::capacity::Capacity;
use crate::clock::Clock;
use crate::cloud::{Cloud, CloudError, trouble};
use crate::config::{Config, StoreKind};
use crate::described::Description;
use crate::docker::Book;
use crate::docker::events::Watched;
use crate::identity::{self, IdentityError, Known};
use crate::journal::Journal;
use crate::late::Progress;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::names::{self, Names};
use crate::own_use::OwnUse;
use crate::reconciler::Reconciler;
use crate::roll::Roll;
use crate::services::{self, Declared, Registrar, Report, declarations, policing};
use crate::session;
use crate::troubles::{Trouble, Troubles, with_causes};
use crate::wanted::Interfaces;
use crate::whoami::WhoamiError;
use ::api::Source;
use ::services::Vigil;
use hostnet::{Netlink, Policy};
use ipam::{BootId, Pool, PoolName, Record};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Between tries after a first failure; doubled for each further one, up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest between tries: an operator who mended something should not wait long.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What is needed to stand up, and whom to tell.
pub(super) struct Standing {
    pub(super) config: Config,
    pub(super) boot: BootId,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) troubles: Troubles,
    pub(super) metrics: Metrics,
    pub(super) reconciler: Reconciler,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) known: watch::Sender<Option<Known>>,
    pub(super) cloud: watch::Sender<Option<Arc<Cloud>>>,
    pub(super) interfaces: watch::Sender<Interfaces>,
    pub(super) policy: watch::Sender<Option<Policy>>,
    pub(super) capacity: watch::Sender<Vec<Capacity>>,
    pub(super) roll: Arc<Roll>,
    pub(super) ledger: watch::Sender<Option<Ledger>>,
    pub(super) registered: watch::Sender<Report>,
    pub(super) names: watch::Sender<Option<Names>>,
    pub(super) vigil: watch::Receiver<Vigil>,
    pub(super) book: Book,
    pub(super) docker: watch::Receiver<Watched>,
    pub(super) kernel: Netlink,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// Why the provider did not say who this machine is.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl Standing {
    /// Takes every step, or ends with `stop`.
    pub(super) async fn establish(self, journal: Journal<Line>, records: Vec<Line>) {
        let stop = self.stop.clone();
        // Nothing that is begun here is lost when it is cut off: every step is looked for again at the
        // next start.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.stand_up(journal, records) => {}
        }
    }

    async fn stand_up(&self, journal: Journal<Line>, records: Vec<Line>) {
        let known = self.first_known().await;
        self.tell(&known);
        let pools_are_due = self.ground(&allocator::records(&records)).await;
        let identity = known.host(self.boot.clone());
        tracing::info!(host = %identity.host, zones = ?identity.zones, from = %known.from, "this machine is known");
        let (host, me) = (identity.host.clone(), identity.clone());
        let allocator = allocator::start(
            allocator::Parts {
                identity,
                store: Arc::clone(&self.store),
                journal,
                records,
                clock: Arc::clone(&self.clock),
            },
            self.stop.clone(),
        );
        // Both journals were found whole, and to agree on what Docker was told.
        if let Err(error) = allocator.accounted().await {
            tracing::debug!(%error, "the allocator ended at once");
        }
        self.progress.send_replace(Progress::Ready(allocator.clone()));
        self.reconciler.nudge();
        // Also while the provider is silent: what an operator evicts, and what rests in quarantine, need not wait.
        let growing = async { tokio::join!(self.confirmed(&known), self.grow(&known, &allocator)) };
        self.tasks.spawn(history::keep(self, &host, &allocator));
        let declared = declarations(Arc::clone(&self.store), &self.tasks, &self.stop);
        let registrar = services::Parts {
            store: Arc::clone(&self.store),
            allocator: allocator.clone(),
            docker: self.docker.clone(),
            declared: declared.clone(),
            host: host.clone(),
        };
        let (seen, here) = watch::channel(None);
        let registrar = Registrar::new(registrar, self.registered.clone(), seen);
        self.tasks.spawn(registrar.run(self.stop.clone()));
        let (store, policy) = (Arc::clone(&self.store), self.policy.clone());
        self.tasks.spawn(policing::keep(store, here, policy, self.stop.clone()));
        self.answer_names(&known, &allocator, declared.clone());
        owners::keep(self, &known, declared);
        let (store, stop) = (Arc::clone(&self.store), self.stop.clone());
        let description = Description::of(&known.identity);
        // To its end, also when this is cut off: a host that stops in order says so.
        self.tasks.spawn(session::keep(store, me, description, stop));
        let silencing = silence::follow(&allocator, &self.reconciler);
        let pools = async {
            if pools_are_due {
                self.until_done(|| self.write_pools()).await;
            }
        };
        tokio::join!(pools, growth::count(&allocator, &self.metrics, &self.roll), silencing, growing);
        allocator.ended().await;
    }

    /// Answers DNS on this host's private network, unless the configuration has it otherwise.
    fn answer_names(
        &self,
        known: &Known,
        allocator: &Allocator,
        declared: watch::Receiver<Option<Declared>>,
    ) {
        if !self.config.names.enabled {
            return;
        }
        let host = known.host(self.boot.clone());
        let parts = names::Parts {
            config: self.config.names.clone(),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            allocator: allocator.clone(),
            docker: self.docker.clone(),
            docker_socket: self.config.rim.docker.api_socket.clone(),
            vigil: self.vigil.clone(),
            declared,
            host: host.host,
            zones: host.zones,
            interfaces: known.private_interfaces(),
        };
        self.names.send_replace(Some(names::start(parts, &self.tasks, &self.stop)));
    }

    /// The provider's word on who this machine is, or what it said last; tried until there is one.
    async fn first_known(&self) -> Known {
        let mut pause = RETRY_FIRST;
        loop {
            let error = match self.ask().await {
                Ok(known) => return known,
                Err(error) => error,
            };
            self.note(&error, pause);
            if let AskError::Identity(IdentityError::Copied { .. }) = error {
                return self.refuse_for_good(&error).await;
            }
            let error = match identity::remembered_here(&self.config.rim.host.state_dir) {
                Ok(Some(known)) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "the provider is silent; going on as who it said this machine is"
                    );
                    return known;
                }
                Ok(None) => error,
                Err(unproven) => unproven.into(),
            };
            tracing::warn!(
                error = with_causes(&error),
                "it is not known yet who this machine is; trying again"
            );
            let reason = format!("it is not known yet who this machine is: {}", with_causes(&error));
            self.progress.send_replace(Progress::Waiting(reason));
            pause = wait(pause).await;
        }
    }

    /// Nothing but a person helps: releases are taken, the rest is refused with the reason.
    async fn refuse_for_good<T>(&self, error: &AskError) -> T {
        tracing::error!(error = with_causes(error), "refusing all but releases");
        self.progress.send_replace(Progress::Never(with_causes(error)));
        std::future::pending().await
    }

    /// Where the provider was silent at first, asks on for its word. It may differ from what it said last.
    async fn confirmed(&self, known: &Known) {
        if known.from == Source::Cloud {
            return;
        }
        let mut pause = RETRY_FIRST;
        loop {
            pause = wait(pause).await;
            match self.ask().await {
                Ok(now) => {
                    if now.identity.instance != known.identity.instance || now.interfaces != known.interfaces
                    {
                        tracing::error!(
                            before = %known.identity.instance, now = %now.identity.instance,
                            "the provider says something else than last time about who this machine is; \
                             restart berthd to go on as what it says now"
                        );
                    }
                    self.tell(&now);
                    return;
                }
                Err(error) => self.note(&error, pause),
            }
        }
    }

    /// Asks the provider, which is opened anew until it could be: its credentials may come late.
    async fn ask(&self) -> Result<Known, AskError> {
        let open = self.cloud.borrow().clone();
        let cloud = match open {
            Some(cloud) => cloud,
            None => {
                let Config { provider, cluster, rim, .. } = &self.config;
                let (metrics, troubles) = (self.metrics.clone(), self.troubles.clone());
                let cloud = Arc::new(Cloud::open(provider, cluster, &rim.host.state_dir, metrics, troubles)?);
                self.cloud.send_replace(Some(Arc::clone(&cloud)));
                cloud
            }
        };
        Ok(identity::ask(&*cloud, &self.config.rim.host.state_dir).await?)
    }

    fn note(&self, error: &AskError, pause: Duration) {
        let noted = match error {
            AskError::Identity(IdentityError::Whoami(WhoamiError::Provider(error))) => {
                Trouble { after: Some(pause), ..trouble(error) }
            }
            AskError::Cloud(CloudError::Credentials(_)) => Trouble {
                hint: Some(
                    "write `username` and `api_key` there; berthd reads it again at its next try".into(),
                ),
                ..Trouble::passing(error, pause)
            },
            error => Trouble::passing(error, pause),
        };
        self.troubles.note(Source::Cloud, noted);
    }

    fn tell(&self, known: &Known) {
        self.interfaces.send_replace(known.all_interfaces());
        self.known.send_replace(Some(known.clone()));
    }

    /// Sees to the cluster record and the pools' policies. Answers whether the policies are still to be
    /// written.
    async fn ground(&self, records: &[Record]) -> bool {
        let in_a_cluster = records.iter().any(|record| matches!(record, Record::Cluster { .. }));
        match &self.config.store {
            StoreKind::Embedded => self.until_done(|| self.try_to_found(records)).await,
            // What a host holds it may use without the store: it does not wait for one that it stood on.
            StoreKind::Etcd(_) if in_a_cluster => return true,
            StoreKind::Etcd(_) => self.until_done(|| self.try_to_join()).await,
        }
        false
    }

    /// Tries a step that needs the store until it succeeds.
    async fn until_done<T: Future<Output = Result<(), FoundingError>>>(&self, step: impl Fn() -> T) {
        let mut pause = RETRY_FIRST;
        while let Err(error) = step().await {
            tracing::warn!(error = with_causes(&error), "trying again");
            self.troubles.note(Source::Store, Trouble::passing(&error, pause));
            self.progress.send_if_modified(|progress| match progress {
                Progress::Waiting(reason) => {
                    *reason = with_causes(&error);
                    true
                }
                Progress::Never(_) | Progress::Ready(_) => false,
            });
            pause = wait(pause).await;
        }
        self.troubles.over(Source::Store);
    }

    /// A store of this host alone: makes the cluster record where there is none.
    async fn try_to_found(&self, records: &[Record]) -> Result<(), FoundingError> {
        match allocator::found_cluster(&*self.store, records, &*self.clock).await? {
            Founding::Standing => {}
            Founding::Founded(cluster) => {
                tracing::info!(id = cluster.id, "founded the cluster in an empty store")
            }
            Founding::Lost => {
                tracing::error!(
                    "the store has lost what it knew, and this host has not: nothing is taken from it; \
                     `berth store rebuild` makes it anew if it is lost for good"
                );
            }
        }
        self.write_pools().await
    }

    /// A store that hosts share: waits until an operator has founded the cluster in it.
    async fn try_to_join(&self) -> Result<(), FoundingError> {
        match allocator::find_cluster(&*self.store, &self.config.cluster).await? {
            Some(_) => self.write_pools().await,
            None => Err(FoundingError::NotFounded),
        }
    }

    /// So that hosts know how long addresses rest before anybody has the capacity role, whose word counts.
    async fn write_pools(&self) -> Result<(), FoundingError> {
        for pool in &self.config.pools {
            let cooling_millis = u64::try_from(pool.cooling.as_millis()).unwrap_or(u64::MAX);
            let pool = Pool { name: PoolName(pool.name.clone()), cooling_millis };
            allocator::write_pool(&*self.store, &pool).await?;
        }
        Ok(())
    }

    /// Starts a capacity role for each zone, and goes on passing words between them and the allocator.
    async fn grow(&self, known: &Known, allocator: &Allocator) {
        // Its credentials may come late.
        let mut opened = self.cloud.subscribe();
        let Ok(cloud) = opened.wait_for(Option::is_some).await.map(|cloud| cloud.clone()) else { return };
        let Some(cloud) = cloud else { return };
        let used_here = OwnUse {
            allocator: allocator.clone(),
            book: self.book.clone(),
            docker: self.docker.clone(),
            kernel: self.kernel.clone(),
        };
        let started = growth::start(
            growth::Parts {
                config: &self.config,
                known,
                boot: &self.boot,
                roll: &self.roll,
                cloud,
                used_here,
                store: &self.store,
                clock: &self.clock,
            },
            &self.stop,
        );
        let roles = match started {
            Ok(roles) => roles,
            Err(error) => {
                // The configuration allows only names that make good tags.
                tracing::error!(%error, "cannot care for the pools' size");
                return;
            }
        };
        self.capacity.send_replace(roles.clone());
        growth::pass_words(&roles, allocator).await;
    }
}

/// Waits, and says how long to wait the next time.
async fn wait(pause: Duration) -> Duration {
    // Agents that lost the provider together do not come back together.
    tokio::time::sleep(pause.mul_f64(rand::random_range(0.8..1.2))).await;
    (pause * 2).min(RETRY_MAX)
}
