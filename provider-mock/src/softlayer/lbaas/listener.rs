//! `SoftLayer_Network_LBaaS_Listener`: what the calls name *protocol*, with its pool.

use serde_json::Value;

use super::member::MemberShown;
use super::monitor::MonitorShown;
use super::{Shown, apply, find_part, list, parts, small, text, uuids};
use crate::cloud::Cloud;
use crate::cloud::balancer::change::{Change, ListenerWanted};
use crate::cloud::balancer::setup::{Listener, Method, Monitor, Protocol, Session, uuid};
use crate::softlayer::call::{Call, number};
use crate::softlayer::dates;
use crate::softlayer::error::ApiError;
use crate::softlayer::record::{BARE, Class, Object, Reading, Record, value};
use crate::softlayer::{Caller, Service};

pub(in crate::softlayer) struct Listeners;

pub(super) static LISTENER: Class = Class {
    name: "SoftLayer_Network_LBaaS_Listener",
    locals: &[
        "id",
        "uuid",
        "protocol",
        "protocolPort",
        "connectionLimit",
        "clientTimeout",
        "serverTimeout",
        "tlsCertificateId",
        "provisioningStatus",
        "createDate",
        "modifyDate",
    ],
    relations: &[("defaultPool", &POOL)],
    always_empty: &["l7Policies"],
    ..BARE
};

static POOL: Class = Class {
    name: "SoftLayer_Network_LBaaS_Pool",
    locals: &[
        "id",
        "uuid",
        "protocol",
        "protocolPort",
        "loadBalancingAlgorithm",
        "provisioningStatus",
        "createDate",
        "modifyDate",
    ],
    relations: &[
        ("members", &super::member::MEMBER),
        ("healthMonitor", &super::monitor::MONITOR),
        ("sessionAffinity", &SESSION),
    ],
    ..BARE
};

static SESSION: Class =
    Class { name: "SoftLayer_Network_LBaaS_SessionAffinity", locals: &["type", "cookieName"], ..BARE };

impl Service for Listeners {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_LBaaS_Listener"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        find_part(cloud, id?).map(|part| Box::new(ListenerShown(part)) as Object<'c>)
    }

    fn changing(&self) -> &'static [&'static str] {
        &["updateLoadBalancerProtocols", "deleteLoadBalancerProtocols"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let change = if call.method == "deleteLoadBalancerProtocols" {
            Change::DropProtocols(uuids(call)?)
        } else {
            Change::Protocols(list(call)?.iter().map(read_protocol).collect::<Result<_, _>>()?)
        };
        apply(cloud, call, &change)
    }
}

/// `SoftLayer_Network_LBaaS_LoadBalancerProtocolConfiguration`. Of what is null, nothing is said.
pub(super) fn read_protocol(it: &Value) -> Result<ListenerWanted, ApiError> {
    Ok(ListenerWanted {
        uuid: text(it, "listenerUuid"),
        frontend_protocol: word(it, "frontendProtocol", Protocol::by_key)?,
        frontend_port: port(it, "frontendPort"),
        backend_protocol: word(it, "backendProtocol", Protocol::by_key)?,
        backend_port: port(it, "backendPort"),
        method: word(it, "loadBalancingMethod", Method::by_key)?,
        session: word(it, "sessionType", Session::by_key)?,
        connections_max: small(it, "maxConn"),
        client_timeout_secs: small(it, "clientTimeout"),
        server_timeout_secs: small(it, "serverTimeout"),
    })
}

/// A port that is no number is none that can be.
fn port(it: &Value, name: &str) -> Option<u64> {
    it.get(name).filter(|port| !port.is_null()).map(|port| number(port).unwrap_or(0))
}

/// One of a few words.
fn word<T>(it: &Value, name: &str, by_key: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
    let Some(word) = text(it, name) else { return Ok(None) };
    let known = by_key(&word).ok_or_else(|| ApiError::public(format!("{word} is not a valid {name}.")))?;
    Ok(Some(known))
}

pub(super) struct ListenerShown<'c>(pub(super) Shown<'c, Listener>);

impl<'c> Record<'c> for ListenerShown<'c> {
    fn class(&self) -> &'static Class {
        &LISTENER
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let Shown { cloud, balancer, part: listener, status } = &self.0;
        Some(match property {
            "id" => value(listener.id),
            "uuid" => value(uuid(listener.id)),
            "protocol" => value(listener.frontend.protocol.key()),
            "protocolPort" => value(listener.frontend.port),
            "connectionLimit" => value(listener.connections_max),
            "clientTimeout" => value(listener.client_timeout_secs),
            "serverTimeout" => value(listener.server_timeout_secs),
            // There are no certificates here.
            "tlsCertificateId" => value(Value::Null),
            "provisioningStatus" => value(status.key()),
            "createDate" => value(dates::show(listener.created)),
            "modifyDate" => value(dates::show(listener.modified)),
            "defaultPool" => {
                Reading::One(Some(Box::new(Pool(Shown { cloud, balancer, part: listener, status: *status }))))
            }
            _ => return None,
        })
    }
}

/// A listener seen from behind.
struct Pool<'c>(Shown<'c, Listener>);

impl<'c> Record<'c> for Pool<'c> {
    fn class(&self) -> &'static Class {
        &POOL
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let Shown { cloud, balancer, part: listener, status } = &self.0;
        let monitor = || {
            let mut all = balancer.parts::<Monitor>();
            let (part, status) = all.find(|(monitor, _)| monitor.backend == listener.backend)?;
            Some(Box::new(MonitorShown(Shown { cloud, balancer, part, status })) as Object<'c>)
        };
        Some(match property {
            "id" => value(listener.pool()),
            "uuid" => value(uuid(listener.pool())),
            "protocol" => value(listener.backend.protocol.key()),
            "protocolPort" => value(listener.backend.port),
            "loadBalancingAlgorithm" => value(listener.method.key()),
            "provisioningStatus" => value(status.key()),
            "createDate" => value(dates::show(listener.created)),
            "modifyDate" => value(dates::show(listener.modified)),
            "members" => parts(cloud, balancer, |part| Box::new(MemberShown(part))),
            "healthMonitor" => Reading::One(monitor()),
            "sessionAffinity" => {
                Reading::One(listener.session.map(|session| Box::new(Affinity(session)) as Object<'c>))
            }
            _ => return None,
        })
    }
}

struct Affinity(Session);

impl<'c> Record<'c> for Affinity {
    fn class(&self) -> &'static Class {
        &SESSION
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        match property {
            "type" => Some(value(self.0.key())),
            "cookieName" => Some(value(Value::Null)),
            _ => None,
        }
    }
}
