//! The options that ride along in NetworkDriver calls under their label names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::{blank_or, null_or};

/// Options of `CreateNetwork`.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(in super::super) struct NetworkOptions {
    /// `--internal`
    #[serde(default, rename = "com.docker.network.internal", deserialize_with = "null_or")]
    pub(in super::super) internal: bool,
    /// `-o KEY=VALUE`
    #[serde(default, rename = "com.docker.network.generic", deserialize_with = "text_values")]
    pub(in super::super) generic: BTreeMap<String, String>,
}

/// Options of `CreateEndpoint`, `Join` and `ProgramExternalConnectivity`.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(in super::super) struct EndpointOptions {
    /// `-p`; absent where the call does not speak of ports at all.
    #[serde(default, rename = "com.docker.network.portmap")]
    pub(in super::super) ports: Option<Vec<PortRequest>>,
}

/// One `-p` as dockerd passes it on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in super::super) struct PortRequest {
    /// The IP protocol number: 6 TCP, 17 UDP, 132 SCTP (IANA).
    pub(in super::super) proto: u8,
    /// The port in the container.
    pub(in super::super) port: u16,
    /// The host's address, where `-p ADDRESS:…` named one.
    #[serde(default, rename = "HostIP", deserialize_with = "blank_or")]
    pub(in super::super) host_ip: Option<IpAddr>,
    /// The port on the host; 0 asks for any.
    #[serde(default)]
    pub(in super::super) host_port: u16,
    /// The last of a range of host ports, any of which will do.
    #[serde(default)]
    pub(in super::super) host_port_end: u16,
}

/// Docker promises text in these values; anything else is a caller we do not know.
fn text_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values: Option<BTreeMap<String, Value>> = Option::deserialize(deserializer)?;
    let text = |(key, value): (String, Value)| match value {
        Value::String(text) => Ok((key, text)),
        other => Err(D::Error::custom(format!("option {key} is not text but {other}"))),
    };
    values.unwrap_or_default().into_iter().map(text).collect()
}
