//! Pools, and the cloud's subnets behind them.

use ipnetwork::IpNetwork;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What users ask addresses from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name, as in `--ipam-opt pool=NAME`.
    pub name: String,
    /// The provider network its subnets are on: `private` or `public`.
    pub network: String,
    /// When it grows, and how far.
    pub watermarks: Watermarks,
    /// Seconds an address rests after its release.
    pub cooling_secs: u64,
    /// Ranges that are never handed out.
    pub exclude: Vec<IpNetwork>,
    /// What it has in each zone that this host is in.
    pub zones: Vec<PoolZone>,
}

/// When a pool orders, and how far it may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermarks {
    /// A subnet is ordered when fewer addresses than this are free in a zone.
    pub free_min: u32,
    /// The spending limit: subnets of this pool in a zone, ordered and adopted ones together.
    pub subnets_max: u32,
    /// Prefix length of the subnets that are ordered.
    pub prefix: u8,
}

/// A pool in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolZone {
    /// The zone: the L2 domain in which the subnets can be used.
    pub zone: String,
    /// The subnets that are open there.
    pub subnets: Vec<IpNetwork>,
    /// Its addresses.
    pub counts: Counts,
}

/// Addresses by state. They add up to the size of the subnet, or of all subnets of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In use on this host.
    pub assigned: u64,
    /// Released on this host, not to be reused yet.
    pub cooling: u64,
    /// Held by this host and free: assigned with no round trip.
    pub free: u64,
    /// On their way from this host back to the store.
    pub leaving: u64,
    /// Held by this host since an earlier boot, and not usable until the store confirmed it.
    pub not_retaken: u64,
    /// Held by nobody.
    pub unheld: u64,
    /// Held by other hosts.
    pub elsewhere: u64,
    /// Not to be reused yet, after an eviction or a lost journal.
    pub quarantined: u64,
    /// Never handed out: network, gateway, broadcast, excluded, occupied.
    pub set_aside: u64,
}

impl Counts {
    /// All addresses, set aside ones included.
    pub fn total(&self) -> u64 {
        self.usable() + self.set_aside
    }

    /// The addresses that containers can ever have.
    pub fn usable(&self) -> u64 {
        self.assigned
            + self.cooling
            + self.free
            + self.leaving
            + self.not_retaken
            + self.unheld
            + self.elsewhere
            + self.quarantined
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.assigned += other.assigned;
        self.cooling += other.cooling;
        self.free += other.free;
        self.leaving += other.leaving;
        self.not_retaken += other.not_retaken;
        self.unheld += other.unheld;
        self.elsewhere += other.elsewhere;
        self.quarantined += other.quarantined;
        self.set_aside += other.set_aside;
    }
}

/// A portable subnet of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its CIDR.
    pub subnet: IpNetwork,
    /// The provider's router in it.
    pub gateway: Option<IpAddr>,
    /// The L2 domain in which it can be used.
    pub zone: String,
    /// The pool it belongs to; absent if the cloud shows it and the store does not.
    pub pool: Option<String>,
    /// The provider's id of it.
    pub provider_id: Option<String>,
    /// What the store says of it.
    pub state: SubnetState,
    /// Whether the cloud shows it; absent if the cloud was silent.
    pub in_cloud: Option<bool>,
    /// Blocks it is cut into.
    pub blocks: u32,
    /// Its addresses.
    pub counts: Counts,
    /// Its addresses in quarantine, where this host has the zone's role and so knows how they stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<Quarantined>,
}

/// An address in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Which.
    pub address: IpAddr,
    /// The host that held it, if that is known.
    pub was: Option<String>,
    /// Why that host does not hold it any more, and whose word that is.
    pub why: String,
    /// How it stands, and whose word that is.
    pub state: String,
    /// Whether something keeps it although its time is over.
    pub kept: bool,
    /// When that changes or is looked at again, if time alone decides.
    pub next: Option<Timestamp>,
}

/// The life of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubnetState {
    /// Addresses may be taken from it.
    Open,
    /// It is being emptied: nothing more is taken from it.
    Draining,
    /// It is being given back to the cloud.
    Returning,
    /// The cloud has it, and it was never opened here.
    Unopened,
}
