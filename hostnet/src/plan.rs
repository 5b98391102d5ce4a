//! The changes that turn what is into what should be. A function of two values.

mod target;

use std::net::IpAddr;

use crate::obstacle::is_taken;
use crate::{Bridge, BridgeSeen, Change, Firewall, HostNet, IfName, Maker, Observed, mark};
use target::Target;

/// The changes that turn `observed` into `wanted`, in the order to make them.
///
/// Links that others made are never in the plan, nor is anything that hangs on an [`Obstacle`](crate::Obstacle).
/// Guarding comes before connecting, and an address is answered for only once packets to it arrive.
pub fn plan(wanted: &HostNet, observed: &Observed) -> Vec<Change> {
    let target = Target::of(wanted, observed);
    let mut changes = Vec::new();
    changes.extend(guard(&target, observed));
    changes.extend(plan_policy(wanted, observed));
    changes.extend(take_back(&target, observed));
    changes.extend(delete_links(wanted, observed));
    for (name, bridge) in target.bridges.iter().filter(|(_, bridge)| bridge.maker == Maker::Berth) {
        changes.extend(set_up_bridge(name, bridge, &target, observed));
    }
    changes.extend(switch(&target, observed));
    changes.extend(set_up_ports(wanted, &target, observed));
    changes.extend(connect(&target, observed));
    changes.extend(unguard(&target, observed));
    changes
}

/// The table comes first, so that nothing is forwarded that it would have stopped.
fn guard(target: &Target, observed: &Observed) -> Vec<Change> {
    let differs = |wanted: &&Firewall| observed.firewall.as_ref() != Some(&wanted.sentences());
    let table = target.firewall.as_ref().filter(differs).cloned().map(Change::ReplaceFirewall);
    let missing = observed.admissions.iter().flat_map(|seen| target.admissions.difference(seen));
    table.into_iter().chain(missing.cloned().map(Change::Admit)).collect()
}

/// What is to change of the policy alone. What is guarded is so before packets reach it. A policy that is not known leaves
/// the kernel's as it is.
pub fn plan_policy(wanted: &HostNet, observed: &Observed) -> Option<Change> {
    let wanted = wanted.policy.as_ref()?;
    match &observed.policy {
        Some(_) if wanted.is_empty() => Some(Change::RemovePolicy),
        seen => {
            let change = seen.clone().unwrap_or_default().change_to(wanted);
            (!change.is_empty()).then_some(Change::ChangePolicy(change))
        }
    }
}

fn unguard(target: &Target, observed: &Observed) -> Option<Change> {
    (target.firewall.is_none() && observed.firewall.is_some()).then_some(Change::RemoveFirewall)
}

/// Stops attracting packets before it stops delivering them.
fn take_back(target: &Target, observed: &Observed) -> Vec<Change> {
    let proxies = observed.proxies.difference(&target.proxies).cloned().map(Change::RemoveProxy);
    let rules = observed.rules.difference(&target.rules).cloned().map(Change::RemoveRule);
    let routes = observed.routes.difference(&target.routes).cloned().map(Change::RemoveRoute);
    let admissions = observed.admissions.iter().flat_map(|seen| seen.difference(&target.admissions));
    proxies.chain(rules).chain(routes).chain(admissions.cloned().map(Change::Dismiss)).collect()
}

fn delete_links(wanted: &HostNet, observed: &Observed) -> Vec<Change> {
    let ports = observed.ports.keys().filter(|name| !wanted.ports.contains_key(name));
    let bridges = observed
        .bridges
        .keys()
        .filter(|name| wanted.bridges.get(name).is_none_or(|bridge| bridge.maker == Maker::Docker));
    ports
        .map(|name| Change::DeletePort { name: name.clone() })
        .chain(bridges.map(|name| Change::DeleteBridge { name: name.clone() }))
        .collect()
}

/// A bridge is switched before it is up, so that it never answers in another way.
fn set_up_bridge(name: &IfName, bridge: &Bridge, target: &Target, observed: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    let seen = observed.bridges.get(name);
    let mtu = target.mtu(name, bridge);
    match seen {
        None => changes.push(Change::CreateBridge { name: name.clone(), mac: bridge.mac, mtu }),
        Some(seen) => {
            if seen.mac != bridge.mac {
                changes.push(Change::SetMac { bridge: name.clone(), mac: bridge.mac });
            }
            if seen.mtu != mtu {
                changes.push(Change::SetMtu { bridge: name.clone(), mtu });
            }
        }
    }
    let alias = format!("{}bridge", mark::ALIAS);
    if seen.and_then(|seen| seen.alias.as_ref()) != Some(&alias) {
        changes.push(Change::Label { link: name.clone(), alias });
    }
    changes.extend(address_bridge(name, target.host_address(bridge), seen));
    for (sysctl, &value) in target.sysctls.iter().filter(|(sysctl, _)| sysctl.link.as_ref() == Some(name)) {
        if observed.sysctls.get(sysctl) != Some(&value) {
            changes.push(Change::SetSysctl { sysctl: sysctl.clone(), value });
        }
    }
    if !seen.is_some_and(|seen| seen.up) {
        changes.push(Change::SetUp { link: name.clone() });
    }
    changes
}

fn address_bridge(name: &IfName, wanted: Option<IpAddr>, seen: Option<&BridgeSeen>) -> Vec<Change> {
    let addresses = seen.map(|seen| &seen.addresses).into_iter().flatten().copied();
    let there = addresses.clone().any(|address| Some(address) == wanted);
    let stale = addresses.filter(|address| Some(*address) != wanted);
    let remove = stale.map(|address| Change::RemoveAddress { bridge: name.clone(), address });
    let missing = wanted.filter(|_| !there);
    remove.chain(missing.map(|address| Change::AddAddress { bridge: name.clone(), address })).collect()
}

/// The switches of links that are not ours, and of `all`.
fn switch(target: &Target, observed: &Observed) -> Vec<Change> {
    let ours = |link: &IfName| target.bridges.get(link).is_some_and(|bridge| bridge.maker == Maker::Berth);
    let differs = |(sysctl, value): &(_, &u32)| observed.sysctls.get(*sysctl) != Some(*value);
    target
        .sysctls
        .iter()
        .filter(|(sysctl, _)| !sysctl.link.as_ref().is_some_and(ours))
        .filter(differs)
        .map(|(sysctl, &value)| Change::SetSysctl { sysctl: sysctl.clone(), value })
        .collect()
}

fn set_up_ports(wanted: &HostNet, target: &Target, observed: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, port) in &wanted.ports {
        let Some(bridge) = target.bridges.get(&port.bridge) else { continue };
        let seen = observed.ports.get(name);
        if seen.is_none() {
            if is_taken(name, observed) || is_taken(&port.container_end, observed) {
                continue;
            }
            changes.push(Change::CreatePort {
                name: name.clone(),
                container_end: port.container_end.clone(),
                mac: port.mac,
                mtu: target.mtu(&port.bridge, bridge),
            });
        }
        let alias = target::port_alias(port);
        if seen.and_then(|seen| seen.alias.as_ref()) != Some(&alias) {
            changes.push(Change::Label { link: name.clone(), alias });
        }
        if seen.and_then(|seen| seen.bridge.as_ref()) != Some(&port.bridge) {
            changes.push(Change::Attach { port: name.clone(), bridge: port.bridge.clone() });
        }
        if !seen.is_some_and(|seen| seen.up) {
            changes.push(Change::SetUp { link: name.clone() });
        }
    }
    changes
}

/// Starts delivering packets before it attracts them.
fn connect(target: &Target, observed: &Observed) -> Vec<Change> {
    let routes = target.routes.difference(&observed.routes).cloned().map(Change::AddRoute);
    let rules = target.rules.difference(&observed.rules).cloned().map(Change::AddRule);
    let proxies = target.proxies.difference(&observed.proxies).cloned().map(Change::AddProxy);
    routes.chain(rules).chain(proxies).collect()
}

#[cfg(test)]
mod tests;
