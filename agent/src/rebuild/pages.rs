//! The book's pages as they should be: what lives, with the epochs under which it is assigned now. Pure.

use std::net::IpAddr;

use hostnet::Observed;
use ipam::Epoch;
use ipnetwork::IpNetwork;

use super::Epochs;
use super::living::{Living, Place, Use};
use crate::docker::{Endpoint, Lent, NetworkId, Pages, PublishedPort, Stage, mac_of};

/// The pages, from what lives and what a whole book knew besides.
pub(super) fn pages(
    living: &Living,
    epochs: &Epochs,
    before: &Pages,
    assigned: &Epochs,
    observed: &Observed,
) -> Pages {
    let mut pages = Pages { networks: living.networks.clone(), ..debts(before, assigned) };
    for used in &living.uses {
        let Some(epoch) = epochs.get(&used.address).copied() else { continue };
        match &used.place {
            Place::Lent { bridge } => {
                let lent = Lent {
                    address: prefixed(used),
                    gateway: used.subnet.gateway,
                    epoch,
                    zone: used.subnet.zone.clone(),
                    bridge: Some(bridge.clone()),
                    endpoint: Some(used.endpoint.clone()),
                    former: None,
                    released: false,
                };
                pages.lent.insert(used.address, lent);
            }
            Place::Port { network, .. } | Place::Aside { network } => {
                let known = before.endpoints.get(&used.endpoint).filter(|it| it.address.ip() == used.address);
                let endpoint = known.map_or_else(
                    || endpoint(used, network, epoch, observed),
                    |known| Endpoint { epoch, ..known.clone() },
                );
                pages.endpoints.insert(used.endpoint.clone(), endpoint);
            }
        }
    }
    pages
}

/// What nobody shows any more and this host still has assigned: the reconciler settles it. What it has not
/// is nothing to settle.
fn debts(before: &Pages, assigned: &Epochs) -> Pages {
    let is_assigned = |address: IpAddr, epoch: Epoch| assigned.get(&address) == Some(&epoch);
    let mut kept = before.clone();
    kept.endpoints.retain(|_, it| is_assigned(it.address.ip(), it.epoch));
    kept.lent.retain(|address, it| is_assigned(*address, it.epoch));
    kept
}

/// An endpoint that no book knows, as Docker and the kernel show it.
fn endpoint(used: &Use, network: &NetworkId, epoch: Epoch, observed: &Observed) -> Endpoint {
    let (mac, stage) = match &used.place {
        Place::Port { mac, joined, .. } => (*mac, if *joined { Stage::Joined } else { Stage::Created }),
        Place::Aside { .. } | Place::Lent { .. } => (None, Stage::Aside),
    };
    let leads_here = |port: &hostnet::Published| port.container == used.address;
    let ports = observed.published().into_iter().filter(leads_here).map(|port| PublishedPort {
        protocol: port.protocol,
        host_address: port.host_ip,
        host_port: port.host_port,
        container_port: port.container_port,
    });
    let ports: Vec<PublishedPort> = ports.collect();
    Endpoint {
        id: used.endpoint.clone(),
        network: network.clone(),
        address: prefixed(used),
        gateway: used.subnet.gateway,
        epoch,
        mac: mac.unwrap_or_else(|| mac_of(used.address)),
        published: !ports.is_empty(),
        ports,
        stage,
    }
}

/// The address with the prefix of its subnet, as Docker has it.
fn prefixed(used: &Use) -> IpNetwork {
    // A prefix that fitted the subnet fits its addresses, which are of the same family.
    IpNetwork::new(used.address, used.subnet.cidr.prefix()).unwrap_or_else(|_| used.address.into())
}
