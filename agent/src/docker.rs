//! Docker's side of the agent: the plugin that dockerd calls, what it told us, and what it shows.
//!
//! - [`plugin`] answers dockerd's calls on the plugin socket;
//! - `wire` is their JSON, and the only place that names it;
//! - [`Book`] remembers networks and endpoints, since dockerd never tells them twice;
//! - [`events`] looks at dockerd from its other side, the API: names, labels, who is running.
//!
//! The Docker API is never called inside a plugin call: dockerd holds its locks there.

pub mod addresses;
pub mod book;
pub mod debts;
mod driver;
pub mod events;
mod hostnames;
pub mod plugin;
mod pool_id;
mod record;
pub mod refusal;
mod wire;

pub use addresses::{AddressError, Addresses, Assigned, InUse, OutOfOrder};
pub use book::{Book, Pages};
pub use driver::{Driver, Listener, listeners};
pub(crate) use hostnames::Hostnames;
pub(crate) use record::mac_of;
pub use record::{Endpoint, Lent, Network, NetworkId, PublishedPort, Record, Stage, aside_id};

/// The name of both drivers, as in `docker network create -d berth --ipam-driver berth`. dockerd finds the
/// plugin under it: `/run/docker/plugins/berth.sock`.
pub const DRIVER: &str = "berth";

/// The option by which a network's MTU is asked for, of every driver of Docker's. Source: libnetwork,
/// `netlabel/labels.go`.
pub(crate) const MTU_OPTION: &str = "com.docker.network.driver.mtu";

#[cfg(test)]
pub(crate) mod testing;
