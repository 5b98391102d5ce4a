//! Which program has a port, as far as we may see: the kernel's lists name sockets by inode, and processes have those
//! among their files. Source: proc(5), `/proc/net/tcp`, `/proc/pid/fd`.

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// The name of the program that listens there, or at all addresses.
pub(super) fn occupant_of(place: SocketAddr) -> Option<String> {
    let lists = ["udp", "tcp", "udp6", "tcp6"];
    let inodes: Vec<u64> = lists
        .iter()
        .filter_map(|list| fs::read_to_string(format!("/proc/net/{list}")).ok())
        .flat_map(|list| list.lines().skip(1).filter_map(|line| inode(line, place)).collect::<Vec<_>>())
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .map(|process| process.path())
        .filter(|path| {
            path.file_name().is_some_and(|pid| pid.as_encoded_bytes().iter().all(u8::is_ascii_digit))
        })
        .find(|path| {
            let files = fs::read_dir(path.join("fd")).into_iter().flatten().flatten();
            let mut opened = files.filter_map(|file| fs::read_link(file.path()).ok());
            opened.any(|file| {
                let inode = file.to_str().and_then(|file| file.strip_prefix("socket:[")?.strip_suffix(']'));
                inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode: u64| inodes.contains(&inode))
            })
        })
        .and_then(|path| Some(fs::read_to_string(path.join("comm")).ok()?.trim().to_owned()))
}

/// The inode of a line's socket, if it is in the way: at this port, of this address or of all.
fn inode(line: &str, place: SocketAddr) -> Option<u64> {
    /// The states in which a socket is bound and unconnected: TCP's LISTEN, and what UDP shows (CLOSE).
    const BOUND: [&str; 2] = ["0A", "07"];
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state) = (words.get(1)?, words.get(3)?);
    let (address, port) = local.split_once(':')?;
    let all = address.bytes().all(|digit| digit == b'0');
    let same = match place.ip() {
        // As the kernel keeps it in memory: the bytes in the order of the network, read as a number of this machine.
        IpAddr::V4(v4) => address == format!("{:08X}", u32::from_ne_bytes(v4.octets())),
        IpAddr::V6(_) => false,
    };
    let is_there = u16::from_str_radix(port, 16).ok()? == place.port() && (all || same);
    if is_there && BOUND.contains(state) { words.get(9)?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_has_a_port_is_named() {
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let place = socket.local_addr().unwrap();
        // This very test.
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(occupant_of(place).as_deref(), Some(comm.trim()));
        drop(socket);
        assert_eq!(occupant_of(place), None);
    }
}
