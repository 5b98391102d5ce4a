//! A raw socket that speaks and hears ARP on one interface (RFC 826).

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use pnet_datalink::{ChannelType, DataLinkReceiver, DataLinkSender, MacAddr, NetworkInterface};
use pnet_packet::Packet;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket};
use pnet_packet::ethernet::EtherTypes;

use super::{NeighbourError, link};
use crate::{IfName, Mac};

pub(super) struct Ear {
    pub(super) mac: Mac,
    /// The interface's first IPv4 address.
    pub(super) address: Option<Ipv4Addr>,
    name: IfName,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
}

/// One ARP message. Whom it is for is known by `target` alone.
pub(super) struct Says {
    pub(super) op: ArpOperation,
    pub(super) mac: Mac,
    pub(super) sender: Ipv4Addr,
    pub(super) target: Ipv4Addr,
}

impl Ear {
    pub(super) fn open(name: &IfName) -> Result<Self, NeighbourError> {
        let (interface, mac) = link::find(name)?;
        let address = interface.ips.iter().find_map(|network| match network.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        // A layer 3 channel sends to the MAC it is opened with; everything we say is for all.
        let to_all = NetworkInterface { mac: Some(MacAddr::broadcast()), ..interface };
        // Only ARP is copied to us, however busy the VLAN is.
        let (sender, receiver) = link::channel(name, &to_all, ChannelType::Layer3(EtherTypes::Arp.0))?;
        Ok(Self { mac, address, name: name.clone(), sender, receiver })
    }

    /// Who has `target`? Tell `sender`, who is here.
    pub(super) fn ask(&mut self, sender: Ipv4Addr, target: Ipv4Addr) -> Result<(), NeighbourError> {
        self.say(&Says { op: ArpOperations::Request, mac: self.mac, sender, target })
    }

    pub(super) fn say(&mut self, said: &Says) -> Result<(), NeighbourError> {
        let sent = self.sender.send_to(&frame(said), None).unwrap_or(Ok(()));
        sent.map_err(|source| self.failed(source))
    }

    /// The next message; `None` when there was none until then.
    pub(super) fn hear(&mut self, end: Instant) -> Result<Option<Says>, NeighbourError> {
        loop {
            match self.receiver.next() {
                Ok(bytes) => match parse(bytes) {
                    Some(said) => return Ok(Some(said)),
                    None if Instant::now() >= end => return Ok(None),
                    None => {}
                },
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    if Instant::now() >= end {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn failed(&self, source: io::Error) -> NeighbourError {
        NeighbourError::Socket { interface: self.name.clone(), source }
    }
}

fn frame(said: &Says) -> Vec<u8> {
    let mut bytes = vec![0; ArpPacket::minimum_packet_size()];
    if let Some(mut arp) = MutableArpPacket::new(&mut bytes) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(said.op);
        arp.set_sender_hw_addr(said.mac.0.into());
        arp.set_sender_proto_addr(said.sender);
        arp.set_target_hw_addr(MacAddr::zero());
        arp.set_target_proto_addr(said.target);
    }
    bytes
}

fn parse(bytes: &[u8]) -> Option<Says> {
    let arp = ArpPacket::new(bytes)?;
    let speaks_ipv4 = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && arp.packet().len() >= ArpPacket::minimum_packet_size();
    speaks_ipv4.then(|| Says {
        op: arp.get_operation(),
        mac: Mac(arp.get_sender_hw_addr().octets()),
        sender: arp.get_sender_proto_addr(),
        target: arp.get_target_proto_addr(),
    })
}
