//! What looks wrong on this host, for `berth status` and `berth check`.

use std::net::IpAddr;

use hostnet::Obstacle;
use ipam::{Epoch, Zone};
use serde::{Deserialize, Serialize};

use crate::docker::NetworkId;

/// Something a look found that is not as it should be. Its text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// An assignment that neither Docker nor the kernel shows; closed if it stays so.
    #[error(
        "{address} (epoch {epoch}) is assigned, and neither Docker nor the kernel shows it in use; released if it stays so for a minute"
    )]
    Missed {
        /// The address.
        address: IpAddr,
        /// The assignment.
        epoch: Epoch,
    },
    /// A container runs with an address that is not assigned to it.
    #[error(
        "container {container} has {address}, which is not assigned to it here (was this host evicted?), so it is cut off; hint: restart the container, it gets another address"
    )]
    NotAssigned {
        /// The address.
        address: IpAddr,
        /// The container's name.
        container: String,
    },
    /// The book has a network that Docker does not list.
    #[error(
        "network {network} is in the book, and Docker does not list it; hint: if it stays so, another dockerd may use the plugin socket"
    )]
    NetworkNotAtDocker {
        /// The network.
        network: NetworkId,
    },
    /// Docker lists a network of our driver that the book does not have.
    #[error(
        "Docker's network {name} ({network}) is not in the book, which may have been lost; hint: stop berthd, run `berthd --rebuild`, start it again"
    )]
    NetworkNotInBook {
        /// The network.
        network: NetworkId,
        /// Its name.
        name: String,
    },
    /// The allocator did not take a release yet.
    #[error("the release of {address} waits: {reason}")]
    Unpaid {
        /// The address.
        address: IpAddr,
        /// Why.
        reason: String,
    },
    /// Something stands in the way that we do not touch.
    #[error("{0}")]
    Obstacle(Obstacle),
    /// The kernel refused a change; it is tried again.
    #[error("the kernel refused a change, tried again: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The zone of a network has no interface here.
    #[error("no interface of this host is known to be in zone {zone}; its containers are left as they are")]
    NoInterface {
        /// The zone.
        zone: Zone,
    },
    /// The kernel has containers' ports, and the book does not know them.
    #[error(
        "the kernel has {ports} ports of running containers that docker.journal does not know: it was lost, or its end, and nothing is removed; hint: stop berthd, run `berthd --rebuild`, start it again"
    )]
    BookLost {
        /// How many.
        ports: usize,
    },
    /// A part that had to be looked at did not answer.
    #[error("could not look: {reason}")]
    NotSeen {
        /// What it said.
        reason: String,
    },
}
