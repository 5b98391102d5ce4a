//! `SoftLayer_Network_SecurityGroup_Rule`.

use ipnetwork::Ipv4Network;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cloud::security::{Direction, Remote, RuleProtocol, SecurityGroup, SecurityRefused, SecurityRule};
use crate::cloud::{Cloud, Id};
use crate::softlayer::call::number;
use crate::softlayer::dates;
use crate::softlayer::error::ApiError;
use crate::softlayer::record::{BARE, Class, Reading, Record, maybe, value};

pub(super) static RULE: Class = Class {
    name: "SoftLayer_Network_SecurityGroup_Rule",
    locals: &[
        "id",
        "direction",
        "ethertype",
        "portRangeMin",
        "portRangeMax",
        "protocol",
        "remoteIp",
        "remoteGroupId",
        "securityGroupId",
        "createDate",
        "modifyDate",
    ],
    relations: &[("remoteGroup", &super::GROUP), ("securityGroup", &super::GROUP)],
    ..BARE
};

/// A new rule. Its id and dates are given when it is added.
pub(super) fn read_new(row: &Value) -> Result<SecurityRule, ApiError> {
    if row.get("direction").is_none() {
        return Err(wrong("The direction of a rule must be provided."));
    }
    let never = Timestamp::UNIX_EPOCH;
    let blank = SecurityRule {
        id: 0,
        direction: Direction::Ingress,
        ipv6: false,
        protocol: None,
        port_min: None,
        port_max: None,
        remote: Remote::Anybody,
        created: never,
        modified: never,
    };
    change(row, blank)
}

/// A rule as it becomes: only the given fields change, -1 and the empty text make one empty.
pub(super) fn read_edit(row: &Value, standing: &[SecurityRule]) -> Result<SecurityRule, ApiError> {
    let id = row.get("id").and_then(number).unwrap_or_default();
    let rule = standing.iter().find(|rule| rule.id == id);
    change(row, rule.ok_or_else(|| super::refused(SecurityRefused::NotFound(id)))?.clone())
}

fn change(row: &Value, mut rule: SecurityRule) -> Result<SecurityRule, ApiError> {
    let given = |name: &str| row.get(name).filter(|it| !it.is_null());
    match given("direction").and_then(Value::as_str) {
        Some("ingress") => rule.direction = Direction::Ingress,
        Some("egress") => rule.direction = Direction::Egress,
        Some(_) => return Err(wrong("The direction of a rule must be ingress or egress.")),
        None => (),
    }
    match given("ethertype").and_then(Value::as_str) {
        Some("IPv4" | "") => rule.ipv6 = false,
        Some("IPv6") => rule.ipv6 = true,
        Some(_) => return Err(wrong("The ethertype of a rule must be IPv4 or IPv6.")),
        None => (),
    }
    match given("protocol").and_then(Value::as_str) {
        Some("") => rule.protocol = None,
        Some(word) => {
            let known = RuleProtocol::by_key(word);
            rule.protocol =
                Some(known.ok_or_else(|| wrong("The protocol of a rule must be tcp, udp, icmp or vrrp."))?);
        }
        None => (),
    }
    if let Some(port) = given("portRangeMin") {
        rule.port_min = read_port(port)?;
    }
    if let Some(port) = given("portRangeMax") {
        rule.port_max = read_port(port)?;
    }
    rule.remote = remote(row, rule.remote)?;
    check(&rule)?;
    Ok(rule)
}

fn read_port(port: &Value) -> Result<Option<u16>, ApiError> {
    if port.as_i64() == Some(-1) || port.as_str() == Some("") {
        return Ok(None);
    }
    let fits = number(port).and_then(|port| u16::try_from(port).ok());
    fits.map(Some).ok_or_else(|| wrong("The ports of a rule must be between 0 and 65535."))
}

/// An address or a group, not both.
fn remote(row: &Value, before: Remote) -> Result<Remote, ApiError> {
    let filled = |it: &&Value| !it.is_null() && it.as_str() != Some("") && it.as_i64() != Some(-1);
    let (ip, group) = (row.get("remoteIp"), row.get("remoteGroupId"));
    match (ip.filter(filled), group.filter(filled)) {
        (Some(_), Some(_)) => Err(wrong("A rule must not have both a remoteIp and a remoteGroupId.")),
        (Some(ip), None) => {
            let network = ip.as_str().and_then(|ip| ip.parse::<Ipv4Network>().ok());
            let network =
                network.ok_or_else(|| wrong("The remoteIp of a rule must be an IPv4 address or CIDR."))?;
            Ok(Remote::Addresses(network))
        }
        (None, Some(group)) => {
            let id = number(group).ok_or_else(|| wrong("The remoteGroupId of a rule must be a number."))?;
            Ok(Remote::Group(id))
        }
        // A field that is there and empty empties it.
        (None, None) if ip.is_some() && matches!(before, Remote::Addresses(_)) => Ok(Remote::Anybody),
        (None, None) if group.is_some() && matches!(before, Remote::Group(_)) => Ok(Remote::Anybody),
        (None, None) => Ok(before),
    }
}

fn check(rule: &SecurityRule) -> Result<(), ApiError> {
    let ported = rule.port_min.is_some() || rule.port_max.is_some();
    match rule.protocol {
        None | Some(RuleProtocol::Vrrp) if ported => {
            return Err(wrong("A rule with ports must have the protocol tcp, udp or icmp."));
        }
        Some(RuleProtocol::Tcp | RuleProtocol::Udp) if rule.port_min.is_some() != rule.port_max.is_some() => {
            return Err(wrong("A rule must have both portRangeMin and portRangeMax, or neither."));
        }
        Some(RuleProtocol::Tcp | RuleProtocol::Udp) if rule.port_min > rule.port_max => {
            return Err(wrong("The portRangeMin of a rule must not be above its portRangeMax."));
        }
        _ => (),
    }
    Ok(())
}

fn wrong(text: &'static str) -> ApiError {
    super::refused(SecurityRefused::Rule(text))
}

/// As a single address without its prefix length, if it is one.
fn remote_ip(rule: &SecurityRule) -> Option<String> {
    match rule.remote {
        Remote::Addresses(network) if network.prefix() == 32 => Some(network.ip().to_string()),
        Remote::Addresses(network) => Some(network.to_string()),
        Remote::Anybody | Remote::Group(_) => None,
    }
}

fn remote_group(rule: &SecurityRule) -> Option<Id> {
    match rule.remote {
        Remote::Group(id) => Some(id),
        Remote::Anybody | Remote::Addresses(_) => None,
    }
}

fn ethertype(rule: &SecurityRule) -> &'static str {
    if rule.ipv6 { "IPv6" } else { "IPv4" }
}

/// A rule in the answer to a change: with all its fields, null or not.
pub(in crate::softlayer) fn shown(group: Id, rule: &SecurityRule) -> Value {
    json!({
        "id": rule.id,
        "direction": rule.direction.key(),
        "ethertype": ethertype(rule),
        "portRangeMin": rule.port_min,
        "portRangeMax": rule.port_max,
        "protocol": rule.protocol.map(RuleProtocol::key),
        "remoteIp": remote_ip(rule),
        "remoteGroupId": remote_group(rule),
        "securityGroupId": group,
    })
}

pub(super) struct Rule<'c> {
    pub(super) cloud: &'c Cloud,
    pub(super) group: &'c SecurityGroup,
    pub(super) it: &'c SecurityRule,
}

impl<'c> Record<'c> for Rule<'c> {
    fn class(&self) -> &'static Class {
        &RULE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let Self { cloud, group, it: rule } = *self;
        Some(match property {
            "id" => value(rule.id),
            "direction" => value(rule.direction.key()),
            "ethertype" => value(ethertype(rule)),
            "portRangeMin" => value(rule.port_min),
            "portRangeMax" => value(rule.port_max),
            "protocol" => value(rule.protocol.map(RuleProtocol::key)),
            "remoteIp" => value(remote_ip(rule)),
            "remoteGroupId" => value(remote_group(rule)),
            "securityGroupId" => value(group.id),
            "createDate" => value(dates::show(rule.created)),
            "modifyDate" => value(dates::show(rule.modified)),
            "remoteGroup" => maybe(cloud, remote_group(rule).and_then(|id| cloud.security_groups.get(&id))),
            "securityGroup" => maybe(cloud, Some(group)),
            _ => return None,
        })
    }
}
