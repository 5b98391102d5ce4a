//! Security groups: rules at the interfaces of virtual guests, permissive and stateful.
//!
//! | what | call of `SoftLayer_Network_SecurityGroup` |
//! |---|---|
//! | which | `getAllObjects`, by name and description |
//! | its rules, and where it is | `getObject`, `rules`, `networkComponentBindings` |
//! | changes | `createObject`, `addRules`, `removeRules`, `attachNetworkComponents`, `detachNetworkComponents`, `deleteObject` |
//!
//! Where a guest's interfaces stand is asked of `SoftLayer_Virtual_Guest::getObject`. Sources: SLDN
//! `rest/*SecurityGroup*.md`, softlayer-python `managers/network.py`, `ibm-cloud-docs/security-groups`.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use provider::{
    FirewallChange, FirewallRule, FirewallSeen, FirewallTransport, InstanceId, InstanceKind, Interface,
    InterfaceSeen, ProviderError, Whose, ZoneId,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::gone;
use crate::client::{Call, Client};
use crate::whoami::instance;
use crate::wire::{List, Number};

const GROUPS: &str = "SoftLayer_Network_SecurityGroup";

/// Rules of one group, and groups at one interface. Source: `ibm-cloud-docs/security-groups`, "Limitations".
const RULES_MAX: usize = 50;
const GROUPS_MAX: usize = 5;

const COMPONENT: &str = "id,guestId,networkVlan[id],securityGroupBindings[securityGroupId]";

/// `SoftLayer_Network_SecurityGroup`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    id: Number,
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    rules: List<Rule>,
    #[serde(default)]
    network_component_bindings: List<Binding>,
}

/// `SoftLayer_Network_SecurityGroup_Rule`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: Number,
    direction: Option<String>,
    ethertype: Option<String>,
    protocol: Option<String>,
    port_range_min: Option<Number>,
    port_range_max: Option<Number>,
    remote_ip: Option<String>,
    remote_group_id: Option<Number>,
}

/// `SoftLayer_Virtual_Network_SecurityGroup_NetworkComponentBinding`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    security_group_id: Option<Number>,
    network_component: Option<Component>,
}

/// `SoftLayer_Virtual_Guest_Network_Component`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    id: Number,
    guest_id: Option<Number>,
    network_vlan: Option<Vlan>,
    #[serde(default)]
    security_group_bindings: List<Binding>,
}

#[derive(Debug, Deserialize)]
struct Vlan {
    id: Number,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Guest {
    #[serde(default)]
    network_components: List<Component>,
}

pub(super) async fn look(
    client: &Client,
    name: &str,
    mark: &str,
    interfaces: &BTreeSet<Interface>,
    doing: &str,
) -> Result<Option<FirewallSeen>, ProviderError> {
    let Some(found) = find(client, name, mark, doing).await? else { return Ok(None) };
    let whose = if is_ours(&found, mark) { Whose::Ours } else { Whose::Others };
    let group = read(client, found.id, doing).await?;
    let ours: BTreeSet<FirewallRule> = group.rules.0.iter().filter_map(in_our_words).collect();
    let mut seen = BTreeMap::new();
    for component in group.network_component_bindings.0.iter().filter_map(|it| it.network_component.as_ref())
    {
        seen.extend(interface(component).map(|it| (it, standing(component, group.id))));
    }
    for wanted in interfaces {
        if !seen.contains_key(wanted) {
            let component = component(client, wanted, doing).await?;
            seen.extend(component.map(|it| (wanted.clone(), standing(&it, group.id))));
        }
    }
    Ok(Some(FirewallSeen {
        whose,
        odd: group.rules.0.len() - ours.len(),
        ours,
        let_in_by_others: BTreeSet::new(),
        foreign: 0,
        rules_max: RULES_MAX,
        interfaces: seen,
    }))
}

/// Makes a group that says whose it is.
pub(super) async fn make(client: &Client, name: &str, mark: &str, doing: &str) -> Result<(), ProviderError> {
    let description = format!("{mark} (kept by Berth: what is edited here is set right again)");
    let template = json!({ "name": name, "description": description });
    let call = Call::new(GROUPS, "createObject", doing).with(json!([template]));
    client.change::<Value>(&call).await.map(drop)
}

/// Makes one change to the group of this name, if it is ours.
pub(super) async fn change(
    client: &Client,
    name: &str,
    mark: &str,
    change: &FirewallChange,
    doing: &str,
) -> Result<(), ProviderError> {
    let found = find(client, name, mark, doing).await?.filter(|group| is_ours(group, mark));
    let id = found.ok_or_else(|| gone(&format!("a security group {name} of {mark}"), doing))?.id;
    let call = |method, arguments| Call::new(GROUPS, method, doing).of(id).with(arguments);
    match change {
        FirewallChange::SetRules(rules) => set(client, id, rules, doing).await,
        FirewallChange::Attach(interfaces) => {
            let components = components(client, interfaces, doing).await?;
            client.change::<Value>(&call("attachNetworkComponents", json!([components]))).await.map(drop)
        }
        FirewallChange::Detach(interfaces) => {
            let components = components(client, interfaces, doing).await?;
            client.change::<Value>(&call("detachNetworkComponents", json!([components]))).await.map(drop)
        }
        FirewallChange::Remove => {
            client.change::<Value>(&Call::new(GROUPS, "deleteObject", doing).of(id)).await.map(drop)
        }
        FirewallChange::Make => make(client, name, mark, doing).await,
    }
}

/// Removes what is not to be there, then adds what is missing.
async fn set(
    client: &Client,
    id: Number,
    rules: &BTreeSet<FirewallRule>,
    doing: &str,
) -> Result<(), ProviderError> {
    let standing = read(client, id, doing).await?.rules.0;
    let mut missing = rules.clone();
    // One that stands twice stays once.
    let gone: Vec<u64> = standing
        .iter()
        .filter(|row| !in_our_words(row).is_some_and(|rule| missing.remove(&rule)))
        .map(|row| row.id.0)
        .collect();
    if !gone.is_empty() {
        let call = Call::new(GROUPS, "removeRules", doing).of(id).with(json!([gone]));
        client.change::<Value>(&call).await?;
    }
    if !missing.is_empty() {
        let rows: Vec<Value> = missing.iter().map(row).collect();
        let call = Call::new(GROUPS, "addRules", doing).of(id).with(json!([rows]));
        client.change::<Value>(&call).await?;
    }
    Ok(())
}

/// The group of this name: names may repeat, and ours goes first.
async fn find(client: &Client, name: &str, mark: &str, doing: &str) -> Result<Option<Group>, ProviderError> {
    let call = Call::new(GROUPS, "getAllObjects", doing).mask("id,name,description");
    let groups = client.read_all::<Group>(&call).await?;
    let named = groups.into_iter().filter(|group| group.name.as_deref() == Some(name));
    Ok(named.min_by_key(|group| (!is_ours(group, mark), group.id)))
}

fn is_ours(group: &Group, mark: &str) -> bool {
    group.description.as_deref().and_then(|words| words.split_whitespace().next()) == Some(mark)
}

async fn read(client: &Client, id: Number, doing: &str) -> Result<Group, ProviderError> {
    let rule = "id,direction,ethertype,protocol,portRangeMin,portRangeMax,remoteIp,remoteGroupId";
    let mask = format!(
        "id,rules[{rule}],networkComponentBindings[networkComponentId,networkComponent[{COMPONENT}]]"
    );
    client.read(&Call::new(GROUPS, "getObject", doing).of(id).mask(&mask)).await
}

/// Where a component is; nothing for one of no guest or VLAN.
fn interface(component: &Component) -> Option<Interface> {
    let zone = ZoneId::new(component.network_vlan.as_ref()?.id.to_string());
    Some(Interface { machine: instance(InstanceKind::Virtual, component.guest_id?), zone })
}

fn standing(component: &Component, group: Number) -> InterfaceSeen {
    let groups: BTreeSet<Number> =
        component.security_group_bindings.0.iter().filter_map(|binding| binding.security_group_id).collect();
    let attached = groups.contains(&group);
    InterfaceSeen { attached, others: groups.len() - usize::from(attached), groups_max: GROUPS_MAX }
}

/// The component of a virtual guest that is in a VLAN; nothing for other machines.
async fn component(
    client: &Client,
    interface: &Interface,
    doing: &str,
) -> Result<Option<Component>, ProviderError> {
    let Some(id) = guest(&interface.machine) else { return Ok(None) };
    let call = Call::new("SoftLayer_Virtual_Guest", "getObject", doing).of(id);
    let guest = match client.read::<Guest>(&call.mask(&format!("networkComponents[{COMPONENT}]"))).await {
        Err(ProviderError::Gone { .. }) => return Ok(None),
        guest => guest?,
    };
    let is_there = |component: &Component| {
        component.network_vlan.as_ref().is_some_and(|vlan| vlan.id.to_string() == interface.zone.as_str())
    };
    Ok(guest.network_components.0.into_iter().find(is_there))
}

fn guest(machine: &InstanceId) -> Option<u64> {
    machine.as_str().strip_prefix("virtual-")?.parse().ok()
}

async fn components(
    client: &Client,
    interfaces: &BTreeSet<Interface>,
    doing: &str,
) -> Result<Vec<u64>, ProviderError> {
    let mut ids = Vec::new();
    for interface in interfaces {
        ids.extend(component(client, interface, doing).await?.map(|component| component.id.0));
    }
    Ok(ids)
}

/// A rule as we write them; nothing for any other.
fn in_our_words(row: &Rule) -> Option<FirewallRule> {
    let word = |text: &Option<String>| text.as_deref().unwrap_or_default().to_ascii_lowercase();
    let is_plain = word(&row.direction) == "ingress"
        && matches!(word(&row.ethertype).as_str(), "ipv4" | "")
        && row.remote_group_id.is_none()
        && row.port_range_min == row.port_range_max;
    let transport = match word(&row.protocol).as_str() {
        "tcp" => FirewallTransport::Tcp,
        "udp" => FirewallTransport::Udp,
        _ => return None,
    };
    let from = match row.remote_ip.as_deref().unwrap_or_default() {
        "" => EVERYBODY,
        remote => remote.parse().ok()?,
    };
    let port = u16::try_from(row.port_range_min?.0).ok()?;
    is_plain.then_some(FirewallRule { to: None, transport, port, from })
}

/// The network of prefix 0.
const EVERYBODY: IpNetwork = IpNetwork::V4(
    ipnetwork::Ipv4Network::new_checked(std::net::Ipv4Addr::UNSPECIFIED, 0).expect("a network"),
);

fn row(rule: &FirewallRule) -> Value {
    let mut row = json!({
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": rule.transport.to_string(),
        "portRangeMin": rule.port,
        "portRangeMax": rule.port,
    });
    match rule.from.prefix() {
        0 => {}
        32 => row["remoteIp"] = json!(rule.from.ip()),
        _ => row["remoteIp"] = json!(rule.from),
    }
    row
}
