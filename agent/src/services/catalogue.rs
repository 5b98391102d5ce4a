//! Services as they stand in the store: declared, changed, shown with their members.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::{
    AtBalancer, BalancerReport, DrainedMember, FirewallReport, MemberStanding, PolicyEntry, PolicyUse,
    Service, ServiceChange, ServiceLine, ServiceReport,
};
use hostnet::policy::Count;
use ipam::{EndpointRecord, Epoch, HostId};
use provider::Firewall;
use services::{
    Abilities, Addresses, Declined, Draining, Member, Standing, Vigil, check, difference, implied, judge,
    openings, peers,
};
use store::layout::{self, Item, Under};
use store::{Commit, Store, Transaction};

use super::declared::{self, Declared};
use super::{ServicesError, in_time, policing};
use crate::owners::balancer::{self, BalancerRecord};
use crate::owners::firewall::{self, FirewallRecord};

/// How often a declaration is tried against others that are made in the same moment.
const TRIES: usize = 8;

/// A declaration was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// It cannot be.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// The store.
    #[error(transparent)]
    Services(#[from] ServicesError),
    /// Others declare services again and again.
    #[error("services were declared by others {TRIES} times in this moment; hint: apply it again")]
    Contended,
    /// There is none to delete.
    #[error("there is no declared service {0}; hint: `berth service list` shows those there are")]
    Unknown(String),
}

/// Declares a service, or says what that would change.
///
/// It is written under the condition that nothing else was declared since the others were read: two services that
/// want one listener cannot both be applied.
pub(crate) async fn apply(
    store: &dyn Store,
    service: &Service,
    abilities: &Abilities,
    dry_run: bool,
) -> Result<ServiceChange, ApplyError> {
    let key = Item::Service(service.name.clone()).key();
    for _ in 0..TRIES {
        let (declared, transaction) = as_read(store).await?;
        let others: Vec<Service> = declared.values().cloned().collect();
        check(service, &others, abilities)?;
        let change = difference(&service.name, declared.get(&service.name), Some(service));
        if dry_run || change.changes.is_empty() {
            return Ok(change);
        }
        let value = layout::encode(&key, service).map_err(ServicesError::from)?;
        if let Commit::Done { .. } = in_time(store.commit(transaction.put(key.clone(), value))).await? {
            return Ok(change);
        }
    }
    Err(ApplyError::Contended)
}

/// Takes a declaration back. Containers with the service's label stay in it.
pub(crate) async fn delete(store: &dyn Store, name: &str) -> Result<ServiceChange, ApplyError> {
    for _ in 0..TRIES {
        let (declared, transaction) = as_read(store).await?;
        let Some(known) = declared.get(name) else { return Err(ApplyError::Unknown(name.to_owned())) };
        let key = Item::Service(name.to_owned()).key();
        if let Commit::Done { .. } = in_time(store.commit(transaction.delete(key))).await? {
            return Ok(difference(name, Some(known), None));
        }
    }
    Err(ApplyError::Contended)
}

/// What is declared, and a transaction that commits only while that is so.
async fn as_read(store: &dyn Store) -> Result<(Declared, Transaction), ServicesError> {
    let turn = Item::Declaring.key();
    let read = in_time(store.get(&turn)).await?;
    let declared = declared::read(store).await?;
    let transaction = match &read.entry {
        Some(entry) => Transaction::new().unchanged(turn.clone(), entry.revision),
        None => Transaction::new().absent(turn.clone()),
    };
    Ok((declared, transaction.put(turn, Vec::new())))
}

/// Every service, with how many take part.
pub(crate) async fn list(store: &dyn Store, vigil: &Vigil) -> Result<Vec<ServiceLine>, ServicesError> {
    let declared = declared::read(store).await?;
    let mut members = members(store, &Under::Members).await?;
    let names: BTreeSet<String> = declared.keys().chain(members.keys()).cloned().collect();
    let line = |name: String| {
        let of = members.remove(&name).unwrap_or_default();
        let taking_part = judge(&of, vigil).into_iter().filter(|standing| standing.is_in()).count();
        let known = declared.get(&name);
        let service = known.cloned().unwrap_or_else(|| labelled(&name, &of));
        ServiceLine {
            declared: known.is_some(),
            ports: service.ports,
            load_balancer: service.load_balancer.map(|balancer| balancer.name),
            members_in: u32::try_from(taking_part).unwrap_or(u32::MAX),
            members_out: u32::try_from(of.len() - taking_part).unwrap_or(u32::MAX),
            name,
        }
    };
    Ok(names.into_iter().map(line).collect())
}

/// One service and who is in it, if it is there.
pub(crate) async fn show(
    store: &dyn Store,
    name: &str,
    vigil: &Vigil,
) -> Result<Option<ServiceReport>, ServicesError> {
    let declared = declared::read(store).await?;
    let members = members(store, &Under::MembersOf { service: name.to_owned() }).await?.remove(name);
    let members = members.unwrap_or_default();
    let known = declared.get(name);
    if known.is_none() && members.is_empty() {
        return Ok(None);
    }
    let service = known.cloned().unwrap_or_else(|| labelled(name, &members));
    let standings = judge(&members, vigil);
    let mut members: Vec<api::Member> =
        members.into_iter().zip(standings).map(|(member, standing)| told(member, standing)).collect();
    let balancer = match &service.load_balancer {
        Some(named) => Some(at_balancer(store, &named.name, &mut members).await?),
        None => None,
    };
    let mut firewalls = Vec::new();
    for named in firewall::names(&service) {
        firewalls.push(at_firewall(store, &named, &members).await?);
    }
    Ok(Some(ServiceReport {
        service,
        declared: known.is_some(),
        members,
        balancer,
        firewalls,
        policy_uses: Vec::new(),
    }))
}

/// What its owner says of a load balancer, and how these members stand there.
async fn at_balancer(
    store: &dyn Store,
    name: &str,
    members: &mut [api::Member],
) -> Result<BalancerReport, ServicesError> {
    let mut placed = balancer::known(store, name).await?;
    for member in members {
        let there = placed.get(&member.address).filter(|it| it.epoch.to_string() == member.epoch);
        member.at_balancer = there.map(|it| AtBalancer { weight: it.weight, up: it.up });
        if there.is_some() {
            placed.remove(&member.address);
        }
    }
    let BalancerRecord { reached_at, pending, troubles, .. } =
        balancer::record(store, name).await?.unwrap_or_default();
    let owner = balancer::owner(store, name).await?;
    Ok(BalancerReport { owner, reached_at, pending, troubles, leaving: placed.into_keys().collect() })
}

/// What its owner says of a firewall, and who is let in there that is no member any more.
async fn at_firewall(
    store: &dyn Store,
    named: &Firewall,
    members: &[api::Member],
) -> Result<FirewallReport, ServicesError> {
    let mut leaving = firewall::admitted(store, named).await?;
    leaving.retain(|address, epoch| {
        !members.iter().any(|member| member.address == *address && member.epoch == epoch.to_string())
    });
    let FirewallRecord { rules, pending, troubles } =
        firewall::record(store, named).await?.unwrap_or_default();
    Ok(FirewallReport {
        name: named.to_string(),
        tells_containers_apart: matches!(named, Firewall::Zone(_)),
        owner: firewall::owner(store, named).await?,
        rules,
        pending,
        troubles,
        leaving: leaving.into_keys().collect(),
    })
}

/// How often each entry of a service's policy was used at its members on one host, as the host's kernel counted.
pub(crate) async fn uses(
    store: &dyn Store,
    service: &Service,
    host: &HostId,
    counts: &BTreeMap<hostnet::Opening, Count>,
) -> Result<Vec<PolicyUse>, ServicesError> {
    let of = async |name: &str| {
        let found = members(store, &Under::MembersOf { service: name.to_owned() }).await?.remove(name);
        Ok::<_, ServicesError>(found.unwrap_or_default())
    };
    let here: Vec<Member> = of(&service.name).await?.into_iter().filter(|it| it.host == *host).collect();
    let mut addresses = Addresses::new();
    for peer in peers([service]) {
        addresses.insert(peer.to_owned(), of(peer).await?.into_iter().map(|it| it.address).collect());
    }
    let used = |entry: &PolicyEntry| {
        let opened = here.iter().flat_map(|member| openings(service, entry, member, &addresses));
        let packets = opened.filter_map(|it| Some(counts.get(&policing::opening(it))?.packets)).sum();
        PolicyUse { entry: entry.clone(), packets }
    };
    Ok(if here.is_empty() { Vec::new() } else { service.policies.iter().map(used).collect() })
}

/// What names an address outside of its host, in words: what it waits for once it is let go of.
pub(crate) async fn named_by(store: &dyn Store, address: IpAddr) -> Result<Vec<String>, ServicesError> {
    let entries = in_time(store.range(&Under::DependentsOf(address).prefix())).await?.entries;
    let word = |key| match Item::of(key) {
        Some(Item::Dependent { object, .. }) => Some(
            Member::service_of(&object)
                .map(|service| format!("service {service}"))
                .or_else(|| balancer::named(&object).map(|name| format!("load balancer {name}")))
                .or_else(|| firewall::named(&object).map(|firewall| firewall.to_string()))
                .unwrap_or(object),
        ),
        _ => None,
    };
    Ok(entries.iter().filter_map(|entry| word(&entry.key)).collect())
}

/// The places of a host's containers in services.
pub(crate) async fn of_host(store: &dyn Store, host: &HostId) -> Result<Vec<DrainedMember>, ServicesError> {
    let declared = declared::read(store).await?;
    let members = members(store, &Under::Members).await?;
    let mut weights = BTreeMap::new();
    for service in members.keys().filter_map(|name| declared.get(name)) {
        if let Some(named) = &service.load_balancer {
            weights.insert(&service.name, balancer::known(store, &named.name).await?);
        }
    }
    let weight = |service: &String, member: &Member| {
        let placed = weights.get(service)?.get(&member.address)?;
        placed.weight.filter(|_| placed.epoch == member.epoch)
    };
    let of_service = |(service, members): (String, Vec<Member>)| {
        let here = members.into_iter().filter(|member| member.host == *host);
        let told = here.map(move |member| DrainedMember {
            service: service.clone(),
            address: member.address,
            weight: weight(&service, &member),
            container: member.container,
            draining: member.draining.is_some(),
        });
        told.collect::<Vec<_>>()
    };
    Ok(members.into_iter().flat_map(of_service).collect())
}

/// The members that count, by service: those whose address is open under their epoch.
async fn members(store: &dyn Store, under: &Under) -> Result<BTreeMap<String, Vec<Member>>, ServicesError> {
    let written = in_time(store.range(&under.prefix())).await?;
    let open = open(store).await?;
    let mut members: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    for entry in &written.entries {
        let Some(Item::Member { service, .. }) = Item::of(&entry.key) else { continue };
        // One of another version is not shown; its own host shows it.
        let Ok(member) = layout::decode::<Member>(&entry.key, &entry.value) else { continue };
        if open.get(&member.address) == Some(&member.epoch) {
            members.entry(service).or_default().push(member);
        }
    }
    Ok(members)
}

/// The addresses that are open to services, and under which epoch.
async fn open(store: &dyn Store) -> Result<BTreeMap<IpAddr, Epoch>, ServicesError> {
    let entries = in_time(store.range(&Under::Endpoints.prefix())).await?.entries;
    let open = entries.iter().filter_map(|entry| {
        let Some(Item::Endpoint(address)) = Item::of(&entry.key) else { return None };
        Some(layout::decode::<EndpointRecord>(&entry.key, &entry.value).map(|record| (address, record.epoch)))
    });
    Ok(open.collect::<Result<_, _>>()?)
}

/// The service that its members' labels make.
fn labelled(name: &str, members: &[Member]) -> Service {
    implied(name, members.iter().filter_map(|member| member.port))
}

fn told(member: Member, standing: Standing) -> api::Member {
    let out = |because: &str| MemberStanding::Out { because: because.to_owned() };
    let kept = |because: &str| MemberStanding::Kept { because: because.to_owned() };
    let standing = match standing {
        Standing::In => MemberStanding::In,
        Standing::NotReady(readiness) => out(readiness.in_words()),
        Standing::Draining(Draining::Asked) => out("it is being drained"),
        Standing::Draining(Draining::Ending) => out("Docker sent it the signal to end"),
        Standing::HostSilent => out("its host gives no sign of life"),
        Standing::KeptInMassLapse => {
            kept("its host gives no sign of life, nor do so many of its zone that it is not they who failed")
        }
        Standing::KeptAsTheLast => kept("its host gives no sign of life, and no other member is ready"),
    };
    let Member { address, epoch, container, host, zone, port, weight, readiness, draining: _ } = member;
    api::Member {
        address,
        epoch: epoch.to_string(),
        container,
        host: host.0,
        zone: zone.0,
        port,
        weight,
        readiness,
        standing,
        at_balancer: None,
    }
}
