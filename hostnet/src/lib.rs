//! Bridges, veths, routes, neighbours and nftables on this host.
//!
//! Three steps, and only the first and the last touch the kernel: *look* ([`Kernel::observe`]),
//! *plan* ([`plan()`], a function of two values), *do* ([`Kernel::apply`], one change, no choices).
//! [`bring_to`] is the three together. Only what carries our mark is ever in a plan (see [`mark`]).
//!
//! ```
//! use hostnet::{Bridge, HostNet, IfName, InterfaceSeen, Mac, Maker, Observed, Reach, plan};
//!
//! let eth0 = IfName::parse("eth0")?;
//! let seen = InterfaceSeen { mac: None, mtu: 9000, address: Some("10.40.0.11".parse()?) };
//! let observed = Observed { interfaces: [(eth0.clone(), seen)].into(), ..Observed::default() };
//!
//! let mac = Mac::derived("blue");
//! let bridge = Bridge { mac, interface: eth0, mtu: None, reach: Reach::Vlan, maker: Maker::Berth };
//! let wanted = HostNet { bridges: [(IfName::bridge("blue"), bridge)].into(), ..HostNet::default() };
//!
//! let steps: Vec<String> = plan(&wanted, &observed).iter().map(ToString::to_string).collect();
//! assert_eq!(steps[1], format!("create bridge berth-bblue mac {mac} mtu 9000"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
mod obstacle;
mod plan;
pub mod policy;
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
pub use obstacle::{Obstacle, obstacles};
pub use plan::{plan, plan_policy};
pub use policy::{Opening, Policy, PolicyChange};
pub use routing::{Proxy, Route, Rule, Selector, Table};
pub use sysctl::{Knob, Sysctl};
pub use wanted::{Address, Bridge, HostNet, Maker, Port, Protocol, Published, Reach, Subnet};
