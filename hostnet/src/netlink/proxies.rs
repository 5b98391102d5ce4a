//! Neighbour proxies: addresses the host answers ARP for. Ours carry our protocol number.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use netlink_packet_route::route::RouteProtocol;
use rtnetlink::Handle;

use super::fault::{Fault, gone, io_error};
use super::links::{self, Links};
use crate::{Proxy, mark};

pub(super) async fn ours(handle: &Handle, links: &Links) -> io::Result<BTreeSet<Proxy>> {
    let seen = all(handle).await?.into_iter().filter(|seen| seen.ours);
    Ok(seen
        .filter_map(|seen| Some(Proxy { address: seen.address, on: links.name(seen.on)?.clone() }))
        .collect())
}

struct Seen {
    address: IpAddr,
    on: u32,
    ours: bool,
}

async fn all(handle: &Handle) -> io::Result<Vec<Seen>> {
    let mut found = Vec::new();
    let request = handle.neighbours().get().proxies().set_address_family(AddressFamily::Inet);
    let mut messages = request.execute();
    while let Some(message) = messages.try_next().await.map_err(io_error)? {
        found.extend(read(&message));
    }
    Ok(found)
}

fn read(message: &NeighbourMessage) -> Option<Seen> {
    let (mut address, mut ours) = (None, false);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => address = Some(IpAddr::V4(*ip)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => address = Some(IpAddr::V6(*ip)),
            NeighbourAttribute::Protocol(RouteProtocol::Other(mark::PROTOCOL)) => ours = true,
            _ => {}
        }
    }
    Some(Seen { address: address?, on: message.header.ifindex, ours })
}

pub(super) async fn add(handle: &Handle, proxy: &Proxy) -> Result<(), Fault> {
    let index = links::index(handle, &proxy.on).await?;
    // The kernel would put our mark on somebody else's entry.
    let there = all(handle).await?.into_iter().find(|seen| seen.address == proxy.address && seen.on == index);
    match there {
        Some(seen) if seen.ours => return Ok(()),
        Some(_) => return Err(Fault::InTheWay(format!("a neighbour proxy for {proxy}"))),
        None => {}
    }
    let mut request = handle.neighbours().add(index, proxy.address).flags(NeighbourFlags::Proxy);
    request.message_mut().attributes.push(NeighbourAttribute::Protocol(RouteProtocol::Other(mark::PROTOCOL)));
    Ok(request.execute().await?)
}

pub(super) async fn remove(handle: &Handle, proxy: &Proxy) -> Result<(), Fault> {
    // An entry does not outlive its link.
    let index = match links::index(handle, &proxy.on).await {
        Err(Fault::NoLink(_)) => return Ok(()),
        other => other?,
    };
    let mut message = NeighbourMessage::default();
    message.header.ifindex = index;
    message.header.flags = NeighbourFlags::Proxy;
    let (family, address) = match proxy.address {
        IpAddr::V4(ip) => (AddressFamily::Inet, NeighbourAddress::Inet(ip)),
        IpAddr::V6(ip) => (AddressFamily::Inet6, NeighbourAddress::Inet6(ip)),
    };
    message.header.family = family;
    message.attributes = vec![NeighbourAttribute::Destination(address)];
    gone(handle.neighbours().del(message).execute().await)
}
