//! What Docker, the kernel and `docker.journal` of this host have that nobody gave them.

use crate::docker::events::Sight;
use crate::docker::{DRIVER, Pages, Stage};
use ::api::{Finding, Source, Word};
use hostnet::{Change, HostNet, Observed};
use ipam::{AddressState, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// S1: no two containers of this host have one address.
pub(super) fn used_twice(view: &View, sight: &Sight) -> Vec<Finding> {
    let mut users: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
    // After a crash Docker goes on showing what a container had that does not run any more.
    for container in sight.containers.iter().filter(|container| container.running) {
        let ours = |address: &IpAddr| is_ours(view, *address);
        for address in container.attachments.iter().filter_map(|at| at.address).filter(ours) {
            users.entry(address).or_default().push(container.name.clone());
        }
    }
    let finding = |(address, users): (IpAddr, Vec<String>)| Finding {
        promise: Some("S1".into()),
        subject: address.to_string(),
        problem: format!("{} containers have it", users.len()),
        words: users.iter().map(|user| Word::of(Source::Docker, user.clone()).differing(true)).collect(),
        hint: Some("stop all but one of them".into()),
    };
    users.into_iter().filter(|(_, users)| users.len() > 1).map(finding).collect()
}

/// S3: a container on one of our networks, with an address of no subnet that is known.
pub(super) fn strangers(view: &View, sight: &Sight) -> Vec<Finding> {
    let ours = |it: &&crate::docker::events::SeenNetwork| it.driver == DRIVER || it.ipam_driver == DRIVER;
    let networks: BTreeSet<_> = sight.networks.iter().filter(ours).map(|network| &network.id).collect();
    let running = sight.containers.iter().filter(|container| container.running);
    let attached = running.flat_map(|it| it.attachments.iter().map(move |at| (it, at)));
    let attached = attached.filter(|(_, at)| networks.contains(&at.network));
    let strange = attached.filter_map(|(it, at)| Some((it, at, at.address?)));
    let strange = strange.filter(|(_, _, address)| !is_ours(view, *address));
    let finding = |(container, at, address): (&crate::docker::events::Container, &_, IpAddr)| {
        let at: &crate::docker::events::Attachment = at;
        let says = format!("{} on network {}", container.name, at.network_name);
        Finding {
            promise: Some("S3".into()),
            subject: address.to_string(),
            problem: "a container has it, and it is in no subnet of this host's zones".into(),
            words: vec![Word::of(Source::Docker, says).differing(true)],
            hint: Some("restart the container: it gets another address".into()),
        }
    };
    strange.map(finding).collect()
}

/// L4: an endpoint that `docker.journal` has with an address which is not assigned to it.
pub(super) fn unassigned(view: &View, pages: &Pages) -> Vec<Finding> {
    // Before this boot's holdings are re-taken nothing is assigned.
    if view.not_ready.is_some() {
        return Vec::new();
    }
    let assigned = ipam::check::assigned_in(view);
    let living = pages.endpoints.values().filter(|it| it.stage < Stage::Deleted);
    let unassigned = living.filter(|it| assigned.get(&it.address.ip()) != Some(&it.epoch));
    let unassigned = unassigned.filter(|it| !is_not_retaken(view, it.address.ip()));
    let finding = |it: &crate::docker::Endpoint| {
        let address = it.address.ip();
        let allocator = match assigned.get(&address) {
            Some(epoch) => format!("allocator.journal: assigned, epoch {epoch}"),
            None => "allocator.journal: not assigned".to_owned(),
        };
        let id = it.id.0.get(..12).unwrap_or(&it.id.0);
        let says = format!("docker.journal: endpoint {id} has it, epoch {}", it.epoch);
        Finding {
            promise: Some("L4".into()),
            subject: address.to_string(),
            problem: "an endpoint has it without an assignment".into(),
            words: vec![
                Word::of(Source::Journal, allocator),
                Word::of(Source::Journal, says).differing(true),
            ],
            hint: Some("restart its container; if there is none, it is struck within a minute".into()),
        }
    };
    unassigned.map(finding).collect()
}

fn is_not_retaken(view: &View, address: IpAddr) -> bool {
    let addresses = view.subnets.iter().flat_map(|subnet| &subnet.blocks).flat_map(|block| &block.addresses);
    addresses.filter(|it| it.address == address).any(|it| it.state == AddressState::NotRetaken)
}

/// L4, S7: what the kernel has too much of what bears our mark, and what it lacks. What concerns a known address
/// is told with that address.
pub(super) fn unlike(view: &View, wanted: &HostNet, observed: &Observed) -> Vec<Finding> {
    let told = |change: &Change| {
        let address = match change {
            Change::AddRoute(route) | Change::RemoveRoute(route) => host_address(route.to),
            Change::AddProxy(proxy) | Change::RemoveProxy(proxy) => Some(proxy.address),
            _ => None,
        };
        address.is_some_and(|address| is_ours(view, address))
    };
    let finding = |change: Change| Finding {
        promise: is_removal(&change).then(|| "L4".into()),
        subject: format!("this host's network: {change}"),
        problem: "the kernel is not as it should be".into(),
        words: vec![Word::of(Source::Kernel, format!("to be done: {change}")).differing(true)],
        hint: Some("`berth host plan` shows what the agent will do about it".into()),
    };
    let changes = hostnet::plan(wanted, observed).into_iter();
    changes.filter(|change| !told(change)).map(finding).collect()
}

fn is_removal(change: &Change) -> bool {
    matches!(
        change,
        Change::RemoveFirewall
            | Change::Dismiss(_)
            | Change::DeleteBridge { .. }
            | Change::DeletePort { .. }
            | Change::RemoveAddress { .. }
            | Change::RemoveRoute(_)
            | Change::RemoveRule(_)
            | Change::RemoveProxy(_)
    )
}

fn host_address(to: ipnetwork::IpNetwork) -> Option<IpAddr> {
    (to.prefix() == if to.is_ipv4() { 32 } else { 128 }).then(|| to.ip())
}

fn is_ours(view: &View, address: IpAddr) -> bool {
    view.subnets.iter().any(|subnet| subnet.subnet.cidr.contains(address))
}
