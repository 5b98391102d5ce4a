//! `SoftLayer_Resource_Metadata`: what a machine can learn about itself. It knows the caller by the source address
//! and asks for no credentials.

use serde_json::{Value, json};

use super::error::ApiError;
use super::vlan::group;
use super::{Answer, Call, Caller, Service};
use crate::cloud::machine::{Machine, Port};
use crate::cloud::spec::NetworkSpace;
use crate::cloud::{Cloud, Datacenter, Router, Vlan};

pub(super) struct Metadata;

impl Service for Metadata {
    fn name(&self) -> &'static str {
        "SoftLayer_Resource_Metadata"
    }

    fn is_open(&self) -> bool {
        true
    }

    fn read<'c>(
        &self,
        cloud: &'c Cloud,
        caller: &Caller,
        call: &Call,
    ) -> Option<Result<Answer<'c>, ApiError>> {
        let Some(machine) = cloud.machine_at(caller.source) else {
            // A choice: whom the real service does not know cannot reach it.
            let text = format!("There is no machine with the address {}.", caller.source);
            return Some(Err(ApiError::not_found(&text)));
        };
        Some(about(cloud, machine, call).map(Answer::Value))
    }
}

fn about(cloud: &Cloud, machine: &Machine, call: &Call) -> Result<Value, ApiError> {
    let private = machine.port(NetworkSpace::Private);
    let public = machine.port(NetworkSpace::Public);
    let datacenter = || datacenter_of(cloud, machine);
    Ok(match call.method.as_str() {
        "getId" => json!(machine.id),
        "getGlobalIdentifier" => json!(machine.global_identifier),
        "getHostname" => json!(machine.hostname),
        "getDomain" => json!(machine.domain),
        "getFullyQualifiedDomainName" => json!(machine.full_name()),
        "getAccountId" => json!(cloud.spec.account.id),
        "getDatacenter" => json!(datacenter().map(|datacenter| &datacenter.name)),
        "getDatacenterId" => json!(datacenter().map(|datacenter| datacenter.id)),
        "getPrimaryIpAddress" => json!(public.or(private).map(|port| port.address)),
        "getPrimaryBackendIpAddress" => json!(private.map(|port| port.address)),
        "getBackendMacAddresses" => json!(private.iter().map(|port| &port.mac).collect::<Vec<_>>()),
        "getFrontendMacAddresses" => json!(public.iter().map(|port| &port.mac).collect::<Vec<_>>()),
        "getProvisionState" => json!(if machine.transaction.is_some() { "PROCESSING" } else { "COMPLETE" }),
        "getTags" | "getServiceResources" => json!([]),
        "getUserMetadata" => return Err(ApiError::not_found("No user metadata found.")),
        "getRouter" => json!(group_name(cloud, port_of(machine, call)?)?),
        "getVlans" => json!([vlan_of(cloud, port_of(machine, call)?)?.number]),
        "getVlanIds" => json!([vlan_of(cloud, port_of(machine, call)?)?.id]),
        other => return Err(ApiError::no_method(other)),
    })
}

/// The port with the MAC that the caller gives, in any usual spelling.
fn port_of<'m>(machine: &'m Machine, call: &Call) -> Result<&'m Port, ApiError> {
    let text = call.text(0)?;
    let digits = |mac: &str| mac.replace([':', '-', '.'], "").to_ascii_lowercase();
    let wanted = digits(&text);
    if wanted.len() != 12 || !wanted.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(ApiError::invalid(format!("Invalid value provided for 'macAddress': {text}")));
    }
    let found = machine.ports.iter().find(|port| digits(&port.mac) == wanted);
    found.ok_or_else(|| ApiError::not_found("No network component with that MAC address was found."))
}

fn vlan_of<'c>(cloud: &'c Cloud, port: &Port) -> Result<&'c Vlan, ApiError> {
    cloud.vlans.get(&port.vlan).ok_or_else(|| ApiError::not_found("No VLANs were found."))
}

fn router_of<'c>(cloud: &'c Cloud, port: &Port) -> Option<&'c Router> {
    cloud.routers.get(&cloud.vlans.get(&port.vlan)?.router)
}

/// As `bcr01`: the pair of routers, not one of them.
fn group_name<'c>(cloud: &'c Cloud, port: &Port) -> Result<&'c str, ApiError> {
    let router = router_of(cloud, port).ok_or_else(|| ApiError::not_found("No router was found."))?;
    Ok(group(router.hostname.split('.').next().unwrap_or(&router.hostname)))
}

fn datacenter_of<'c>(cloud: &'c Cloud, machine: &Machine) -> Option<&'c Datacenter> {
    let router = machine.ports.iter().find_map(|port| router_of(cloud, port))?;
    cloud.datacenters.get(&router.datacenter)
}
