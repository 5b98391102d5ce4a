//! Who may reach which container: what declarations say, and who is a member where.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use api::{Peer, PolicyEntry, Service, ServicePort, Transport};
use ipnetwork::{IpNetwork, Ipv4Network};

use crate::member::Member;

/// A port of a container that some may connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opening {
    /// The container.
    pub to: IpAddr,
    /// What is spoken to it.
    pub transport: Transport,
    /// Its port.
    pub port: NonZeroU16,
    /// Who may; everybody is the network of prefix 0.
    pub from: IpNetwork,
}

/// What the containers of one host accept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarding {
    /// Those that accept nothing but what is open.
    pub guarded: BTreeSet<IpAddr>,
    /// What is open.
    pub openings: BTreeSet<Opening>,
}

/// The addresses of a service's members, anywhere in the cluster.
pub type Addresses = BTreeMap<String, BTreeSet<IpAddr>>;

/// The services whose members somebody may be, of these declarations.
pub fn peers<'a>(declared: impl IntoIterator<Item = &'a Service>) -> BTreeSet<&'a str> {
    let entries = declared.into_iter().flat_map(|service| &service.policies);
    let peers = entries.flat_map(|entry| &entry.from);
    peers
        .filter_map(|peer| match peer {
            Peer::Service(name) => Some(name.as_str()),
            Peer::Anybody | Peer::Network(_) => None,
        })
        .collect()
}

/// What the members on one host accept. A container in several guarded services accepts what any of them says; one in
/// no guarded service is not spoken of.
pub fn guard(
    declared: &BTreeMap<String, Service>,
    members: &BTreeMap<(String, IpAddr), Member>,
    addresses: &Addresses,
) -> Guarding {
    let mut guarding = Guarding::default();
    for ((name, address), member) in members {
        let Some(service) = declared.get(name).filter(|service| !service.policies.is_empty()) else {
            continue;
        };
        guarding.guarded.insert(*address);
        for entry in &service.policies {
            guarding.openings.extend(openings(service, entry, member, addresses));
        }
    }
    guarding
}

/// What one entry opens at one member.
pub fn openings(
    service: &Service,
    entry: &PolicyEntry,
    member: &Member,
    addresses: &Addresses,
) -> BTreeSet<Opening> {
    let sources: BTreeSet<IpNetwork> = entry.from.iter().flat_map(|peer| networks(peer, addresses)).collect();
    let to = member.address;
    let opening = |(transport, port), from| Opening { to, transport, port, from };
    let ports = ports_of(service, entry, member);
    ports.into_iter().flat_map(|at| sources.iter().map(move |from| opening(at, *from))).collect()
}

/// The ports of a member that an entry is about.
pub(crate) fn ports_of(
    service: &Service,
    entry: &PolicyEntry,
    member: &Member,
) -> BTreeSet<(Transport, NonZeroU16)> {
    let named = |port: &&ServicePort| entry.port.is_none() || port.name == entry.port;
    let mut ports: BTreeSet<(Transport, NonZeroU16)> =
        service.ports.iter().filter(named).map(|port| (port.transport, port.port)).collect();
    // Where its own label says that it listens.
    ports.extend(member.port.filter(|_| entry.port.is_none()).map(|port| (Transport::Tcp, port)));
    ports
}

fn networks(peer: &Peer, addresses: &Addresses) -> Vec<IpNetwork> {
    match peer {
        Peer::Anybody => vec![IpNetwork::V4(ANYBODY)],
        Peer::Network(network) => vec![*network],
        Peer::Service(name) => addresses.get(name).into_iter().flatten().map(|&it| it.into()).collect(),
    }
}

/// The network that everybody is in.
pub(crate) const ANYBODY: Ipv4Network =
    Ipv4Network::new_checked(Ipv4Addr::UNSPECIFIED, 0).expect("a network");

#[cfg(test)]
mod tests {
    use api::Readiness;
    use ipam::{Epoch, Generation};

    use super::*;
    use crate::labels::implied;

    fn member(last: u8, port: Option<u16>) -> Member {
        Member {
            address: [10, 60, 0, last].into(),
            epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: 1 },
            container: format!("c{last}"),
            host: "h1".into(),
            zone: "vlan-1".into(),
            port: port.and_then(NonZeroU16::new),
            weight: 50,
            readiness: Readiness::Ready,
            draining: None,
        }
    }

    fn entry(from: &[&str], port: Option<&str>) -> PolicyEntry {
        PolicyEntry {
            from: from.iter().map(|it| it.parse().unwrap()).collect(),
            port: port.map(str::to_owned),
        }
    }

    fn service(name: &str, policies: &[PolicyEntry]) -> Service {
        let port = |name: &str, port| ServicePort {
            name: Some(name.to_owned()),
            port: NonZeroU16::new(port).unwrap(),
            transport: Transport::Tcp,
        };
        let ports = vec![port("http", 80), port("admin", 8080)];
        Service { ports, policies: policies.to_vec(), ..implied(name, []) }
    }

    /// What is open, in words.
    fn open(services: &[Service], members: &[(&str, Member)], addresses: &[(&str, &[u8])]) -> Vec<String> {
        let declared = services.iter().map(|it| (it.name.clone(), it.clone())).collect();
        let members =
            members.iter().map(|(name, it)| (((*name).to_owned(), it.address), it.clone())).collect();
        let of = |last: &[u8]| last.iter().map(|last| IpAddr::from([10, 61, 0, *last])).collect();
        let addresses = addresses.iter().map(|(name, last)| ((*name).to_owned(), of(last))).collect();
        let guarding = guard(&declared, &members, &addresses);
        let said = guarding.openings.iter().map(|it| format!("{} {} from {}", it.to, it.port, it.from));
        guarding.guarded.iter().map(|it| format!("guard {it}")).chain(said).collect()
    }

    #[test]
    fn a_service_without_policy_guards_nobody() {
        assert_eq!(open(&[service("web", &[])], &[("web", member(1, None))], &[]), [""; 0]);
    }

    #[test]
    fn members_of_a_guarded_service_accept_what_it_says_and_no_more() {
        let web = service("web", &[entry(&["any"], Some("http")), entry(&["10.0.0.0/8"], Some("admin"))]);
        assert_eq!(
            open(&[web], &[("web", member(1, None))], &[]),
            ["guard 10.60.0.1", "10.60.0.1 80 from 0.0.0.0/0", "10.60.0.1 8080 from 10.0.0.0/8"]
        );
    }

    #[test]
    fn members_of_another_service_are_let_in_by_their_addresses_wherever_they_are() {
        let db = service("db", &[entry(&["service/web", "service/none"], Some("http"))]);
        let members = [("db", member(1, None))];
        assert_eq!(peers([&db]), ["none", "web"].into());
        assert_eq!(
            open(std::slice::from_ref(&db), &members, &[("web", &[7, 8])]),
            ["guard 10.60.0.1", "10.60.0.1 80 from 10.61.0.7/32", "10.60.0.1 80 from 10.61.0.8/32"]
        );
        assert_eq!(open(&[db], &members, &[]), ["guard 10.60.0.1"], "nobody is one");
    }

    #[test]
    fn a_container_in_two_guarded_services_accepts_what_either_says() {
        let all =
            [service("a", &[entry(&["any"], Some("http"))]), service("b", &[entry(&["any"], Some("admin"))])];
        let both = [("a", member(1, None)), ("b", member(1, None))];
        assert_eq!(
            open(&all, &both, &[]),
            ["guard 10.60.0.1", "10.60.0.1 80 from 0.0.0.0/0", "10.60.0.1 8080 from 0.0.0.0/0"]
        );
    }

    #[test]
    fn an_entry_without_a_port_is_about_all_the_labelled_one_included() {
        let web = service("web", &[entry(&["any"], None)]);
        assert_eq!(open(&[web], &[("web", member(1, Some(9090)))], &[]).len(), 4);
    }
}
