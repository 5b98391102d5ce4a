//! The portable subnets of a VLAN, and the addresses in them that are set aside.
//!
//! Portable is `subnetType` `SECONDARY_ON_VLAN` (IPv4) or `SUBNET_ON_VLAN` (IPv6); `PRIMARY…` subnets are handed out
//! by SoftLayer itself. Source: softlayer-go, doc comment of `Network_Subnet.SubnetType`.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use provider::{Cause, CloudAddress, CloudSubnet, ProviderError, SetAside, SubnetId, Tag, ZoneId};
use serde_json::{Value, json};

use crate::{
    NAME,
    client::{Call, Client},
    wire::{IpAddress, Subnet},
};

const MASK: &str = "id,networkIdentifier,cidr,gateway,networkVlanId,subnetType,note,tagReferences[tag[name]]";

pub(crate) async fn portable(client: &Client, zone: &ZoneId) -> Result<Vec<CloudSubnet>, ProviderError> {
    let doing = format!("listing the portable subnets of VLAN {zone}");
    let call = Call::new("SoftLayer_Account", "getSubnets", doing.clone())
        .mask(MASK)
        .filter(json!({ "subnets": { "networkVlan": { "id": equals(zone) }, "id": by_id() } }));
    let rows = client.read_all::<Subnet>(&call).await?;
    // Looked at again: a filter that SoftLayer does not understand is ignored without a word.
    let routed_here =
        |row: &&Subnet| row.network_vlan_id.is_some_and(|vlan| vlan.to_string() == zone.as_str());
    let portable = rows.iter().filter(|row| is_portable(row)).filter(routed_here);
    portable.map(|row| in_our_words(row, &doing)).collect()
}

pub(crate) async fn set_aside(
    client: &Client,
    subnet: &SubnetId,
) -> Result<Vec<CloudAddress>, ProviderError> {
    let doing = format!("reading which addresses of subnet {subnet} are set aside");
    let call = Call::new("SoftLayer_Network_Subnet", "getObject", doing.clone()).of(subnet).mask(
        "id,networkIdentifier,cidr,ipAddresses[ipAddress,isNetwork,isGateway,isBroadcast,isReserved,note]",
    );
    let row: Subnet = client.read(&call).await?;
    let records = &row.ip_addresses.0;
    if let IpNetwork::V4(cidr) = cidr(&row, &doing)?
        && records.len() < cidr.size() as usize
    {
        // What a record would say is not known before it is there.
        let reason = format!("{} of its {} address records are there", records.len(), cidr.size());
        return Err(ProviderError::Busy { provider: NAME, doing, reason });
    }
    let kept = records.iter().filter_map(|record| Some((record, reason(record)?)));
    kept.map(|(record, set_aside)| {
        Ok(CloudAddress { address: address(&record.ip_address, &doing)?, set_aside })
    })
    .collect()
}

/// Why an address record is not for us. The addresses that routers of an HSRP pair keep can only be read: their places
/// differ from subnet to subnet.
fn reason(record: &IpAddress) -> Option<SetAside> {
    let hsrp = record.note.as_deref().is_some_and(|note| note.starts_with("Reserved for HSRP"));
    match record {
        IpAddress { is_network: true, .. } => Some(SetAside::Network),
        IpAddress { is_gateway: true, .. } => Some(SetAside::Gateway),
        IpAddress { is_broadcast: true, .. } => Some(SetAside::Broadcast),
        IpAddress { is_reserved: true, .. } => Some(SetAside::Reserved),
        _ => hsrp.then_some(SetAside::Reserved),
    }
}

/// Whether addresses of the subnet may be used by any machine of its VLAN.
pub(crate) fn is_portable(row: &Subnet) -> bool {
    matches!(row.subnet_type.as_deref(), Some("SECONDARY_ON_VLAN" | "SUBNET_ON_VLAN"))
}

/// A row as a subnet, once it is routed to a VLAN.
pub(crate) fn in_our_words(row: &Subnet, doing: &str) -> Result<CloudSubnet, ProviderError> {
    let zone = row.network_vlan_id.ok_or_else(|| malformed(doing, "a subnet without a VLAN"))?;
    let gateway = row.gateway.as_deref().filter(|gateway| !gateway.is_empty());
    Ok(CloudSubnet {
        id: SubnetId::new(row.id.to_string()),
        cidr: cidr(row, doing)?,
        gateway: gateway.map(|gateway| address(gateway, doing)).transpose()?,
        zone: ZoneId::new(zone.to_string()),
        tags: tags(row),
        note: row.note.clone().filter(|note| !note.is_empty()),
    })
}

/// The names of its tags.
pub(crate) fn tags(row: &Subnet) -> Vec<Tag> {
    let names = row.tag_references.0.iter().filter_map(|reference| reference.tag.as_ref()?.name.as_deref());
    names.map(Tag::new).collect()
}

fn cidr(row: &Subnet, doing: &str) -> Result<IpNetwork, ProviderError> {
    let network =
        row.network_identifier.as_deref().ok_or_else(|| malformed(doing, "a subnet without an address"))?;
    let prefix = row.cidr.and_then(|cidr| u8::try_from(cidr.0).ok());
    let prefix = prefix.ok_or_else(|| malformed(doing, "a subnet without a prefix length"))?;
    let cidr = IpNetwork::new(address(network, doing)?, prefix).map_err(|error| malformed(doing, error))?;
    if cidr.network() != cidr.ip() {
        return Err(malformed(doing, format!("subnet {cidr}, which does not begin at its first address")));
    }
    Ok(cidr)
}

fn address(text: &str, doing: &str) -> Result<IpAddr, ProviderError> {
    text.parse().map_err(|_| malformed(doing, format!("'{text}' where an address belongs")))
}

/// A filter: equal to this.
pub(crate) fn equals(value: impl ToString) -> Value {
    let text = value.to_string();
    // Numbers are compared as numbers.
    text.parse::<u64>().map_or_else(|_| json!({ "operation": text }), |number| json!({ "operation": number }))
}

/// A filter that sorts: without one the order is not stable, and pages would overlap.
pub(crate) fn by_id() -> Value {
    json!({ "operation": "orderBy", "options": [{ "name": "sort", "value": ["ASC"] }] })
}

fn malformed(doing: &str, source: impl Into<Cause>) -> ProviderError {
    ProviderError::Malformed { provider: NAME, doing: doing.to_owned(), source: source.into() }
}
