//! `[provider]`: whose subnets are handed out.

use super::reader::Section;
use super::values;
use ipnetwork::IpNetwork;
use std::net::IpAddr;
use std::path::PathBuf;

/// `[provider]`: whose subnets are handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderConfig {
    /// `kind = "softlayer"`: SoftLayer portable subnets.
    SoftLayer {
        /// `endpoint`: the REST API; ends with `/`.
        endpoint: String,
        /// `credentials`: a TOML file with `username` and `api_key`, owned by root, mode 0600.
        credentials: PathBuf,
    },
    /// `kind = "static"`: the subnets named under `[provider.static]`, with no cloud API.
    Static(StaticConfig),
}

/// `[provider.static]`: subnets that the operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticConfig {
    /// `zone`, required: a name for the L2 domain; hosts with the same name must share it.
    pub zone: String,
    /// `interface`, required: the local interface on that L2 domain.
    pub interface: String,
    /// `[[provider.static.subnet]]`, at least one.
    pub subnets: Vec<StaticSubnet>,
}

/// `[[provider.static.subnet]]`: one subnet that the operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticSubnet {
    /// `cidr`, required.
    pub cidr: IpNetwork,
    /// `gateway`, required: the router's address in it.
    pub gateway: IpAddr,
    /// `exclude`: addresses and ranges in it that others use.
    pub exclude: Vec<IpNetwork>,
}

/// SoftLayer's REST API, reachable from the provider's private network only.
pub(super) const SOFTLAYER_ENDPOINT: &str = "https://api.service.softlayer.com/rest/v3.1/";

/// Where the provider's user and key are.
const CREDENTIALS: &str = "/etc/berth/softlayer.toml";

#[derive(Clone, Copy)]
enum ProviderKind {
    SoftLayer,
    Static,
}

impl ProviderConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let kinds = [("softlayer", ProviderKind::SoftLayer), ("static", ProviderKind::Static)];
        let kind = section.required("kind", "`kind = \"softlayer\"`", |value| values::one_of(value, &kinds));
        let endpoint = section.read("endpoint", values::endpoint);
        let credentials = section.read("credentials", values::absolute_path);
        let provider = match kind {
            Some(ProviderKind::SoftLayer) => {
                section.refuse("static", "goes with `kind = \"static\"` only", "remove it, or change `kind`");
                Some(Self::SoftLayer {
                    endpoint: endpoint.unwrap_or_else(|| SOFTLAYER_ENDPOINT.into()),
                    credentials: credentials.unwrap_or_else(|| CREDENTIALS.into()),
                })
            }
            Some(ProviderKind::Static) => StaticConfig::read(section.section("static")).map(Self::Static),
            None => {
                section.section("static").ignore();
                None
            }
        };
        section.finish();
        provider
    }
}

impl StaticConfig {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let zone = section.required("zone", "`zone = \"rack1\"`", values::name);
        let interface = section.required("interface", "`interface = \"eth0\"`", values::interface_name);
        let example = "[[provider.static.subnet]] with `cidr` and `gateway`";
        let subnets =
            section.sections("subnet", example).into_iter().filter_map(StaticSubnet::read).collect();
        section.finish();
        Some(Self { zone: zone?, interface: interface?, subnets })
    }
}

impl StaticSubnet {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let cidr = section.required("cidr", "`cidr = \"10.11.4.0/26\"`", values::subnet);
        let gateway =
            section.required("gateway", "`gateway = \"10.11.4.1\"`", |value| values::gateway_in(value, cidr));
        let exclude = section.read("exclude", values::ranges).unwrap_or_default();
        section.finish();
        Some(Self { cidr: cidr?, gateway: gateway?, exclude })
    }
}
