//! A raw socket that asks with neighbour solicitations who has an IPv6 address (RFC 4861, sections 4.3 and 7.2).

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use pnet_datalink::{ChannelType, DataLinkReceiver, DataLinkSender};
use pnet_packet::ethernet::EtherTypes;

use super::{NeighbourError, link};
use crate::{IfName, Mac};

/// Next header ICMPv6 (RFC 4443).
const ICMPV6: u8 = 58;

/// ICMPv6 types, and the options that tell the link-layer address of who sends and of who is asked for.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const SOURCE_ADDRESS: u8 = 1;

/// What a router would have forwarded has less: such a message comes from this very link (RFC 4861, 7.1).
const HOP_LIMIT: u8 = 255;

const IPV6_BYTES: usize = 40;

pub(super) struct Solicitor {
    pub(super) mac: Mac,
    /// The interface's link-local address: an answer to it comes to this host alone.
    address: Ipv6Addr,
    name: IfName,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
}

/// An advertisement: who has which address.
pub(super) struct Advertised {
    pub(super) target: Ipv6Addr,
    /// The sender's, or that of the option that names it.
    pub(super) mac: Option<Mac>,
}

impl Solicitor {
    pub(super) fn open(name: &IfName) -> Result<Self, NeighbourError> {
        let (interface, mac) = link::find(name)?;
        let address = interface.ips.iter().find_map(|network| match network.ip() {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
            _ => None,
        });
        // Without one the interface does not speak IPv6 at all.
        let reason = "it has no link-local IPv6 address";
        let address = address.ok_or_else(|| NeighbourError::Unusable { interface: name.clone(), reason })?;
        // Each question goes to a MAC of its own, so whole frames are sent; heard is IPv6 alone.
        let (sender, _) = link::channel(name, &interface, ChannelType::Layer2)?;
        let (_, receiver) = link::channel(name, &interface, ChannelType::Layer3(EtherTypes::Ipv6.0))?;
        Ok(Self { mac, address, name: name.clone(), sender, receiver })
    }

    /// Who has `target`? Tell this host.
    pub(super) fn ask(&mut self, target: Ipv6Addr) -> Result<(), NeighbourError> {
        let frame = solicitation(self.mac, self.address, target);
        let sent = self.sender.send_to(&frame, None).unwrap_or(Ok(()));
        sent.map_err(|source| self.failed(source))
    }

    /// The next advertisement; `None` when there was none until then.
    pub(super) fn hear(&mut self, end: Instant) -> Result<Option<Advertised>, NeighbourError> {
        loop {
            let heard = match self.receiver.next() {
                Ok(bytes) => advertised(bytes),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => None,
                Err(error) => return Err(self.failed(error)),
            };
            if heard.is_some() {
                return Ok(heard);
            }
            if Instant::now() >= end {
                return Ok(None);
            }
        }
    }

    fn failed(&self, source: io::Error) -> NeighbourError {
        NeighbourError::Socket { interface: self.name.clone(), source }
    }
}

/// The group that who has this address listens to: `ff02::1:ff` and its last three bytes (RFC 4291, 2.7.1).
fn group(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// An Ethernet frame with a solicitation to the target's group (RFC 2464, section 7, says to which MAC).
fn solicitation(mac: Mac, sender: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let to = group(target);
    let mut message = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    // Its length counts in eights.
    message.extend([SOURCE_ADDRESS, 1]);
    message.extend(mac.0);
    let sum = checksum(sender, to, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let [.., a, b, c, d] = to.octets();
    let mut frame = vec![0x33, 0x33, a, b, c, d];
    frame.extend(mac.0);
    frame.extend(EtherTypes::Ipv6.0.to_be_bytes());
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([ICMPV6, HOP_LIMIT]);
    frame.extend(sender.octets());
    frame.extend(to.octets());
    frame.extend(message);
    frame
}

/// The Internet checksum over pseudo-header and message, whose own field is zero (RFC 8200, section 8.1).
fn checksum(sender: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = (message.len() as u32).to_be_bytes();
    let pseudo = sender.octets().into_iter().chain(to.octets()).chain(length).chain([0, 0, 0, ICMPV6]);
    let all: Vec<u8> = pseudo.chain(message.iter().copied()).collect();
    let words = all.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What an IPv6 packet advertises, if that is what it does.
fn advertised(packet: &[u8]) -> Option<Advertised> {
    let header = packet.get(..IPV6_BYTES)?;
    let message = packet.get(IPV6_BYTES..)?;
    let is_one = header[0] >> 4 == 6
        && header[6] == ICMPV6
        && header[7] == HOP_LIMIT
        && message.first() == Some(&ADVERTISEMENT);
    let target: [u8; 16] = message.get(8..24).filter(|_| is_one)?.try_into().ok()?;
    Some(Advertised { target: target.into(), mac: named_mac(message.get(24..)?) })
}

/// The MAC that an option names: of type 2, of eight bytes.
fn named_mac(mut options: &[u8]) -> Option<Mac> {
    const TARGET_ADDRESS: u8 = 2;
    loop {
        let (kind, length) = (*options.first()?, usize::from(*options.get(1)?) * 8);
        if kind == TARGET_ADDRESS && length == 8 {
            return options.get(2..8)?.try_into().ok().map(Mac);
        }
        // A length of zero would never end (RFC 4861, 4.6: such a packet is discarded).
        options = options.get(length..).filter(|_| length > 0)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_solicitation_goes_to_the_group_of_its_target_and_sums_up() {
        let (sender, target) = ("fe80::1".parse().unwrap(), "2001:db8::12:3456".parse().unwrap());
        let frame = solicitation(MAC, sender, target);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(frame.len(), 14 + IPV6_BYTES + 32);
        let message = &frame[14 + IPV6_BYTES..];
        // With its own sum in it, the sum is nothing.
        assert_eq!(checksum(sender, group(target), message), 0);
    }

    #[test]
    fn only_an_advertisement_of_this_link_says_who_has_an_address() {
        let mut packet =
            solicitation(MAC, "fe80::1".parse().unwrap(), "2001:db8::7".parse().unwrap())[14..].to_vec();
        assert!(advertised(&packet).is_none(), "a question is no answer");
        packet[IPV6_BYTES] = ADVERTISEMENT;
        packet[IPV6_BYTES + 24] = 2;
        let told = advertised(&packet).unwrap();
        assert_eq!((told.target, told.mac), ("2001:db8::7".parse().unwrap(), Some(MAC)));
        packet[7] = 64;
        assert!(advertised(&packet).is_none(), "it was forwarded");
        for length in 0..packet.len() {
            // Cut short or with an endless option: nobody is believed, nothing is read beyond its end.
            let _ = advertised(&packet[..length]);
        }
        packet[7] = HOP_LIMIT;
        packet[IPV6_BYTES + 24..IPV6_BYTES + 26].copy_from_slice(&[9, 0]);
        assert_eq!(advertised(&packet).unwrap().mac, None);
    }
}
