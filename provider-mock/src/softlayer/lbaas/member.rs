//! `SoftLayer_Network_LBaaS_Member`: who serves. A member belongs to the whole balancer; no call names a port.

use serde_json::Value;

use super::{Shown, apply, find_part, list, text, uuids};
use crate::cloud::Cloud;
use crate::cloud::balancer::change::{Change, MemberEdit, MemberWanted};
use crate::cloud::balancer::setup::{Member, uuid};
use crate::softlayer::call::Call;
use crate::softlayer::dates;
use crate::softlayer::error::ApiError;
use crate::softlayer::record::{BARE, Class, Object, Reading, Record, value};
use crate::softlayer::{Caller, Service};

pub(in crate::softlayer) struct Members;

pub(super) static MEMBER: Class = Class {
    name: "SoftLayer_Network_LBaaS_Member",
    locals: &["id", "uuid", "address", "weight", "provisioningStatus", "createDate", "modifyDate"],
    ..BARE
};

impl Service for Members {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_LBaaS_Member"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        find_part(cloud, id?).map(|part| Box::new(MemberShown(part)) as Object<'c>)
    }

    fn changing(&self) -> &'static [&'static str] {
        &["addLoadBalancerMembers", "updateLoadBalancerMembers", "deleteLoadBalancerMembers"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let change = match call.method.as_str() {
            "addLoadBalancerMembers" => Change::AddMembers(list(call)?.iter().map(read_member).collect()),
            "updateLoadBalancerMembers" => {
                Change::EditMembers(list(call)?.iter().map(read_edit).collect::<Result<_, _>>()?)
            }
            _ => Change::DropMembers(uuids(call)?),
        };
        apply(cloud, call, &change)
    }
}

/// `SoftLayer_Network_LBaaS_LoadBalancerServerInstanceInfo`.
pub(super) fn read_member(it: &Value) -> MemberWanted {
    MemberWanted {
        private: text(it, "privateIpAddress"),
        public: text(it, "publicIpAddress"),
        weight: weight(it),
    }
}

/// `SoftLayer_Network_LBaaS_Member`, of which the weight is taken.
fn read_edit(it: &Value) -> Result<MemberEdit, ApiError> {
    let missing = |what: &str| ApiError::public(format!("{what} of a member must be provided."));
    let uuid = text(it, "uuid").ok_or_else(|| missing("The uuid"))?;
    Ok(MemberEdit { uuid, weight: weight(it).ok_or_else(|| missing("The weight"))? })
}

/// A weight as a number or a text; what is neither is none that can be.
fn weight(it: &Value) -> Option<i64> {
    let weight = it.get("weight").filter(|weight| !weight.is_null())?;
    Some(weight.as_i64().or_else(|| weight.as_str()?.trim().parse().ok()).unwrap_or(-1))
}

pub(super) struct MemberShown<'c>(pub(super) Shown<'c, Member>);

impl<'c> Record<'c> for MemberShown<'c> {
    fn class(&self) -> &'static Class {
        &MEMBER
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let Shown { part: member, status, .. } = &self.0;
        Some(match property {
            "id" => value(member.id),
            "uuid" => value(uuid(member.id)),
            "address" => value(member.address),
            "weight" => value(member.weight),
            "provisioningStatus" => value(status.key()),
            "createDate" => value(dates::show(member.created)),
            "modifyDate" => value(dates::show(member.modified)),
            _ => return None,
        })
    }
}
