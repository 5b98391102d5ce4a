//! What a firewall should let in, from what is declared and who is in the services.

use std::collections::BTreeSet;

use api::{Outside, Peer, Service, Transport};
use ipnetwork::IpNetwork;
use provider::{Firewall, FirewallRule, FirewallTransport, InstanceId, Interface, ZoneId};

use super::Wanted;
use crate::member::Member;
use crate::policy::{ANYBODY, ports_of};

/// What this firewall should let in for these services, each with its members.
///
/// A member counts as long as it is there: what its policy lets in does not depend on whether it is ready, and
/// connections that are drained go on. A peer that is a service is let in as all subnets of the cluster, so that nothing
/// changes here when one of its containers comes or goes; who exactly may is decided on the host.
pub fn wanted(which: &Firewall, services: &[(&Service, &[Member])], cluster: &[IpNetwork]) -> Wanted {
    let mut all = Wanted::default();
    for (service, members) in services {
        if !service.firewall.as_ref().is_some_and(|outside| names(outside, which)) {
            continue;
        }
        all.named = true;
        for member in members.iter().filter(|it| it.address.is_ipv4()) {
            match which {
                Firewall::Zone(zone) if zone.as_str() != member.zone.0 => continue,
                Firewall::Zone(_) => drop(all.members.insert(member.address, member.epoch)),
                Firewall::Group(_) => drop(all.interfaces.insert(interface(member))),
            }
            all.rules.extend(rules(which, service, member, cluster));
        }
    }
    all
}

fn names(Outside { zones, security_groups }: &Outside, which: &Firewall) -> bool {
    match which {
        Firewall::Zone(zone) => zones.iter().any(|name| name == zone.as_str()),
        Firewall::Group(group) => security_groups.contains(group),
    }
}

/// A host is called by the provider's id of its machine.
fn interface(member: &Member) -> Interface {
    Interface { machine: InstanceId::new(member.host.0.clone()), zone: ZoneId::new(member.zone.0.clone()) }
}

fn rules(
    which: &Firewall,
    service: &Service,
    member: &Member,
    cluster: &[IpNetwork],
) -> BTreeSet<FirewallRule> {
    let to = matches!(which, Firewall::Zone(_)).then_some(member.address);
    let of_entry = service.policies.iter().flat_map(|entry| {
        let sources: BTreeSet<IpNetwork> =
            entry.from.iter().flat_map(|peer| networks(peer, cluster)).collect();
        let ports = ports_of(service, entry, member);
        ports.into_iter().flat_map(move |at| sources.clone().into_iter().map(move |from| (at, from)))
    });
    let rule = |((transport, port), from): (_, IpNetwork)| FirewallRule {
        to,
        transport: match transport {
            Transport::Tcp => FirewallTransport::Tcp,
            Transport::Udp => FirewallTransport::Udp,
        },
        port: std::num::NonZeroU16::get(port),
        from: IpNetwork::new(from.network(), from.prefix()).unwrap_or(from),
    };
    of_entry.filter(|(_, from)| from.is_ipv4()).map(rule).collect()
}

fn networks(peer: &Peer, cluster: &[IpNetwork]) -> Vec<IpNetwork> {
    match peer {
        Peer::Anybody => vec![IpNetwork::V4(ANYBODY)],
        Peer::Network(network) => vec![*network],
        Peer::Service(_) => cluster.to_vec(),
    }
}
