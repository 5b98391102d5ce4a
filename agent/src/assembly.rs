//! Puts the parts together. dockerd and operators are answered from the first moment; whatever needs the
//! provider joins when the provider has answered.

mod growth;
mod history;
mod journals;
mod owners;
mod silence;
mod standing;

pub(crate) use growth::policy;

use crate::allocator::Line;
use crate::api::{self, Access, Desk};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Mistakes, Rejected, Rim};
use crate::docker::events::{self, Watched};
use crate::docker::{Book, Driver, listeners, plugin, refusal};
use crate::identity;
use crate::journal::{Journal, JournalError};
use crate::late::{LateAllocator, Progress};
use crate::metrics::{self, Metrics};
use crate::reconciler::{self, Announcements, Arp, Reconciler};
use crate::roll::Roll;
use crate::services::{Report, vigilance};
use crate::shared;
use crate::sockets::{Origin, Sockets, reading_group};
use crate::troubles::{Troubles, with_causes};
use ::api::Source;
use hostnet::Netlink;
use ipam::BootId;
use services::Vigil;
use standing::Standing;
use std::fs::DirBuilder;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
    /// A journal lacks what the other one shows that it had.
    #[error(
        "the journal {} {what}; stop berthd, run `berthd --rebuild` (with the same --config), which makes it \
         anew from the store, Docker and the kernel, and start berthd again",
        path.display()
    )]
    JournalLost {
        /// Which.
        path: PathBuf,
        /// All of it, or its end.
        what: &'static str,
    },
    /// The embedded store is damaged or in use. One on etcd is opened unseen, and waited for.
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

impl StartError {
    /// Whether the host's own memory is gone, which only an operator can order to be made anew.
    fn is_amnesia(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_damage(),
            Self::JournalLost { .. } => true,
            Self::StateDir { .. }
            | Self::Store(_)
            | Self::Kernel(_)
            | Self::Boot(_)
            | Self::Metrics { .. } => false,
        }
    }
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

/// Starts every part over these sockets.
///
/// Where dockerd's calls wait in a socket that systemd holds, an agent that cannot work refuses them with
/// the reason, and takes releases into the journal if it can be read.
pub async fn start(
    config: Result<Config, Box<Rejected>>,
    sockets: Sockets,
    stop: CancellationToken,
) -> Result<Running, StartError> {
    let config = match config {
        Ok(config) => config,
        Err(rejected) => {
            let Rejected { mistakes, rim } = *rejected;
            let count = mistakes.count();
            let reason = format!("its configuration has {count}; hint: `berthd --check` lists what is wrong");
            return Ok(refuse(Err(mistakes), rim, reason, sockets, stop));
        }
    };
    match Grounds::find(&config).await {
        Ok(grounds) => serve(config, grounds, sockets, stop).await,
        // Without its memory the agent must not work, and dockerd must not wait for it either.
        Err(error) if sockets.plugin.origin == Origin::Systemd || error.is_amnesia() => {
            let (rim, reason) = (config.rim.clone(), with_causes(&error));
            tracing::error!("taking releases only: {reason}");
            Ok(refuse(Ok(config), rim, reason, sockets, stop))
        }
        Err(error) => Err(error),
    }
}

/// What the agent stands on, on this host.
struct Grounds {
    boot: BootId,
    book: Book,
    journal: Journal<Line>,
    records: Vec<Line>,
    store: Arc<dyn Store>,
    kernel: Netlink,
}

impl Grounds {
    async fn find(config: &Config) -> Result<Self, StartError> {
        let host = &config.rim.host;
        make_state_dir(&host.state_dir)?;
        let boot = identity::boot(&host.boot_id_file)?;
        let (book, journal, records) = journals::open(host)?;
        let store = shared::open(config).await?;
        let kernel = Netlink::open().map_err(StartError::Kernel)?;
        Ok(Self { boot, book, journal, records, store, kernel })
    }
}

async fn serve(
    config: Config,
    grounds: Grounds,
    sockets: Sockets,
    stop: CancellationToken,
) -> Result<Running, StartError> {
    let Grounds { boot, book, journal, records, store, kernel } = grounds;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (tasks, metrics) = (Tasks::new(stop), Metrics::default());
    let troubles = Troubles::new(Arc::clone(&clock));
    for sound in [Source::Journal, Source::Kernel] {
        troubles.over(sound);
    }
    let store = shared::noted(store, troubles.clone());
    let docker = tasks.follow_docker(&config.rim, &clock);
    let (interfaces_known, interfaces) = watch::channel(Default::default());
    let waiting = Progress::Waiting("the provider has not said who this machine is".into());
    let (progress, addresses) = LateAllocator::new(waiting);
    let (policy_told, policy) = watch::channel(None);
    let arp = Arp::default();
    let announcements = arp.announcements();
    let reconciler = Reconciler::start(
        reconciler::Parts {
            addresses: addresses.clone(),
            book: book.clone(),
            kernel: kernel.clone(),
            announcer: arp,
            interfaces,
            docker: docker.clone(),
            policy,
            unnamed: config.unnamed,
        },
        tasks.stop.clone(),
    );
    let driver = Driver::new(addresses.clone(), book.clone(), reconciler.clone(), docker.clone(), listeners);
    tasks.run("the plugin socket", plugin::serve(sockets.plugin.listener, driver, tasks.stop.clone()));
    tasks.serve_metrics(config.metrics.listen, &metrics).await?;

    let (known_told, known) = watch::channel(None);
    let (cloud_told, cloud) = watch::channel(None);
    let (capacity_told, capacity) = watch::channel(Vec::new());
    let (ledger_told, ledger) = watch::channel(None);
    let (registered_told, registered) = watch::channel(Report::default());
    let vigil = tasks.keep_vigil(&store, &clock);
    let (names_told, names) = watch::channel(None);
    let roll = Arc::new(Roll::open(&config.rim.host.state_dir));
    let desk = Desk::new(api::Parts {
        started: clock.wall(),
        clock: Arc::clone(&clock),
        rim: config.rim.clone(),
        config: Ok(config.clone()),
        troubles: troubles.clone(),
        addresses,
        book: Some(book.clone()),
        docker: docker.clone(),
        known,
        cloud,
        ledger,
        store: Some(Arc::clone(&store)),
        kernel: Some(kernel.clone()),
        reconciler: reconciler.clone(),
        announcements,
        capacity,
        vigil: vigil.clone(),
        registered,
        names,
        roll: Arc::clone(&roll),
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
        policy: policy_told,
        capacity: capacity_told,
        roll,
        ledger: ledger_told,
        registered: registered_told,
        names: names_told,
        vigil,
        book,
        docker,
        kernel,
        tasks: tasks.tracker.clone(),
        stop: tasks.stop.clone(),
    };
    tasks.tracker.spawn(standing.establish(journal, records));
    Ok(Running { tasks: tasks.tracker })
}

/// Takes releases into the journal, if it can be read, and refuses the rest.
fn refuse(
    config: Result<Config, Mistakes>,
    rim: Rim,
    reason: String,
    sockets: Sockets,
    stop: CancellationToken,
) -> Running {
    let tasks = Tasks::new(stop);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let docker = tasks.follow_docker(&rim, &clock);
    let (_, addresses) = LateAllocator::new(Progress::Never(reason.clone()));
    let reconciler = Reconciler::absent();
    let opened = make_state_dir(&rim.host.state_dir).and_then(|()| journals::open_book(&rim.host));
    let (listener, stop) = (sockets.plugin.listener, tasks.stop.clone());
    let book = match opened {
        Ok(book) => {
            let driver =
                Driver::new(addresses.clone(), book.clone(), reconciler.clone(), docker.clone(), listeners);
            tasks.run("the plugin socket", plugin::serve(listener, driver, stop));
            Some(book)
        }
        Err(error) => {
            // What kept the agent from starting may be this very journal.
            let error = with_causes(&error);
            let reason =
                if error == reason { reason } else { format!("{reason}; and no release is taken: {error}") };
            tasks.run("the plugin socket", refusal::serve(listener, reason, stop));
            None
        }
    };
    let roll = Arc::new(Roll::open(&rim.host.state_dir));
    let desk = Desk::new(api::Parts {
        started: clock.wall(),
        clock: Arc::clone(&clock),
        config,
        rim,
        troubles: Troubles::new(Arc::clone(&clock)),
        addresses,
        book,
        docker,
        known: watch::channel(None).1,
        cloud: watch::channel(None).1,
        ledger: watch::channel(None).1,
        store: None,
        kernel: None,
        reconciler,
        announcements: Announcements::default(),
        capacity: watch::channel(Vec::new()).1,
        vigil: watch::channel(Vigil::default()).1,
        registered: watch::channel(Report::default()).1,
        names: watch::channel(None).1,
        roll,
    });
    tasks.serve_api(sockets.api.listener, desk);
    Running { tasks: tasks.tracker }
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

    fn keep_vigil(&self, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> watch::Receiver<Vigil> {
        let (told, vigil) = watch::channel(Vigil::default());
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        self.tracker.spawn(vigilance::keep(store, clock, told, self.stop.clone()));
        vigil
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
