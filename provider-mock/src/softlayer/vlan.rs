//! `SoftLayer_Network_Vlan`: VLANs, and the routers they hang on.

use serde_json::Value;

use super::call::Call;
use super::dates;
use super::error::ApiError;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, value, view, views};
use super::tag::{self, references};
use super::{Answer, Caller, Service};
use crate::cloud::machine::Machine;
use crate::cloud::spec::MachineKind;
use crate::cloud::subnet::{Kind, Subnet};
use crate::cloud::{Cloud, Id, Router, Vlan};

pub(super) struct Vlans;

pub(super) static VLAN: Class = Class {
    name: "SoftLayer_Network_Vlan",
    locals: &[
        "id",
        "vlanNumber",
        "name",
        "fullyQualifiedName",
        "networkSpace",
        "accountId",
        "primarySubnetId",
        "modifyDate",
        "podName",
        "totalPrimaryIpAddressCount",
    ],
    relations: &[
        ("primaryRouter", &ROUTER),
        ("datacenter", &super::location::LOCATION),
        ("primarySubnet", &super::subnet::SUBNET),
        ("subnets", &super::subnet::SUBNET),
        ("primarySubnets", &super::subnet::SUBNET),
        ("secondarySubnets", &super::subnet::SUBNET),
        ("type", &VLAN_TYPE),
        ("hardware", &super::machine::SERVER),
        ("virtualGuests", &super::machine::GUEST),
        ("tagReferences", &super::tag::TAG_REFERENCE),
        ("dedicatedFirewallFlag", &BARE),
        ("highAvailabilityFirewallFlag", &BARE),
        ("firewallInterfaces", &super::firewall::INTERFACE),
        ("networkVlanFirewall", &super::firewall::FIREWALL),
    ],
    always_empty: &[
        "firewallRules",
        "firewallNetworkComponents",
        "firewallGuestNetworkComponents",
        "networkComponents",
        "networkComponentTrunks",
    ],
    always_null: &["attachedNetworkGateway", "billingItem", "attachedNetworkGatewayVlan"],
    ..BARE
};

pub(super) static ROUTER: Class = Class {
    name: "SoftLayer_Hardware_Router",
    locals: &["id", "hostname", "domain", "fullyQualifiedDomainName"],
    relations: &[("datacenter", &super::location::LOCATION)],
    ..BARE
};

static VLAN_TYPE: Class = Class { name: "SoftLayer_Network_Vlan_Type", locals: &["keyName", "name"], ..BARE };

impl Service for Vlans {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_Vlan"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        find(cloud, id?).map(|vlan| view(cloud, vlan))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getVlanForIpAddress").then(|| {
            let text = call.text(0)?;
            let ip = text.parse().map_err(|_| ApiError::invalid(format!("{text} is not an IP address.")))?;
            let subnet =
                cloud.visible_subnets().find(|subnet| subnet.is_on_its_vlan() && subnet.cidr.contains(ip));
            let vlan = subnet.and_then(|subnet| cloud.vlans.get(&subnet.vlan));
            Ok(Answer::One(&VLAN, vlan.map(|vlan| view(cloud, vlan))))
        })
    }

    fn changing(&self) -> &'static [&'static str] {
        &["setTags", "editObject"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let wanted = call.id.as_deref().unwrap_or_default();
        let id = find(cloud, wanted).map(|vlan| vlan.id).ok_or_else(|| ApiError::no_object(wanted))?;
        match call.method.as_str() {
            "setTags" => {
                cloud.tag_vlan(id, &tag::names(&call.text(0)?));
            }
            _ => rename(cloud, id, &call.argument(0).unwrap_or_default())?,
        }
        Ok(Value::Bool(true))
    }
}

fn find<'c>(cloud: &'c Cloud, id: &str) -> Option<&'c Vlan> {
    cloud.vlans.get(&id.parse::<Id>().ok()?)
}

/// A VLAN's name has at most 20 characters.
fn rename(cloud: &mut Cloud, id: Id, template: &Value) -> Result<(), ApiError> {
    let Some(name) = template.get("name").and_then(Value::as_str) else { return Ok(()) };
    if name.chars().count() > 20 {
        return Err(ApiError::invalid("The name of a VLAN must not be longer than 20 characters."));
    }
    if let Some(vlan) = cloud.vlans.get_mut(&id) {
        name.clone_into(&mut vlan.name);
    }
    Ok(())
}

impl<'c> Record<'c> for View<'c, Vlan> {
    fn class(&self) -> &'static Class {
        &VLAN
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, vlan) = (self.cloud, self.it);
        let router = cloud.routers.get(&vlan.router);
        let primary = cloud.subnets.get(&vlan.primary_subnet);
        Some(match property {
            "id" => value(vlan.id),
            "vlanNumber" => value(vlan.number),
            "name" => value(&vlan.name),
            "fullyQualifiedName" => value(full_name(cloud, vlan)),
            "networkSpace" => value(vlan.space.key()),
            "accountId" => value(cloud.spec.account.id),
            "primarySubnetId" => value(vlan.primary_subnet),
            "modifyDate" => value(primary.map(|subnet| dates::show(subnet.modified))),
            "podName" => value(router.and_then(|router| cloud.pods.get(&router.pod)).map(|pod| &pod.name)),
            "dedicatedFirewallFlag" => value(super::firewall::is_there(cloud, vlan.id)),
            "highAvailabilityFirewallFlag" => value(false),
            "firewallInterfaces" => super::firewall::interfaces(cloud.firewall_of(vlan.id)),
            "networkVlanFirewall" => maybe(cloud, cloud.firewall_of(vlan.id)),
            "totalPrimaryIpAddressCount" => value(primary.map(|subnet| subnet.cidr.size())),
            "primaryRouter" => maybe(cloud, router),
            "datacenter" => maybe(cloud, router.and_then(|router| cloud.datacenters.get(&router.datacenter))),
            "primarySubnet" => maybe(cloud, primary),
            "subnets" => views(cloud, subnets_on(cloud, vlan)),
            "primarySubnets" => {
                views(cloud, subnets_on(cloud, vlan).filter(|subnet| subnet.kind == Kind::Primary))
            }
            "secondarySubnets" => {
                views(cloud, subnets_on(cloud, vlan).filter(|subnet| subnet.kind == Kind::Portable))
            }
            "type" => Reading::One(Some(Box::new(VlanType))),
            "hardware" => machines_on(cloud, vlan, MachineKind::Hardware),
            "virtualGuests" => machines_on(cloud, vlan, MachineKind::Virtual),
            "tagReferences" => references(cloud, vlan.id, &vlan.tags),
            _ => return None,
        })
    }
}

/// As `dal05.bcr01.777`: a VLAN belongs to both routers of a pair, so the letter is left out.
fn full_name(cloud: &Cloud, vlan: &Vlan) -> Option<String> {
    let router = cloud.routers.get(&vlan.router)?;
    let (name, datacenter) = router.hostname.split_once('.')?;
    Some(format!("{datacenter}.{}.{}", group(name), vlan.number))
}

/// The name of a pair of routers: `bcr01` of `bcr01a`.
pub(super) fn group(router: &str) -> &str {
    router.trim_end_matches(['a', 'b'])
}

fn subnets_on<'c>(cloud: &'c Cloud, vlan: &'c Vlan) -> impl Iterator<Item = &'c Subnet> {
    cloud.visible_subnets().filter(|subnet| subnet.is_on_its_vlan() && subnet.vlan == vlan.id)
}

fn machines_on<'c>(cloud: &'c Cloud, vlan: &'c Vlan, kind: MachineKind) -> Reading<'c> {
    let inside =
        |machine: &&Machine| machine.kind == kind && machine.ports.iter().any(|port| port.vlan == vlan.id);
    views(cloud, cloud.machines.values().filter(inside))
}

impl<'c> Record<'c> for View<'c, Router> {
    fn class(&self) -> &'static Class {
        &ROUTER
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let router = self.it;
        Some(match property {
            "id" => value(router.id),
            "hostname" => value(&router.hostname),
            "domain" => value("softlayer.com"),
            "fullyQualifiedDomainName" => value(format!("{}.softlayer.com", router.hostname)),
            "datacenter" => maybe(self.cloud, self.cloud.datacenters.get(&router.datacenter)),
            _ => return None,
        })
    }
}

/// Every VLAN here is a plain one: no gateway, no interconnect.
struct VlanType;

impl<'c> Record<'c> for VlanType {
    fn class(&self) -> &'static Class {
        &VLAN_TYPE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        match property {
            "keyName" => Some(value("STANDARD")),
            "name" => Some(value("Standard")),
            _ => None,
        }
    }
}
