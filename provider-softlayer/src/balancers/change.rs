//! The changes of a balancer: one call each, sent once.

use provider::{BalancerChange, HealthSpec, ListenerId, ListenerProtocol, ListenerSpec, ProviderError};
use serde_json::{Value, json};

use super::by_uuid;
use crate::NAME;
use crate::client::{Call, Client};

const MEMBERS: &str = "SoftLayer_Network_LBaaS_Member";
const LISTENERS: &str = "SoftLayer_Network_LBaaS_Listener";
const MONITORS: &str = "SoftLayer_Network_LBaaS_HealthMonitor";

/// The one method that heeds weights. Source: `ibm-cloud-docs/loadbalancer-service`, "FAQs".
pub(super) const METHOD: &str = "WEIGHTED_RR";

/// Makes it. The answer, which is the balancer as it will be, is not read: what stands is seen by looking.
pub(super) async fn make(
    client: &Client,
    uuid: &str,
    change: &BalancerChange,
    doing: String,
) -> Result<(), ProviderError> {
    let (service, method, list) = match change {
        BalancerChange::AddMembers { members, .. } => {
            let member =
                |(address, weight): (&_, &_)| json!({ "privateIpAddress": address, "weight": weight });
            (MEMBERS, "addLoadBalancerMembers", members.iter().map(member).collect())
        }
        BalancerChange::WeighMembers(members) => {
            let member = |(id, weight): &(provider::MemberId, u8)| json!({ "uuid": id.0, "weight": weight });
            (MEMBERS, "updateLoadBalancerMembers", members.iter().map(member).collect())
        }
        BalancerChange::RemoveMembers(ids) => {
            (MEMBERS, "deleteLoadBalancerMembers", ids.iter().map(|id| json!(id.0)).collect::<Vec<_>>())
        }
        BalancerChange::AddListeners(listeners) => {
            let new = listeners.iter().map(|it| protocol(it, None));
            (LISTENERS, "updateLoadBalancerProtocols", new.collect())
        }
        BalancerChange::ChangeListeners(listeners) => {
            let changed = listeners.iter().map(|(id, it)| protocol(it, Some(id)));
            (LISTENERS, "updateLoadBalancerProtocols", changed.collect())
        }
        BalancerChange::RemoveListeners(ids) => {
            (LISTENERS, "deleteLoadBalancerProtocols", ids.iter().map(|id| json!(id.0)).collect())
        }
        BalancerChange::CheckHealth(checks) => {
            (MONITORS, "updateLoadBalancerHealthMonitors", monitors(client, uuid, checks, &doing).await?)
        }
        BalancerChange::Order { .. } => {
            return Err(ProviderError::NotOffered { provider: NAME, doing });
        }
    };
    let call = Call::new(service, method, doing).with(json!([uuid, list])).mask("uuid");
    client.change::<Value>(&call).await.map(drop)
}

/// `SoftLayer_Network_LBaaS_LoadBalancerProtocolConfiguration`. TLS that is taken off is not put on again.
pub(super) fn protocol(it: &ListenerSpec, id: Option<&ListenerId>) -> Value {
    let back = match it.protocol {
        ListenerProtocol::Https => ListenerProtocol::Http,
        other => other,
    };
    let mut row = json!({
        "frontendProtocol": key(it.protocol),
        "frontendPort": it.port,
        "backendProtocol": key(back),
        "backendPort": it.to_port,
        "loadBalancingMethod": METHOD,
    });
    if let Some(ListenerId(uuid)) = id {
        row["listenerUuid"] = json!(uuid);
    }
    row
}

/// The health checks of these listeners. There is one for each back-end protocol and port, and it has a UUID of its own.
async fn monitors(
    client: &Client,
    uuid: &str,
    checks: &[(ListenerId, HealthSpec)],
    doing: &str,
) -> Result<Vec<Value>, ProviderError> {
    let balancer = by_uuid(client, uuid, doing).await?;
    let row = |(ListenerId(id), health): &(ListenerId, HealthSpec)| {
        let listener = balancer.listeners.0.iter().find(|listener| listener.uuid == *id)?;
        let pool = listener.default_pool.as_ref()?;
        Some(json!({
            "healthMonitorUuid": pool.health_monitor.as_ref()?.uuid,
            "backendProtocol": pool.protocol,
            "backendPort": pool.protocol_port?.0,
            "interval": health.interval_secs,
            "timeout": health.timeout_secs,
            "maxRetries": health.retries,
            "urlPath": health.path,
        }))
    };
    Ok(checks.iter().filter_map(row).collect())
}

fn key(protocol: ListenerProtocol) -> String {
    protocol.to_string().to_ascii_uppercase()
}
