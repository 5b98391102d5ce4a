//! `SoftLayer_Network_Subnet`: subnets with their notes, tags and addresses.

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
use crate::cloud::{Cloud, Id};

pub(super) struct Subnets;

pub(super) static SUBNET: Class = Class {
    name: "SoftLayer_Network_Subnet",
    locals: &[
        "id",
        "networkIdentifier",
        "cidr",
        "netmask",
        "gateway",
        "broadcastAddress",
        "networkVlanId",
        "note",
        "version",
        "subnetType",
        "totalIpAddresses",
        "usableIpAddressCount",
        "modifyDate",
        "isCustomerOwned",
        "isCustomerRoutable",
        "sortOrder",
        "addressSpace",
        "podName",
        "routingTypeKeyName",
        "routingTypeName",
        "boundRouterFlag",
    ],
    relations: &[
        ("networkVlan", &super::vlan::VLAN),
        ("datacenter", &super::location::LOCATION),
        ("ipAddresses", &super::address::ADDRESS),
        ("tagReferences", &super::tag::TAG_REFERENCE),
        ("billingItem", &super::billing::BILLING_ITEM),
        ("hardware", &super::machine::SERVER),
        ("virtualGuests", &super::machine::GUEST),
        ("account", &super::account::ACCOUNT),
    ],
    always_empty: &["boundDescendants", "boundRouters", "protectedIpAddresses"],
    // `activeTransaction` stays empty even while a subnet is provisioned (release notes of 2021-05-21).
    always_null: &["activeTransaction", "endPointIpAddress", "networkComponentFirewall", "globalIpRecord"],
    ..BARE
};

impl Service for Subnets {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_Subnet"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        find(cloud, id?).map(|subnet| view(cloud, subnet))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getSubnetForIpAddress").then(|| {
            let text = call.text(0)?;
            let ip = text.parse().map_err(|_| {
                ApiError::new(500, "SoftLayer_Exception", "You must provide a valid IP address.")
            })?;
            let found = cloud.visible_subnets().find(|subnet| subnet.cidr.contains(ip));
            let subnet = found.ok_or_else(|| {
                let text = format!("Unable to determine a subnet for the specified address of {ip}");
                ApiError::new(500, "SoftLayer_Exception", text)
            })?;
            Ok(Answer::One(&SUBNET, Some(view(cloud, subnet))))
        })
    }

    fn changing(&self) -> &'static [&'static str] {
        &["editNote", "setTags"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let wanted = call.id.as_deref().unwrap_or_default();
        let id = find(cloud, wanted).map(|subnet| subnet.id).ok_or_else(|| ApiError::no_object(wanted))?;
        match call.method.as_str() {
            "editNote" => cloud.note_subnet(id, &call.text(0)?),
            "setTags" => cloud.tag_subnet(id, &tag::names(&call.text(0)?)),
            other => return Err(ApiError::no_method(other)),
        };
        Ok(Value::Bool(true))
    }
}

fn find<'c>(cloud: &'c Cloud, id: &str) -> Option<&'c Subnet> {
    cloud.subnets.get(&id.parse::<Id>().ok()?).filter(|subnet| subnet.is_visible())
}

impl<'c> Record<'c> for View<'c, Subnet> {
    fn class(&self) -> &'static Class {
        &SUBNET
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, subnet) = (self.cloud, self.it);
        // Type and VLAN come last: until then the subnet is only listed.
        let routed = subnet.is_on_its_vlan();
        let vlan = cloud.vlans.get(&subnet.vlan);
        let router = vlan.and_then(|vlan| cloud.routers.get(&vlan.router));
        Some(match property {
            "id" => value(subnet.id),
            "networkIdentifier" => value(subnet.cidr.network()),
            "cidr" => value(subnet.cidr.prefix()),
            "netmask" => value(subnet.cidr.mask()),
            "gateway" => value(subnet.gateway()),
            "broadcastAddress" => value(subnet.cidr.broadcast()),
            "networkVlanId" => value(routed.then_some(subnet.vlan)),
            "note" => value(Some(&subnet.note).filter(|note| !note.is_empty())),
            "version" => value(4),
            "subnetType" => value(routed.then_some(subnet_type(subnet.kind))),
            "totalIpAddresses" => value(subnet.cidr.size().to_string()),
            "usableIpAddressCount" => value(usable(cloud, subnet).to_string()),
            "modifyDate" => value(dates::show(subnet.modified)),
            "isCustomerOwned" => value(false),
            "isCustomerRoutable" => value(subnet.kind == Kind::Portable),
            "sortOrder" => value("5"),
            "addressSpace" => value(vlan.map(|vlan| vlan.space.key())),
            "podName" => value(router.and_then(|router| cloud.pods.get(&router.pod)).map(|pod| &pod.name)),
            "routingTypeKeyName" => value(routed.then_some(routing_type(subnet.kind).0)),
            "routingTypeName" => value(routed.then_some(routing_type(subnet.kind).1)),
            "boundRouterFlag" => value(false),
            "networkVlan" => maybe(cloud, vlan.filter(|_| routed)),
            "datacenter" => maybe(cloud, router.and_then(|router| cloud.datacenters.get(&router.datacenter))),
            "ipAddresses" => views(cloud, subnet.addresses.iter().filter_map(|id| cloud.addresses.get(id))),
            "tagReferences" => references(cloud, subnet.id, &subnet.tags),
            "billingItem" => maybe(cloud, subnet.billing_item.and_then(|id| cloud.billing_items.get(&id))),
            "hardware" => machines_in(cloud, subnet, MachineKind::Hardware),
            "virtualGuests" => machines_in(cloud, subnet, MachineKind::Virtual),
            "account" => maybe(cloud, Some(&cloud.spec.account)),
            _ => return None,
        })
    }
}

fn subnet_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Primary => "PRIMARY",
        Kind::Portable => "SECONDARY_ON_VLAN",
    }
}

fn routing_type(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Primary => ("PRIMARY", "Primary"),
        Kind::Portable => ("SECONDARY", "Portable"),
    }
}

/// All but network, gateway, broadcast and what is reserved.
fn usable(cloud: &Cloud, subnet: &Subnet) -> usize {
    let reserved =
        subnet.addresses.iter().filter(|id| cloud.addresses.get(id).is_some_and(|it| it.reserved)).count();
    subnet.addresses.len().saturating_sub(3 + reserved)
}

fn machines_in<'c>(cloud: &'c Cloud, subnet: &Subnet, kind: MachineKind) -> Reading<'c> {
    let id = subnet.id;
    let inside =
        move |machine: &&Machine| machine.kind == kind && machine.ports.iter().any(|port| port.subnet == id);
    views(cloud, cloud.machines.values().filter(inside))
}
