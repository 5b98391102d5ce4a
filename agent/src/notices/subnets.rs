//! Subnets and zones: what the cloud shows otherwise, and what this host holds out of its reach.

use crate::api::{Desk, all_orders};
use crate::capacity::{Capacity, Surprise, surprises};
use crate::whoami::{INTERFACES, whoami};
use ::api::{Notice, OrderState};
use ipam::{AddressState, BlockState, Subnet, SubnetView, View};
use ipnetwork::IpNetwork;
use provider::ClusterTags;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn notice(surprise: Surprise) -> Notice {
    Notice { about: format!("subnet {}", surprise.subnet), problem: surprise.problem, hint: surprise.hint }
}

/// What the capacity roles of this host found surprising in the cloud's last answer.
pub(super) fn surprising(desk: &Desk) -> Vec<Notice> {
    let roles = desk.capacity.borrow();
    let found = |role: &Capacity| role.status().borrow().surprises.clone();
    roles.iter().flat_map(found).map(notice).collect()
}

/// What is surprising in what the cloud shows now, whoever has the role.
pub(super) async fn surprising_now(desk: &Desk, view: &View) -> Vec<Notice> {
    let (Ok(config), Some(known)) = (&desk.config, desk.known.borrow().clone()) else { return Vec::new() };
    let Ok(tags) = ClusterTags::of(&config.cluster) else { return Vec::new() };
    let (cloud, silent) = desk.in_the_cloud().await;
    // Without the orders nobody can say what is just being opened.
    let (true, Ok(orders)) = (silent.is_empty(), all_orders(desk).await) else { return Vec::new() };
    let booked: BTreeSet<IpNetwork> = orders.iter().filter_map(|order| order.subnet).collect();
    let leaves = |seen: &&SubnetView| seen.blocks.iter().any(|block| block.state == BlockState::Returning);
    let open: Vec<Subnet> =
        view.subnets.iter().filter(|seen| !leaves(seen)).map(|seen| seen.subnet.clone()).collect();
    let zones = known.identity.attachments.iter().map(|at| &at.zone);
    zones.flat_map(|zone| surprises(&tags, zone, &open, &booked, &cloud)).map(notice).collect()
}

/// Subnets that are emptied although nobody said so: the cloud did not show them to the host that has the role.
pub(super) async fn withheld(desk: &Desk, view: &View) -> Vec<Notice> {
    let draining: BTreeSet<IpNetwork> = view
        .subnets
        .iter()
        .filter(|seen| seen.in_reach && seen.blocks.iter().any(|block| block.state == BlockState::Draining))
        .map(|seen| seen.subnet.cidr)
        .collect();
    if draining.is_empty() {
        return Vec::new();
    }
    let orders = all_orders(desk).await.unwrap_or_default();
    let open = orders.iter().filter(|order| matches!(order.state, OrderState::Open));
    let withheld = open.filter_map(|order| order.subnet).filter(|subnet| draining.contains(subnet));
    withheld
        .map(|subnet| Notice {
            about: format!("subnet {subnet}"),
            problem: "nothing more of it is handed out, because the provider does not show it any more; its \
                      containers keep their addresses"
                .to_owned(),
            hint: "`berth doctor` on a host of its zone asks the provider, and says what to do".to_owned(),
        })
        .collect()
}

/// Addresses that this host holds in a zone that it is not in any more.
pub(super) fn left_behind(view: &View) -> Vec<Notice> {
    let mut zones: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for seen in view.subnets.iter().filter(|seen| !seen.in_reach) {
        let used = seen.blocks.iter().flat_map(|block| &block.addresses);
        let used = used
            .filter(|it| matches!(it.state, AddressState::Assigned { .. }))
            .map(|it| it.address.to_string());
        zones.entry(&seen.subnet.zone.0).or_default().extend(used);
    }
    // What cools or is on its way back needs nobody.
    let used = zones.into_iter().filter(|(_, addresses)| !addresses.is_empty());
    used.map(|(zone, addresses)| Notice {
        about: format!("zone {zone}"),
        problem: format!(
            "this host was in it, and by the provider's word is not any more; containers here still have addresses \
             of it: {}. Nothing new is assigned from there, and nothing was taken from them",
            addresses.join(", ")
        ),
        hint: "if the VLAN was changed by mistake, attach the machine to it again and restart berthd; else start \
               these containers anew on a network whose subnet is in the zone that `berth host show` names"
            .to_owned(),
    })
    .collect()
}

/// Zones that the provider names now and did not when this agent started, or the other way round.
pub(super) async fn zones_that_changed(desk: &Desk) -> Vec<Notice> {
    let (Ok(cloud), Some(known)) = (desk.cloud(), desk.known.borrow().clone()) else { return Vec::new() };
    let Ok(now) = whoami(&*cloud, Path::new(INTERFACES)).await else { return Vec::new() };
    let zones = |of: &provider::Identity| -> BTreeSet<String> {
        of.attachments.iter().map(|at| at.zone.to_string()).collect()
    };
    let (before, now) = (zones(&known.identity), zones(&now.identity));
    if before == now {
        return Vec::new();
    }
    let list = |zones: &BTreeSet<String>| zones.iter().cloned().collect::<Vec<_>>().join(", ");
    vec![Notice {
        about: "zones".to_owned(),
        problem: format!(
            "the provider says that this machine is in zone {}, and berthd goes on as in {}",
            list(&now),
            list(&before)
        ),
        hint: "if that is meant, restart berthd: what runs keeps its addresses, and `berth status` names it; else \
               undo the change with the provider"
            .to_owned(),
    }]
}
