//! `-p`: which host ports an endpoint gets.

use hostnet::Protocol;

use super::error::CallError;
use crate::docker::book::Pages;
use crate::docker::record::{Endpoint, PublishedPort, Stage};
use crate::docker::wire::PortRequest;

/// Chooses the host port of every request, none of which may be another endpoint's.
pub(super) fn choose(
    requests: &[PortRequest],
    own: &ipam::EndpointId,
    pages: &Pages,
) -> Result<Vec<PublishedPort>, CallError> {
    let others = pages.endpoints.values().filter(|it| it.id != *own && it.stage < Stage::Deleted);
    let mut taken: Vec<(PublishedPort, String)> = others.flat_map(ports_of).collect();
    let mut chosen = Vec::new();
    for request in requests {
        let port = choose_one(request, &taken)?;
        // Within one endpoint too: `-p 80-82:80 -p 80:81` must not meet.
        taken.push((port, "another -p of this container".to_owned()));
        chosen.push(port);
    }
    Ok(chosen)
}

fn ports_of(endpoint: &Endpoint) -> impl Iterator<Item = (PublishedPort, String)> {
    endpoint.ports.iter().map(|port| (*port, endpoint.address.ip().to_string()))
}

fn choose_one(request: &PortRequest, taken: &[(PublishedPort, String)]) -> Result<PublishedPort, CallError> {
    let container_port = request.port;
    let protocol = match request.proto {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        protocol => return Err(CallError::Protocol { container_port, protocol }),
    };
    if request.host_port == 0 || container_port == 0 {
        return Err(CallError::AnyHostPort { container_port });
    }
    // `0.0.0.0` and `::` are Docker's way to say "every address of the host".
    let host_address = request.host_ip.filter(|address| !address.is_unspecified());
    let range = request.host_port..=request.host_port_end.max(request.host_port);
    let mut taken_by = String::new();
    for host_port in range.clone() {
        let port = PublishedPort { protocol, host_address, host_port, container_port };
        match taken.iter().find(|(other, _)| meet(&port, other)) {
            None => return Ok(port),
            Some((_, by)) => taken_by.clone_from(by),
        }
    }
    let host_port = match range.end() - range.start() {
        0 => range.start().to_string(),
        _ => format!("{}-{}", range.start(), range.end()),
    };
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
