//! The allocator's view in the words of the wire: pure translations.

use crate::capacity::QuarantineLine;
use ::api::{Address, AddressState, Counts, Quarantined, Subnet, SubnetState};
use ipam::{AddressView, BlockState, CoolingWait, SubnetView, Usage, View};
use jiff::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses of a subnet by state.
pub(crate) fn counts(subnet: &SubnetView) -> Counts {
    let mut counts = Counts::default();
    for address in subnet.blocks.iter().flat_map(|block| &block.addresses) {
        *match &address.state {
            ipam::AddressState::Free => &mut counts.unheld,
            ipam::AddressState::FreeHere | ipam::AddressState::Reserved(_) => &mut counts.free,
            ipam::AddressState::Assigned { .. } => &mut counts.assigned,
            ipam::AddressState::Cooling { .. } => &mut counts.cooling,
            ipam::AddressState::Leaving { .. } => &mut counts.leaving,
            ipam::AddressState::Held(_) => &mut counts.elsewhere,
            ipam::AddressState::NotRetaken => &mut counts.not_retaken,
            ipam::AddressState::SetAside(_) => &mut counts.set_aside,
            ipam::AddressState::Quarantined { .. } => &mut counts.quarantined,
            ipam::AddressState::Outside => continue,
        } += 1;
    }
    counts
}

/// A subnet, without the cloud's word.
pub(crate) fn subnet(view: &SubnetView) -> Subnet {
    let states = || view.blocks.iter().map(|block| block.state);
    let state = match () {
        () if states().any(|state| state == BlockState::Returning) => SubnetState::Returning,
        () if states().any(|state| state == BlockState::Draining) => SubnetState::Draining,
        () => SubnetState::Open,
    };
    Subnet {
        subnet: view.subnet.cidr,
        gateway: view.subnet.gateway,
        zone: view.subnet.zone.to_string(),
        pool: Some(view.subnet.pool.to_string()),
        provider_id: None,
        state,
        in_cloud: None,
        blocks: u32::try_from(view.blocks.len()).unwrap_or(u32::MAX),
        counts: counts(view),
        quarantine: Vec::new(),
    }
}

/// How an address stands in quarantine.
pub(crate) fn quarantined(line: &QuarantineLine) -> Quarantined {
    Quarantined {
        address: line.address,
        was: line.was.as_ref().map(ToString::to_string),
        why: line.why.clone(),
        state: line.state.clone(),
        kept: line.is_kept,
        next: line.next,
    }
}

/// An address, without the names that Docker knows. `now` is when the view was taken.
pub(crate) fn address(subnet: &SubnetView, view: &AddressView, now: Timestamp) -> Address {
    let (epoch, endpoint) = match &view.state {
        ipam::AddressState::Assigned { epoch, usage } => (Some(*epoch), endpoint_of(usage)),
        ipam::AddressState::Cooling { epoch, .. } => (Some(*epoch), None),
        _ => (None, None),
    };
    Address {
        address: view.address,
        pool: subnet.subnet.pool.to_string(),
        subnet: subnet.subnet.cidr,
        zone: subnet.subnet.zone.to_string(),
        state: state(&view.state, now),
        epoch: epoch.map(|epoch| epoch.to_string()),
        endpoint,
        container: None,
        network: None,
        reservation: view.reservation.as_ref().map(ToString::to_string),
    }
}

fn state(state: &ipam::AddressState, now: Timestamp) -> AddressState {
    match state {
        ipam::AddressState::Free => AddressState::Unheld,
        ipam::AddressState::FreeHere | ipam::AddressState::Reserved(_) => AddressState::Free,
        ipam::AddressState::Assigned { .. } => AddressState::Assigned,
        ipam::AddressState::Cooling { left_millis, waits, .. } => {
            let until = now.checked_add(Duration::from_millis(*left_millis)).ok();
            let why = match waits {
                CoolingWait::Timer => "released",
                CoolingWait::Close => "its endpoint must be closed in the store",
                CoolingWait::Dependents => "the cloud still names it",
            };
            AddressState::Cooling { until: until.filter(|_| *left_millis > 0), why: why.into() }
        }
        ipam::AddressState::Leaving { .. } => AddressState::Leaving,
        ipam::AddressState::Held(host) => AddressState::Elsewhere { host: host.to_string() },
        ipam::AddressState::NotRetaken => AddressState::NotRetaken,
        ipam::AddressState::SetAside(why) => AddressState::SetAside { why: why.to_string() },
        ipam::AddressState::Quarantined { was: Some(was), why } => {
            AddressState::Quarantined { why: format!("held by {was}: {why}") }
        }
        ipam::AddressState::Quarantined { was: None, why } => AddressState::Quarantined { why: why.clone() },
        ipam::AddressState::Outside => AddressState::SetAside { why: "in no subnet of the pool".into() },
    }
}

fn endpoint_of(usage: &Usage) -> Option<String> {
    match usage {
        Usage::Unbound => None,
        Usage::Bound(endpoint) | Usage::Gone(endpoint) => Some(endpoint.to_string()),
    }
}

/// Where an address is in the view.
pub(crate) fn find(view: &View, address: IpAddr) -> Option<(&SubnetView, &AddressView)> {
    let subnet = view.subnets.iter().find(|subnet| subnet.subnet.cidr.contains(address))?;
    let mut addresses = subnet.blocks.iter().flat_map(|block| &block.addresses);
    Some((subnet, addresses.find(|it| it.address == address)?))
}
