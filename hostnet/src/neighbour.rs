//! ARP and neighbour solicitation in the agent's own hand: announcing addresses, and asking whether one is taken.
//!
//! Everything here waits for packets; it runs on threads for blocking work.

mod ear;
mod link;
mod solicit;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use pnet_packet::arp::ArpOperations;

use crate::{IfName, Mac};
use ear::{Ear, Says};
use solicit::Solicitor;

/// How often an address is asked for in one [`probe`]: an answer may get lost.
const PROBE_ROUNDS: u32 = 3;

/// How many requests go out before the answers are read. A burst of 4096 would overrun switches that
/// limit ARP, and our own receive buffer.
const PROBE_BURST: usize = 64;

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
    #[error("{interface} cannot be used to ask neighbours: {reason}")]
    Unusable {
        /// The interface.
        interface: IfName,
        /// What it lacks.
        reason: &'static str,
    },
    /// ARP speaks IPv4 only.
    #[error("{address} is no IPv4 address; this version announces IPv4 only")]
    NotIpv4 {
        /// The other.
        address: IpAddr,
    },
    /// The raw socket failed.
    #[error("could not ask neighbours on {interface}")]
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
    let (address, gateway) = (ipv4(arrival.address)?, ipv4(arrival.gateway)?);
    blocking(&arrival.interface, move |ear| {
        let attempts = patience.attempts.max(1);
        for _ in 0..attempts {
            ear.ask(address, gateway)?;
            let end = Instant::now() + patience.wait;
            while let Some(said) = ear.hear(end)? {
                if said.op == ArpOperations::Reply && said.sender == gateway && said.target == address {
                    return Ok(Announced::Acknowledged { mac: said.mac });
                }
            }
        }
        Ok(Announced::Unanswered { attempts })
    })
    .await
}

/// Tells a bridge's containers that the address is at this MAC: the container's when it arrives, the
/// bridge's own when it left for another host. One gratuitous ARP, unanswered by nature.
pub async fn tell_bridge(bridge: &IfName, address: IpAddr, mac: Mac) -> Result<(), NeighbourError> {
    let address = ipv4(address)?;
    let said = Says { op: ArpOperations::Request, mac, sender: address, target: address };
    blocking(bridge, move |ear| ear.say(&said)).await
}

/// Asks on a VLAN who has any of these addresses, all in one pass that ends after `deadline`; answers
/// those that are occupied, and by whom.
///
/// Asks with the host's own address as the sender: a probe from 0.0.0.0 is not answered for addresses
/// that another host proxies. IPv6 addresses are asked for from the link-local address, beside the others.
/// Our own answers do not count.
pub async fn probe(
    interface: &IfName,
    addresses: &[IpAddr],
    deadline: Duration,
) -> Result<BTreeMap<IpAddr, Mac>, NeighbourError> {
    let (mut four, mut six) = (BTreeSet::new(), BTreeSet::new());
    for address in addresses {
        match address {
            IpAddr::V4(address) => four.insert(*address),
            IpAddr::V6(address) => six.insert(*address),
        };
    }
    let (four, six) =
        tokio::join!(probe_ipv4(interface, four, deadline), probe_ipv6(interface, six, deadline));
    Ok(four?.into_iter().chain(six?).collect())
}

async fn probe_ipv4(
    interface: &IfName,
    mut open: BTreeSet<Ipv4Addr>,
    deadline: Duration,
) -> Result<BTreeMap<IpAddr, Mac>, NeighbourError> {
    let lacks_address =
        NeighbourError::Unusable { interface: interface.clone(), reason: "it has no IPv4 address" };
    if open.is_empty() {
        return Ok(BTreeMap::new());
    }
    blocking(interface, move |ear| {
        let host = ear.address.ok_or(lacks_address)?;
        let start = Instant::now();
        let mut occupied = BTreeMap::new();
        for round in 1..=PROBE_ROUNDS {
            let waiting: Vec<Ipv4Addr> = open.iter().copied().collect();
            for burst in waiting.chunks(PROBE_BURST) {
                for &address in burst {
                    ear.ask(host, address)?;
                }
                // Only what has come already: the answers are waited for at the end of the round.
                collect(ear, Instant::now(), &mut open, &mut occupied)?;
            }
            collect(ear, start + deadline * round / PROBE_ROUNDS, &mut open, &mut occupied)?;
        }
        Ok(occupied)
    })
    .await
}

async fn probe_ipv6(
    interface: &IfName,
    mut open: BTreeSet<Ipv6Addr>,
    deadline: Duration,
) -> Result<BTreeMap<IpAddr, Mac>, NeighbourError> {
    if open.is_empty() {
        return Ok(BTreeMap::new());
    }
    let name = interface.clone();
    on_a_thread(interface, move || {
        let mut solicitor = Solicitor::open(&name)?;
        let start = Instant::now();
        let mut occupied = BTreeMap::new();
        for round in 1..=PROBE_ROUNDS {
            let waiting: Vec<Ipv6Addr> = open.iter().copied().collect();
            for burst in waiting.chunks(PROBE_BURST) {
                for &address in burst {
                    solicitor.ask(address)?;
                }
                collect_ipv6(&mut solicitor, Instant::now(), &mut open, &mut occupied)?;
            }
            collect_ipv6(&mut solicitor, start + deadline * round / PROBE_ROUNDS, &mut open, &mut occupied)?;
        }
        Ok(occupied)
    })
    .await
}

/// As [`collect`], of IPv6.
fn collect_ipv6(
    solicitor: &mut Solicitor,
    end: Instant,
    open: &mut BTreeSet<Ipv6Addr>,
    occupied: &mut BTreeMap<IpAddr, Mac>,
) -> Result<(), NeighbourError> {
    while !open.is_empty() {
        let Some(told) = solicitor.hear(end)? else { break };
        // One that names no MAC is somebody all the same.
        let mac = told.mac.unwrap_or(Mac([0; 6]));
        if mac != solicitor.mac && open.remove(&told.target) {
            occupied.insert(told.target.into(), mac);
        }
    }
    Ok(())
}

/// Hears answers until then, or until none is open.
fn collect(
    ear: &mut Ear,
    end: Instant,
    open: &mut BTreeSet<Ipv4Addr>,
    occupied: &mut BTreeMap<IpAddr, Mac>,
) -> Result<(), NeighbourError> {
    while !open.is_empty() {
        let Some(said) = ear.hear(end)? else { break };
        if said.op == ArpOperations::Reply && said.mac != ear.mac && open.remove(&said.sender) {
            occupied.insert(said.sender.into(), said.mac);
        }
    }
    Ok(())
}

fn ipv4(address: IpAddr) -> Result<Ipv4Addr, NeighbourError> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(NeighbourError::NotIpv4 { address }),
    }
}

async fn blocking<T: Send + 'static>(
    interface: &IfName,
    work: impl FnOnce(&mut Ear) -> Result<T, NeighbourError> + Send + 'static,
) -> Result<T, NeighbourError> {
    let name = interface.clone();
    on_a_thread(interface, move || work(&mut Ear::open(&name)?)).await
}

async fn on_a_thread<T: Send + 'static>(
    interface: &IfName,
    work: impl FnOnce() -> Result<T, NeighbourError> + Send + 'static,
) -> Result<T, NeighbourError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|stopped| {
        let source = std::io::Error::other(stopped);
        Err(NeighbourError::Socket { interface: interface.clone(), source })
    })
}
