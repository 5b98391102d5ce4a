//! Which rules a host's network calls for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnetwork::{IpNetwork, Ipv4Network};

use super::{Chain, FirewallRule, Match, Verdict};
use crate::{Bridge, HostNet, IfName, Maker, Observed, Published, Reach};

/// What the host calls itself.
const LOOPBACK: Ipv4Network = Ipv4Network::new_checked(Ipv4Addr::new(127, 0, 0, 0), 8).expect("a network");

/// Host ports that lead to containers: the one translation there is.
pub(super) fn publish(
    bridges: &BTreeMap<&IfName, &Bridge>,
    wanted: &HostNet,
    observed: &Observed,
) -> Vec<FirewallRule> {
    let bridge_of = |port: &Published| {
        let is_ipv4 = port.container.is_ipv4() && port.host_ip.is_none_or(|ip| ip.is_ipv4());
        let at = wanted.addresses.get(&port.container).filter(|_| is_ipv4)?;
        bridges.get_key_value(&at.bridge).filter(|(_, bridge)| bridge.reach == Reach::Vlan)
    };
    let mut rules = Vec::new();
    let mut publishing = BTreeMap::new();
    for port in &wanted.published {
        let Some((&name, &bridge)) = bridge_of(port) else { continue };
        publishing.insert(name, bridge);
        for chain in [Chain::Publish, Chain::PublishLocal] {
            let mut when = vec![Match::ToHost, Match::Port(port.protocol, port.host_port)];
            let one_address = port.host_ip.filter(|ip| !ip.is_unspecified());
            when.extend(one_address.map(|ip| Match::To(IpNetwork::from(ip))));
            let then = Verdict::Publish { container: port.container, port: port.container_port };
            rules.push(FirewallRule { chain, when, then });
        }
    }
    for (name, bridge) in publishing {
        let [into, out] = [Match::In(name.clone()), Match::Out(name.clone())];
        rules.push(rule(Chain::Arriving, [into.clone(), Match::Published], Verdict::MarkPublished));
        if bridge.maker == Maker::Berth {
            // Published ports switch `route_localnet` on, which would let containers at the host's own
            // services on 127.0.0.1. Answers to published connections pass: their translation back to
            // 127.0.0.1 comes after this chain.
            let loopback = Match::To(LOOPBACK.into());
            rules.push(rule(Chain::Early, [into.clone(), loopback], Verdict::Drop));
        }
        let host = observed.interfaces.get(&bridge.interface).and_then(|seen| seen.address);
        let Some(host) = host.map(Verdict::SourceNat) else { continue };
        // `localhost` means nothing to the container, and a container that reaches its neighbour by a
        // host port must get the answer by the host too.
        let loopback = Match::From(LOOPBACK.into());
        rules.push(rule(Chain::Leaving, [out.clone(), Match::Published, loopback], host.clone()));
        rules.push(rule(Chain::Leaving, [into, out, Match::Published], host));
    }
    rules
}

/// Containers of an internal network reach each other and nothing else, the host included.
pub(super) fn seclude(bridges: &BTreeMap<&IfName, &Bridge>) -> Vec<FirewallRule> {
    let internal = bridges.iter().filter(|(_, bridge)| bridge.reach == Reach::Internal);
    internal.map(|(&name, _)| rule(Chain::Input, [Match::In(name.clone())], Verdict::Drop)).collect()
}

/// Between our bridges and the VLAN, and nothing between either and what else the host has.
///
/// Left alone is what others send out to the VLAN with addresses of their own, as docker0's containers
/// do: the host forwarded it before we came, or does not forward it now.
pub(super) fn forward(bridges: &BTreeMap<&IfName, &Bridge>, wanted: &HostNet) -> Vec<FirewallRule> {
    let vlans: BTreeSet<&IfName> = wanted
        .subnets
        .values()
        .map(|subnet| &subnet.interface)
        .chain(bridges.values().map(|bridge| &bridge.interface))
        .collect();
    let (routed, internal): (Vec<_>, Vec<_>) = bridges
        .iter()
        .map(|(&name, bridge)| (name, bridge.reach))
        .partition(|(_, reach)| *reach == Reach::Vlan);
    let mut rules = Vec::new();

    // Frames from port to port come by here when bridge-nf-call-iptables is on.
    for (name, _) in routed.iter().chain(&internal) {
        let within = [Match::In((*name).clone()), Match::Out((*name).clone())];
        rules.push(rule(Chain::Forward, within, Verdict::Accept));
    }
    for (name, _) in &internal {
        rules.push(rule(Chain::Forward, [Match::In((*name).clone())], Verdict::Drop));
        rules.push(rule(Chain::Forward, [Match::Out((*name).clone())], Verdict::Drop));
    }
    rules.push(rule(Chain::Forward, [Match::Established], Verdict::Accept));
    rules.push(rule(Chain::Forward, [Match::Published], Verdict::Accept));
    for (name, _) in &routed {
        let from = [Match::In((*name).clone())];
        rules.push(rule(Chain::Forward, from, Verdict::Goto(Chain::FromBridge)));
        rules.push(rule(Chain::FromBridge, [Match::Out((*name).clone())], Verdict::Accept));
        rules.push(rule(Chain::FromVlan, [Match::Out((*name).clone())], Verdict::Accept));
    }
    for &vlan in &vlans {
        rules.push(rule(Chain::Forward, [Match::In(vlan.clone())], Verdict::Goto(Chain::FromVlan)));
        rules.push(rule(Chain::FromBridge, [Match::Out(vlan.clone())], Verdict::Accept));
        let back = [Match::In(vlan.clone()), Match::Out(vlan.clone())];
        rules.push(rule(Chain::FromVlan, back, Verdict::Accept));
    }
    rules.push(rule(Chain::FromBridge, [], Verdict::Drop));
    // Somebody else's published ports stay reachable.
    rules.push(rule(Chain::FromVlan, [Match::Translated], Verdict::Accept));
    rules.push(rule(Chain::FromVlan, [], Verdict::Drop));
    for (name, _) in &routed {
        rules.push(rule(Chain::Forward, [Match::Out((*name).clone())], Verdict::Drop));
    }
    // Nobody else on this host speaks with our subnets' addresses.
    for (subnet, at) in &wanted.subnets {
        let pretending = [Match::From(*subnet), Match::Out(at.interface.clone())];
        rules.push(rule(Chain::Forward, pretending, Verdict::Drop));
    }
    rules
}

fn rule<const N: usize>(chain: Chain, when: [Match; N], then: Verdict) -> FirewallRule {
    FirewallRule { chain, when: when.into(), then }
}
