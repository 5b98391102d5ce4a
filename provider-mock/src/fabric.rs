//! Real packets: the simulated cloud's VLANs, router and machines as network namespaces.
//!
//! `--fabric NAME` makes, and removes again on SIGTERM and SIGINT (and at the next start after a kill):
//!
//! - `NAME-fabric`: a bridge `v<vlan id>` for each VLAN;
//! - `NAME-router`: an interface `v<vlan id>` on each VLAN with the gateway address of each subnet there;
//!   it forwards, keeps neighbours for hours, and the API and metadata service listen inside it;
//! - `NAME-<hostname>` for each machine: `eth0` (and `eth1`) with its MAC and primary address, routes through the
//!   router. Nothing runs inside.
//!
//! NAME is 1 to 12 of `a-z0-9`, so that no NAME is the beginning of another's namespaces.
//! Everything is done through `ip` of iproute2: Berth's own netlink code is tested against it.
