//! Docker seen from its API: which containers there are, on which networks, under which names.
//!
//! Events only say *when* to look; what counts is the list, taken at start, after events, and
//! periodically. So a missed event costs time and nothing else. This is a witness of the reconciler's and
//! never part of a plugin call.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::api::Readiness;
use bollard::Docker;
use bollard::query_parameters::{EventsOptions, ListContainersOptions, ListNetworksOptions};
use futures::StreamExt;
use hostnet::{IfName, Mac};
use ipam::{EndpointId, Timestamp};
use ipnetwork::IpNetwork;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::record::NetworkId;
use crate::clock::Clock;
use ending::Endings;

mod ending;
mod listed;

/// How long dockerd may take for a list, in seconds. It is slow while it waits for a plugin.
const CALL_SECS_MAX: u64 = 30;

/// How often the list is taken although no event asked for it.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Events come in bursts (create, connect, start): one look serves them all.
const BURST: Duration = Duration::from_millis(50);

/// How long to wait before dockerd is asked again when it did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Everything one look at Docker showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// When the look began.
    pub at: Timestamp,
    /// All containers, running or not.
    pub containers: Vec<Container>,
    /// All networks, of every driver.
    pub networks: Vec<SeenNetwork>,
}

impl Sight {
    /// The running container to which Docker attached this endpoint. Of one that does not run, Docker may
    /// show an endpoint that it failed to take away.
    pub fn container_of(&self, endpoint: &EndpointId) -> Option<&Container> {
        self.running().find(|it| it.attachments.iter().any(|at| at.endpoint.as_ref() == Some(endpoint)))
    }

    /// The attachment of a running container that Docker shows with this address.
    pub fn attachment_at(&self, address: IpAddr) -> Option<&Attachment> {
        self.running().flat_map(|it| &it.attachments).find(|at| at.address == Some(address))
    }

    /// The bridge of the network that an attachment is on, if Docker's own bridge driver runs it.
    pub fn bridge_of(&self, attachment: &Attachment) -> Option<&IfName> {
        self.networks.iter().find(|network| network.id == attachment.network)?.bridge.as_ref()
    }

    fn running(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.running)
    }
}

/// A container as Docker lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Docker's id.
    pub id: String,
    /// Its name, without the slash that Docker puts before it.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether a process of it may be there: running, paused or restarting.
    pub running: bool,
    /// Whether it serves, as far as Docker knows.
    pub readiness: Readiness,
    /// Whether it runs, and was sent a signal to end.
    pub ending: bool,
    /// Its places on networks.
    pub attachments: Vec<Attachment>,
}

/// A container's place on one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The network.
    pub network: NetworkId,
    /// The network's name.
    pub network_name: String,
    /// The endpoint, while the container runs.
    pub endpoint: Option<EndpointId>,
    /// Its address there, while the container runs.
    pub address: Option<IpAddr>,
    /// Its hardware address there, while the container runs.
    pub mac: Option<Mac>,
}

/// A network as Docker lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNetwork {
    /// Docker's id.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// The driver that runs it.
    pub driver: String,
    /// The driver that its addresses come from.
    pub ipam_driver: String,
    /// Its subnets.
    pub subnets: Vec<IpNetwork>,
    /// `--aux-address`: addresses kept from containers, by their names.
    pub auxiliary: BTreeMap<String, IpAddr>,
    /// `--internal`
    pub internal: bool,
    /// The MTU asked for, in bytes.
    pub mtu: Option<u32>,
    /// Its bridge, where Docker's built-in bridge driver runs it.
    pub bridge: Option<IfName>,
}

impl SeenNetwork {
    /// Whether another driver runs it, with addresses of ours.
    pub fn is_lent_to(&self) -> bool {
        self.driver != super::DRIVER && self.ipam_driver == super::DRIVER
    }
}

/// What we know from Docker: the newest look, and whether it still answers.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// The newest look, if there was one since the agent started.
    pub sight: Option<Arc<Sight>>,
    /// Why dockerd does not answer, if it does not.
    pub silent: Option<String>,
}

/// Follows the dockerd behind this socket until `stop`. Reconnects for as long as it takes.
pub async fn follow(
    socket: PathBuf,
    clock: Arc<dyn Clock>,
    watched: watch::Sender<Watched>,
    stop: CancellationToken,
) {
    loop {
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = listen(&socket, &clock, &watched) => outcome,
        };
        let reason = match outcome {
            Ok(()) => "dockerd ended its stream of events".to_owned(),
            Err(error) => format!("dockerd does not answer on {}: {error}", socket.display()),
        };
        watched.send_modify(|watched| {
            if watched.silent.is_none() {
                tracing::info!(reason, "lost sight of Docker; trying again");
            }
            watched.silent = Some(reason);
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Looks, and looks again after every burst of events, until the stream ends.
async fn listen(
    socket: &Path,
    clock: &Arc<dyn Clock>,
    watched: &watch::Sender<Watched>,
) -> Result<(), bollard::errors::Error> {
    let docker = connect(socket).await?;
    let kinds = vec!["container".to_owned(), "network".to_owned()];
    let filters = Some([("type".to_owned(), kinds)].into());
    // Subscribed before the first look, so that nothing falls in between.
    let mut events = docker.events(Some(EventsOptions { filters, ..Default::default() }));
    let mut endings = Endings::default();
    loop {
        let at = clock.now();
        let mut sight = look(&docker, at).await?;
        endings.mark(&mut sight.containers);
        watched.send_replace(Watched { sight: Some(Arc::new(sight)), silent: None });
        match tokio::time::timeout(LOOK_EVERY, events.next()).await {
            Err(_) => {}
            Ok(None) => return Ok(()),
            Ok(Some(event)) => {
                endings.hear(&event?);
                tokio::time::sleep(BURST).await;
                while let Ok(next) = tokio::time::timeout(Duration::ZERO, events.next()).await {
                    match next {
                        None => return Ok(()),
                        Some(event) => endings.hear(&event?),
                    }
                }
            }
        }
    }
}

/// One look at the dockerd behind this socket.
pub async fn look_once(socket: &Path, at: Timestamp) -> Result<Sight, bollard::errors::Error> {
    look(&connect(socket).await?, at).await
}

pub(super) async fn connect(socket: &Path) -> Result<Docker, bollard::errors::Error> {
    let path = socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&path, CALL_SECS_MAX, bollard::API_DEFAULT_VERSION)?;
    docker.negotiate_version().await
}

async fn look(docker: &Docker, at: Timestamp) -> Result<Sight, bollard::errors::Error> {
    let all = ListContainersOptions { all: true, ..Default::default() };
    let containers = docker.list_containers(Some(all)).await?;
    let networks = docker.list_networks(None::<ListNetworksOptions>).await?;
    Ok(Sight {
        at,
        containers: containers.into_iter().map(listed::container).collect(),
        networks: listed::networks(networks),
    })
}
