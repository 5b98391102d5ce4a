//! What containers call themselves. No list has it, so each is asked for once: it never changes.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::InspectContainerOptions;

use super::events::{Sight, connect};

/// How long dockerd may take: it is slow while it waits for a plugin, and others wait for this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The hostnames of this host's containers, by their ids.
pub(crate) struct Hostnames {
    socket: PathBuf,
    known: HashMap<String, String>,
    docker: Option<Docker>,
}

impl Hostnames {
    /// Of the dockerd behind this socket.
    pub(crate) fn of(socket: PathBuf) -> Self {
        Self { socket, known: HashMap::new(), docker: None }
    }

    /// Forgets those of containers that are gone.
    pub(crate) fn keep(&mut self, sight: &Sight) {
        let there: BTreeSet<&str> = sight.containers.iter().map(|container| container.id.as_str()).collect();
        self.known.retain(|id, _| there.contains(id.as_str()));
    }

    /// What the container calls itself; none if Docker does not say now.
    pub(crate) async fn of_container(&mut self, id: &str) -> Option<String> {
        if let Some(known) = self.known.get(id) {
            return Some(known.clone());
        }
        let asked = tokio::time::timeout(PATIENCE, self.ask(id)).await;
        match asked {
            Ok(Ok(hostname)) => {
                self.known.insert(id.to_owned(), hostname.clone());
                Some(hostname)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, id, "Docker does not say what a container calls itself");
                self.docker = None;
                None
            }
            Err(_) => None,
        }
    }

    async fn ask(&mut self, id: &str) -> Result<String, bollard::errors::Error> {
        let docker = match self.docker.take() {
            Some(docker) => docker,
            None => connect(&self.socket).await?,
        };
        let seen = docker.inspect_container(id, None::<InspectContainerOptions>).await?;
        self.docker = Some(docker);
        Ok(seen.config.and_then(|config| config.hostname).unwrap_or_default())
    }
}
