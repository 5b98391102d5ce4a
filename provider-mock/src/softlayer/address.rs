//! `SoftLayer_Network_Subnet_IpAddress`: the records of single addresses. A customer can write their notes only.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::call::{Call, number};
use super::error::ApiError;
use super::record::{Class, Object, Reading, Record, View, maybe, value, view};
use super::{Answer, Caller, Service};
use crate::cloud::Cloud;
use crate::cloud::machine::Machine;
use crate::cloud::spec::MachineKind;
use crate::cloud::subnet::Address;

pub(super) struct Addresses;

pub(super) static ADDRESS: Class = Class {
    name: "SoftLayer_Network_Subnet_IpAddress",
    locals: &["id", "ipAddress", "isNetwork", "isGateway", "isBroadcast", "isReserved", "note", "subnetId"],
    relations: &[
        ("subnet", &super::subnet::SUBNET),
        ("hardware", &super::machine::SERVER),
        ("virtualGuest", &super::machine::GUEST),
        ("guestNetworkComponent", &super::component::COMPONENT),
    ],
    // `slcli subnet lookup` reads the subnet without asking for it.
    automatic: &["subnet"],
    always_empty: &["endpointSubnets"],
    always_null: &["applicationDeliveryController"],
};

impl Service for Addresses {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_Subnet_IpAddress"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.addresses.get(&id?.parse().ok()?).map(|address| view(cloud, address))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        matches!(call.method.as_str(), "getByIpAddress" | "findByIpv4Address").then(|| {
            let text = call.text(0)?;
            let ip: Ipv4Addr = text.parse().map_err(|_| {
                ApiError::public(format!("The IP address provided ({text}) is not a valid IPv4 address."))
            })?;
            let address = cloud.address_record(ip).map(|address| view(cloud, address));
            Ok(Answer::One(&ADDRESS, address))
        })
    }

    fn changing(&self) -> &'static [&'static str] {
        &["editObject", "editObjects"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let template = call.argument(0).unwrap_or_default();
        if call.method == "editObject" {
            edit(cloud, call.id.as_deref().unwrap_or_default(), &template)?;
        } else {
            for template in template.as_array().ok_or_else(ApiError::bad_request)? {
                let id = template.get("id").and_then(number).unwrap_or_default();
                edit(cloud, &id.to_string(), template)?;
            }
        }
        Ok(Value::Bool(true))
    }
}

/// Only the note is taken; everything else is silently ignored, as by the real API.
fn edit(cloud: &mut Cloud, id: &str, template: &Value) -> Result<(), ApiError> {
    let known = id.parse().ok().filter(|id| cloud.addresses.contains_key(id));
    let address = known.ok_or_else(|| ApiError::no_object(id))?;
    if let Some(note) = template.get("note").and_then(Value::as_str) {
        cloud.note_address(address, note);
    }
    Ok(())
}

impl<'c> Record<'c> for View<'c, Address> {
    fn class(&self) -> &'static Class {
        &ADDRESS
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, address) = (self.cloud, self.it);
        let subnet = cloud.subnets.get(&address.subnet);
        let is = |special: Option<Ipv4Addr>| value(special == Some(address.ip));
        let machine =
            |kind| cloud.machine_with(address.ip).filter(move |machine: &&Machine| machine.kind == kind);
        Some(match property {
            "id" => value(address.id),
            "ipAddress" => value(address.ip),
            "isNetwork" => is(subnet.map(|subnet| subnet.cidr.network())),
            "isGateway" => is(subnet.map(|subnet| subnet.gateway())),
            "isBroadcast" => is(subnet.map(|subnet| subnet.cidr.broadcast())),
            "isReserved" => value(address.reserved),
            "note" => value(Some(&address.note).filter(|note| !note.is_empty())),
            "subnetId" => value(address.subnet),
            "subnet" => maybe(cloud, subnet),
            "hardware" => maybe(cloud, machine(MachineKind::Hardware)),
            "virtualGuest" => maybe(cloud, machine(MachineKind::Virtual)),
            "guestNetworkComponent" => {
                let ports = machine(MachineKind::Virtual).map(|machine| machine.ports.iter());
                maybe(cloud, ports.and_then(|mut ports| ports.find(|port| port.address == address.ip)))
            }
            _ => return None,
        })
    }
}
