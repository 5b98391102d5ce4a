//! Routes. Ours carry our protocol number.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures::TryStreamExt;
use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::fault::{Fault, existed, gone, io_error};
use super::links::{self, Links};
use crate::{Route, Table, mark};

pub(super) async fn ours(handle: &Handle, links: &Links) -> io::Result<BTreeSet<Route>> {
    let mut found = BTreeSet::new();
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut messages = handle.route().get(all).execute();
    while let Some(message) = messages.try_next().await.map_err(io_error)? {
        if message.header.protocol == RouteProtocol::Other(mark::PROTOCOL) {
            found.extend(read(&message, links));
        }
    }
    Ok(found)
}

fn read(message: &RouteMessage, links: &Links) -> Option<Route> {
    let anywhere = match message.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let (mut to, mut through, mut via, mut source) = (anywhere, None, None, None);
    let mut table = Table(message.header.table.into());
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = Table(*number),
            RouteAttribute::Destination(address) => to = ip(address)?,
            RouteAttribute::Oif(index) => through = links.name(*index).cloned(),
            RouteAttribute::Gateway(address) => via = Some(ip(address)?),
            RouteAttribute::PrefSource(address) => source = Some(ip(address)?),
            _ => {}
        }
    }
    let to = IpNetwork::new(to, message.header.destination_prefix_length).ok()?;
    Some(Route { table, to, through: through?, via, source })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

pub(super) async fn add(handle: &Handle, route: &Route) -> Result<(), Fault> {
    let message = write(handle, route).await?;
    if !existed(handle.route().add(message).execute().await)? {
        return Ok(());
    }
    let links = links::all(handle).await?;
    let same = ours(handle, &links).await?.contains(route);
    if same { Ok(()) } else { Err(Fault::InTheWay(format!("a route to {}", route.to))) }
}

pub(super) async fn remove(handle: &Handle, route: &Route) -> Result<(), Fault> {
    match write(handle, route).await {
        // A route does not outlive its link.
        Err(Fault::NoLink(_)) => Ok(()),
        Err(fault) => Err(fault),
        Ok(message) => gone(handle.route().del(message).execute().await),
    }
}

async fn write(handle: &Handle, route: &Route) -> Result<RouteMessage, Fault> {
    let index = links::index(handle, &route.through).await?;
    let mut message = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(route.to.network(), route.to.prefix())
        .map_err(io::Error::other)?
        .table_id(route.table.0)
        .protocol(RouteProtocol::Other(mark::PROTOCOL))
        .output_interface(index);
    message = match route.via {
        Some(via) => message.gateway(via).map_err(io::Error::other)?.onlink(),
        None => message.scope(RouteScope::Link),
    };
    if let Some(source) = route.source {
        message = message.pref_source(source).map_err(io::Error::other)?;
    }
    Ok(message.build())
}
