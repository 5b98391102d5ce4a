//! LBaaS' JSON: the few properties we read. Names and types: softlayer-go `datatypes/network.go`.

use serde::Deserialize;

use crate::wire::{List, Number};

/// `SoftLayer_Network_LBaaS_LoadBalancer`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balancer {
    pub(crate) uuid: String,
    pub(crate) name: Option<String>,
    /// A host name.
    pub(crate) address: Option<String>,
    pub(crate) operating_status: Option<String>,
    pub(crate) provisioning_status: Option<String>,
    pub(crate) previous_error_text: Option<String>,
    #[serde(default)]
    pub(crate) members: List<Member>,
    #[serde(default)]
    pub(crate) listeners: List<Listener>,
}

/// `SoftLayer_Network_LBaaS_Member`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    pub(crate) uuid: String,
    pub(crate) address: Option<String>,
    pub(crate) weight: Option<Number>,
}

/// `SoftLayer_Network_LBaaS_Listener`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listener {
    pub(crate) uuid: String,
    pub(crate) protocol: Option<String>,
    pub(crate) protocol_port: Option<Number>,
    pub(crate) default_pool: Option<Pool>,
}

/// `SoftLayer_Network_LBaaS_Pool`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pool {
    pub(crate) protocol: Option<String>,
    pub(crate) protocol_port: Option<Number>,
    pub(crate) load_balancing_algorithm: Option<String>,
    pub(crate) health_monitor: Option<Monitor>,
}

/// `SoftLayer_Network_LBaaS_HealthMonitor`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Monitor {
    pub(crate) uuid: String,
    pub(crate) interval: Option<Number>,
    pub(crate) timeout: Option<Number>,
    pub(crate) max_retries: Option<Number>,
    pub(crate) url_path: Option<String>,
}

/// What `getLoadBalancerMemberHealth` answers, of one pool.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PoolHealth {
    #[serde(default)]
    pub(crate) members_health: List<MemberHealth>,
}

/// Of one member.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MemberHealth {
    pub(crate) uuid: String,
    pub(crate) status: Option<String>,
}

/// `SoftLayer_Product_Package`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: Number,
}

/// `SoftLayer_Network_Subnet`, as far as an order of a balancer needs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Home {
    pub(crate) id: Number,
    pub(crate) subnet_type: Option<String>,
    pub(crate) network_vlan_id: Option<Number>,
}
