//! Network components: the ports of machines. Port 0 is private, port 1 public.

use super::machine::owner;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, value, view, views};
use super::{Answer, ApiError, Call, Caller, Service};
use crate::cloud::Cloud;
use crate::cloud::machine::Port;
use crate::cloud::spec::MachineKind;

/// The interfaces of virtual guests.
pub(super) struct Components;

pub(super) static COMPONENT: Class = Class {
    name: "SoftLayer_Virtual_Guest_Network_Component",
    locals: &["id", "guestId", "macAddress", "maxSpeed", "name", "networkId", "port", "speed", "status"],
    relations: &[
        ("primaryIpAddress", &BARE),
        ("networkVlan", &super::vlan::VLAN),
        ("primarySubnet", &super::subnet::SUBNET),
        ("subnets", &super::subnet::SUBNET),
        ("router", &super::vlan::ROUTER),
        ("guest", &super::machine::GUEST),
        ("securityGroupBindings", &super::security::BINDING),
    ],
    always_empty: &["networkVlanTrunks"],
    ..BARE
};

/// Of a bare metal server: the VLAN hangs on the switch's end too.
pub(super) static HARDWARE_COMPONENT: Class = Class {
    name: "SoftLayer_Network_Component",
    locals: &[
        "id",
        "hardwareId",
        "macAddress",
        "maxSpeed",
        "name",
        "port",
        "primaryIpAddress",
        "speed",
        "status",
        "networkVlanId",
    ],
    relations: &[
        ("networkVlan", &super::vlan::VLAN),
        ("primarySubnet", &super::subnet::SUBNET),
        ("subnets", &super::subnet::SUBNET),
        ("router", &super::vlan::ROUTER),
        ("hardware", &super::machine::SERVER),
        ("uplinkComponent", &UPLINK),
    ],
    always_empty: &["networkVlanTrunks"],
    ..BARE
};

static UPLINK: Class = Class {
    name: "SoftLayer_Network_Component",
    locals: &["id", "networkVlanId"],
    relations: &[("networkVlan", &super::vlan::VLAN)],
    always_empty: &["networkVlanTrunks"],
    ..BARE
};

impl Service for Components {
    fn name(&self) -> &'static str {
        "SoftLayer_Virtual_Guest_Network_Component"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        find(cloud, id?).map(|port| view(cloud, port))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "securityGroupsReady").then(|| {
            let wanted = call.id.as_deref().unwrap_or_default();
            let port = find(cloud, wanted).ok_or_else(|| ApiError::no_object(wanted))?;
            Ok(Answer::Value(port.security_ready.into()))
        })
    }
}

fn find<'c>(cloud: &'c Cloud, id: &str) -> Option<&'c Port> {
    let guests = cloud.machines.values().filter(|machine| machine.kind == MachineKind::Virtual);
    guests.flat_map(|machine| &machine.ports).find(|port| port.id.to_string() == id)
}

impl<'c> Record<'c> for View<'c, Port> {
    fn class(&self) -> &'static Class {
        match owner(self.cloud, self.it).map(|machine| machine.kind) {
            Some(MachineKind::Hardware) => &HARDWARE_COMPONENT,
            _ => &COMPONENT,
        }
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, port) = (self.cloud, self.it);
        let vlan = cloud.vlans.get(&port.vlan);
        let subnet = cloud.subnets.get(&port.subnet);
        let machine = owner(cloud, port);
        Some(match property {
            "id" => value(port.id),
            "guestId" | "hardwareId" => value(machine.map(|machine| machine.id)),
            "macAddress" => value(&port.mac),
            "maxSpeed" | "speed" => value(1000),
            "name" => value("eth"),
            "networkId" => value(port.vlan),
            "networkVlanId" => value(port.vlan),
            "port" => value(port.number),
            "status" => value("ACTIVE"),
            "primaryIpAddress" => value(port.address),
            "networkVlan" => maybe(cloud, vlan),
            "primarySubnet" => maybe(cloud, subnet),
            "subnets" => views(cloud, subnet),
            "router" => maybe(cloud, vlan.and_then(|vlan| cloud.routers.get(&vlan.router))),
            "guest" | "hardware" => maybe(cloud, machine),
            "securityGroupBindings" => super::security::bindings_of(cloud, port),
            "uplinkComponent" => Reading::One(Some(Box::new(Uplink(View { cloud, it: port })))),
            _ => return None,
        })
    }
}

/// The switch's end of a port.
struct Uplink<'c>(View<'c, Port>);

impl<'c> Record<'c> for Uplink<'c> {
    fn class(&self) -> &'static Class {
        &UPLINK
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        match property {
            // The machine's end has this id, the switch's end a number far from all others.
            "id" => Some(value(self.0.it.id + 500_000_000)),
            "networkVlanId" | "networkVlan" => self.0.read(property),
            _ => None,
        }
    }
}
