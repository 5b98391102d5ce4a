//! Bridges and veth pairs. Ours are those in our group.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use futures::TryStreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressScope};
use netlink_packet_route::link::{
    BridgeStpState, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use nix::errno::Errno;
use rtnetlink::{AddressAddRequest, Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::fault::{Fault, existed, gone, io_error};
use crate::names::PREFIX;
use crate::{BridgeSeen, IfName, InterfaceSeen, Mac, Observed, PortSeen, mark};

/// Every link of the namespace that has a name we can say, by index.
pub(super) struct Links(BTreeMap<u32, Link>);

struct Link {
    name: IfName,
    kind: Kind,
    ours: bool,
    up: bool,
    mtu: u32,
    mac: Option<Mac>,
    alias: Option<String>,
    master: Option<u32>,
    /// The other end of a veth pair, when it is in this namespace.
    peer: Option<u32>,
    /// IPv4 addresses with their scope, in the kernel's order.
    addresses: Vec<(IpAddr, AddressScope)>,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Loopback,
    Bridge,
    Veth,
    Other,
}

pub(super) async fn all(handle: &Handle) -> io::Result<Links> {
    let mut links = BTreeMap::new();
    let mut messages = handle.link().get().execute();
    while let Some(message) = messages.try_next().await.map_err(io_error)? {
        if let Some(link) = read(&message) {
            links.insert(message.header.index, link);
        }
    }
    let mut messages = handle.address().get().execute();
    while let Some(message) = messages.try_next().await.map_err(io_error)? {
        let Some(link) = links.get_mut(&message.header.index) else { continue };
        link.addresses.extend(message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address @ IpAddr::V4(_)) => Some((*address, message.header.scope)),
            _ => None,
        }));
    }
    Ok(Links(links))
}

impl Links {
    /// The name of a link.
    pub(super) fn name(&self, index: u32) -> Option<&IfName> {
        self.0.get(&index).map(|link| &link.name)
    }

    /// Whose is what.
    pub(super) fn sort(&self) -> Observed {
        let mut observed = Observed::default();
        for (index, link) in &self.0 {
            let name = link.name.clone();
            match link.kind {
                Kind::Bridge if link.ours => drop(observed.bridges.insert(name, link.as_bridge())),
                Kind::Veth if link.ours => drop(observed.ports.insert(name, self.as_port(link))),
                Kind::Loopback => {}
                _ if self.is_container_end(*index, link) => {}
                _ if name.as_str().starts_with(PREFIX) => drop(observed.strangers.insert(name)),
                _ => drop(observed.interfaces.insert(name, link.as_interface())),
            }
        }
        observed
    }

    /// The links whose switches matter: those that packets are routed by. Ports of bridges are not, and
    /// a busy Docker host has hundreds.
    pub(super) fn switched(&self) -> impl Iterator<Item = &IfName> {
        let routed = |(index, link): &(&u32, &Link)| {
            link.master.is_none() && link.kind != Kind::Loopback && !self.is_container_end(**index, link)
        };
        self.0.iter().filter(routed).map(|(_, link)| &link.name)
    }

    /// Is it the other end of a pair of ours, not yet in a container?
    fn is_container_end(&self, index: u32, link: &Link) -> bool {
        let host_end = link.peer.and_then(|peer| self.0.get(&peer));
        link.kind == Kind::Veth && host_end.is_some_and(|end| end.ours && end.peer == Some(index))
    }

    fn as_port(&self, link: &Link) -> PortSeen {
        PortSeen {
            bridge: link.master.and_then(|master| self.name(master)).cloned(),
            up: link.up,
            alias: link.alias.clone(),
            container_end: link.peer.and_then(|peer| self.name(peer)).cloned(),
        }
    }
}

impl Link {
    fn as_bridge(&self) -> BridgeSeen {
        let mac = self.mac.unwrap_or(Mac([0; 6]));
        let addresses = self.addresses.iter().map(|(address, _)| *address).collect();
        BridgeSeen { mac, mtu: self.mtu, up: self.up, alias: self.alias.clone(), addresses }
    }

    fn as_interface(&self) -> InterfaceSeen {
        let own = self.addresses.iter().find(|(_, scope)| *scope == AddressScope::Universe);
        InterfaceSeen { mac: self.mac, mtu: self.mtu, address: own.map(|(address, _)| *address) }
    }
}

fn read(message: &LinkMessage) -> Option<Link> {
    let (mut name, mut kind, mut peer, mut elsewhere) = (None, Kind::Other, None, false);
    let (mut group, mut mtu, mut mac, mut alias, mut master) = (0, 0, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = IfName::parse(text).ok(),
            LinkAttribute::Group(number) => group = *number,
            LinkAttribute::Mtu(bytes) => mtu = *bytes,
            LinkAttribute::Address(bytes) => mac = bytes.as_slice().try_into().ok().map(Mac),
            LinkAttribute::IfAlias(text) => alias = Some(text.clone()),
            LinkAttribute::Controller(index) => master = Some(*index),
            LinkAttribute::Link(index) => peer = Some(*index),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(InfoKind::Bridge) => kind = Kind::Bridge,
                        LinkInfo::Kind(InfoKind::Veth) => kind = Kind::Veth,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if message.header.flags.contains(LinkFlags::Loopback) {
        kind = Kind::Loopback;
    }
    Some(Link {
        name: name?,
        kind,
        ours: group == mark::LINK_GROUP,
        up: message.header.flags.contains(LinkFlags::Up),
        mtu,
        mac,
        alias,
        master,
        peer: peer.filter(|_| !elsewhere),
        addresses: Vec::new(),
    })
}

pub(super) async fn create_bridge(handle: &Handle, name: &IfName, mac: Mac, mtu: u32) -> Result<(), Fault> {
    let bridge = LinkMessageBuilder::<LinkBridge>::new(name.as_str())
        .link_group(mark::LINK_GROUP)
        .address(mac.0.to_vec())
        .mtu(mtu)
        .stp_state(BridgeStpState::Disabled)
        // Containers on one bridge talk through netfilter too, whatever the host's `bridge-nf-call-iptables` says:
        // policy is about them as well.
        .nf_call_iptables(true)
        .build();
    if existed(handle.link().add(bridge).execute().await)? {
        return must_be_ours(handle, name, Kind::Bridge).await;
    }
    Ok(())
}

pub(super) struct ContainerEnd<'a> {
    pub(super) name: &'a IfName,
    pub(super) mac: Mac,
    pub(super) mtu: u32,
}

pub(super) async fn create_port(handle: &Handle, name: &IfName, end: ContainerEnd<'_>) -> Result<(), Fault> {
    let peer = LinkMessageBuilder::<LinkUnspec>::new()
        .name(end.name.as_str())
        .address(end.mac.0.to_vec())
        .mtu(end.mtu)
        .build();
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name.as_str())
        .link_group(mark::LINK_GROUP)
        .mtu(end.mtu)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    if !existed(handle.link().add(pair).execute().await)? {
        return Ok(());
    }
    // The kernel does not say which of the two names is taken.
    match find(handle, name).await? {
        Some(_) => must_be_ours(handle, name, Kind::Veth).await,
        None => Err(Fault::InTheWay(format!("the link {}", end.name))),
    }
}

/// Of a veth pair both ends go, also when the other one is in a container.
pub(super) async fn delete(handle: &Handle, name: &IfName) -> Result<(), Fault> {
    match find(handle, name).await? {
        Some((index, link)) if link.ours => gone(handle.link().del(index).execute().await),
        Some(_) | None => Ok(()),
    }
}

/// The bridge may be dockerd's; the port must be ours.
pub(super) async fn attach(handle: &Handle, port: &IfName, bridge: &IfName) -> Result<(), Fault> {
    let Some((master, _)) = find(handle, bridge).await? else { return Err(Fault::NoLink(bridge.clone())) };
    set(handle, port, |link| link.controller(master)).await
}

pub(super) async fn add_address(handle: &Handle, bridge: &IfName, address: IpAddr) -> Result<(), Fault> {
    let index = own(handle, bridge).await?;
    existed(on_link(handle, index, address).execute().await).map(|_| ())
}

pub(super) async fn remove_address(handle: &Handle, bridge: &IfName, address: IpAddr) -> Result<(), Fault> {
    let index = match own(handle, bridge).await {
        Err(Fault::NoLink(_)) => return Ok(()),
        other => other?,
    };
    let message = on_link(handle, index, address).message_mut().clone();
    gone(handle.address().del(message).execute().await)
}

/// Of link scope: the kernel never chooses such an address for what leaves by another link.
fn on_link(handle: &Handle, index: u32, address: IpAddr) -> AddressAddRequest {
    let mut request = handle.address().add(index, address, if address.is_ipv4() { 32 } else { 128 });
    request.message_mut().header.scope = AddressScope::Link;
    request
}

/// Changes a link of ours.
pub(super) async fn set(
    handle: &Handle,
    name: &IfName,
    change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
) -> Result<(), Fault> {
    let index = own(handle, name).await?;
    let message = change(LinkUnspec::new_with_index(index)).build();
    Ok(handle.link().set(message).execute().await?)
}

/// The index of a link that must be ours.
async fn own(handle: &Handle, name: &IfName) -> Result<u32, Fault> {
    match find(handle, name).await? {
        None => Err(Fault::NoLink(name.clone())),
        Some((_, link)) if !link.ours => Err(Fault::InTheWay(format!("the link {name}"))),
        Some((index, _)) => Ok(index),
    }
}

async fn must_be_ours(handle: &Handle, name: &IfName, kind: Kind) -> Result<(), Fault> {
    match find(handle, name).await? {
        Some((_, link)) if link.ours && link.kind == kind => Ok(()),
        _ => Err(Fault::InTheWay(format!("the link {name}"))),
    }
}

/// The index of a link that must be there, whoever made it.
pub(super) async fn index(handle: &Handle, name: &IfName) -> Result<u32, Fault> {
    find(handle, name).await?.map(|(index, _)| index).ok_or_else(|| Fault::NoLink(name.clone()))
}

async fn find(handle: &Handle, name: &IfName) -> Result<Option<(u32, Link)>, Fault> {
    let mut messages = handle.link().get().match_name(name.as_str()).execute();
    match messages.try_next().await.map_err(io_error) {
        Ok(message) => Ok(message.and_then(|message| Some((message.header.index, read(&message)?)))),
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
