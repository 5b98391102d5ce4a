//! What this host's network should be: a plain value, told by the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{IfName, Mac, Policy};

/// Everything Berth should have on this host. The empty value means: nothing of ours.
///
/// Addresses are of either family; the data path of this version is IPv4, and an IPv6 address is
/// answered with an [`Obstacle`](crate::Obstacle).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostNet {
    /// Bridges by name.
    pub bridges: BTreeMap<IfName, Bridge>,
    /// Containers' veth pairs, by the name of the host end.
    pub ports: BTreeMap<IfName, Port>,
    /// Portable subnets that this host has addresses of.
    pub subnets: BTreeMap<IpNetwork, Subnet>,
    /// Containers' addresses that are routed to a bridge and answered for on the VLAN.
    pub addresses: BTreeMap<IpAddr, Address>,
    /// Host ports that lead to containers (`-p`).
    pub published: BTreeSet<Published>,
    /// Who may reach which container. `None` while that is not known: what stands in the kernel stays.
    #[serde(default)]
    pub policy: Option<Policy>,
}

/// A bridge that containers are ports of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Its own, fixed: containers keep it as their gateway's for as long as they live.
    /// [`Mac::derived`] makes one. Ignored where [`Maker::Docker`] made the bridge.
    pub mac: Mac,
    /// The VLAN interface of the zone whose subnets it serves; the bridge takes its MTU.
    pub interface: IfName,
    /// A smaller MTU for the bridge and its ports, in bytes; a larger one than the VLAN's is not heeded.
    /// Ignored where [`Maker::Docker`] made the bridge.
    pub mtu: Option<u32>,
    /// How far its containers can talk.
    pub reach: Reach,
    /// Who makes and deletes the link.
    pub maker: Maker,
}

/// How far the containers of a bridge can talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// With the VLAN, the host and everything behind the VLAN's router.
    Vlan,
    /// With each other only (`docker network create --internal`).
    Internal,
}

/// Who makes and deletes a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// Berth does.
    Berth,
    /// dockerd's built-in bridge driver does, and uses only our IPAM. The link is never made, deleted
    /// or renamed by us; routes lead to it and its sysctls are set once it is there.
    Docker,
}

/// A veth pair: one end on a bridge, the other for a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The bridge that the host end is on.
    pub bridge: IfName,
    /// Name of the other end. It is made in the host's namespace, from where dockerd moves it (`SrcName`).
    pub container_end: IfName,
    /// MAC of the container's end.
    pub mac: Mac,
    /// What people should see beside the link (`ip link` shows it as the alias): a container's address,
    /// say. At most 128 bytes are kept.
    pub label: String,
}

/// A portable subnet on a VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The provider's router on this subnet, of the subnet's family.
    pub gateway: IpAddr,
    /// The host's interface on the VLAN that the subnet is routed to.
    pub interface: IfName,
}

/// An address of a container on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The subnet it lies in: a key of [`HostNet::subnets`].
    pub subnet: IpNetwork,
    /// The bridge its container is on: a key of [`HostNet::bridges`].
    pub bridge: IfName,
}

/// A host port that leads to a container: `-p [HOST_IP:]HOST_PORT:CONTAINER_PORT/PROTOCOL`.
///
/// It is answered on the VLAN interface and from the host itself, `localhost` included. On another
/// interface it is answered where the host forwards from that interface, which dockerd's default
/// (`--ip-forward`) sees to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Published {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Only connections to this address of the host; `None` is every address of the host, which people
    /// also write as 0.0.0.0.
    pub host_ip: Option<IpAddr>,
    /// 1 to 65535.
    pub host_port: u16,
    /// The container: a key of [`HostNet::addresses`].
    pub container: IpAddr,
    /// 1 to 65535.
    pub container_port: u16,
}

/// A protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// IP protocol 6.
    Tcp,
    /// IP protocol 17.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, host_ip, host_port, container, container_port } = self;
        match host_ip {
            Some(ip) => write!(f, "{protocol} {ip} {host_port} to {container} {container_port}"),
            None => write!(f, "{protocol} any {host_port} to {container} {container_port}"),
        }
    }
}
