//! Which machine this is and which VLANs it is on, asked of the metadata service.
//!
//! The service is on the private network only, needs no credentials and knows the caller by its source address.
//! `getBackendMacAddresses` → the interface that is there → `getVlanIds(mac)`, native VLAN first.
//! Source: softlayer-go `services/resource.go`.

use provider::{
    Attachment, Identity, InstanceId, InstanceKind, MacAddress, Network, Nic, ProviderError, ZoneId,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{
    NAME,
    client::{Call, Client},
    wire::{List, Machine, Number, Vlan},
};

const METADATA: &str = "SoftLayer_Resource_Metadata";
const DOING: &str = "asking the metadata service who this machine is";

pub(crate) async fn whoami(client: &Client, nics: &[Nic]) -> Result<Identity, ProviderError> {
    let id: Number = metadata(client, "getId").await?;
    let uuid: String = metadata(client, "getGlobalIdentifier").await?;
    let kind = kind(client, id, &uuid).await?;
    Ok(Identity {
        instance: instance(kind, id),
        kind,
        hostname: metadata(client, "getHostname").await?,
        datacenter: metadata(client, "getDatacenter").await?,
        attachments: attachments(client, nics).await?,
    })
}

/// How we spell a machine's id: virtual guests and bare metal servers are numbered separately.
pub(crate) fn instance(kind: InstanceKind, id: Number) -> InstanceId {
    InstanceId::new(match kind {
        InstanceKind::BareMetal => format!("hardware-{id}"),
        InstanceKind::Virtual | InstanceKind::Unmanaged => format!("virtual-{id}"),
    })
}

/// The metadata service does not say what kind of machine it speaks of, so the two services that know machines are
/// asked; the UUID settles it, because both may have this number.
async fn kind(client: &Client, id: Number, uuid: &str) -> Result<InstanceKind, ProviderError> {
    for (service, kind) in [
        ("SoftLayer_Virtual_Guest", InstanceKind::Virtual),
        ("SoftLayer_Hardware_Server", InstanceKind::BareMetal),
    ] {
        let call = Call::new(service, "getObject", format!("asking what kind of machine {id} is"));
        match client.read::<Machine>(&call.of(id).mask("id,globalIdentifier")).await {
            Ok(machine) if machine.global_identifier.as_deref() == Some(uuid) => return Ok(kind),
            Ok(_) | Err(ProviderError::Gone { .. }) => (),
            Err(error) => return Err(error),
        }
    }
    Err(ProviderError::Gone {
        provider: NAME,
        doing: DOING.to_owned(),
        what: format!("machine {id}, or {} may not see it", client.username()),
    })
}

async fn attachments(client: &Client, nics: &[Nic]) -> Result<Vec<Attachment>, ProviderError> {
    let mut attachments: Vec<Attachment> = Vec::new();
    for method in ["getBackendMacAddresses", "getFrontendMacAddresses"] {
        for mac in mac_addresses(client, method).await? {
            if !nics.iter().any(|nic| nic.mac == mac) {
                continue;
            }
            let Some(vlan) = native_vlan(client, mac).await? else { continue };
            let attachment = attachment(client, mac, vlan).await?;
            // The two ports of a bond are in the same VLAN: one attachment.
            if !attachments.iter().any(|known| known.zone == attachment.zone) {
                attachments.push(attachment);
            }
        }
    }
    Ok(attachments)
}

async fn mac_addresses(client: &Client, method: &'static str) -> Result<Vec<MacAddress>, ProviderError> {
    let List(texts) = match metadata::<List<String>>(client, method).await {
        // A machine without a public interface.
        Err(ProviderError::Gone { .. }) => List(vec![]),
        answer => answer?,
    };
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, _>>().map_err(|error: provider::MalformedMac| ProviderError::Malformed {
        provider: NAME,
        doing: DOING.to_owned(),
        source: error.into(),
    })
}

/// The VLAN of an interface; trunked ones come after the native one and are not ours to use unasked.
async fn native_vlan(client: &Client, mac: MacAddress) -> Result<Option<Number>, ProviderError> {
    let call =
        Call::new(METADATA, "getVlanIds", format!("asking the metadata service for the VLAN of {mac}"));
    match client.read::<List<Number>>(&call.with(json!([mac.to_string()])).anonymous()).await {
        Ok(List(vlans)) => Ok(vlans.first().copied()),
        Err(ProviderError::Gone { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn attachment(client: &Client, mac: MacAddress, vlan: Number) -> Result<Attachment, ProviderError> {
    let call = Call::new("SoftLayer_Network_Vlan", "getObject", format!("reading VLAN {vlan}"));
    let mask = "id,vlanNumber,fullyQualifiedName,networkSpace,primaryRouter[hostname]";
    let shown: Vlan = client.read(&call.of(vlan).mask(mask)).await?;
    Ok(Attachment {
        zone: ZoneId::new(vlan.to_string()),
        zone_name: shown.fully_qualified_name.unwrap_or_else(|| vlan.to_string()),
        mac,
        vlan_number: shown.vlan_number.and_then(|Number(number)| u16::try_from(number).ok()),
        router: shown.primary_router.and_then(|router| router.hostname),
        network: match shown.network_space.as_deref() {
            Some("PUBLIC") => Network::Public,
            _ => Network::Private,
        },
    })
}

async fn metadata<T: DeserializeOwned>(client: &Client, method: &'static str) -> Result<T, ProviderError> {
    client.read(&Call::new(METADATA, method, DOING).anonymous()).await
}
