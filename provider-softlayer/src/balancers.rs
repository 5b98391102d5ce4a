//! IBM Cloud Load Balancer (LBaaS): looked at whole, changed one change at a time.
//!
//! A member belongs to the whole balancer: the call that adds one names no port. After every change the balancer is
//! pending, traffic goes by what was before, and any further change is refused. `provisioningStatus` must be ACTIVE
//! and `operatingStatus` ONLINE before the next. Sources: softlayer-go `services/network.go`, softlayer-python
//! `managers/load_balancer.py`, terraform-provider-ibm `resource_ibm_lbaas.go`, `ibm-cloud-docs/loadbalancer-service`;
//! all of it in section 4.1 of the project's reference of this API.

mod change;
mod order;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use provider::{
    BalancerChange, BalancerSeen, BalancerState, Cause, HealthSpec, ListenerId, ListenerProtocol,
    ListenerSeen, MemberId, MemberSeen, ProviderError,
};
use serde_json::json;

use crate::NAME;
use crate::client::{Call, Client};
use crate::wire::List;
use wire::{Balancer, Listener, Member, PoolHealth};

const BALANCERS: &str = "SoftLayer_Network_LBaaS_LoadBalancer";

const MASK: &str = "uuid,name,address,operatingStatus,provisioningStatus,previousErrorText,\
     members[uuid,address,weight],\
     listeners[uuid,protocol,protocolPort,defaultPool[uuid,protocol,protocolPort,loadBalancingAlgorithm,\
     healthMonitor[uuid,interval,timeout,maxRetries,urlPath]]]";

/// The UUIDs by which calls name balancers. A balancer's never changes; one that was deleted is looked up again.
#[derive(Debug, Default)]
pub(crate) struct Uuids(Mutex<BTreeMap<String, String>>);

impl Uuids {
    fn of(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name.to_ascii_lowercase()).cloned()
    }

    fn learn(&self, name: &str, uuid: Option<&str>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uuid {
            Some(uuid) => known.insert(name.to_ascii_lowercase(), uuid.to_owned()),
            None => known.remove(&name.to_ascii_lowercase()),
        };
    }
}

/// The balancer of this name as it stands.
pub(crate) async fn look(
    client: &Client,
    uuids: &Uuids,
    name: &str,
) -> Result<Option<BalancerSeen>, ProviderError> {
    let doing = doing(name, "looking at");
    read(client, uuids, name, &doing).await?.map(|row| in_our_words(&row, &doing)).transpose()
}

/// Which members pass the health checks of every listener.
pub(crate) async fn health(
    client: &Client,
    uuids: &Uuids,
    name: &str,
) -> Result<BTreeMap<MemberId, bool>, ProviderError> {
    let doing = doing(name, "asking after the health of the members of");
    let Some(uuid) = uuid(client, uuids, name, &doing).await? else { return Ok(BTreeMap::new()) };
    let call = Call::new(BALANCERS, "getLoadBalancerMemberHealth", doing).with(json!([uuid]));
    let pools: List<PoolHealth> = client.read(&call).await?;
    let mut health = BTreeMap::new();
    for member in pools.0.into_iter().flat_map(|pool| pool.members_health.0) {
        let up = member.status.is_some_and(|status| status.eq_ignore_ascii_case("UP"));
        *health.entry(MemberId(member.uuid)).or_insert(true) &= up;
    }
    Ok(health)
}

/// Makes one change, once.
pub(crate) async fn change(
    client: &Client,
    uuids: &Uuids,
    name: &str,
    change: &BalancerChange,
) -> Result<(), ProviderError> {
    let doing = format!("load balancer {name}: {change}");
    if let BalancerChange::Order { exposure, zone, listeners } = change {
        return order::place(client, name, *exposure, zone, listeners, doing).await;
    }
    let gone = |doing| ProviderError::Gone { provider: NAME, doing, what: format!("load balancer {name}") };
    let uuid = uuid(client, uuids, name, &doing).await?.ok_or_else(|| gone(doing.clone()))?;
    change::make(client, &uuid, change, doing).await
}

async fn read(
    client: &Client,
    uuids: &Uuids,
    name: &str,
    doing: &str,
) -> Result<Option<Balancer>, ProviderError> {
    let known = uuids.of(name);
    let Some(uuid) = uuid(client, uuids, name, doing).await? else { return Ok(None) };
    match by_uuid(client, &uuid, doing).await {
        Err(ProviderError::Gone { .. }) if known.is_some() => {
            // Another one of that name may be there by now.
            uuids.learn(name, None);
            Box::pin(read(client, uuids, name, doing)).await
        }
        Err(ProviderError::Gone { .. }) => Ok(None),
        read => read.map(Some),
    }
}

pub(super) async fn by_uuid(client: &Client, uuid: &str, doing: &str) -> Result<Balancer, ProviderError> {
    client.read(&Call::new(BALANCERS, "getLoadBalancer", doing).with(json!([uuid])).mask(MASK)).await
}

/// The UUID of a balancer. No call finds one by its name, so all are listed, of which an account has 50 at most.
async fn uuid(
    client: &Client,
    uuids: &Uuids,
    name: &str,
    doing: &str,
) -> Result<Option<String>, ProviderError> {
    if let Some(known) = uuids.of(name) {
        return Ok(Some(known));
    }
    let call = Call::new(BALANCERS, "getAllObjects", doing).mask("uuid,name");
    let rows = client.read_all::<Balancer>(&call).await?;
    let named = |row: &Balancer| row.name.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(name));
    let uuid = rows.into_iter().find(named).map(|row| row.uuid);
    uuids.learn(name, uuid.as_deref());
    Ok(uuid)
}

fn in_our_words(row: &Balancer, doing: &str) -> Result<BalancerSeen, ProviderError> {
    let members = row.members.0.iter().map(|it| member(it, doing)).collect::<Result<_, _>>()?;
    Ok(BalancerSeen {
        reached_at: row.address.clone().filter(|address| !address.is_empty()),
        state: state(row),
        complaint: row.previous_error_text.clone().filter(|text| !text.trim().is_empty()),
        listeners: row.listeners.0.iter().filter_map(listener).collect(),
        members,
    })
}

fn state(row: &Balancer) -> BalancerState {
    let provisioning = row.provisioning_status.as_deref().unwrap_or("without a status");
    match (provisioning, row.operating_status.as_deref().unwrap_or("OFFLINE")) {
        ("ACTIVE", "ONLINE") => BalancerState::Ready,
        ("ACTIVE", operating) => BalancerState::Busy(operating.to_owned()),
        ("ERROR", _) => BalancerState::Broken("ERROR".to_owned()),
        (pending, _) => BalancerState::Busy(pending.to_owned()),
    }
}

fn member(row: &Member, doing: &str) -> Result<MemberSeen, ProviderError> {
    let address = row.address.as_deref().unwrap_or_default();
    let malformed =
        |source: Cause| ProviderError::Malformed { provider: NAME, doing: doing.to_owned(), source };
    let parsed = address.parse().map_err(|_| malformed(format!("a member at '{address}'").into()))?;
    let weight = row.weight.map_or(WEIGHT_DEFAULT, |weight| u8::try_from(weight.0).unwrap_or(u8::MAX));
    // A member belongs to the whole balancer.
    Ok(MemberSeen { id: MemberId(row.uuid.clone()), address: parsed, weight, behind: None })
}

/// What a member weighs if nobody says. Source: `ibm-cloud-docs/loadbalancer-service`, "FAQs".
const WEIGHT_DEFAULT: u8 = 50;

/// A listener; nothing for one that is only half there, or that speaks what we do not know: it is nobody of ours.
fn listener(row: &Listener) -> Option<ListenerSeen> {
    let pool = row.default_pool.as_ref()?;
    let port = |number: Option<crate::wire::Number>| u16::try_from(number?.0).ok();
    let health = pool.health_monitor.as_ref().and_then(|monitor| {
        Some(HealthSpec {
            path: monitor.url_path.clone().filter(|path| !path.is_empty()),
            interval_secs: port(monitor.interval)?,
            timeout_secs: port(monitor.timeout)?,
            retries: u8::try_from(monitor.max_retries?.0).ok()?,
        })
    });
    let weighs = pool.load_balancing_algorithm.as_deref() == Some(change::METHOD);
    Some(ListenerSeen {
        id: ListenerId(row.uuid.clone()),
        port: port(row.protocol_port)?,
        protocol: protocol(row.protocol.as_deref()?)?,
        to_port: Some(port(pool.protocol_port)?),
        weighs,
        health,
    })
}

fn protocol(word: &str) -> Option<ListenerProtocol> {
    Some(match word.to_ascii_uppercase().as_str() {
        "TCP" => ListenerProtocol::Tcp,
        "HTTP" => ListenerProtocol::Http,
        "HTTPS" => ListenerProtocol::Https,
        _ => return None,
    })
}

fn doing(name: &str, what: &str) -> String {
    format!("{what} load balancer {name}")
}
