//! Names: every agent answers DNS for the containers of its host.
//!
//! What is answered is decided by the crate `names`. Here is what it is decided from (services that are followed, this
//! host's containers, what other hosts say of theirs), the sockets, and who is asked about the rest. Decision 15.

mod asked;
mod budget;
mod directory;
mod entry;
mod forward;
mod ground;
mod herald;
mod inquiry;
mod local;
mod occupant;
mod places;
mod resolv_conf;
mod resolver;
mod rim;

pub(crate) use places::Report;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::names::Domain;
use hostnet::IfName;
use ipam::{HostId, Zone};
use services::Vigil;
use store::Store;
use store::layout::Under;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::allocator::Allocator;
use crate::clock::Clock;
use crate::config::NamesConfig;
use crate::docker::events::Watched;
use crate::services::{Declared, follow};
use asked::Asked;
use budget::Budget;
use directory::{Directory, Labels};
use forward::Forward;
use ground::{Ground, subnets_in};
use herald::Herald;
use local::Local;
use places::Wanted;
use resolv_conf::{RESOLV_CONF, ResolvConf};
use resolver::Resolver;

/// How often it is looked which services nobody asks for any more.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What names are answered from.
pub(crate) struct Parts {
    pub(crate) config: NamesConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) allocator: Allocator,
    pub(crate) docker: watch::Receiver<Watched>,
    pub(crate) docker_socket: PathBuf,
    pub(crate) vigil: watch::Receiver<Vigil>,
    pub(crate) declared: watch::Receiver<Option<Declared>>,
    pub(crate) host: HostId,
    pub(crate) zones: BTreeSet<Zone>,
    /// Where to listen, if the configuration names no address.
    pub(crate) interfaces: Vec<IfName>,
}

/// A handle on whoever answers. Clones are the same.
#[derive(Clone)]
pub(crate) struct Names {
    resolver: Arc<Resolver>,
}

/// Answers names until `stop`.
pub(crate) fn start(parts: Parts, tasks: &TaskTracker, stop: &CancellationToken) -> Names {
    let Parts { config, store, clock, allocator, docker, docker_socket, vigil, declared, host, .. } = parts;
    let (zones, interfaces) = (parts.zones, parts.interfaces);
    let (local_told, local) = watch::channel(Arc::new(Local::default()));
    let (report_told, report) = watch::channel(Report::default());
    let (labels_told, labels) = watch::channel(None);
    let (subnets_told, subnets) = watch::channel(None);
    let (ground_told, ground) = watch::channel(Arc::new(Ground::default()));
    let budget: Arc<Mutex<Budget>> = Arc::default();
    let directory = Directory::new(directory::Parts {
        store: Arc::clone(&store),
        clock: Arc::clone(&clock),
        vigil: vigil.clone(),
        zones,
        labels,
        budget: Arc::clone(&budget),
        tasks: tasks.clone(),
    });
    let resolver = Arc::new(Resolver::new(resolver::Parts {
        domain: config.domain,
        ttl_secs: config.ttl_secs,
        host: host.clone(),
        store: Arc::clone(&store),
        vigil,
        local,
        ground,
        report: report.clone(),
        directory,
        called: Asked::new(Arc::clone(&clock), Arc::clone(&budget)),
        entries: Asked::new(clock, budget),
        forward: Forward::new(ResolvConf::new(config.forward, RESOLV_CONF.into())),
    }));
    let wanted = if config.listen.is_empty() { Wanted::On(interfaces) } else { Wanted::Named(config.listen) };
    tasks.spawn(places::listen(wanted, Arc::clone(&resolver), report_told, tasks.clone(), stop.clone()));
    let herald =
        herald::Parts { store: Arc::clone(&store), allocator, docker: docker.clone(), docker_socket, host };
    tasks.spawn(Herald::new(herald, local_told).run(stop.clone()));
    let following = {
        let (stop, resolver) = (stop.clone(), Arc::clone(&resolver));
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = keep_labels(declared, labels_told) => {}
                () = follow(store, Under::Subnets.prefix(), subnets_in, subnets_told) => {}
                () = keep_ground(subnets, docker, report, ground_told) => {}
                () = tidy(&resolver) => {}
            }
        }
    };
    tasks.spawn(following);
    Names { resolver }
}

impl Names {
    /// Below which domain those of the cluster are.
    pub(crate) fn domain(&self) -> &Domain {
        self.resolver.domain()
    }

    /// Where names are answered, and what is in the way of that.
    pub(crate) fn report(&self) -> Report {
        self.resolver.report()
    }
}

/// Tells what services are called, whenever that changes.
async fn keep_labels(
    mut declared: watch::Receiver<Option<Declared>>,
    told: watch::Sender<Option<Arc<Labels>>>,
) {
    loop {
        let known = declared.borrow_and_update().clone();
        if let Some(known) = known {
            told.send_replace(Some(Arc::new(Labels::of(known))));
        }
        if declared.changed().await.is_err() {
            return;
        }
    }
}

/// Tells which networks there are, whenever one comes or goes.
async fn keep_ground(
    mut subnets: watch::Receiver<Option<Vec<ipnetwork::IpNetwork>>>,
    mut docker: watch::Receiver<Watched>,
    mut report: watch::Receiver<Report>,
    told: watch::Sender<Arc<Ground>>,
) {
    loop {
        let ours = subnets.borrow_and_update().clone().unwrap_or_default();
        let sight = docker.borrow_and_update().sight.clone();
        let own = report.borrow_and_update().at.iter().map(|place| place.ip()).collect();
        let ground = Ground::of(&ours, sight.as_deref(), own);
        told.send_if_modified(|known| {
            let changed = **known != ground;
            if changed {
                *known = Arc::new(ground);
            }
            changed
        });
        tokio::select! {
            Ok(()) = subnets.changed() => {}
            Ok(()) = docker.changed() => {}
            Ok(()) = report.changed() => {}
            else => return,
        }
    }
}

async fn tidy(resolver: &Resolver) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        resolver.directory().forget_idle();
    }
}
