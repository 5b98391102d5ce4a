//! Reads back which host ports lead to containers, from the rules in words that the kernel keeps.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::{Observed, Protocol, Published};

impl Observed {
    /// The host ports that lead to containers now.
    pub fn published(&self) -> BTreeSet<Published> {
        self.firewall.iter().flatten().filter_map(|sentence| port_of(sentence)).collect()
    }
}

/// `publish: to host tcp 8080 [to 10.40.0.11/32] -> 10.50.0.2 80`, as rules of that chain display.
fn port_of(sentence: &str) -> Option<Published> {
    let (when, then) = sentence.strip_prefix("publish: to host ")?.split_once(" -> ")?;
    let (port, host_ip) = match when.split_once(" to ") {
        Some((port, host)) => (port, Some(host.parse::<IpNetwork>().ok()?.ip())),
        None => (when, None),
    };
    let (protocol, host_port) = port.split_once(' ')?;
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let (container, container_port) = then.split_once(' ')?;
    Some(Published {
        protocol,
        host_ip,
        host_port: host_port.parse().ok()?,
        container: container.parse::<IpAddr>().ok()?,
        container_port: container_port.parse().ok()?,
    })
}
