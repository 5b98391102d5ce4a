//! What a load balancer should be, from what is declared, who is in the services, and which hosts live.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::{HealthCheck, Listener, LoadBalancer, Protocol, Service};
use provider::{Exposure, HealthSpec, ListenerProtocol, ListenerSpec};

use super::{MemberWanted, Wanted};
use crate::judgement::judge;
use crate::member::Member;
use crate::vigil::Vigil;

/// How a member is asked whether it serves, where the declaration leaves that open: as SoftLayer has it by itself
/// (<https://cloud.ibm.com/docs/loadbalancer-service>, "Setting up health checks").
const INTERVAL_SECS: u16 = 5;
const TIMEOUT_SECS: u16 = 2;
const RETRIES: u8 = 2;

/// What the load balancer of this name should be: these services are all that are declared behind it, each with its
/// members.
///
/// Who takes part gets its weight. Who does not, and is not gone, keeps what it has and gets nothing new.
pub fn wanted(services: &[(&Service, &[Member])], vigil: &Vigil) -> Wanted {
    let mut all = Wanted::default();
    for (service, members) in services {
        let Some(LoadBalancer { order, listeners, .. }) = &service.load_balancer else { continue };
        all.order = all.order.or(order.map(exposure));
        all.listeners.extend(listeners.iter().filter_map(|it| listener(service, it)));
        for (address, wanted) in of_members(members, vigil) {
            let known = all.members.entry(address).or_insert(wanted);
            // One address in two services is one member, which gets what either would send it.
            known.weight = known.weight.max(wanted.weight);
        }
    }
    all
}

fn of_members(members: &[Member], vigil: &Vigil) -> BTreeMap<IpAddr, MemberWanted> {
    let standings = judge(members, vigil);
    let weighed = members.iter().zip(standings).map(|(member, standing)| {
        let weight = if standing.is_in() { member.weight } else { 0 };
        (member.address, MemberWanted { epoch: member.epoch, weight })
    });
    weighed.collect()
}

/// A listener as the provider is to have it; nothing if it leads nowhere, which no declaration that was taken does.
fn listener(service: &Service, it: &Listener) -> Option<(u16, (ListenerSpec, Option<HealthSpec>))> {
    let to = match &it.to {
        Some(to) => service.ports.iter().find(|port| port.name.as_ref() == Some(to)),
        None => service.ports.first(),
    };
    let port = it.port.get();
    let spec = ListenerSpec { port, protocol: protocol(it.protocol), to_port: to?.port.get() };
    Some((port, (spec, it.health.as_ref().map(|health| check(it.protocol, health)))))
}

fn check(protocol: Protocol, health: &HealthCheck) -> HealthSpec {
    let HealthCheck { path, interval_secs, timeout_secs, retries } = health;
    let interval_secs = interval_secs.unwrap_or_else(|| INTERVAL_SECS.max(timeout_secs.unwrap_or(0) + 1));
    let asks = matches!(protocol, Protocol::Http | Protocol::Https);
    HealthSpec {
        path: path.clone().or_else(|| asks.then(|| "/".to_owned())),
        interval_secs,
        timeout_secs: timeout_secs.unwrap_or_else(|| TIMEOUT_SECS.min(interval_secs.saturating_sub(1))),
        retries: retries.unwrap_or(RETRIES),
    }
}

fn protocol(protocol: Protocol) -> ListenerProtocol {
    match protocol {
        Protocol::Tcp => ListenerProtocol::Tcp,
        Protocol::Udp => ListenerProtocol::Udp,
        Protocol::Http => ListenerProtocol::Http,
        Protocol::Https => ListenerProtocol::Https,
    }
}

fn exposure(exposure: api::Exposure) -> Exposure {
    match exposure {
        api::Exposure::Private => Exposure::Private,
        api::Exposure::Public => Exposure::Public,
    }
}
