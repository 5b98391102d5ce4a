//! The local load balancer of 2014, named by its virtual address. It can be ordered no more; one that is there can be
//! used.
//!
//! Everything below a virtual address is edited from its root, one change at a time; what is said of no state fails with
//! a text while another is under way. A member is a *service* in each virtual server's group, with a port of its own.
//! Sources: terraform-provider-ibm `resource_ibm_lb*.go`, softlayer-python's fixtures; section 4.2 of the project's
//! reference of this API.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use provider::{
    BalancerChange, BalancerSeen, BalancerState, ListenerId, ListenerProtocol, ListenerSeen, ListenerSpec,
    MemberId, MemberSeen, ProviderError,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::NAME;
use crate::client::{Call, Client};
use crate::wire::{List, Number};

const ADDRESSES: &str = "SoftLayer_Network_Application_Delivery_Controller_LoadBalancer_VirtualIpAddress";
const SERVERS: &str = "SoftLayer_Network_Application_Delivery_Controller_LoadBalancer_VirtualServer";
const SERVICES: &str = "SoftLayer_Network_Application_Delivery_Controller_LoadBalancer_Service";

const MASK: &str = "id,ipAddress[ipAddress],virtualServers[id,port,allocation,serviceGroups[id,routingMethodId,\
     routingTypeId,services[id,port,enabled,status,ipAddress[ipAddress],groupReferences[weight]]]]";

/// `ROUND_ROBIN`, and the kinds of routing and of health checks. Source: softlayer-python's fixtures.
const ROUND_ROBIN: u64 = 10;
const ROUTES_HTTP: u64 = 2;
const ROUTES_TCP: u64 = 3;
const ROUTES_UDP: u64 = 6;
const CHECKS_HTTP: u64 = 2;
const CHECKS_TCP: u64 = 1;
const CHECKS_AS_BY_DEFAULT: u64 = 21;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VirtualAddress {
    id: Number,
    ip_address: Option<Address>,
    #[serde(default)]
    virtual_servers: List<VirtualServer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    id: Option<Number>,
    ip_address: Option<Ipv4Addr>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VirtualServer {
    id: Number,
    port: Option<Number>,
    allocation: Option<Number>,
    #[serde(default)]
    service_groups: List<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    id: Number,
    routing_method_id: Option<Number>,
    routing_type_id: Option<Number>,
    #[serde(default)]
    services: List<Service>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    id: Number,
    port: Option<Number>,
    enabled: Option<Number>,
    status: Option<String>,
    ip_address: Option<Address>,
    #[serde(default)]
    group_references: List<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    weight: Option<Number>,
}

/// The balancer at this virtual address as it stands.
pub(crate) async fn look(client: &Client, at: Ipv4Addr) -> Result<Option<BalancerSeen>, ProviderError> {
    let found = find(client, at, &format!("looking at load balancer {at}")).await?;
    Ok(found.map(|it| BalancerSeen {
        reached_at: Some(at.to_string()),
        // It says nothing of itself: a change is refused while another is under way.
        state: BalancerState::Ready,
        complaint: None,
        listeners: it.virtual_servers.0.iter().filter_map(listener).collect(),
        members: members(&it),
    }))
}

/// Which members its health checks find serving, at every virtual server.
pub(crate) async fn health(client: &Client, at: Ipv4Addr) -> Result<BTreeMap<MemberId, bool>, ProviderError> {
    let Some(found) = find(client, at, &format!("asking for the health of load balancer {at}")).await? else {
        return Ok(BTreeMap::new());
    };
    let is_up = |service: &Service| service.status.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("UP"));
    let of = |services: Vec<(&VirtualServer, &Service)>| {
        (member_id(&services), services.iter().all(|(_, service)| is_up(service)))
    };
    Ok(by_address(&found).into_values().map(of).collect())
}

/// Makes one change, once. Of members to remove it is one service: each is a call of its own, and the next one is
/// refused until the first is done.
pub(crate) async fn change(
    client: &Client,
    at: Ipv4Addr,
    change: &BalancerChange,
) -> Result<(), ProviderError> {
    let doing = format!("load balancer {at}: {change}");
    let gone =
        || ProviderError::Gone { provider: NAME, doing: doing.clone(), what: format!("load balancer {at}") };
    let standing = find(client, at, &doing).await?.ok_or_else(gone)?;
    let servers = match change {
        BalancerChange::AddListeners(listeners) => new_servers(&standing, listeners, &doing)?,
        BalancerChange::ChangeListeners(listeners) => {
            listeners.iter().filter_map(|(id, spec)| changed(server(&standing, id)?, spec)).collect()
        }
        BalancerChange::AddMembers { members, listeners } => {
            new_services(client, &standing, members, listeners, &doing).await?
        }
        BalancerChange::WeighMembers(members) => weighed(&standing, members),
        BalancerChange::RemoveListeners(ids) => {
            let Some(ListenerId(id)) = ids.first() else { return Ok(()) };
            return client.change::<Value>(&Call::new(SERVERS, "deleteObject", doing).of(id)).await.map(drop);
        }
        BalancerChange::RemoveMembers(ids) => {
            let Some(id) = ids.first().and_then(|MemberId(ids)| ids.split(',').next()) else { return Ok(()) };
            return client
                .change::<Value>(&Call::new(SERVICES, "deleteObject", doing).of(id))
                .await
                .map(drop);
        }
        BalancerChange::CheckHealth(_) | BalancerChange::Order { .. } => {
            return Err(ProviderError::NotOffered { provider: NAME, doing });
        }
    };
    let call = Call::new(ADDRESSES, "editObject", doing).of(standing.id);
    client.change::<Value>(&call.with(json!([{ "virtualServers": servers }]))).await.map(drop)
}

async fn find(client: &Client, at: Ipv4Addr, doing: &str) -> Result<Option<VirtualAddress>, ProviderError> {
    let call = Call::new("SoftLayer_Account", "getAdcLoadBalancers", doing).mask(MASK);
    let all = client.read_all::<VirtualAddress>(&call).await?;
    let is_it = |it: &VirtualAddress| it.ip_address.as_ref().and_then(|it| it.ip_address) == Some(at);
    Ok(all.into_iter().find(is_it))
}

fn server<'a>(standing: &'a VirtualAddress, ListenerId(id): &ListenerId) -> Option<&'a VirtualServer> {
    standing.virtual_servers.0.iter().find(|server| server.id.to_string() == *id)
}

fn port(number: Option<Number>) -> Option<u16> {
    u16::try_from(number?.0).ok()
}

/// A virtual server as a listener; nothing for one that speaks what we do not know: it is nobody of ours.
fn listener(server: &VirtualServer) -> Option<ListenerSeen> {
    let group = server.service_groups.0.first()?;
    let protocol = match group.routing_type_id?.0 {
        ROUTES_HTTP => ListenerProtocol::Http,
        ROUTES_TCP => ListenerProtocol::Tcp,
        ROUTES_UDP => ListenerProtocol::Udp,
        _ => return None,
    };
    Some(ListenerSeen {
        id: ListenerId(server.id.to_string()),
        port: port(server.port)?,
        protocol,
        to_port: group.services.0.first().and_then(|service| port(service.port)),
        weighs: group.routing_method_id.is_some_and(|method| method.0 == ROUND_ROBIN),
        health: None,
    })
}

/// The services of each address, with the virtual servers that they are behind.
fn by_address(standing: &VirtualAddress) -> BTreeMap<Ipv4Addr, Vec<(&VirtualServer, &Service)>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for server in &standing.virtual_servers.0 {
        for service in server.service_groups.0.iter().flat_map(|group| &group.services.0) {
            if let Some(address) = service.ip_address.as_ref().and_then(|it| it.ip_address) {
                all.entry(address).or_default().push((server, service));
            }
        }
    }
    all
}

fn members(standing: &VirtualAddress) -> Vec<MemberSeen> {
    let member = |(address, services): (Ipv4Addr, Vec<(&VirtualServer, &Service)>)| MemberSeen {
        id: member_id(&services),
        address: IpAddr::V4(address),
        weight: services.iter().map(|(_, service)| weight(service)).min().unwrap_or(0),
        behind: Some(services.iter().map(|(server, _)| ListenerId(server.id.to_string())).collect()),
    };
    by_address(standing).into_iter().map(member).collect()
}

/// The ids of its services.
fn member_id(services: &[(&VirtualServer, &Service)]) -> MemberId {
    let ids: Vec<String> = services.iter().map(|(_, service)| service.id.to_string()).collect();
    MemberId(ids.join(","))
}

/// A service that is not enabled gets nothing, whatever its weight.
fn weight(service: &Service) -> u8 {
    if service.enabled.is_none_or(|enabled| enabled.0 == 0) {
        return 0;
    }
    let weight = service.group_references.0.first().and_then(|reference| reference.weight);
    weight.map_or(1, |weight| u8::try_from(weight.0).unwrap_or(u8::MAX))
}

/// New ones share half of what others have left of the connections: there is room for later ones.
fn new_servers(
    standing: &VirtualAddress,
    listeners: &[ListenerSpec],
    doing: &str,
) -> Result<Vec<Value>, ProviderError> {
    let taken: u64 = standing.virtual_servers.0.iter().filter_map(|it| Some(it.allocation?.0)).sum();
    let (left, new) = (100_u64.saturating_sub(taken), listeners.len().max(1) as u64);
    let each = (left / 2 / new).max(1);
    if left < new {
        return Err(ProviderError::Refused {
            provider: NAME,
            doing: doing.to_owned(),
            reason: "its virtual servers have all of its connections: lower the allocation of one".to_owned(),
        });
    }
    let row = |spec: &ListenerSpec| {
        json!({
            "port": spec.port,
            "allocation": each,
            "serviceGroups": [{
                "routingMethodId": ROUND_ROBIN, "routingTypeId": routing(spec.protocol), "services": [],
            }],
        })
    };
    Ok(listeners.iter().map(row).collect())
}

fn changed(server: &VirtualServer, spec: &ListenerSpec) -> Option<Value> {
    let group = server.service_groups.0.first()?;
    let services = group.services.0.iter().map(|service| json!({ "id": service.id.0, "port": spec.to_port }));
    Some(json!({
        "id": server.id.0,
        "serviceGroups": [{
            "id": group.id.0,
            "routingMethodId": ROUND_ROBIN,
            "routingTypeId": routing(spec.protocol),
            "services": services.collect::<Vec<_>>(),
        }],
    }))
}

/// A service for each member at each of these listeners where it has none.
async fn new_services(
    client: &Client,
    standing: &VirtualAddress,
    members: &BTreeMap<IpAddr, u8>,
    listeners: &[ListenerSpec],
    doing: &str,
) -> Result<Vec<Value>, ProviderError> {
    let known = by_address(standing);
    let mut records = BTreeMap::new();
    for address in members.keys() {
        records.insert(address, record(client, *address, doing).await?);
    }
    let mut servers = Vec::new();
    for spec in listeners {
        let at_port = |server: &&VirtualServer| port(server.port) == Some(spec.port);
        let Some(server) = standing.virtual_servers.0.iter().find(at_port) else { continue };
        let Some(group) = server.service_groups.0.first() else { continue };
        let has_one = |address: &IpAddr| {
            let IpAddr::V4(address) = address else { return false };
            known.get(address).is_some_and(|all| all.iter().any(|(other, _)| other.id == server.id))
        };
        let new = members.iter().filter(|(address, _)| !has_one(address)).map(|(address, weight)| {
            json!({
                "enabled": u8::from(*weight > 0),
                "port": spec.to_port,
                "ipAddressId": records.get(address).map(|id| id.0),
                "healthChecks": [{ "healthCheckTypeId": check(spec.protocol) }],
                "groupReferences": [{ "weight": (*weight).max(1) }],
            })
        });
        let new: Vec<Value> = new.collect();
        if !new.is_empty() {
            servers.push(json!({
                "id": server.id.0, "serviceGroups": [{ "id": group.id.0, "services": new }],
            }));
        }
    }
    Ok(servers)
}

/// The id of an address's record, by which services name it.
async fn record(client: &Client, address: IpAddr, doing: &str) -> Result<Number, ProviderError> {
    let call = Call::new("SoftLayer_Network_Subnet_IpAddress", "getByIpAddress", doing);
    let found: Option<Address> = client.read(&call.with(json!([address])).mask("id,ipAddress")).await?;
    let gone = || ProviderError::Gone {
        provider: NAME,
        doing: doing.to_owned(),
        what: format!("address {address}"),
    };
    found.and_then(|it| it.id).ok_or_else(gone)
}

fn weighed(standing: &VirtualAddress, members: &[(MemberId, u8)]) -> Vec<Value> {
    let weights: BTreeMap<&str, u8> = members
        .iter()
        .flat_map(|(MemberId(ids), weight)| ids.split(',').map(move |id| (id, *weight)))
        .collect();
    let of_group = |group: &Group| {
        let services = group.services.0.iter().filter_map(|service| {
            let weight = *weights.get(service.id.to_string().as_str())?;
            let mut row = json!({ "id": service.id.0, "enabled": u8::from(weight > 0) });
            if weight > 0 {
                row["groupReferences"] = json!([{ "weight": weight }]);
            }
            Some(row)
        });
        json!({ "id": group.id.0, "services": services.collect::<Vec<_>>() })
    };
    let of_server = |server: &VirtualServer| {
        let groups: Vec<Value> = server.service_groups.0.iter().map(of_group).collect();
        json!({ "id": server.id.0, "serviceGroups": groups })
    };
    let ids = |server: &&VirtualServer| -> BTreeSet<String> {
        let services = server.service_groups.0.iter().flat_map(|group| &group.services.0);
        services.map(|service| service.id.to_string()).collect()
    };
    let concerned = |server: &&VirtualServer| ids(server).iter().any(|id| weights.contains_key(id.as_str()));
    standing.virtual_servers.0.iter().filter(concerned).map(of_server).collect()
}

fn routing(protocol: ListenerProtocol) -> u64 {
    match protocol {
        ListenerProtocol::Http => ROUTES_HTTP,
        ListenerProtocol::Tcp | ListenerProtocol::Https => ROUTES_TCP,
        ListenerProtocol::Udp => ROUTES_UDP,
    }
}

fn check(protocol: ListenerProtocol) -> u64 {
    match protocol {
        ListenerProtocol::Http => CHECKS_HTTP,
        ListenerProtocol::Tcp | ListenerProtocol::Https => CHECKS_TCP,
        ListenerProtocol::Udp => CHECKS_AS_BY_DEFAULT,
    }
}
