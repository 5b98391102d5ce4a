//! Docker's JSON: what dockerd sends to a legacy plugin, and what it wants to hear.
//!
//! The only place that names it. Formats: libnetwork's `docs/remote.md` and `docs/ipam.md`, and what
//! dockerd 20.10.24 was seen to send. Fields that a newer dockerd adds are ignored; wrong types are not.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use hostnet::Mac;
use ipnetwork::IpNetwork;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

mod options;

pub(super) use options::{NetworkOptions, PortRequest};

/// The largest body we read, in bytes. What dockerd sends is a few hundred; a network with a thousand
/// auxiliary addresses still fits.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;

/// What dockerd expects as the type of every answer.
pub(super) const CONTENT_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// Docker has two forms of an error, and shows nothing of the one in the other's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"Error": …}`: answers of an `IpamDriver`.
    Ipam,
    /// `{"Err": …}`: everybody else.
    Network,
}

impl Form {
    /// The form that belongs to a route such as `/IpamDriver.RequestPool`, known or not.
    pub(super) fn of(path: &str) -> Form {
        if path.starts_with("/IpamDriver.") { Form::Ipam } else { Form::Network }
    }

    /// An error in this form.
    pub(super) fn error(self, text: &str) -> Value {
        match self {
            Form::Ipam => json!({ "Error": text }),
            Form::Network => json!({ "Err": text }),
        }
    }
}

/// Why a body was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// dockerd repeats a call that broke half-way, and the repetition has lost its body.
    #[error(
        "the call came without a body, as dockerd sends it after a broken connection; hint: run the docker \
         command again"
    )]
    Empty,
    /// Not what this call carries.
    #[error(
        "the call's body is not what Docker's plugin protocol says: {0}; hint: is it dockerd that speaks on the plugin socket?"
    )]
    Malformed(serde_json::Error),
}

/// Reads the body of a call that has one.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(BodyError::Empty);
    }
    serde_json::from_slice(body).map_err(BodyError::Malformed)
}

/// Writes an answer.
pub(super) fn answer<T: Serialize>(answer: &T) -> Value {
    // Our answers are structs of text and numbers, which always have a JSON form.
    serde_json::to_value(answer).unwrap_or_else(|_| fixed::done())
}

/// `/IpamDriver.RequestPool`
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RequestPool {
    /// `--subnet`, if given.
    #[serde(default, deserialize_with = "blank_or")]
    pub(super) pool: Option<IpNetwork>,
    /// `--ip-range`, if given.
    #[serde(default, deserialize_with = "blank_or")]
    pub(super) sub_pool: Option<IpNetwork>,
    /// `--ipam-opt`.
    #[serde(default, deserialize_with = "null_or")]
    pub(super) options: BTreeMap<String, String>,
    /// Whether an IPv6 subnet is asked for.
    #[serde(default, rename = "V6")]
    pub(super) v6: bool,
}

/// The answer to `/IpamDriver.RequestPool`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PoolAnswer {
    #[serde(rename = "PoolID")]
    pub(super) pool_id: String,
    pub(super) pool: IpNetwork,
    pub(super) data: BTreeMap<String, String>,
}

/// `/IpamDriver.ReleasePool`
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct ReleasePool {
    #[serde(rename = "PoolID")]
    pub(super) pool_id: String,
}

/// `/IpamDriver.RequestAddress`
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RequestAddress {
    #[serde(rename = "PoolID")]
    pub(super) pool_id: String,
    /// `--ip`, `--gateway` or an auxiliary address, if given.
    #[serde(default, deserialize_with = "blank_or")]
    pub(super) address: Option<IpAddr>,
    #[serde(default, deserialize_with = "null_or")]
    pub(super) options: BTreeMap<String, String>,
}

impl RequestAddress {
    /// Whether dockerd wants the address of the network's gateway, not one for a container.
    pub(super) fn is_for_the_gateway(&self) -> bool {
        self.options.get("RequestAddressType").is_some_and(|kind| kind == "com.docker.network.gateway")
    }

    /// The name of the endpoint, which is the container's: newer dockerds pass it on. Source: moby/moby#50586.
    pub(super) fn endpoint_name(&self) -> Option<&str> {
        self.options
            .get("com.docker.network.endpoint.name")
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }
}

/// The answer to `/IpamDriver.RequestAddress`: the address with the prefix of its subnet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddressAnswer {
    pub(super) address: IpNetwork,
    pub(super) data: BTreeMap<String, String>,
}

/// `/IpamDriver.ReleaseAddress`
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReleaseAddress {
    #[serde(rename = "PoolID")]
    pub(super) pool_id: String,
    pub(super) address: IpAddr,
}

/// `/NetworkDriver.CreateNetwork`
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateNetwork {
    #[serde(rename = "NetworkID")]
    pub(super) network_id: Id,
    #[serde(default, deserialize_with = "null_or")]
    pub(super) options: NetworkOptions,
    #[serde(default, rename = "IPv4Data", deserialize_with = "null_or")]
    pub(super) ipv4: Vec<NetworkSubnet>,
    #[serde(default, rename = "IPv6Data", deserialize_with = "null_or")]
    pub(super) ipv6: Vec<NetworkSubnet>,
}

/// One subnet of a network, as IPAM answered it before.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSubnet {
    pub(super) pool: IpNetwork,
    #[serde(default, deserialize_with = "blank_or")]
    pub(super) gateway: Option<IpNetwork>,
    /// `--aux-address NAME=IP`.
    #[serde(default, deserialize_with = "null_or")]
    pub(super) aux_addresses: BTreeMap<String, IpNetwork>,
}

/// `/NetworkDriver.DeleteNetwork`
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct DeleteNetwork {
    #[serde(rename = "NetworkID")]
    pub(super) network_id: Id,
}

/// `/NetworkDriver.CreateEndpoint`
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateEndpoint {
    #[serde(rename = "NetworkID")]
    pub(super) network_id: Id,
    #[serde(rename = "EndpointID")]
    pub(super) endpoint_id: Id,
    #[serde(default, deserialize_with = "null_or")]
    pub(super) interface: Interface,
    #[serde(default, deserialize_with = "null_or")]
    pub(super) options: options::EndpointOptions,
}

/// What Docker settled about an endpoint's interface before it asked us.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Interface {
    #[serde(default, deserialize_with = "blank_or")]
    pub(super) address: Option<IpNetwork>,
    #[serde(default, rename = "AddressIPv6", deserialize_with = "blank_or")]
    pub(super) address_ipv6: Option<IpNetwork>,
    /// `--mac-address`, if given.
    #[serde(default, deserialize_with = "blank_or")]
    pub(super) mac_address: Option<Mac>,
}

/// The answer to `/NetworkDriver.CreateEndpoint`: only what Docker did not settle itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EndpointAnswer {
    pub(super) interface: InterfaceAnswer,
}

/// The part of an interface that the driver chose.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InterfaceAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mac_address: Option<Mac>,
}

/// `/NetworkDriver.Join`, `/NetworkDriver.Leave`, `/NetworkDriver.DeleteEndpoint`,
/// `/NetworkDriver.EndpointOperInfo` and `/NetworkDriver.RevokeExternalConnectivity`.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct EndpointCall {
    #[serde(rename = "NetworkID")]
    pub(super) network_id: Id,
    #[serde(rename = "EndpointID")]
    pub(super) endpoint_id: Id,
}

/// `/NetworkDriver.ProgramExternalConnectivity`
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct ExternalCall {
    #[serde(rename = "NetworkID")]
    pub(super) network_id: Id,
    #[serde(rename = "EndpointID")]
    pub(super) endpoint_id: Id,
    #[serde(default, rename = "Options", deserialize_with = "null_or")]
    pub(super) options: options::EndpointOptions,
}

/// The answer to `/NetworkDriver.Join`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JoinAnswer {
    pub(super) interface_name: InterfaceName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gateway: Option<IpAddr>,
    /// Keeps dockerd from giving a container without a gateway one of its own (`docker_gwbridge`).
    pub(super) disable_gateway_service: bool,
}

/// Which link dockerd moves into the container, and what it is called there before the number.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InterfaceName {
    pub(super) src_name: String,
    pub(super) dst_prefix: &'static str,
}

/// `/NetworkDriver.DiscoverNew`, `/NetworkDriver.DiscoverDelete`: Swarm's news of other nodes. Our hosts
/// know each other through the store, so all we want of it is that it is well-formed.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Discovery {
    #[serde(rename = "DiscoveryType")]
    _kind: i64,
}

/// The answers that never change.
pub(super) mod fixed {
    use super::{Value, json};

    /// The answer to `/Plugin.Activate`.
    pub(in super::super) fn activate() -> Value {
        json!({ "Implements": ["IpamDriver", "NetworkDriver"] })
    }

    /// The answer to `/IpamDriver.GetCapabilities`. No replay of requests: a replayed address cannot be
    /// told from a new `--ip`.
    pub(in super::super) fn ipam_capabilities() -> Value {
        json!({ "RequiresMACAddress": false, "RequiresRequestReplay": false })
    }

    /// The answer to `/IpamDriver.GetDefaultAddressSpaces`.
    pub(in super::super) fn address_spaces() -> Value {
        json!({ "LocalDefaultAddressSpace": "berthlocal", "GlobalDefaultAddressSpace": "berthglobal" })
    }

    /// The answer to `/NetworkDriver.GetCapabilities`. Local: dockerd keeps the network itself.
    pub(in super::super) fn network_capabilities() -> Value {
        json!({ "Scope": "local", "ConnectivityScope": "global" })
    }

    /// The answer of a call that has nothing to say.
    pub(in super::super) fn done() -> Value {
        json!({})
    }
}

/// One of Docker's identifiers: 64 hexadecimal digits, or 25 characters from Swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id(String);

impl Id {
    /// The identifier as Docker wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits {
            Ok(Id(text))
        } else {
            Err(D::Error::custom("an identifier has 1 to 64 letters and digits"))
        }
    }
}

/// Docker writes "nothing" as an empty string, as null, or by leaving the field out.
fn blank_or<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|cause| D::Error::custom(format!("{text:?}: {cause}"))),
    }
}

/// Docker writes an empty map or list as null.
fn null_or<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
