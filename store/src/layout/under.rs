//! Sets of items whose keys begin alike.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::Item;
use super::text::{self, join};
use crate::Prefix;

/// A set of items whose keys begin alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Under {
    /// The cluster's one record.
    Cluster,
    /// All there is.
    Everything,
    /// Every host record.
    Hosts,
    /// Every sign of life.
    Sessions,
    /// What people call every host.
    Descriptions,
    /// The last eviction of every host that was evicted.
    Evictions,
    /// Every block.
    Blocks,
    /// The blocks of one zone.
    BlocksIn {
        /// The zone.
        zone: String,
    },
    /// The blocks of one subnet.
    BlocksOf {
        /// Its zone.
        zone: String,
        /// The subnet.
        subnet: IpNetwork,
    },
    /// The surplus hints of one zone.
    SurplusOf {
        /// The zone.
        zone: String,
    },
    /// What one host is asked for.
    WantsOf {
        /// The zone.
        zone: String,
        /// The host that is asked.
        holder: String,
    },
    /// The open assignments of one host.
    PublishedOf {
        /// The host.
        host: String,
    },
    /// Every address that a service uses.
    Endpoints,
    /// What depends on one address, under any epoch.
    DependentsOf(IpAddr),
    /// Every declared service.
    Services,
    /// Every container in any service.
    Members,
    /// The containers in one service.
    MembersOf {
        /// The service.
        service: String,
    },
    /// Every load balancer that services are behind, or were.
    Balancers,
    /// Our members at one load balancer.
    BalancedBy {
        /// The load balancer.
        name: String,
    },
    /// Every firewall that services name, or did.
    Firewalls,
    /// The addresses that we let in by one firewall.
    AdmittedBy {
        /// The firewall.
        name: String,
    },
    /// What is to be drained on one host.
    DrainsOf {
        /// The host.
        host: String,
    },
    /// What any container is called.
    Names,
    /// The containers that are called so.
    CalledBy {
        /// What they are called.
        label: String,
    },
    /// Every want in a zone.
    WantsIn {
        /// The zone.
        zone: String,
    },
    /// Every pool.
    Pools,
    /// What the cluster goes by for every pool.
    Policies,
    /// Every subnet.
    Subnets,
    /// Every reservation.
    Reservations,
    /// Every owner.
    Owners,
    /// Every order.
    Orders,
    /// What runs anywhere, for the ledger.
    Running,
    /// What runs in one subnet, on any host.
    RunningOf(IpNetwork),
    /// What runs in one block, on any host.
    RunningIn {
        /// The block's subnet.
        subnet: IpNetwork,
        /// The block's index.
        index: u32,
    },
    /// The closed intervals in the store that one host wrote.
    LedgerOf {
        /// The host.
        writer: String,
    },
    /// Every segment of the ledger.
    Segments,
    /// The segments of one block.
    SegmentsIn {
        /// The block's subnet.
        subnet: IpNetwork,
        /// The block's index.
        index: u32,
    },
    /// The segments that one host is asked to keep.
    KeepOf {
        /// The host.
        keeper: String,
    },
    /// What one host is asked about its disk.
    AsksOf {
        /// The host.
        keeper: String,
    },
}

impl Under {
    /// How the keys of these items begin.
    pub fn prefix(&self) -> Prefix {
        let parts = match self {
            Under::Cluster => return Prefix::new(Item::Cluster.key().as_str().to_owned()),
            Under::Everything => return Prefix::new(String::new()),
            Under::Hosts => join(&["hosts"]),
            Under::Sessions => join(&["sessions"]),
            Under::Evictions => join(&["evictions"]),
            Under::Descriptions => join(&["descriptions"]),
            Under::Blocks => join(&["blocks"]),
            Under::BlocksIn { zone } => join(&["blocks", zone]),
            Under::BlocksOf { zone, subnet } => join(&["blocks", zone, &text::subnet(subnet)]),
            Under::SurplusOf { zone } => join(&["surplus", zone]),
            Under::WantsOf { zone, holder } => join(&["wants", zone, holder]),
            Under::PublishedOf { host } => join(&["published", host]),
            Under::Endpoints => join(&["endpoints"]),
            Under::DependentsOf(address) => join(&["dependents", &address.to_string()]),
            Under::Services => join(&["services"]),
            Under::Members => join(&["members"]),
            Under::MembersOf { service } => join(&["members", service]),
            Under::Balancers => join(&["balancers"]),
            Under::BalancedBy { name } => join(&["balanced", name]),
            Under::Firewalls => join(&["firewalls"]),
            Under::AdmittedBy { name } => join(&["admitted", name]),
            Under::DrainsOf { host } => join(&["drains", host]),
            Under::Names => join(&["names"]),
            Under::CalledBy { label } => join(&["called", label]),
            Under::WantsIn { zone } => join(&["wants", zone]),
            Under::Pools => join(&["pools"]),
            Under::Policies => join(&["policies"]),
            Under::Subnets => join(&["subnets"]),
            Under::Reservations => join(&["reservations"]),
            Under::Owners => join(&["owners"]),
            Under::Orders => join(&["orders"]),
            Under::Running => join(&["running"]),
            Under::RunningOf(subnet) => join(&["running", &text::subnet(subnet)]),
            Under::RunningIn { subnet, index } => {
                join(&["running", &text::subnet(subnet), &index.to_string()])
            }
            Under::LedgerOf { writer } => join(&["ledger", writer]),
            Under::Segments => join(&["segments"]),
            Under::SegmentsIn { subnet, index } => {
                join(&["segments", &text::subnet(subnet), &index.to_string()])
            }
            Under::AsksOf { keeper } => join(&["asks", keeper]),
            Under::KeepOf { keeper } => join(&["keep", keeper]),
        };
        // With the slash: 10.0.0.1 must not cover 10.0.0.11.
        Prefix::new(parts + "/")
    }
}

impl From<Under> for Prefix {
    fn from(under: Under) -> Prefix {
        under.prefix()
    }
}
