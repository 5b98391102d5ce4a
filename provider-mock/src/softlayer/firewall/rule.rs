//! `SoftLayer_Network_Vlan_Firewall_Rule`, and the rule of an update request.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use serde_json::Value;

use crate::cloud::firewall::{FirewallProtocol, FirewallRefused, FirewallRule};
use crate::softlayer::call::number;
use crate::softlayer::error::ApiError;
use crate::softlayer::record::{BARE, Class, Object, Reading, Record, value};

pub(super) static RULE: Class = Class {
    name: "SoftLayer_Network_Vlan_Firewall_Rule",
    locals: &[
        "orderValue",
        "action",
        "protocol",
        "sourceIpAddress",
        "sourceIpSubnetMask",
        "sourceIpCidr",
        "destinationIpAddress",
        "destinationIpSubnetMask",
        "destinationIpCidr",
        "destinationPortRangeStart",
        "destinationPortRangeEnd",
        "version",
        "notes",
        "status",
    ],
    ..BARE
};

/// The longest note (templates of `ibm-cloud-docs` keep to it).
const NOTES_MAX: usize = 200;

/// Reads a row of an update request. A `status`, which rows that were read carry, must not be sent back.
pub(super) fn read(row: &Value) -> Result<FirewallRule, ApiError> {
    let order = row.get("orderValue").and_then(number).and_then(|order| u32::try_from(order).ok());
    let order = order.unwrap_or_default();
    let wrong = |what| super::refused(FirewallRefused::Rule { order, what });
    if row.get("status").is_some() {
        return Err(ApiError::bad_property("status", "SoftLayer_Network_Firewall_Update_Request_Rule"));
    }
    if order == 0 {
        return Err(wrong("the orderValue must be a number from 1"));
    }
    if row.get("version").and_then(number).unwrap_or(4) != 4 {
        return Err(wrong("this simulated cloud has no IPv6"));
    }
    let permit = match row.get("action").and_then(Value::as_str) {
        Some("permit") => true,
        Some("deny") => false,
        _ => return Err(wrong("the action must be permit or deny")),
    };
    let word = row.get("protocol").and_then(Value::as_str).unwrap_or_default();
    let protocol = FirewallProtocol::ALL.into_iter().find(|it| it.key() == word);
    let protocol =
        protocol.ok_or_else(|| wrong("the protocol must be tcp, udp, icmp, gre, pptp, ah or esp"))?;
    let notes = row.get("notes").and_then(Value::as_str).unwrap_or_default().to_owned();
    if notes.chars().count() > NOTES_MAX {
        return Err(wrong("the notes must not be longer than 200 characters"));
    }
    let network = |side: &str| network(row, side).ok_or_else(|| wrong("an address or its mask is not valid"));
    Ok(FirewallRule {
        order,
        permit,
        protocol,
        source: network("source")?,
        destination: network("destination")?,
        ports: ports(row, protocol).map_err(wrong)?,
        notes,
    })
}

/// An address with a mask or a prefix length; `any` is every address.
fn network(row: &Value, side: &str) -> Option<Ipv4Network> {
    let text = row.get(format!("{side}IpAddress"))?.as_str()?;
    if text == "any" {
        return Ipv4Network::new(Ipv4Addr::UNSPECIFIED, 0).ok();
    }
    let address: Ipv4Addr = text.parse().ok()?;
    if let Some(prefix) = row.get(format!("{side}IpCidr")).filter(|cidr| !cidr.is_null()) {
        return Ipv4Network::new(address, number(prefix)?.try_into().ok()?).ok();
    }
    let mask: Ipv4Addr = row.get(format!("{side}IpSubnetMask"))?.as_str()?.parse().ok()?;
    Ipv4Network::with_netmask(address, mask).ok()
}

fn ports(row: &Value, protocol: FirewallProtocol) -> Result<Option<(u16, u16)>, &'static str> {
    let end = |name: &str| row.get(name).filter(|port| !port.is_null());
    let (first, last) = (end("destinationPortRangeStart"), end("destinationPortRangeEnd"));
    if !protocol.has_ports() {
        let none = first.is_none() && last.is_none();
        return if none { Ok(None) } else { Err("only tcp and udp have ports") };
    }
    let port = |port: Option<&Value>| port.and_then(number).and_then(|port| u16::try_from(port).ok());
    match (port(first), port(last)) {
        (Some(first), Some(last)) if 0 < first && first <= last => Ok(Some((first, last))),
        _ => Err("the ports must be a range between 1 and 65535"),
    }
}

/// Rules as they are read.
pub(super) fn all(rules: &[FirewallRule]) -> Reading<'_> {
    Reading::Many(rules.iter().map(|rule| Box::new(rule) as Object<'_>).collect())
}

impl<'c> Record<'c> for &'c FirewallRule {
    fn class(&self) -> &'static Class {
        &RULE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "orderValue" => value(self.order),
            "action" => value(if self.permit { "permit" } else { "deny" }),
            "protocol" => value(self.protocol.key()),
            "sourceIpAddress" => value(self.source.ip()),
            "sourceIpSubnetMask" => value(self.source.mask()),
            "sourceIpCidr" => value(self.source.prefix()),
            "destinationIpAddress" => value(self.destination.ip()),
            "destinationIpSubnetMask" => value(self.destination.mask()),
            "destinationIpCidr" => value(self.destination.prefix()),
            "destinationPortRangeStart" => value(self.ports.map(|ports| ports.0)),
            "destinationPortRangeEnd" => value(self.ports.map(|ports| ports.1)),
            "version" => value(4),
            "notes" => value(Some(&self.notes).filter(|notes| !notes.is_empty())),
            "status" => value("ALLOW_EDIT"),
            _ => return None,
        })
    }
}
