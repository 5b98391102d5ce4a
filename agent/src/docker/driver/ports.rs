//! `-p`: which host ports an endpoint gets. Pure.

use std::ops::RangeInclusive;

use hostnet::Protocol;

use super::error::CallError;
use super::listening::Listener;
use crate::docker::record::PublishedPort;
use crate::docker::wire::PortRequest;

/// Where a `-p` that names no host port gets one: the dynamic ports of RFC 6335, which libnetwork's
/// `portallocator/portallocator.go` falls back to.
const ANY: RangeInclusive<u16> = 49153..=65535;

/// A host port that is not to be had, and why.
pub(super) struct Taken {
    pub(super) port: PublishedPort,
    /// Who has it, for people.
    pub(super) by: String,
}

impl From<Listener> for Taken {
    fn from(listener: Listener) -> Taken {
        let Listener { protocol, address: host_address, port: host_port } = listener;
        let port = PublishedPort { protocol, host_address, host_port, container_port: 0 };
        Taken { port, by: "a process of this host".to_owned() }
    }
}

/// Chooses the host port of every request: the first of those it allows that nobody has.
pub(super) fn choose(
    requests: &[PortRequest],
    mut taken: Vec<Taken>,
) -> Result<Vec<PublishedPort>, CallError> {
    let mut chosen = Vec::new();
    for request in requests {
        let port = choose_one(request, &taken)?;
        // Within one endpoint too: `-p 80-82:80 -p 80:81` must not meet.
        taken.push(Taken { port, by: "another -p of this container".to_owned() });
        chosen.push(port);
    }
    Ok(chosen)
}

fn choose_one(request: &PortRequest, taken: &[Taken]) -> Result<PublishedPort, CallError> {
    let container_port = request.port;
    let protocol = match request.proto {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        protocol => return Err(CallError::Protocol { container_port, protocol }),
    };
    if container_port == 0 {
        return Err(CallError::NoPort(container_port));
    }
    // `0.0.0.0` and `::` are Docker's way to say "every address of the host".
    let host_address = request.host_ip.filter(|address| !address.is_unspecified());
    let range = match request.host_port {
        0 => ANY,
        first => first..=request.host_port_end.max(first),
    };
    let mut taken_by = String::new();
    for host_port in range.clone() {
        let port = PublishedPort { protocol, host_address, host_port, container_port };
        match taken.iter().find(|taken| meet(&port, &taken.port)) {
            None => return Ok(port),
            Some(taken) => taken_by.clone_from(&taken.by),
        }
    }
    let (first, last) = range.into_inner();
    if request.host_port == 0 {
        return Err(CallError::NoFreePort { container_port, first, last });
    }
    let host_port = if first == last { first.to_string() } else { format!("{first}-{last}") };
    Err(CallError::PortTaken { host_port, taken_by })
}

/// Whether one connection could be meant for both.
fn meet(one: &PublishedPort, other: &PublishedPort) -> bool {
    let addresses_meet = match (one.host_address, other.host_address) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one.protocol == other.protocol && one.host_port == other.host_port && addresses_meet
}

#[cfg(test)]
mod tests;
