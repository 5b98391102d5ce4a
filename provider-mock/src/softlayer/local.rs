//! `SoftLayer_Network_Application_Delivery_Controller_LoadBalancer_…`: the local load balancer of 2014. What is below a
//! virtual address is edited from its root.

use serde_json::Value;

use super::call::{Call, number};
use super::error::ApiError;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, value, view};
use super::{Caller, Service};
use crate::cloud::local::{
    HEALTH, KINDS, LocalBalancer, LocalRefused, LocalService, ServerEdit, ServiceEdit, VirtualServer,
};
use crate::cloud::{Cloud, Id};

macro_rules! called {
    ($name:literal) => {
        concat!("SoftLayer_Network_Application_Delivery_Controller_LoadBalancer_", $name)
    };
}

pub(super) struct VirtualAddresses;
pub(super) struct VirtualServers;
pub(super) struct Services;

pub(super) static VIRTUAL_ADDRESS: Class = Class {
    name: called!("VirtualIpAddress"),
    locals: &["id", "ipAddressId", "connectionLimit", "notes"],
    relations: &[("ipAddress", &super::address::ADDRESS), ("virtualServers", &SERVER)],
    ..BARE
};

static SERVER: Class = Class {
    name: called!("VirtualServer"),
    locals: &["id", "port", "allocation", "virtualIpAddressId"],
    relations: &[("serviceGroups", &GROUP)],
    ..BARE
};

static GROUP: Class = Class {
    name: called!("Service_Group"),
    locals: &["id", "routingMethodId", "routingTypeId"],
    relations: &[("services", &SERVICE), ("routingType", &BARE)],
    ..BARE
};

static SERVICE: Class = Class {
    name: called!("Service"),
    locals: &["id", "ipAddressId", "port", "enabled", "status"],
    relations: &[
        ("ipAddress", &super::address::ADDRESS),
        ("healthChecks", &CHECK),
        ("groupReferences", &REFERENCE),
    ],
    ..BARE
};

static CHECK: Class =
    Class { name: called!("Health_Check"), locals: &["id", "healthCheckTypeId", "name"], ..BARE };

static REFERENCE: Class = Class {
    name: called!("Service_Group_CrossReference"),
    locals: &["serviceGroupId", "serviceId", "weight"],
    ..BARE
};

impl Service for VirtualAddresses {
    fn name(&self) -> &'static str {
        VIRTUAL_ADDRESS.name
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.local_balancers.get(&id?.parse().ok()?).map(|it| view(cloud, it))
    }

    fn changing(&self) -> &'static [&'static str] {
        &["editObject"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let template = call.argument(0).unwrap_or_default();
        let rows = list(&template, "virtualServers");
        let edits = rows.iter().map(server_edit).collect::<Result<Vec<_>, _>>()?;
        cloud.edit_local_balancer(id_of(call)?, &edits).map_err(refused)?;
        Ok(Value::Bool(true))
    }
}

impl Service for VirtualServers {
    fn name(&self) -> &'static str {
        SERVER.name
    }

    fn changing(&self) -> &'static [&'static str] {
        &["deleteObject"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        cloud.delete_virtual_server(id_of(call)?).map_err(refused)?;
        Ok(Value::Bool(true))
    }
}

impl Service for Services {
    fn name(&self) -> &'static str {
        SERVICE.name
    }

    fn changing(&self) -> &'static [&'static str] {
        &["deleteObject"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        cloud.delete_local_service(id_of(call)?).map_err(refused)?;
        Ok(Value::Bool(true))
    }
}

fn id_of(call: &Call) -> Result<Id, ApiError> {
    let id = call.id.as_deref().unwrap_or_default();
    id.parse().map_err(|_| ApiError::no_object(id))
}

fn list(row: &Value, name: &str) -> Vec<Value> {
    row.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A number of a row that fits its field, if it is there.
fn small<T: TryFrom<u64>>(row: &Value, name: &str) -> Result<Option<T>, ApiError> {
    let Some(given) = row.get(name).filter(|given| !given.is_null()) else { return Ok(None) };
    let wrong = || ApiError::public(format!("The {name} is not valid."));
    let fits = number(given).and_then(|number| T::try_from(number).ok());
    fits.map(Some).ok_or_else(wrong)
}

fn server_edit(row: &Value) -> Result<ServerEdit, ApiError> {
    let groups = list(row, "serviceGroups");
    let group = groups.first().cloned().unwrap_or_default();
    let services = list(&group, "services");
    Ok(ServerEdit {
        id: small(row, "id")?,
        port: small(row, "port")?,
        allocation: small(row, "allocation")?,
        method: small(&group, "routingMethodId")?,
        kind: small(&group, "routingTypeId")?,
        services: services.iter().map(service_edit).collect::<Result<_, _>>()?,
    })
}

fn service_edit(row: &Value) -> Result<ServiceEdit, ApiError> {
    let first = |name: &str| list(row, name).first().cloned().unwrap_or_default();
    Ok(ServiceEdit {
        id: small(row, "id")?,
        address_id: small(row, "ipAddressId")?,
        port: small(row, "port")?,
        enabled: small::<u8>(row, "enabled")?.map(|enabled| enabled != 0),
        health: small(&first("healthChecks"), "healthCheckTypeId")?,
        weight: small(&first("groupReferences"), "weight")?,
    })
}

/// The code is a choice: terraform's provider goes by the texts.
fn refused(why: LocalRefused) -> ApiError {
    match why {
        LocalRefused::NotFound(id) => ApiError::no_object(&id.to_string()),
        LocalRefused::Busy => ApiError::new(500, "SoftLayer_Exception", why.to_string()),
        LocalRefused::Invalid(_) => {
            ApiError::new(500, "SoftLayer_Exception_Public_Validation", why.to_string())
        }
    }
}

impl<'c> Record<'c> for View<'c, LocalBalancer> {
    fn class(&self) -> &'static Class {
        &VIRTUAL_ADDRESS
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, balancer) = (self.cloud, self.it);
        let record = cloud.address_record(balancer.at.address);
        Some(match property {
            "id" => value(balancer.id),
            "ipAddressId" => value(record.map(|record| record.id)),
            "connectionLimit" => value(500),
            "notes" => value(None::<String>),
            "ipAddress" => maybe(cloud, record),
            "virtualServers" => Reading::Many(
                balancer.wanted.iter().map(|server| shown(cloud, balancer, Part::Server(server))).collect(),
            ),
            _ => return None,
        })
    }
}

/// What is below a virtual address.
enum Part<'c> {
    Server(&'c VirtualServer),
    Group(&'c VirtualServer),
    Service(&'c VirtualServer, &'c LocalService),
    Check(&'c LocalService),
    Reference(&'c VirtualServer, &'c LocalService),
}

struct Shown<'c> {
    cloud: &'c Cloud,
    balancer: &'c LocalBalancer,
    part: Part<'c>,
}

fn shown<'c>(cloud: &'c Cloud, balancer: &'c LocalBalancer, part: Part<'c>) -> Object<'c> {
    Box::new(Shown { cloud, balancer, part })
}

impl<'c> Record<'c> for Shown<'c> {
    fn class(&self) -> &'static Class {
        match self.part {
            Part::Server(_) => &SERVER,
            Part::Group(_) => &GROUP,
            Part::Service(..) => &SERVICE,
            Part::Check(_) => &CHECK,
            Part::Reference(..) => &REFERENCE,
        }
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, balancer) = (self.cloud, self.balancer);
        let below = |parts: Vec<Part<'c>>| {
            Reading::Many(parts.into_iter().map(|part| shown(cloud, balancer, part)).collect())
        };
        Some(match (&self.part, property) {
            (Part::Server(server), "id") => value(server.id),
            (Part::Server(server), "port") => value(server.port),
            (Part::Server(server), "allocation") => value(server.allocation),
            (Part::Server(_), "virtualIpAddressId") => value(balancer.id),
            (Part::Server(server), "serviceGroups") => below(vec![Part::Group(server)]),
            (Part::Group(server), "id") => value(server.group()),
            (Part::Group(server), "routingMethodId") => value(server.method),
            (Part::Group(server), "routingTypeId") => value(server.kind),
            (Part::Group(server), "routingType") => {
                value(KINDS.iter().find(|(kind, _)| *kind == server.kind).map(|(_, word)| word))
            }
            (Part::Group(server), "services") => {
                below(server.services.iter().map(|service| Part::Service(server, service)).collect())
            }
            (Part::Service(_, service), "id") => value(service.id),
            (Part::Service(_, service), "ipAddressId") => value(service.address_id),
            (Part::Service(_, service), "port") => value(service.port),
            (Part::Service(_, service), "enabled") => value(u8::from(service.enabled)),
            (Part::Service(server, service), "status") => value(self.status(server, service)),
            (Part::Service(_, service), "ipAddress") => maybe(cloud, cloud.address_record(service.address)),
            (Part::Service(_, service), "healthChecks") => below(vec![Part::Check(service)]),
            (Part::Service(server, service), "groupReferences") => {
                below(vec![Part::Reference(server, service)])
            }
            (Part::Check(service), "healthCheckTypeId") => value(service.health),
            (Part::Check(service), "name") => {
                value(HEALTH.iter().find(|(kind, _)| *kind == service.health).map(|(_, word)| word))
            }
            (Part::Reference(server, _), "serviceGroupId") => value(server.group()),
            (Part::Reference(_, service), "serviceId") => value(service.id),
            (Part::Reference(_, service), "weight") => value(service.weight),
            _ => return None,
        })
    }
}

impl Shown<'_> {
    /// As its health check finds it. Where no real packets are, everybody is well.
    fn status(&self, server: &VirtualServer, service: &LocalService) -> &'static str {
        let measured = self.cloud.measured.get(&self.balancer.id);
        let up = measured.is_none_or(|it| it.up.get(&(server.id, service.id)) == Some(&true));
        if up { "UP" } else { "DOWN" }
    }
}
