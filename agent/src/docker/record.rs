//! What Docker told us and will not tell again: the records of `docker.journal`.
//!
//! dockerd never repeats `CreateNetwork` after a restart, and never repeats a release. So both are kept
//! here until they are settled.

use std::fmt;
use std::net::IpAddr;

use hostnet::{IfName, Mac, Protocol};
use ipam::{EndpointId, Epoch, PoolName, Zone};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// One line of `docker.journal`. A later record of the same thing replaces the earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A network as it is now.
    Network(Network),
    /// Docker removed the network.
    NetworkGone(NetworkId),
    /// An endpoint as it is now.
    Endpoint(Endpoint),
    /// The endpoint is gone and its address released.
    EndpointGone(EndpointId),
    /// An address given to a container of Docker's own bridge driver.
    Lent(Lent),
    /// That address is released.
    LentGone(IpAddr),
}

/// Docker's name for a network: 64 hexadecimal digits, or 25 characters from Swarm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkId(pub String);

impl NetworkId {
    /// The first twelve characters, as Docker shows it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.short())
    }
}

/// A Docker network of our driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Docker's name for it.
    pub id: NetworkId,
    /// Where its addresses come from. It outlives any one subnet.
    pub pool: PoolName,
    /// The zone whose VLAN its containers are on.
    pub zone: Zone,
    /// The subnet that Docker knows: what `--ip` can reach. Other addresses may come from further subnets.
    pub subnet: IpNetwork,
    /// `--internal`: its containers reach each other on this host, and nothing else.
    pub internal: bool,
    /// The MTU asked for, in bytes; absent: the VLAN's.
    #[serde(default)]
    pub mtu: Option<u32>,
}

/// A container's attachment to a network of our driver, or an auxiliary address of the network itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Docker's name for it, new at each start of the container.
    pub id: EndpointId,
    /// The network it is attached to.
    pub network: NetworkId,
    /// Its address, with the prefix of the subnet it came from.
    pub address: IpNetwork,
    /// That subnet's gateway.
    pub gateway: Option<IpAddr>,
    /// The assignment under which it has the address.
    pub epoch: Epoch,
    /// Its hardware address.
    pub mac: Mac,
    /// `-p`: what Docker asked to publish.
    pub ports: Vec<PublishedPort>,
    /// Whether the ports are to be open now.
    pub published: bool,
    /// How far its life has come.
    pub stage: Stage,
}

impl Endpoint {
    /// The ports that lead to it now.
    pub fn open_ports(&self) -> impl Iterator<Item = &PublishedPort> {
        let is_open = self.published && self.stage < Stage::Deleted;
        self.ports.iter().filter(move |_| is_open)
    }
}

/// The life of an endpoint, in the order of Docker's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// An auxiliary address: kept from containers as long as its network lives.
    Aside,
    /// `CreateEndpoint` was answered: the address is bound to it.
    Created,
    /// `Join` was asked: it has a veth.
    Joined,
    /// `Leave` was asked: it has none.
    Left,
    /// `DeleteEndpoint` was asked.
    Deleted,
    /// `ReleaseAddress` was asked, or the reconciler has two witnesses. A debt until the allocator took it.
    Released,
}

/// A port of the host that leads to a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The one address of the host on which it is open; every address where absent.
    pub host_address: Option<IpAddr>,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.host_address {
            write!(out, "{address}:")?;
        }
        write!(out, "{}->{}/{}", self.host_port, self.container_port, self.protocol)
    }
}

/// An address lent to a container of another driver than ours, which tells us nothing more of it. Most
/// often it is Docker's built-in bridge driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// The address, with the prefix of its subnet.
    pub address: IpNetwork,
    /// That subnet's gateway.
    pub gateway: Option<IpAddr>,
    /// The assignment under which it is lent.
    pub epoch: Epoch,
    /// The zone of that subnet.
    pub zone: Zone,
    /// The bridge of the host behind which the container will be, once it is known. Nothing leads to the
    /// address before.
    pub bridge: Option<IfName>,
    /// The endpoint, once Docker was seen to list a container with this address.
    pub endpoint: Option<EndpointId>,
    /// The endpoint that had the address a moment before: an old look at Docker may still show it.
    #[serde(default)]
    pub former: Option<EndpointId>,
    /// Docker asked to release it; done when neither Docker nor the kernel shows it any more.
    pub released: bool,
}

/// The name under which an auxiliary address is bound, so that no container is given it.
pub fn aside_id(network: &NetworkId, name: &str) -> EndpointId {
    EndpointId(format!("aux:{}:{name}", network.0))
}

/// The hardware address that a container gets when nobody chose another: Docker's own `02:42` and the
/// last four bytes of its address, so that a neighbour's old entry stays true.
pub(crate) fn mac_of(address: IpAddr) -> Mac {
    let [a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [a, b, c, d]
        }
    };
    Mac([0x02, 0x42, a, b, c, d])
}
