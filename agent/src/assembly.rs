//! Puts the parts together. dockerd and operators are answered from the first moment; whatever needs the
//! provider joins when the provider has answered.

mod growth;
mod standing;

use crate::api::{self, Access, Desk};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Rejected, Rim};
use crate::docker::events::{self, Watched};
use crate::docker::{Book, Driver, plugin};
use crate::identity;
use crate::journal::{Journal, JournalError};
use crate::late::{LateAllocator, Progress};
use crate::metrics::{self, Metrics};
use crate::reconciler::{self, Arp, Reconciler};
use crate::sockets::{Sockets, reading_group};
use crate::troubles::Troubles;
use ::api::Source;
use hostnet::Netlink;
use jiff::Timestamp;
use standing::Standing;
use std::fs::DirBuilder;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{EmbeddedStore, Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Files below the state directory.
const DOCKER_JOURNAL: &str = "docker.journal";
const ALLOCATOR_JOURNAL: &str = "allocator.journal";
const STORE: &str = "store.redb";

/// Why the agent cannot start at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory.
    #[error("cannot make the state directory {}; hint: name another as state_dir in [host]", path.display())]
    StateDir {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A journal is damaged or in use.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The embedded store is damaged or in use.
    #[error("cannot open the store")]
    Store(#[from] StoreError),
    /// The kernel cannot be asked.
    #[error("cannot open a netlink socket; hint: berthd needs CAP_NET_ADMIN and CAP_NET_RAW")]
    Kernel(#[source] io::Error),
    /// The boot cannot be told from another.
    #[error(transparent)]
    Boot(#[from] identity::BootError),
    /// The metrics' address is taken.
    #[error("cannot listen at {address} for Prometheus; hint: change `listen` in [metrics], or remove it")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A running agent.
pub struct Running {
    tasks: TaskTracker,
}

impl Running {
    /// Returns when every call that was read is answered and every task has ended.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts every part over these sockets. With a bad configuration, releases are taken into the journal
/// and all else is refused.
pub async fn start(
    config: Result<Config, Rejected>,
    sockets: Sockets,
    stop: CancellationToken,
) -> Result<Running, StartError> {
    match config {
        Ok(config) => serve(config, sockets, stop).await,
        Err(rejected) => refuse(rejected, sockets, stop),
    }
}

async fn serve(config: Config, sockets: Sockets, stop: CancellationToken) -> Result<Running, StartError> {
    let tasks = Tasks::new(stop);
    let (state_dir, troubles, metrics) = (&config.rim.host.state_dir, Troubles::default(), Metrics::default());
    make_state_dir(state_dir)?;
    let boot = identity::boot(&config.rim.host.boot_id_file)?;
    let book = Book::open(&state_dir.join(DOCKER_JOURNAL))?;
    let (journal, records) = Journal::open(state_dir.join(ALLOCATOR_JOURNAL))?;
    troubles.over(Source::Journal);
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&state_dir.join(STORE)).await?);
    troubles.over(Source::Store);
    let kernel = Netlink::open().map_err(StartError::Kernel)?;
    troubles.over(Source::Kernel);

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let docker = tasks.follow_docker(&config.rim, &clock);
    let (interfaces_known, interfaces) = watch::channel(Default::default());
    let waiting = Progress::Waiting("the provider has not said who this machine is".into());
    let (progress, addresses) = LateAllocator::new(waiting);
    let reconciler = Reconciler::start(
        reconciler::Parts {
            addresses: addresses.clone(),
            book: book.clone(),
            kernel: kernel.clone(),
            announcer: Arp::default(),
            interfaces,
            docker: docker.clone(),
        },
        tasks.stop.clone(),
    );
    let driver = Driver::new(addresses.clone(), book.clone(), reconciler.clone());
    tasks.run("the plugin socket", plugin::serve(sockets.plugin.listener, driver, tasks.stop.clone()));
    tasks.serve_metrics(config.metrics.listen, &metrics).await?;

    let (known_told, known) = watch::channel(None);
    let (cloud_told, cloud) = watch::channel(None);
    let (capacity_told, capacity) = watch::channel(Vec::new());
    let desk = Desk::new(api::Parts {
        started: Timestamp::now(),
        rim: config.rim.clone(),
        config: Ok(config.clone()),
        troubles: troubles.clone(),
        addresses,
        book: Some(book),
        docker,
        known,
        cloud,
        store: Some(Arc::clone(&store)),
        kernel: Some(kernel),
        reconciler: reconciler.clone(),
        capacity,
    });
    tasks.serve_api(sockets.api.listener, desk);
    let standing = Standing {
        config,
        boot,
        store,
        clock,
        troubles,
        metrics,
        reconciler,
        progress,
        known: known_told,
        cloud: cloud_told,
        interfaces: interfaces_known,
        capacity: capacity_told,
        stop: tasks.stop.clone(),
    };
    tasks.tracker.spawn(standing.establish(journal, records));
    Ok(Running { tasks: tasks.tracker })
}

/// Takes releases into the journal and refuses the rest with the mistakes.
fn refuse(rejected: Rejected, sockets: Sockets, stop: CancellationToken) -> Result<Running, StartError> {
    let tasks = Tasks::new(stop);
    let Rejected { mistakes, rim } = rejected;
    make_state_dir(&rim.host.state_dir)?;
    let book = Book::open(&rim.host.state_dir.join(DOCKER_JOURNAL))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let docker = tasks.follow_docker(&rim, &clock);
    let reason = format!("its configuration has {} mistakes", mistakes.all.len());
    let (_, addresses) = LateAllocator::new(Progress::Never(reason));
    let reconciler = Reconciler::absent();
    let driver = Driver::new(addresses.clone(), book.clone(), reconciler.clone());
    tasks.run("the plugin socket", plugin::serve(sockets.plugin.listener, driver, tasks.stop.clone()));
    let desk = Desk::new(api::Parts {
        started: Timestamp::now(),
        config: Err(mistakes),
        rim,
        troubles: Troubles::default(),
        addresses,
        book: Some(book),
        docker,
        known: watch::channel(None).1,
        cloud: watch::channel(None).1,
        store: None,
        kernel: None,
        reconciler,
        capacity: watch::channel(Vec::new()).1,
    });
    tasks.serve_api(sockets.api.listener, desk);
    Ok(Running { tasks: tasks.tracker })
}

/// Only root reads what is in there.
fn make_state_dir(path: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::StateDir { path: path.to_owned(), source })
}

/// The tasks of the agent, and what ends them.
struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    fn new(stop: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), stop }
    }

    /// Runs a server. One that fails takes the agent down, to be started anew.
    fn run(&self, what: &'static str, server: impl Future<Output = io::Result<()>> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "cannot serve {what} any more; stopping");
                stop.cancel();
            }
        });
    }

    fn follow_docker(&self, rim: &Rim, clock: &Arc<dyn Clock>) -> watch::Receiver<Watched> {
        let (watched, docker) = watch::channel(Watched::default());
        let (socket, clock) = (rim.docker.api_socket.clone(), Arc::clone(clock));
        self.tracker.spawn(events::follow(socket, clock, watched, self.stop.clone()));
        docker
    }

    fn serve_api(&self, listener: tokio::net::UnixListener, desk: Desk) {
        let access = Access::new(desk.rim.api.group.clone(), reading_group(&desk.rim.api));
        self.run("the API socket", api::serve(listener, desk, access, self.stop.clone()));
    }

    async fn serve_metrics(&self, listen: Option<SocketAddr>, metrics: &Metrics) -> Result<(), StartError> {
        let Some(address) = listen else { return Ok(()) };
        let listener = metrics::listen(address).await;
        let listener = listener.map_err(|source| StartError::Metrics { address, source })?;
        tracing::info!(%address, "listening for Prometheus");
        self.run("the metrics", metrics::serve(listener, metrics.clone(), self.stop.clone()));
        Ok(())
    }
}
