//! Docker networks of our driver on this host.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A Docker network whose driver or IPAM driver we are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Docker's id of it, 64 hexadecimal digits (25 characters in a swarm).
    pub id: String,
    /// Its name, if Docker told it.
    pub name: Option<String>,
    /// The pool its containers get addresses from.
    pub pool: String,
    /// The subnets Docker was told of when the network was made.
    pub subnets: Vec<IpNetwork>,
    /// Made with `--internal`: nothing but its own containers can be reached.
    pub internal: bool,
    /// Its bridge on this host.
    pub bridge: Option<String>,
    /// Its containers on this host.
    pub endpoints: Vec<Endpoint>,
    /// Whether Docker shows it too; absent if Docker was silent.
    pub in_docker: Option<bool>,
}

/// A container's attachment to a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Docker's id of it.
    pub id: String,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its MAC address.
    pub mac: Option<String>,
    /// The container's name, if Docker told it.
    pub container: Option<String>,
    /// The host's ports that lead to it (`-p`), as `[ADDRESS:]HOST->CONTAINER/PROTOCOL`. Docker cannot show
    /// those that nobody named.
    #[serde(default)]
    pub ports: Vec<String>,
}
