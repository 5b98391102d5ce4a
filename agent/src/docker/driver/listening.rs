//! Which ports of the host its own processes listen on.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hostnet::Protocol;

/// A port of the host that one of its processes has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The one address of the host that it listens on; every address where absent.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

/// The kernel's lists, and the states in which a socket there stands in the way: a TCP socket that listens,
/// a UDP socket that is not connected. Source: `include/net/tcp_states.h`.
const LISTS: [(&str, Protocol, &str); 4] = [
    ("/proc/net/tcp", Protocol::Tcp, "0A"),
    ("/proc/net/tcp6", Protocol::Tcp, "0A"),
    ("/proc/net/udp", Protocol::Udp, "07"),
    ("/proc/net/udp6", Protocol::Udp, "07"),
];

/// What listens on this host now. A list that cannot be read is empty, as on a host without IPv6.
pub fn listeners() -> Vec<Listener> {
    let read = |(file, protocol, state)| {
        let list = fs::read_to_string(file).unwrap_or_default();
        list.lines().filter_map(|line| listener(line, protocol, state)).collect::<Vec<Listener>>()
    };
    LISTS.into_iter().flat_map(read).collect()
}

/// `  0: 0100007F:1F90 00000000:0000 0A …`: number, own address and port, the other's, state. The address is
/// the host's memory, word by word. Source: the kernel's `Documentation/networking/proc_net_tcp.rst`.
fn listener(line: &str, protocol: Protocol, listens: &str) -> Option<Listener> {
    let mut words = line.split_whitespace().skip(1);
    let (own, state) = (words.next()?, words.nth(1)?);
    let (address, port) = own.split_once(':').filter(|_| state == listens)?;
    let words =
        (0..address.len()).step_by(8).map(|at| u32::from_str_radix(address.get(at..at + 8)?, 16).ok());
    let bytes: Vec<u8> =
        words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let address = match (<[u8; 4]>::try_from(bytes.as_slice()), <[u8; 16]>::try_from(bytes.as_slice())) {
        (Ok(v4), _) => IpAddr::V4(Ipv4Addr::from(v4)),
        (_, Ok(v6)) => Ipv6Addr::from(v6).to_canonical(),
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener { protocol, address: Some(address).filter(|address| !address.is_unspecified()), port })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn sockets_that_listen_are_found_with_their_address() {
        let loopback = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
        let found = listeners();
        let (tcp, udp) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
        assert!(found.contains(&Listener { protocol: Protocol::Tcp, address: loopback, port: tcp }));
        assert!(found.contains(&Listener { protocol: Protocol::Udp, address: None, port: udp }));
    }

    #[test]
    fn what_does_not_listen_is_not_in_the_way() {
        let connected = "  1: 0100007F:1F90 0100007F:A3C2 01 00000000:00000000 00:00000000 00000000  0  0 1";
        assert_eq!(listener(connected, Protocol::Tcp, "0A"), None);
        for line in ["", "  sl  local_address rem_address   st", "0: 01:ZZ 0:0 0A", "0: :1F90 0:0 0A"] {
            assert_eq!(listener(line, Protocol::Tcp, "0A"), None, "{line:?}");
        }
    }
}
