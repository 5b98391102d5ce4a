//! Pools and subnets.

use super::desk::Desk;
use super::{Refusal, words};
use crate::capacity::Capacity;
use crate::config::{Config, Network, PoolConfig};
use ::api::{Answer, Counts, Pool, PoolZone, Quarantined, Source, Subnet, SubnetState, Watermarks};
use axum::Json;
use axum::extract::State;
use ipam::View;
use ipnetwork::IpNetwork;
use provider::CloudSubnet;
use std::collections::BTreeMap;

/// `GET /v1/pools`
pub(crate) async fn pools(State(desk): State<Desk>) -> Result<Json<Answer<Vec<Pool>>>, Refusal> {
    let view = desk.view().await.map_err(Refusal)?;
    let zones = by_pool_and_zone(&view);
    let configured = desk.config.as_ref().map_or(&[][..], |config: &Config| config.pools.as_slice());
    let pools = configured.iter().map(|pool| self::pool(pool, &zones)).collect::<Vec<_>>();
    Ok(Json(Answer::new([Source::Agent, Source::Journal, Source::Store], pools)))
}

/// Subnets and counts of each pool in each zone.
type Zones = BTreeMap<(String, String), (Vec<IpNetwork>, Counts)>;

pub(crate) fn by_pool_and_zone(view: &View) -> Zones {
    let mut zones = Zones::new();
    for subnet in &view.subnets {
        let key = (subnet.subnet.pool.to_string(), subnet.subnet.zone.to_string());
        let (subnets, counts) = zones.entry(key).or_default();
        subnets.push(subnet.subnet.cidr);
        *counts += words::counts(subnet);
    }
    zones
}

fn pool(config: &PoolConfig, zones: &Zones) -> Pool {
    let mine = zones.iter().filter(|((pool, _), _)| *pool == config.name);
    let zone = |((_, zone), (subnets, counts)): (&(String, String), &(Vec<IpNetwork>, Counts))| PoolZone {
        zone: zone.clone(),
        subnets: subnets.clone(),
        counts: *counts,
    };
    Pool {
        name: config.name.clone(),
        network: match config.network {
            Network::Private => "private".into(),
            Network::Public => "public".into(),
        },
        watermarks: Watermarks {
            free_min: config.free_min,
            subnets_max: config.subnets_max,
            prefix: config.prefix,
        },
        cooling_secs: config.cooling.as_secs(),
        exclude: config.exclude.clone(),
        zones: mine.map(zone).collect(),
    }
}

/// `GET /v1/subnets`
pub(crate) async fn subnets(State(desk): State<Desk>) -> Result<Json<Answer<Vec<Subnet>>>, Refusal> {
    let view = desk.view().await.map_err(Refusal)?;
    let (shown, silent) = desk.in_the_cloud().await;
    let mut subnets: Vec<Subnet> = view.subnets.iter().map(words::subnet).collect();
    let quarantine = quarantine(&desk);
    for subnet in &mut subnets {
        let of_it = quarantine.iter().filter(|it| subnet.subnet.contains(it.address));
        subnet.quarantine = of_it.cloned().collect();
    }
    if silent.is_empty() {
        for subnet in &mut subnets {
            let found = shown.iter().find(|cloud| cloud.cidr == subnet.subnet);
            subnet.in_cloud = Some(found.is_some());
            subnet.provider_id = found.map(|cloud| cloud.id.to_string());
        }
        let known = |cloud: &CloudSubnet| view.subnets.iter().any(|it| it.subnet.cidr == cloud.cidr);
        let unopened: Vec<Subnet> = shown.iter().filter(|cloud| !known(cloud)).map(unopened).collect();
        subnets.extend(unopened);
    }
    Ok(Json(Answer::new([Source::Store, Source::Cloud], subnets).without(silent)))
}

/// How every quarantine stands in the zones whose role this host has.
pub(crate) fn quarantine(desk: &Desk) -> Vec<Quarantined> {
    let roles = desk.capacity.borrow();
    let lines = |role: &Capacity| role.status().borrow().quarantine.clone();
    roles.iter().flat_map(lines).map(|line| words::quarantined(&line)).collect()
}

fn unopened(cloud: &CloudSubnet) -> Subnet {
    Subnet {
        subnet: cloud.cidr,
        gateway: cloud.gateway,
        zone: cloud.zone.to_string(),
        pool: None,
        provider_id: Some(cloud.id.to_string()),
        state: SubnetState::Unopened,
        in_cloud: Some(true),
        blocks: 0,
        counts: Counts::default(),
        holders: BTreeMap::new(),
        quarantine: Vec::new(),
    }
}
