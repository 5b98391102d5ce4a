//! Bridges, veths, routes, neighbours and nftables on this host.
//!
//! Three steps, and only the first and the last touch the kernel: *look* ([`Kernel::observe`]),
//! *plan* ([`plan()`], a function of two values), *do* ([`Kernel::apply`], one change, no choices).
//! [`bring_to`] is the three together. Only what carries our mark is ever in a plan (see [`mark`]).
//!
//! This crate knows nothing of Docker, of clouds or of who may use an address: it is told what should
//! be there ([`HostNet`]).

mod admission;
mod change;
mod fake;
pub mod firewall;
mod kernel;
pub mod mark;
mod names;
pub mod neighbour;
mod netlink;
mod observed;
mod plan;
mod routing;
mod sysctl;
pub mod testing;
mod wanted;

pub use admission::{Admission, Direction};
pub use change::Change;
pub use fake::FakeKernel;
pub use firewall::Firewall;
pub use kernel::{ApplyError, Brought, Kernel, ObserveError, bring_to};
pub use names::{IfName, InvalidMac, InvalidName, Mac};
pub use netlink::Netlink;
pub use observed::{BridgeSeen, InterfaceSeen, Observed, PortSeen};
pub use plan::{Obstacle, obstacles, plan};
pub use routing::{Proxy, Route, Rule, Selector, Table};
pub use sysctl::{Knob, Sysctl};
pub use wanted::{Address, Bridge, HostNet, Maker, Port, Protocol, Published, Reach, Subnet};
