//! Telling the neighbours where an address is now. At the rim: nothing waits for it.

use std::net::IpAddr;
use std::sync::Arc;

use hostnet::neighbour::{self, Announced, Arrival, Patience};
use hostnet::{IfName, Mac};
use tokio_util::task::TaskTracker;

/// Says who has an address, to the VLAN's router and to the containers on a bridge.
pub trait Announcer: Send + Sync + 'static {
    /// The address arrived: the router is asked until it answers.
    fn arrived(&self, arrival: Arrival);

    /// Containers on the bridge reach the address at this MAC now: a container's, or the bridge's own
    /// when the address left.
    fn moved(&self, bridge: IfName, address: IpAddr, mac: Mac);
}

/// Announces with ARP, each in a task of its own.
#[derive(Debug, Clone, Default)]
pub struct Arp {
    tasks: TaskTracker,
}

impl Announcer for Arp {
    fn arrived(&self, arrival: Arrival) {
        self.tasks.spawn(async move {
            match neighbour::announce(&arrival, Patience::default()).await {
                Ok(Announced::Acknowledged { mac }) => {
                    tracing::debug!(address = %arrival.address, router = %mac, "announced");
                }
                Ok(Announced::Unanswered { attempts }) => {
                    tracing::warn!(address = %arrival.address, gateway = %arrival.gateway, attempts,
                        "the gateway did not answer an announcement; it may send packets elsewhere for a while");
                }
                Err(error) => tracing::warn!(address = %arrival.address, %error, "could not announce"),
            }
        });
    }

    fn moved(&self, bridge: IfName, address: IpAddr, mac: Mac) {
        self.tasks.spawn(async move {
            if let Err(error) = neighbour::tell_bridge(&bridge, address, mac).await {
                tracing::debug!(%bridge, %address, %error, "could not tell the bridge");
            }
        });
    }
}

impl<A: Announcer + ?Sized> Announcer for Arc<A> {
    fn arrived(&self, arrival: Arrival) {
        (**self).arrived(arrival);
    }

    fn moved(&self, bridge: IfName, address: IpAddr, mac: Mac) {
        (**self).moved(bridge, address, mac);
    }
}
