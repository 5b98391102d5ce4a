//! Docker's side of the agent: the plugin that dockerd calls, what it told us, and what it shows.
//!
//! - [`plugin`] answers dockerd's calls on the plugin socket;
//! - [`wire`] is their JSON, and the only place that names it;
//! - [`Book`] remembers networks and endpoints, since dockerd never tells them twice;
//! - [`events`] looks at dockerd from its other side, the API: names, labels, who is running.
//!
//! The Docker API is never called inside a plugin call: dockerd holds its locks there.

pub mod addresses;
pub mod book;
pub mod events;
mod driver;
mod mac;
pub mod plugin;
mod pool_id;
mod record;
mod wire;

pub use book::Book;
pub use mac::Mac;
pub use record::{Endpoint, Lent, Network, NetworkId, Protocol, PublishedPort, Record, Stage};
