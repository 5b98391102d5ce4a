//! Pools: in what this host's configuration differs from what the cluster goes by.

use crate::api::Desk;
use crate::assembly::policy;
use crate::capacity::{PolicyRecord, PoolPolicy};
use crate::config::Config;
use ::api::Notice;
use ipam::View;
use std::collections::BTreeMap;
use store::layout::{self, Item, Under};

/// Pools of this host's configuration that the cluster goes by otherwise. Nothing where the store is silent: that is
/// shown by itself.
pub(super) async fn differing(desk: &Desk) -> Vec<Notice> {
    let (Ok(config), Some(store)) = (&desk.config, &desk.store) else { return Vec::new() };
    let Ok(found) = store.range(&Under::Policies.prefix()).await else { return Vec::new() };
    let written: BTreeMap<String, PolicyRecord> = found
        .entries
        .iter()
        .filter_map(|entry| match Item::of(&entry.key)? {
            Item::Policy(pool) => Some((pool, layout::decode(&entry.key, &entry.value).ok()?)),
            _ => None,
        })
        .collect();
    let ours = config.pools.iter().map(policy);
    ours.filter_map(|ours| differs(&ours, written.get(&ours.name.0)?)).collect()
}

fn differs(ours: &PoolPolicy, written: &PolicyRecord) -> Option<Notice> {
    let differences = ours.differences(&written.policy);
    if differences.is_empty() {
        return None;
    }
    let told: Vec<String> = differences
        .iter()
        .map(|it| format!("{} is {} here and {} there", it.option, it.here, it.there))
        .collect();
    Some(Notice {
        about: format!("pool {}", ours.name),
        problem: format!(
            "this host's configuration is not what the cluster goes by, which is that of host {}: {}",
            written.by,
            told.join(", ")
        ),
        hint: format!(
            "make [[pool]] {} the same on all hosts and restart berthd where it changed; host {} counts because it \
             has the capacity role of zone {} (`berth host list`)",
            ours.name, written.by, written.zone
        ),
    })
}

/// Pools that have subnets in this host's zones and do not stand in its configuration: renamed or removed while in
/// use.
pub(super) fn without_policy(desk: &Desk, view: &View) -> Vec<Notice> {
    let Ok(config) = &desk.config else { return Vec::new() };
    orphans(config, view)
}

fn orphans(config: &Config, view: &View) -> Vec<Notice> {
    let mut pools: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for subnet in view.subnets.iter().filter(|subnet| subnet.in_reach) {
        let name = subnet.subnet.pool.0.as_str();
        if config.pools.iter().all(|pool| pool.name != name) {
            pools.entry(name).or_default().push(subnet.subnet.cidr.to_string());
        }
    }
    let notice = |(pool, subnets): (&str, Vec<String>)| Notice {
        about: format!("pool {pool}"),
        problem: format!(
            "it has {} and does not stand in this host's configuration: what runs goes on, and where this host has \
             the capacity role nothing is ordered or returned for it",
            subnets.join(", ")
        ),
        hint: format!(
            "put [[pool]] {pool} back into berth.toml, on all hosts alike; or move its containers to another pool's \
             network and say `berth subnet drain {}`",
            subnets.first().map(String::as_str).unwrap_or("CIDR")
        ),
    };
    pools.into_iter().map(notice).collect()
}
