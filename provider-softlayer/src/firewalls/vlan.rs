//! The dedicated firewall of a VLAN: its list is read, merged and sent whole.
//!
//! | what | call |
//! |---|---|
//! | the list | `SoftLayer_Network_Vlan::getObject`, `networkVlanFirewall[rules]` |
//! | what it is written by | the list `in` of the interface `outside`, `firewallInterfaces[firewallContextAccessControlLists]` |
//! | whether somebody's update is under way | `SoftLayer_Network_Vlan_Firewall::getNetworkFirewallUpdateRequests` |
//! | a new list | `SoftLayer_Network_Firewall_Update_Request::createObject` |
//!
//! There is no version check. Sources: softlayer-python `managers/firewall.py`; SLDN `python/firewalls.md`
//! (`status` must not be sent back); release notes of 2018-07-06 (no rule twice) and 2022-05-27 (an empty list).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnetwork::{IpNetwork, Ipv4Network};
use jiff::{SignedDuration, Timestamp};
use provider::{FirewallRule, FirewallSeen, FirewallTransport, ProviderError, Whose, ZoneId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::gone;
use crate::NAME;
use crate::client::{Call, Client};
use crate::wire::{List, Number};

const UPDATES: &str = "SoftLayer_Network_Firewall_Update_Request";

/// What a rule is sent back with. `status` is not among it.
const RULE: &str = "orderValue,action,protocol,sourceIpAddress,sourceIpSubnetMask,sourceIpCidr,destinationIpAddress,\
     destinationIpSubnetMask,destinationIpCidr,destinationPortRangeStart,destinationPortRangeEnd,version,notes";

/// How long an update that was accepted may wait until it is applied: "within two minutes"
/// (`ibm-cloud-docs/hardware-firewall-shared`).
const APPLIED_WITHIN: Duration = Duration::from_secs(120);

/// `SoftLayer_Network_Vlan`, of which we read its firewall.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Guarded {
    network_vlan_firewall: Option<Standing>,
    #[serde(default)]
    firewall_interfaces: List<Side>,
}

/// `SoftLayer_Network_Vlan_Firewall`.
#[derive(Debug, Deserialize)]
struct Standing {
    id: Number,
    #[serde(default)]
    rules: List<Map<String, Value>>,
}

/// `SoftLayer_Network_Firewall_Module_Context_Interface`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    name: Option<String>,
    #[serde(default)]
    firewall_context_access_control_lists: List<AccessList>,
}

/// `SoftLayer_Network_Firewall_AccessControlList`.
#[derive(Debug, Deserialize)]
struct AccessList {
    id: Number,
    direction: Option<String>,
}

/// `SoftLayer_Network_Firewall_Update_Request`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    id: Number,
    create_date: Option<String>,
    #[serde(default)]
    rules: List<Map<String, Value>>,
}

/// `getFirewallUpdateRequestRuleAttributes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    maximum_rule_count: Option<Number>,
}

pub(super) async fn look(
    client: &Client,
    zone: &ZoneId,
    mark: &str,
    doing: &str,
) -> Result<Option<FirewallSeen>, ProviderError> {
    let vlan = match read(client, zone, doing).await {
        // No such VLAN has no firewall either.
        Err(ProviderError::Gone { .. }) => return Ok(None),
        vlan => vlan?,
    };
    let Some(firewall) = vlan.network_vlan_firewall else { return Ok(None) };
    let asking = Call::new(UPDATES, "getFirewallUpdateRequestRuleAttributes", doing);
    let most = client.read::<Attributes>(&asking).await?.maximum_rule_count;
    let (ours, foreign): (Vec<_>, Vec<_>) = firewall.rules.0.iter().partition(|row| is_ours(row, mark));
    let known: BTreeSet<FirewallRule> = ours.iter().filter_map(|row| in_our_words(row)).collect();
    Ok(Some(FirewallSeen {
        whose: Whose::Shared,
        odd: ours.len() - known.len(),
        ours: known,
        let_in_by_others: foreign.iter().filter_map(|row| in_our_words(row)).collect(),
        foreign: foreign.len(),
        rules_max: most.map_or(usize::MAX, |most| usize::try_from(most.0).unwrap_or(usize::MAX)),
        interfaces: Default::default(),
    }))
}

/// Sends the list with others' rules as they are, and these instead of ours.
pub(super) async fn set(
    client: &Client,
    zone: &ZoneId,
    mark: &str,
    rules: &BTreeSet<FirewallRule>,
    doing: &str,
) -> Result<(), ProviderError> {
    let vlan = read(client, zone, doing).await?;
    let nothing = || gone(&format!("a firewall of VLAN {zone}"), doing);
    let list = inward(&vlan).ok_or_else(nothing)?;
    let firewall = vlan.network_vlan_firewall.ok_or_else(nothing)?;
    let foreign: Vec<_> = firewall.rules.0.into_iter().filter(|row| !is_ours(row, mark)).collect();
    if let Some(reason) = anothers_update(client, firewall.id, &foreign, mark, doing).await? {
        return Err(ProviderError::Busy { provider: NAME, doing: doing.to_owned(), reason });
    }
    let rows = merged(foreign, rules, mark);
    let template = json!({ "firewallContextAccessControlListId": list.0, "rules": rows });
    let call = Call::new(UPDATES, "createObject", doing).with(json!([template]));
    client.change::<Value>(&call).await.map(drop)
}

async fn read(client: &Client, zone: &ZoneId, doing: &str) -> Result<Guarded, ProviderError> {
    let mask = format!(
        "networkVlanFirewall[id,rules[{RULE}]],firewallInterfaces[name,firewallContextAccessControlLists[id,direction]]"
    );
    client.read(&Call::new("SoftLayer_Network_Vlan", "getObject", doing).of(zone).mask(&mask)).await
}

/// The list of what comes in from outside.
fn inward(vlan: &Guarded) -> Option<Number> {
    let outside = vlan.firewall_interfaces.0.iter().find(|side| side.name.as_deref() == Some("outside"))?;
    let mut lists = outside.firewall_context_access_control_lists.0.iter();
    lists.find(|list| list.direction.as_deref() == Some("in")).map(|list| list.id)
}

/// Whether somebody else's update was accepted and is not applied yet, and which: a list that is merged from what stands
/// would undo it.
async fn anothers_update(
    client: &Client,
    firewall: Number,
    foreign: &[Map<String, Value>],
    mark: &str,
    doing: &str,
) -> Result<Option<String>, ProviderError> {
    let mask = format!("id,createDate,rules[{RULE}]");
    let call = Call::new("SoftLayer_Network_Vlan_Firewall", "getNetworkFirewallUpdateRequests", doing)
        .of(firewall)
        .mask(&mask)
        .filter(json!({ "networkFirewallUpdateRequests": { "applyDate": { "operation": "is null" } } }));
    let ahead = client.clock_ahead().unwrap_or_default();
    let recent = |update: &Update| {
        let created = update.create_date.as_deref().and_then(|date| date.parse::<Timestamp>().ok());
        let applied = SignedDuration::try_from(APPLIED_WITHIN).unwrap_or_default();
        created.is_none_or(|created| Timestamp::now() + ahead < created + applied)
    };
    let differs = |update: &Update| {
        let theirs = update.rules.0.iter().filter(|row| !is_ours(row, mark));
        !theirs.map(meaning).eq(foreign.iter().map(meaning))
    };
    let pending = client.read_all::<Update>(&call).await?;
    let other = pending.into_iter().find(|update| recent(update) && differs(update));
    Ok(other.map(|update| format!("update {} by somebody else is not applied yet", update.id)))
}

/// What a rule says, however it is spelled.
fn meaning(row: &Map<String, Value>) -> (Vec<Option<String>>, Option<Ipv4Network>, Option<Ipv4Network>) {
    let text = |name: &&str| row.get(*name).filter(|it| !it.is_null()).map(ToString::to_string);
    let texts = ["action", "protocol", "destinationPortRangeStart", "destinationPortRangeEnd", "notes"];
    (texts.iter().map(text).collect(), network(row, "source"), network(row, "destination"))
}

fn is_ours(row: &Map<String, Value>, mark: &str) -> bool {
    row.get("notes").and_then(Value::as_str) == Some(mark)
}

/// A rule that lets somebody in to one port of one address; nothing for any other.
fn in_our_words(row: &Map<String, Value>) -> Option<FirewallRule> {
    let text = |name: &str| row.get(name)?.as_str();
    let transport = match (text("action")?, text("protocol")?) {
        ("permit", "tcp") => FirewallTransport::Tcp,
        ("permit", "udp") => FirewallTransport::Udp,
        _ => return None,
    };
    let (first, last) = (port(row, "destinationPortRangeStart")?, port(row, "destinationPortRangeEnd")?);
    let to = network(row, "destination").filter(|to| to.prefix() == 32 && first == last)?;
    let from = IpNetwork::V4(network(row, "source")?);
    Some(FirewallRule { to: Some(IpAddr::V4(to.ip())), transport, port: first, from })
}

fn port(row: &Map<String, Value>, name: &str) -> Option<u16> {
    let Number(number) = Number::deserialize(row.get(name)?).ok()?;
    u16::try_from(number).ok()
}

/// An address with its mask or prefix length; `any` is every address.
fn network(row: &Map<String, Value>, side: &str) -> Option<Ipv4Network> {
    let text = |name: &str| row.get(&format!("{side}{name}"))?.as_str();
    let address = match text("IpAddress")? {
        "any" => return Ipv4Network::new(Ipv4Addr::UNSPECIFIED, 0).ok(),
        address => address.parse::<Ipv4Addr>().ok()?,
    };
    let whole = match text("IpSubnetMask") {
        Some(mask) => Ipv4Network::with_netmask(address, mask.parse().ok()?).ok()?,
        None => {
            let Number(length) = Number::deserialize(row.get(&format!("{side}IpCidr"))?).ok()?;
            Ipv4Network::new(address, u8::try_from(length).ok()?).ok()?
        }
    };
    Ipv4Network::new(whole.network(), whole.prefix()).ok()
}

/// Ours come after all others', so that what somebody forbids stays forbidden, but before what forbids everything at
/// the end. Others' keep what they say and their order, and get new numbers.
fn merged(foreign: Vec<Map<String, Value>>, ours: &BTreeSet<FirewallRule>, mark: &str) -> Vec<Value> {
    let mut rows = foreign;
    rows.sort_by_key(|row| row.get("orderValue").and_then(|it| Number::deserialize(it).ok()).map(|it| it.0));
    let closing = rows.iter().rev().take_while(|row| forbids_everything(row)).count();
    let end = rows.split_off(rows.len() - closing);
    rows.extend(ours.iter().filter_map(|rule| row(rule, mark)));
    rows.extend(end);
    let numbered = (1..).zip(rows).map(|(place, mut row): (u32, _)| {
        row.retain(|_, value| !value.is_null());
        row.insert("orderValue".to_owned(), json!(place));
        Value::Object(row)
    });
    numbered.collect()
}

fn forbids_everything(row: &Map<String, Value>) -> bool {
    let everywhere = |side| network(row, side).is_some_and(|network| network.prefix() == 0);
    row.get("action").and_then(Value::as_str) == Some("deny")
        && everywhere("source")
        && everywhere("destination")
}

/// Nothing for a rule that names no address, which is none of this firewall's.
fn row(rule: &FirewallRule, mark: &str) -> Option<Map<String, Value>> {
    let (Some(IpAddr::V4(to)), IpNetwork::V4(from)) = (rule.to, rule.from) else { return None };
    let row = json!({
        "action": "permit",
        "protocol": rule.transport.to_string(),
        "sourceIpAddress": from.network(),
        "sourceIpSubnetMask": from.mask(),
        "destinationIpAddress": to,
        "destinationIpSubnetMask": Ipv4Addr::BROADCAST,
        "destinationPortRangeStart": rule.port,
        "destinationPortRangeEnd": rule.port,
        "version": 4,
        "notes": mark,
    });
    row.as_object().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs(order: u32, action: &str, to: &str, mask: &str) -> Map<String, Value> {
        let row = json!({
            "orderValue": order, "action": action, "protocol": "tcp",
            "sourceIpAddress": "any", "sourceIpSubnetMask": null,
            "destinationIpAddress": to, "destinationIpSubnetMask": mask,
            "destinationPortRangeStart": 1, "destinationPortRangeEnd": 65535, "version": 4, "notes": "theirs",
        });
        row.as_object().unwrap().clone()
    }

    #[test]
    fn others_keep_their_order_and_words_and_ours_stand_before_what_forbids_everything() {
        let foreign = vec![
            theirs(30, "deny", "0.0.0.0", "0.0.0.0"),
            theirs(10, "permit", "169.60.0.9", "255.255.255.255"),
            theirs(20, "deny", "169.60.0.0", "255.255.255.0"),
        ];
        let rule = FirewallRule {
            to: Some([169, 60, 0, 4].into()),
            transport: FirewallTransport::Tcp,
            port: 80,
            from: "10.0.0.0/8".parse().unwrap(),
        };
        let list = merged(foreign.clone(), &[rule.clone()].into(), "berth:demo");
        let notes: Vec<&str> = list.iter().map(|row| row["notes"].as_str().unwrap()).collect();
        assert_eq!(notes, ["theirs", "theirs", "berth:demo", "theirs"]);
        let places: Vec<u64> = list.iter().map(|row| row["orderValue"].as_u64().unwrap()).collect();
        assert_eq!(places, [1, 2, 3, 4]);
        let first = list[0].as_object().unwrap();
        assert_eq!(meaning(first), meaning(&foreign[1]));
        assert!(!first.contains_key("sourceIpSubnetMask"), "nothing is sent of what is nothing");
        assert_eq!(in_our_words(list[2].as_object().unwrap()), Some(rule));
        assert_eq!(in_our_words(first), None, "a range of ports is none of ours");
    }
}
