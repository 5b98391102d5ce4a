//! Telling the neighbours where an address is now. At the rim: no plugin call waits for it.
//!
//! A router that was told nothing may send packets to a former host for hours, so it is asked until it
//! answers, for as long as the address is here; and what it has not answered is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostnet::neighbour::{self, Announced, Arrival, Patience};
use hostnet::{IfName, Mac};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Between rounds of asking a gateway that does not answer; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest between rounds: a gateway that returns is told soon.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Says who has an address, to the VLAN's router and to the containers on a bridge.
pub trait Announcer: Send + Sync + 'static {
    /// The address arrived: the router is asked until it answers.
    fn arrived(&self, arrival: Arrival);

    /// The address left this host: another may be telling the router about it.
    fn left(&self, address: IpAddr);

    /// Containers on the bridge reach the address at this MAC now: a container's, or the bridge's own
    /// when the address left.
    fn moved(&self, bridge: IfName, address: IpAddr, mac: Mac);
}

/// Announces with ARP, each in a task of its own.
#[derive(Debug, Clone, Default)]
pub struct Arp {
    tasks: TaskTracker,
    announcements: Announcements,
}

/// What the gateways answered to the announcements of the addresses that are here. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Announcements(Arc<Mutex<BTreeMap<IpAddr, Entry>>>);

/// An announcement, and what ends the asking when the address leaves.
#[derive(Debug)]
struct Entry {
    announcement: Announcement,
    _asking: DropGuard,
}

/// Whether a gateway knows that an address is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// It is being asked, and has had time to answer only if `requests` says so.
    Asking {
        /// The router of the address's subnet.
        gateway: IpAddr,
        /// How often it did not answer.
        requests: u32,
    },
    /// It answered to the address: it knows where it is.
    Acknowledged {
        /// The router of the address's subnet.
        gateway: IpAddr,
        /// Its MAC address.
        mac: Mac,
    },
}

impl Arp {
    /// What the gateways answered.
    pub fn announcements(&self) -> Announcements {
        self.announcements.clone()
    }
}

impl Announcer for Arp {
    fn arrived(&self, arrival: Arrival) {
        let gone = self.announcements.begin(&arrival);
        let announcements = self.announcements.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = gone.cancelled() => {}
                () = tell_until_answered(&arrival, &announcements) => {}
            }
        });
    }

    fn left(&self, address: IpAddr) {
        self.announcements.lock().remove(&address);
    }

    fn moved(&self, bridge: IfName, address: IpAddr, mac: Mac) {
        self.tasks.spawn(async move {
            if let Err(error) = neighbour::tell_bridge(&bridge, address, mac).await {
                tracing::debug!(%bridge, %address, %error, "could not tell the bridge");
            }
        });
    }
}

async fn tell_until_answered(arrival: &Arrival, announcements: &Announcements) {
    let Arrival { address, gateway, .. } = arrival;
    let mut pause = PAUSE_MIN;
    loop {
        match neighbour::announce(arrival, Patience::default()).await {
            Ok(Announced::Acknowledged { mac }) => {
                tracing::debug!(%address, router = %mac, "announced");
                return announcements
                    .note(*address, |gateway, _| Announcement::Acknowledged { gateway, mac });
            }
            Ok(Announced::Unanswered { attempts }) => {
                announcements.note(*address, |gateway, requests| {
                    let requests = requests.saturating_add(attempts);
                    Announcement::Asking { gateway, requests }
                });
                if pause == PAUSE_MIN {
                    tracing::warn!(%address, %gateway,
                        "the gateway does not answer an announcement, and may send packets elsewhere; asking on");
                }
            }
            // No interface, no socket: whoever mends it finds us asking.
            Err(error) => tracing::warn!(%address, %error, "could not announce; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Announcements {
    /// What became of the announcement of an address; none for one that was here before the agent started.
    pub fn of(&self, address: IpAddr) -> Option<Announcement> {
        self.lock().get(&address).map(|entry| entry.announcement.clone())
    }

    /// The addresses that a gateway was asked about in vain.
    pub fn unconfirmed(&self) -> Vec<(IpAddr, Announcement)> {
        let all = self.lock();
        let found = all.iter().filter(|(_, entry)| entry.announcement.is_unconfirmed());
        found.map(|(address, entry)| (*address, entry.announcement.clone())).collect()
    }

    fn begin(&self, arrival: &Arrival) -> CancellationToken {
        let gone = CancellationToken::new();
        let announcement = Announcement::Asking { gateway: arrival.gateway, requests: 0 };
        let entry = Entry { announcement, _asking: gone.clone().drop_guard() };
        self.lock().insert(arrival.address, entry);
        gone
    }

    fn note(&self, address: IpAddr, become_of: impl FnOnce(IpAddr, u32) -> Announcement) {
        if let Some(entry) = self.lock().get_mut(&address) {
            let (gateway, requests) = match entry.announcement {
                Announcement::Asking { gateway, requests } => (gateway, requests),
                Announcement::Acknowledged { gateway, .. } => (gateway, 0),
            };
            entry.announcement = become_of(gateway, requests);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Entry>> {
        // Every change is one insertion or removal, so a panic leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Announcement {
    /// Whether the gateway was asked in vain.
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self, Self::Asking { requests: 1.., .. })
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking { gateway, requests: 0 } => write!(f, "the gateway {gateway} is being told"),
            Self::Asking { gateway, requests } => write!(
                f,
                "the gateway {gateway} did not acknowledge it ({requests} requests, asked on) and may send its \
                 packets elsewhere"
            ),
            Self::Acknowledged { gateway, mac } => {
                write!(f, "acknowledged by the gateway {gateway} at {mac}")
            }
        }
    }
}

impl<A: Announcer + ?Sized> Announcer for Arc<A> {
    fn arrived(&self, arrival: Arrival) {
        (**self).arrived(arrival);
    }

    fn left(&self, address: IpAddr) {
        (**self).left(address);
    }

    fn moved(&self, bridge: IfName, address: IpAddr, mac: Mac) {
        (**self).moved(bridge, address, mac);
    }
}
