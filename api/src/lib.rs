//! The wire types of the agent's local API: plain serde values, HTTP/1.1 and JSON on a unix socket.
//!
//! Every answer is an [`Answer`]: it names the version of this vocabulary, whose word it is, and who
//! could not be asked. A refusal is a [`Problem`]. Both sides use these types, so a field that one of
//! them forgets does not compile. Within a version fields are only ever added.
//!
//! | path | method | answer |
//! |---|---|---|
//! | [`paths::STATUS`] | GET | [`Status`] |
//! | [`paths::POOLS`] | GET | `Vec<`[`Pool`]`>` |
//! | [`paths::SUBNETS`] | GET | `Vec<`[`Subnet`]`>` |
//! | [`paths::ADDRESSES`]`?pool=&all=` | GET | `Vec<`[`Address`]`>` |
//! | [`paths::ADDRESSES`]`/{ip}` | GET | [`AddressReport`] |
//! | [`paths::HISTORY`]`?address=&container=&host=&from=&to=` | GET | [`History`] |
//! | [`paths::EXPLAIN`]`?pool=&address=&family=` | GET | [`Explanation`] |
//! | [`paths::RESERVATIONS`] | GET, POST [`Reserve`], DELETE `?name=` | `Vec<`[`Reservation`]`>`, [`Reservation`] |
//! | [`paths::NAMES`]`?name=` | GET | [`NameReport`] |
//! | [`paths::NETWORKS`] | GET | `Vec<`[`Network`]`>` |
//! | [`paths::ORDERS`] | GET | `Vec<`[`Order`]`>` |
//! | [`paths::ORDERS`]`/{id}` | GET | [`OrderReport`] |
//! | [`paths::ORDERS`]`/{id}/settle` | POST [`Settle`] | [`Order`] |
//! | [`paths::SUBNET_DRAIN`], [`paths::SUBNET_UNDRAIN`] | POST [`NamedSubnet`] | [`Order`] |
//! | [`paths::HOSTS`] | GET | `Vec<`[`Host`]`>` |
//! | [`paths::HOST_EVICT`] | POST [`Evict`] | [`Host`] |
//! | [`paths::HOST_PLAN`] | GET | [`HostPlan`] |
//! | [`paths::CLUSTER`] | GET, POST | [`Cluster`] |
//! | [`paths::STORE_BACKUP`] | GET | [`Backup`] |
//! | [`paths::STORE_REBUILD`] | POST [`RebuildStore`] | [`StoreRebuild`] |
//! | [`paths::CHECK`] | GET | [`CheckReport`] |
//! | [`paths::DOCTOR`] | GET | [`DoctorReport`] |

mod address;
mod answer;
mod cluster;
mod drain;
mod history;
mod host;
mod inspection;
mod name;
mod network;
mod order;
mod policy;
mod pool;
mod service;
mod status;

pub use address::{
    Address, AddressReport, AddressState, AddressesQuery, ExplainQuery, Explanation, Family, Reservation,
    Reserve, UnreserveQuery,
};
pub use answer::{Answer, Problem, ProblemKind, Silence, Source, Word};
pub use cluster::{Awaited, Backup, Cluster, RebuildStore, StoreRebuild};
pub use drain::{Drain, Drained, DrainedMember};
pub use history::{Assignment, History, HistoryQuery, Unseen};
pub use host::{Attachment, Evict, Eviction, Host, HostLife, HostPlan, MachineKind};
pub use inspection::{CheckCost, CheckReport, DoctorReport, Examination, Finding, Verdict};
pub use name::{NameQuery, NameRecord, NameReport, NamesLine};
pub use network::{Endpoint, Network};
pub use order::{Candidate, NamedSubnet, NextStep, Order, OrderIntent, OrderReport, OrderState, Settle};
pub use policy::{MalformedPeer, Peer, PolicyEntry, PolicyUse};
pub use pool::{Counts, Pool, PoolZone, Quarantined, Subnet, SubnetState, Watermarks};
pub use service::{
    ApplyService, AtBalancer, BalancerReport, Exposure, FieldChange, FirewallReport, HealthCheck, Listener,
    LoadBalancer, Member, MemberStanding, Outside, Protocol, Readiness, Service, ServiceChange, ServiceLine,
    ServicePort, ServiceReport, Transport,
};
pub use status::{Condition, Mode, Notice, Part, PoolLine, Status};

/// The version of the vocabulary, as it stands in every answer and as `/v1` in every path.
pub const VERSION: u32 = 1;

/// Where things are. All paths begin with the version.
pub mod paths {
    /// How the agent and everything it stands on is doing.
    pub const STATUS: &str = "/v1/status";
    /// What users ask addresses from.
    pub const POOLS: &str = "/v1/pools";
    /// The cloud's subnets that are open to the pools.
    pub const SUBNETS: &str = "/v1/subnets";
    /// Empties a subnet, then returns it.
    pub const SUBNET_DRAIN: &str = "/v1/subnets/drain";
    /// Keeps a subnet that was to be emptied.
    pub const SUBNET_UNDRAIN: &str = "/v1/subnets/undrain";
    /// Every address that is not plainly free; one address below it.
    pub const ADDRESSES: &str = "/v1/addresses";
    /// Who had which address when.
    pub const HISTORY: &str = "/v1/history";
    /// What a request would get, and why.
    pub const EXPLAIN: &str = "/v1/explain";
    /// Named addresses that outlive containers.
    pub const RESERVATIONS: &str = "/v1/reservations";
    /// Named sets of containers; one service below it.
    pub const SERVICES: &str = "/v1/services";
    /// Containers and hosts that get nothing new.
    pub const DRAINS: &str = "/v1/drains";
    /// What would be answered to a name.
    pub const NAMES: &str = "/v1/names";
    /// Docker networks of our driver on this host.
    pub const NETWORKS: &str = "/v1/networks";
    /// Subnets that were asked of the cloud; one order below it.
    pub const ORDERS: &str = "/v1/orders";
    /// The hosts of the cluster.
    pub const HOSTS: &str = "/v1/hosts";
    /// Takes a dead host's addresses away, on an operator's word.
    pub const HOST_EVICT: &str = "/v1/hosts/evict";
    /// What the agent would change on this host now.
    pub const HOST_PLAN: &str = "/v1/host/plan";
    /// The cluster's record; founding it.
    pub const CLUSTER: &str = "/v1/cluster";
    /// Everything in the store.
    pub const STORE_BACKUP: &str = "/v1/store/backup";
    /// Makes a store anew that was lost, and takes words on who is gone.
    pub const STORE_REBUILD: &str = "/v1/store/rebuild";
    /// The oracle over journal, store, kernel, Docker and cloud.
    pub const CHECK: &str = "/v1/check";
    /// What is wrong around the agent, each with its cure.
    pub const DOCTOR: &str = "/v1/doctor";
}
