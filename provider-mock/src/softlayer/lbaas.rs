//! `SoftLayer_Network_LBaaS_…`: load balancers, their listeners, members and health checks.
//!
//! Calls, fields and texts: softlayer-go's `services/network.go`, softlayer-python's `managers/load_balancer.py`, and
//! `ibm-cloud-docs/loadbalancer-service`. A change is answered with the balancer as it will be.

pub(super) mod listener;
pub(super) mod member;
pub(super) mod monitor;
mod order;

use serde_json::{Value, json};

use super::call::Call;
use super::dates;
use super::error::ApiError;
use super::mask::Mask;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, render, value, view, views};
use super::{Answer, Caller, Service};
use crate::cloud::balancer::change::Change;
use crate::cloud::balancer::setup::{Part, uuid};
use crate::cloud::balancer::{Balancer, BalancerRefused, Status};
use crate::cloud::{Cloud, Id};
pub(super) use order::{CONTAINER, read_order};

/// The service of whole balancers.
pub(super) struct Balancers;

pub(super) static BALANCER: Class = Class {
    name: "SoftLayer_Network_LBaaS_LoadBalancer",
    locals: &[
        "id",
        "name",
        "description",
        "address",
        "type",
        "isPublic",
        "operatingStatus",
        "provisioningStatus",
        "previousErrorText",
        "useSystemPublicIpPool",
        "createDate",
        "modifyDate",
        "accountId",
        "locationId",
    ],
    relations: &[
        ("uuid", &BARE),
        ("datacenter", &super::location::LOCATION),
        ("listeners", &listener::LISTENER),
        ("members", &member::MEMBER),
        ("healthMonitors", &monitor::MONITOR),
        ("account", &super::account::ACCOUNT),
    ],
    // `slcli lb detail` names it in a mask and shows the other locals too: naming it drops none of them.
    automatic: &["uuid"],
    always_empty: &["l7Pools", "sslCiphers"],
    ..BARE
};

/// What the answer to a change shows when no mask says otherwise.
const AFTER_A_CHANGE: &str =
    "mask[listeners[defaultPool[members,healthMonitor,sessionAffinity]],members,healthMonitors,datacenter]";

impl Service for Balancers {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_LBaaS_LoadBalancer"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        let id = id?;
        let found = cloud.balancers.values().find(|it| it.uuid == id || it.id.to_string() == id);
        found.map(|balancer| view(cloud, balancer))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        Some(match call.method.as_str() {
            "getAllObjects" => {
                let list = cloud.balancers.values().map(|balancer| view(cloud, balancer)).collect();
                Ok(Answer::Many { class: &BALANCER, list, root: None })
            }
            "getLoadBalancer" => {
                named(cloud, call).map(|balancer| Answer::One(&BALANCER, Some(view(cloud, balancer))))
            }
            "getLoadBalancerMemberHealth" => {
                named(cloud, call).map(|balancer| Answer::Value(health(cloud, balancer)))
            }
            "getLoadBalancerStatistics" => {
                named(cloud, call).map(|balancer| Answer::Value(statistics(cloud, balancer)))
            }
            _ => return None,
        })
    }

    fn changing(&self) -> &'static [&'static str] {
        &["updateLoadBalancer", "cancelLoadBalancer"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        if call.method == "cancelLoadBalancer" {
            cloud.cancel_balancer(&call.text(0)?).map_err(refused)?;
            return Ok(Value::Bool(true));
        }
        apply(cloud, call, &Change::Describe(call.text(1)?))
    }
}

/// Makes a change of the balancer that the first argument names, and shows it as it will be.
fn apply(cloud: &mut Cloud, call: &Call, change: &Change) -> Result<Value, ApiError> {
    let mask = if call.mask.is_empty() { AFTER_A_CHANGE } else { call.mask.as_str() };
    let mask = Mask::parse(mask)?;
    BALANCER.check(&mask)?;
    let id = cloud.change_balancer(&call.text(0)?, change).map_err(refused)?;
    let balancer = cloud.balancers.get(&id).ok_or_else(ApiError::internal)?;
    Ok(render(&View { cloud: &*cloud, it: balancer }, &mask, None))
}

/// The balancer that the first argument names.
fn named<'c>(cloud: &'c Cloud, call: &Call) -> Result<&'c Balancer, ApiError> {
    let uuid = call.text(0)?;
    cloud.balancer_by_uuid(&uuid).ok_or_else(|| refused(BalancerRefused::NoSuchBalancer(uuid)))
}

/// The code of the state error is a recorded one (terraform-provider-ibm issue 225), those of the others are choices.
pub(super) fn refused(why: BalancerRefused) -> ApiError {
    let (status, code) = match &why {
        BalancerRefused::Pending { .. } => (500, "SoftLayer_Exception_Network_LBaaS_ObjectInInvalidState"),
        BalancerRefused::NoSuchBalancer(_) | BalancerRefused::NoSuchPart { .. } => {
            (404, "SoftLayer_Exception_Network_LBaaS_ObjectNotFound")
        }
        _ => (500, "SoftLayer_Exception_Public"),
    };
    ApiError::new(status, code, why.to_string())
}

/// Each pool's members as their health checks find them. Where no real packets are, everybody is well.
fn health(cloud: &Cloud, balancer: &Balancer) -> Value {
    let of_pool = |listener: &crate::cloud::balancer::setup::Listener| {
        let members = balancer.in_force.members.iter().map(|member| {
            let up = is_up(cloud, balancer, listener.id, member.id);
            json!({ "uuid": uuid(member.id), "status": if up { "UP" } else { "DOWN" } })
        });
        json!({ "poolUuid": uuid(listener.pool()), "membersHealth": members.collect::<Vec<_>>() })
    };
    balancer.in_force.listeners.iter().map(of_pool).collect()
}

fn is_up(cloud: &Cloud, balancer: &Balancer, listener: Id, member: Id) -> bool {
    cloud.measured.get(&balancer.id).is_none_or(|it| it.up.get(&(listener, member)) == Some(&true))
}

/// `SoftLayer_Container_Network_LBaaS…Statistics`; a member is up if it is for every listener.
fn statistics(cloud: &Cloud, balancer: &Balancer) -> Value {
    let (listeners, members) = (&balancer.in_force.listeners, &balancer.in_force.members);
    let well = members
        .iter()
        .filter(|member| listeners.iter().all(|listener| is_up(cloud, balancer, listener.id, member.id)));
    let up = well.count();
    let measured = cloud.measured.get(&balancer.id).cloned().unwrap_or_default();
    json!({
        "numberOfMembersUp": up,
        "numberOfMembersDown": members.len() - up,
        "totalConnections": measured.connections,
        "connectionRate": measured.connection_rate,
        "throughput": 0,
        "dataProcessedByMonth": measured.bytes,
    })
}

impl<'c> Record<'c> for View<'c, Balancer> {
    fn class(&self) -> &'static Class {
        &BALANCER
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, balancer) = (self.cloud, self.it);
        let account = cloud.spec.account.id;
        let datacenter = cloud.datacenters.get(&balancer.datacenter);
        Some(match property {
            "id" => value(balancer.id),
            "uuid" => value(&balancer.uuid),
            "name" => value(&balancer.name),
            "description" => value(&balancer.description),
            // Nobody resolves it here: `/state` of the control endpoint tells the address behind it.
            "address" => value(datacenter.map(|datacenter| {
                let name = balancer.name.to_ascii_lowercase();
                format!("{name}-{account}-{}.clb.appdomain.cloud", datacenter.name)
            })),
            "type" => value(balancer.kind.number()),
            "isPublic" => value(u8::from(balancer.kind.number() != 0)),
            "operatingStatus" => value(if balancer.online { "ONLINE" } else { "OFFLINE" }),
            "provisioningStatus" => value(balancer.status.key()),
            "previousErrorText" => value(&balancer.previous_error),
            "useSystemPublicIpPool" => value(1),
            "createDate" => value(dates::show(balancer.created)),
            "modifyDate" => value(dates::show(balancer.modified)),
            "accountId" => value(account),
            "locationId" => value(balancer.datacenter),
            "datacenter" => maybe(cloud, datacenter),
            "listeners" => parts(cloud, balancer, |part| Box::new(listener::ListenerShown(part))),
            "members" => parts(cloud, balancer, |part| Box::new(member::MemberShown(part))),
            "healthMonitors" => parts(cloud, balancer, |part| Box::new(monitor::MonitorShown(part))),
            "account" => views(cloud, [&cloud.spec.account]),
            _ => return None,
        })
    }
}

/// A part of a balancer, with how far it is.
struct Shown<'c, P> {
    cloud: &'c Cloud,
    balancer: &'c Balancer,
    part: &'c P,
    status: Status,
}

/// The parts of one kind.
fn parts<'c, P: Part + 'c>(
    cloud: &'c Cloud,
    balancer: &'c Balancer,
    object: impl Fn(Shown<'c, P>) -> Object<'c>,
) -> Reading<'c> {
    let shown = balancer.parts().map(|(part, status)| object(Shown { cloud, balancer, part, status }));
    Reading::Many(shown.collect())
}

/// The part of any balancer that this id or UUID names.
fn find_part<'c, P: Part + 'c>(cloud: &'c Cloud, id: &str) -> Option<Shown<'c, P>> {
    cloud.balancers.values().find_map(|balancer| {
        let named = |(part, _): &(&P, Status)| part.id().to_string() == id || uuid(part.id()) == id;
        let (part, status) = balancer.parts().find(named)?;
        Some(Shown { cloud, balancer, part, status })
    })
}

/// The second argument: a list, or one thing without the brackets.
fn list(call: &Call) -> Result<Vec<Value>, ApiError> {
    match call.argument(1) {
        Some(Value::Array(list)) => Ok(list),
        Some(one) => Ok(vec![one]),
        None => Err(ApiError::invalid(format!("Parameter 2 of {} is missing.", call.method))),
    }
}

/// The second argument as a list of UUIDs.
fn uuids(call: &Call) -> Result<Vec<String>, ApiError> {
    let text = |one: &Value| one.as_str().map(str::to_owned).ok_or_else(ApiError::bad_request);
    list(call)?.iter().map(text).collect()
}

/// A text of an object, if it has one.
fn text(object: &Value, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A number of an object, as a number or a text, that fits its field.
fn small(object: &Value, name: &str) -> Option<u32> {
    object.get(name).and_then(super::call::number).and_then(|number| u32::try_from(number).ok())
}
