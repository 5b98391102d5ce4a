//! `SoftLayer_Network_Vlan_Firewall` and `SoftLayer_Network_Firewall_Update_Request`: the dedicated firewall of a
//! VLAN, and how its list of rules is replaced.

mod rule;

use serde_json::{Value, json};

use super::call::{Call, number};
use super::dates;
use super::error::ApiError;
use super::mask::Mask;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, render, value, view};
use super::{Answer, Caller, Service};
use crate::cloud::firewall::{FirewallProtocol, FirewallRefused, FirewallUpdate, RULES_MAX, VlanFirewall};
use crate::cloud::{Cloud, Id};

pub(super) struct VlanFirewalls;
pub(super) struct UpdateRequests;

pub(super) static FIREWALL: Class = Class {
    name: "SoftLayer_Network_Vlan_Firewall",
    locals: &[
        "id",
        "fullyQualifiedDomainName",
        "administrativeBypassFlag",
        "customerManagedFlag",
        "primaryIpAddress",
        "networkVlanId",
    ],
    relations: &[
        ("firewallType", &BARE),
        ("rules", &rule::RULE),
        ("networkVlan", &super::vlan::VLAN),
        ("networkVlans", &super::vlan::VLAN),
        ("datacenter", &super::location::LOCATION),
        ("networkFirewallUpdateRequests", &UPDATE),
    ],
    always_null: &["managementCredentials", "metricTrackingObject", "networkGateway", "billingItem"],
    always_empty: &["tagReferences"],
    ..BARE
};

static UPDATE: Class = Class {
    name: "SoftLayer_Network_Firewall_Update_Request",
    locals: &[
        "id",
        "applyDate",
        "authorizingUserId",
        "bypassFlag",
        "createDate",
        "firewallContextAccessControlListId",
    ],
    relations: &[("rules", &rule::RULE)],
    ..BARE
};

pub(super) static INTERFACE: Class = Class {
    name: "SoftLayer_Network_Firewall_Module_Context_Interface",
    locals: &["id", "name"],
    relations: &[("firewallContextAccessControlLists", &LIST)],
    ..BARE
};

static LIST: Class = Class {
    name: "SoftLayer_Network_Firewall_AccessControlList",
    locals: &["id", "direction", "firewallContextInterfaceId"],
    relations: &[("rules", &rule::RULE)],
    ..BARE
};

impl Service for VlanFirewalls {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_Vlan_Firewall"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.firewalls.get(&id?.parse().ok()?).map(|firewall| view(cloud, firewall))
    }
}

impl Service for UpdateRequests {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_Firewall_Update_Request"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.firewall_updates.get(&id?.parse().ok()?).map(|update| view(cloud, update))
    }

    fn read<'c>(&self, _: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getFirewallUpdateRequestRuleAttributes").then(|| {
            Ok(Answer::Value(json!({
                "actions": ["permit", "deny"],
                "protocols": FirewallProtocol::ALL.map(FirewallProtocol::key),
                "maximumRuleCount": RULES_MAX,
            })))
        })
    }

    fn changing(&self) -> &'static [&'static str] {
        &["createObject"]
    }

    fn change(&self, cloud: &mut Cloud, caller: &Caller, call: &Call) -> Result<Value, ApiError> {
        let template = call.argument(0).ok_or_else(ApiError::bad_request)?;
        let list = template.get("firewallContextAccessControlListId").and_then(number);
        let list = list.ok_or_else(|| {
            ApiError::public(
                "A firewallContextAccessControlListId must be provided: no other firewall is here.",
            )
        })?;
        let bypass = template.get("bypassFlag").is_some_and(|flag| *flag == Value::Bool(true));
        let rows = template.get("rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        // An empty list, like a bypass, deletes all rules (release notes of 2022-05-27).
        let rows = if bypass { &[] } else { rows };
        let rules = rows.iter().map(rule::read).collect::<Result<_, _>>()?;
        let id = cloud.update_firewall(caller.user, list, rules).map_err(refused)?;
        let update = cloud.firewall_updates.get(&id).ok_or_else(ApiError::internal)?;
        Ok(render(&View { cloud: &*cloud, it: update }, &Mask::default(), None))
    }
}

fn refused(why: FirewallRefused) -> ApiError {
    match why {
        FirewallRefused::NotFound(id) => ApiError::no_object(&id.to_string()),
        other => ApiError::public(other.to_string()),
    }
}

impl<'c> Record<'c> for View<'c, VlanFirewall> {
    fn class(&self) -> &'static Class {
        &FIREWALL
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, firewall) = (self.cloud, self.it);
        let vlan = cloud.vlans.get(&firewall.vlan);
        let router = vlan.and_then(|vlan| cloud.routers.get(&vlan.router));
        Some(match property {
            "id" => value(firewall.id),
            "administrativeBypassFlag" => value(firewall.rules.is_empty()),
            "customerManagedFlag" => value(false),
            "fullyQualifiedDomainName" => value(format!("fw{}.networklayer.com", firewall.id)),
            "primaryIpAddress" => value(cloud.firewall_address(firewall)),
            "networkVlanId" => value(firewall.vlan),
            "firewallType" => value("fortigate-security-appliance-1gb"),
            "rules" => rule::all(&firewall.rules),
            "networkVlan" => maybe(cloud, vlan),
            "networkVlans" => super::record::views(cloud, vlan),
            "datacenter" => maybe(cloud, router.and_then(|router| cloud.datacenters.get(&router.datacenter))),
            "networkFirewallUpdateRequests" => super::record::views(
                cloud,
                cloud.firewall_updates.values().filter(|update| update.firewall == firewall.id),
            ),
            _ => return None,
        })
    }
}

impl<'c> Record<'c> for View<'c, FirewallUpdate> {
    fn class(&self) -> &'static Class {
        &UPDATE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, update) = (self.cloud, self.it);
        Some(match property {
            "id" => value(update.id),
            // Null until it is applied (a choice).
            "applyDate" => value(update.applied.map(dates::show)),
            "authorizingUserId" => value(update.user),
            "bypassFlag" => value(update.rules.is_empty()),
            "createDate" => value(dates::show(update.created)),
            "firewallContextAccessControlListId" => {
                value(cloud.firewalls.get(&update.firewall).map(VlanFirewall::list_in))
            }
            "rules" => rule::all(&update.rules),
            _ => return None,
        })
    }
}

/// The interfaces of a VLAN's firewall: what comes in from outside is what rules are about.
pub(super) fn interfaces<'c>(firewall: Option<&'c VlanFirewall>) -> Reading<'c> {
    Reading::Many(firewall.map(|firewall| Box::new(Outside(firewall)) as Object<'c>).into_iter().collect())
}

struct Outside<'c>(&'c VlanFirewall);

impl<'c> Record<'c> for Outside<'c> {
    fn class(&self) -> &'static Class {
        &INTERFACE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.0.outside()),
            "name" => value("outside"),
            "firewallContextAccessControlLists" => Reading::Many(vec![Box::new(Inward(self.0))]),
            _ => return None,
        })
    }
}

struct Inward<'c>(&'c VlanFirewall);

impl<'c> Record<'c> for Inward<'c> {
    fn class(&self) -> &'static Class {
        &LIST
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.0.list_in()),
            "direction" => value("in"),
            "firewallContextInterfaceId" => value(self.0.outside()),
            "rules" => rule::all(&self.0.rules),
            _ => return None,
        })
    }
}

/// Whether a VLAN has one.
pub(super) fn is_there(cloud: &Cloud, vlan: Id) -> bool {
    cloud.firewall_of(vlan).is_some()
}
