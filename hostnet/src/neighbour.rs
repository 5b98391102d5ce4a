//! ARP in the agent's own hand: announcing addresses, and asking whether one is taken.
//!
//! Everything here waits for packets; it runs on threads for blocking work.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::{IfName, Mac};

/// An address that arrived on this host, to be told to the VLAN's router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The container's address.
    pub address: IpAddr,
    /// The router on its subnet.
    pub gateway: IpAddr,
    /// The VLAN interface.
    pub interface: IfName,
}

/// What came of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// The gateway answered, so it knows where the address is now.
    Acknowledged {
        /// The gateway's.
        mac: Mac,
    },
    /// It did not. It may hold an older entry for up to four hours.
    Unanswered {
        /// How often it was asked.
        attempts: u32,
    },
}

/// How long to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Requests sent at most; at least one is.
    pub attempts: u32,
    /// How long each waits for an answer.
    pub wait: Duration,
}

impl Default for Patience {
    /// Five requests, 300 ms each: a router that drops a burst of ARP answers one of the later ones.
    fn default() -> Self {
        Self { attempts: 5, wait: Duration::from_millis(300) }
    }
}

/// Why nothing could be sent or heard.
#[derive(Debug, thiserror::Error)]
pub enum NeighbourError {
    /// The interface is gone, has no MAC, or no address to ask with.
    #[error("{interface} cannot be used for ARP: {reason}")]
    Unusable {
        /// The interface.
        interface: IfName,
        /// What it lacks.
        reason: &'static str,
    },
    /// ARP speaks IPv4 only.
    #[error("{address} is no IPv4 address; this version announces and probes IPv4 only")]
    NotIpv4 {
        /// The other.
        address: IpAddr,
    },
    /// The raw socket failed.
    #[error("could not send or receive ARP on {interface}")]
    Socket {
        /// The interface.
        interface: IfName,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}

/// Tells the VLAN's router where an address is now: asks it, with the address as the sender, until it
/// answers. (Not a blind gratuitous ARP: a router may ignore those and keep its entry for four hours.)
pub async fn announce(arrival: &Arrival, patience: Patience) -> Result<Announced, NeighbourError> {
    link::announce(arrival, patience).await
}

/// Tells a bridge's containers that the address is at this MAC: the container's when it arrives, the
/// bridge's own when it left for another host. One gratuitous ARP, unanswered by nature.
pub async fn tell_bridge(bridge: &IfName, address: IpAddr, mac: Mac) -> Result<(), NeighbourError> {
    link::tell_bridge(bridge, address, mac).await
}

/// Asks on a VLAN who has any of these addresses, all in one pass that ends after `deadline`; answers
/// those that are occupied, and by whom.
///
/// Asks with the host's own address as the sender: a probe from 0.0.0.0 is not answered for addresses
/// that another host proxies. Our own answers do not count.
pub async fn probe(
    interface: &IfName,
    addresses: &[IpAddr],
    deadline: Duration,
) -> Result<BTreeMap<IpAddr, Mac>, NeighbourError> {
    link::probe(interface, addresses, deadline).await
}
