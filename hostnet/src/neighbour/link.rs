//! An interface on which neighbours are asked, and raw sockets on it.

use std::time::Duration;

use pnet_datalink::{Channel, ChannelType, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};

use super::NeighbourError;
use crate::{IfName, Mac};

/// How long one read waits: how late a deadline may be noticed.
const SLICE: Duration = Duration::from_millis(10);

type Ends = (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>);

/// The interface of this name, and its MAC address.
pub(super) fn find(name: &IfName) -> Result<(NetworkInterface, Mac), NeighbourError> {
    let interface = pnet_datalink::interfaces().into_iter().find(|it| it.name == name.as_str());
    let interface = interface.ok_or_else(|| unusable(name, "there is no such interface"))?;
    let mac = interface.mac.ok_or_else(|| unusable(name, "it has no MAC address"))?;
    Ok((interface, Mac(mac.octets())))
}

/// A raw socket, to speak and to hear.
pub(super) fn channel(
    name: &IfName,
    on: &NetworkInterface,
    channel_type: ChannelType,
) -> Result<Ends, NeighbourError> {
    let config = Config { channel_type, read_timeout: Some(SLICE), promiscuous: false, ..Config::default() };
    let failed = |source| NeighbourError::Socket { interface: name.clone(), source };
    match pnet_datalink::channel(on, config).map_err(failed)? {
        Channel::Ethernet(sender, receiver) => Ok((sender, receiver)),
        _ => Err(unusable(name, "it is no Ethernet interface")),
    }
}

fn unusable(name: &IfName, reason: &'static str) -> NeighbourError {
    NeighbourError::Unusable { interface: name.clone(), reason }
}
