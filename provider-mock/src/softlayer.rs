//! The SoftLayer REST dialect: one file per service, over the state of [`crate::cloud`].
//!
//! A [`Call`](call::Call) is read from an HTTP request, a [`Service`] answers it with objects, and mask, filter and
//! limit make JSON of them. What a service's objects are related to can be asked for by `get…` without another
//! line of code. Facts are SLDN's (sldn.softlayer.com) and those of the Python, Go and terraform clients.

pub(crate) mod call;
mod dates;
pub(crate) mod error;
mod filter;
mod mask;
mod record;

mod account;
mod address;
mod billing;
mod component;
mod event;
mod firewall;
mod lbaas;
mod local;
mod location;
mod machine;
mod metadata;
mod order;
mod package;
mod pod;
mod security;
mod subnet;
mod tag;
mod vlan;

use std::net::IpAddr;

use serde_json::Value;

use crate::cloud::{Cloud, Id};
use call::{Call, Limit};
use error::ApiError;
use filter::{keeps, sort};
use mask::Mask;
use record::{Class, Object, Reading, look_up, render};

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The user that the credentials name, if they are right.
    pub(crate) user: Option<Id>,
    /// Where the call came from.
    pub(crate) source: IpAddr,
}

/// What a call is answered with.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) body: Value,
    /// How many items there were before the limit; for lists.
    pub(crate) total: Option<usize>,
}

/// An answer before mask, filter and limit.
enum Answer<'c> {
    Value(Value),
    /// An object, or none.
    One(&'static Class, Option<Object<'c>>),
    Many {
        class: &'static Class,
        list: Vec<Object<'c>>,
        /// The key under which a filter speaks of these objects; none if at its root.
        root: Option<String>,
    },
}

/// A part of the API.
trait Service: Sync {
    /// As `SoftLayer_Network_Subnet`.
    fn name(&self) -> &'static str;

    /// Whether it answers without credentials.
    fn is_open(&self) -> bool {
        false
    }

    /// The object that an id names. Services of one object only need none.
    fn find<'c>(&self, cloud: &'c Cloud, caller: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        let _ = (cloud, caller, id);
        None
    }

    /// Answers a method of its own that changes nothing; none if it is not one.
    fn read<'c>(
        &self,
        cloud: &'c Cloud,
        caller: &Caller,
        call: &Call,
    ) -> Option<Result<Answer<'c>, ApiError>> {
        let _ = (cloud, caller, call);
        None
    }

    /// The methods that change something.
    fn changing(&self) -> &'static [&'static str] {
        &[]
    }

    /// Executes one of those.
    fn change(&self, cloud: &mut Cloud, caller: &Caller, call: &Call) -> Result<Value, ApiError> {
        let _ = (cloud, caller);
        Err(ApiError::no_method(&call.method))
    }
}

const SERVICES: [&dyn Service; 28] = [
    &account::Accounts,
    &address::Addresses,
    &billing::BillingItems,
    &billing::BillingOrders,
    &component::Components,
    &event::Events,
    &firewall::UpdateRequests,
    &firewall::VlanFirewalls,
    &lbaas::Balancers,
    &lbaas::listener::Listeners,
    &lbaas::member::Members,
    &lbaas::monitor::Monitors,
    &local::Services,
    &local::VirtualAddresses,
    &local::VirtualServers,
    &location::Locations("SoftLayer_Location"),
    &location::Locations("SoftLayer_Location_Datacenter"),
    &machine::VIRTUAL_GUESTS,
    &machine::HARDWARE,
    &machine::HARDWARE_SERVERS,
    &metadata::Metadata,
    &order::Orders,
    &package::Packages,
    &pod::Pods,
    &security::SecurityGroups,
    &subnet::Subnets,
    &tag::Tags,
    &vlan::Vlans,
];

fn service(call: &Call) -> Result<&'static dyn Service, ApiError> {
    SERVICES.iter().find(|service| service.name() == call.service).copied().ok_or_else(ApiError::no_service)
}

/// Whether a call is for the metadata service, which asks nobody for credentials.
pub(crate) fn is_open(call: &Call) -> bool {
    service(call).is_ok_and(|service| service.is_open())
}

/// Whether a call changes something.
pub(crate) fn is_change(call: &Call) -> bool {
    service(call).is_ok_and(|service| service.changing().contains(&call.method.as_str()))
}

/// Executes a call that changes something.
pub(crate) fn change(cloud: &mut Cloud, caller: &Caller, call: &Call) -> Result<Reply, ApiError> {
    let body = service(call)?.change(cloud, caller, call)?;
    Ok(Reply { body, total: None })
}

/// Answers a call that changes nothing.
pub(crate) fn read(cloud: &Cloud, caller: &Caller, call: &Call) -> Result<Reply, ApiError> {
    let service = service(call)?;
    let answer = match service.read(cloud, caller, call) {
        Some(answer) => answer?,
        None => read_object(service, cloud, caller, call)?,
    };
    finish(answer, cloud, call)
}

/// `getObject` and the getters of relations, which every service with objects has.
fn read_object<'c>(
    service: &dyn Service,
    cloud: &'c Cloud,
    caller: &Caller,
    call: &Call,
) -> Result<Answer<'c>, ApiError> {
    let found = service.find(cloud, caller, call.id.as_deref());
    let Some(mut object) = found else {
        return Err(call
            .id
            .as_deref()
            .map_or_else(|| ApiError::no_method(&call.method), ApiError::no_object));
    };
    if call.method == "getObject" {
        return Ok(Answer::One(object.class(), Some(object)));
    }
    // `getHardware/365112/getNetworkComponents`: a relation, one of its objects, a relation of that.
    let mut rest = call.rest.iter();
    let mut method = &call.method;
    loop {
        let (name, class) = relation(object.class(), method).ok_or_else(|| ApiError::no_method(method))?;
        let list = match look_up(object.as_ref(), name) {
            Some(Reading::Many(list)) => list,
            Some(Reading::One(one)) => return Ok(Answer::One(class, one)),
            Some(Reading::Value(value)) => return Ok(Answer::Value(value)),
            None => return Err(ApiError::no_method(method)),
        };
        let Some(id) = rest.next() else {
            return Ok(Answer::Many { class, list, root: Some(name.to_owned()) });
        };
        object = list.into_iter().find(|object| has_id(object, id)).ok_or_else(|| ApiError::no_object(id))?;
        match rest.next() {
            Some(next) => method = next,
            None => return Ok(Answer::One(class, Some(object))),
        }
    }
}

/// The relation that a getter reads. The `get` may be left out.
fn relation(class: &'static Class, method: &str) -> Option<(&'static str, &'static Class)> {
    let wanted = method.strip_prefix("get").unwrap_or(method);
    let known = class.relations.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).copied();
    let empty =
        || class.always_empty.iter().chain(class.always_null).find(|name| name.eq_ignore_ascii_case(wanted));
    known.or_else(|| Some((empty()?, &record::BARE)))
}

fn has_id(object: &Object<'_>, id: &str) -> bool {
    let Some(Reading::Value(shown)) = look_up(object.as_ref(), "id") else { return false };
    call::number(&shown).is_some_and(|number| id.parse() == Ok(number))
}

/// Applies filter, order, limit and mask.
fn finish(answer: Answer<'_>, cloud: &Cloud, call: &Call) -> Result<Reply, ApiError> {
    let mask = Mask::parse(&call.mask)?;
    let filter = filter::parse(&call.filter, cloud.today());
    match answer {
        Answer::Value(body) => Ok(Reply { body, total: None }),
        Answer::One(class, object) => {
            class.check(&mask)?;
            let inner = mask.filtered.then_some(&filter);
            let body = object.map_or(Value::Null, |object| render(object.as_ref(), &mask, inner));
            Ok(Reply { body, total: None })
        }
        Answer::Many { class, mut list, root } => {
            class.check(&mask)?;
            let filter = root.map_or(Some(&filter), |root| filter.get(root)).unwrap_or(&Value::Null);
            list.retain(|object| keeps(object.as_ref(), filter));
            sort(&mut list, filter);
            let total = Some(list.len());
            let Limit { offset, count } = call.limit.unwrap_or(Limit { offset: 0, count: usize::MAX });
            let inner = mask.filtered.then_some(filter);
            let shown = list.iter().skip(offset).take(count);
            let body = shown.map(|object| render(object.as_ref(), &mask, inner)).collect();
            Ok(Reply { body, total })
        }
    }
}

#[cfg(test)]
mod tests;
