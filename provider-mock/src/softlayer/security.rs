//! `SoftLayer_Network_SecurityGroup`: groups, their rules, and the interfaces that have them.
//!
//! Calls and fields: SLDN `rest/*SecurityGroup*.md`, softlayer-python's `managers/network.py`.

mod rule;

use serde_json::{Value, json};

use super::call::{Call, number};
use super::component::COMPONENT;
use super::dates;
use super::error::ApiError;
use super::mask::Mask;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, render, value, view};
use super::{Answer, Caller, Service};
use crate::cloud::machine::Port;
use crate::cloud::security::{LIMITS, SecurityGroup, SecurityRefused, SecurityRule};
use crate::cloud::{Cloud, Id};
pub(super) use rule::shown as shown_rule;

pub(super) struct SecurityGroups;

pub(super) static GROUP: Class = Class {
    name: "SoftLayer_Network_SecurityGroup",
    locals: &["id", "name", "description", "createDate", "modifyDate"],
    relations: &[("rules", &rule::RULE), ("networkComponentBindings", &BINDING)],
    ..BARE
};

pub(super) static BINDING: Class = Class {
    name: "SoftLayer_Virtual_Network_SecurityGroup_NetworkComponentBinding",
    locals: &["id", "networkComponentId", "securityGroupId"],
    relations: &[("networkComponent", &COMPONENT), ("securityGroup", &GROUP)],
    ..BARE
};

impl Service for SecurityGroups {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_SecurityGroup"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.security_groups.get(&id?.parse().ok()?).map(|group| view(cloud, group))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        Some(Ok(match call.method.as_str() {
            "getAllObjects" => {
                let list = cloud.security_groups.values().map(|group| view(cloud, group)).collect();
                Answer::Many { class: &GROUP, list, root: None }
            }
            "getLimits" => {
                let limit = |(key, _, max): &(&str, &str, usize)| json!({ "typeKey": key, "value": max });
                Answer::Value(LIMITS.iter().map(limit).collect())
            }
            _ => return None,
        }))
    }

    fn changing(&self) -> &'static [&'static str] {
        &[
            "createObject",
            "createObjects",
            "editObject",
            "deleteObject",
            "addRules",
            "editRules",
            "removeRules",
            "attachNetworkComponents",
            "detachNetworkComponents",
        ]
    }

    fn change(&self, cloud: &mut Cloud, caller: &Caller, call: &Call) -> Result<Value, ApiError> {
        match call.method.as_str() {
            "createObject" => create(cloud, &call.argument(0).unwrap_or_default()),
            "createObjects" => {
                let templates = call.argument(0).unwrap_or_default();
                let templates = templates.as_array().ok_or_else(ApiError::bad_request)?;
                templates.iter().map(|template| create(cloud, template)).collect()
            }
            _ => change_one(cloud, caller, call, find(cloud, call)?),
        }
    }
}

fn create(cloud: &mut Cloud, template: &Value) -> Result<Value, ApiError> {
    let text = |name: &str| template.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = cloud.create_security_group(&text("name"), &text("description")).map_err(refused)?;
    let group = cloud.security_groups.get(&id).ok_or_else(ApiError::internal)?;
    Ok(render(&View { cloud: &*cloud, it: group }, &Mask::default(), None))
}

fn change_one(cloud: &mut Cloud, caller: &Caller, call: &Call, group: Id) -> Result<Value, ApiError> {
    let user = caller.user;
    Ok(match call.method.as_str() {
        "editObject" => edit(cloud, group, &call.argument(0).unwrap_or_default()),
        "deleteObject" => {
            cloud.delete_security_group(group).map_err(refused)?;
            Value::Bool(true)
        }
        "addRules" => {
            let rules = rows(call)?.iter().map(rule::read_new).collect::<Result<_, _>>()?;
            let (request, rules) = cloud.add_security_rules(user, group, rules).map_err(refused)?;
            json!({ "requestId": request, "rules": all_shown(group, &rules) })
        }
        "editRules" => {
            let standing = cloud.security_groups.get(&group).map(|group| group.rules.clone());
            let standing = standing.unwrap_or_default();
            let edits =
                rows(call)?.iter().map(|row| rule::read_edit(row, &standing)).collect::<Result<_, _>>()?;
            json!({ "requestId": cloud.edit_security_rules(user, group, edits).map_err(refused)? })
        }
        "removeRules" => {
            let (request, rules) = cloud.remove_security_rules(user, group, &ids(call)?).map_err(refused)?;
            json!({ "requestId": request, "rules": all_shown(group, &rules) })
        }
        "attachNetworkComponents" => {
            let request = cloud.attach_security_group(user, group, &ids(call)?).map_err(refused)?;
            json!({ "requestId": request })
        }
        "detachNetworkComponents" => {
            let request = cloud.detach_security_group(user, group, &ids(call)?).map_err(refused)?;
            json!({ "requestId": request })
        }
        other => return Err(ApiError::no_method(other)),
    })
}

fn find(cloud: &Cloud, call: &Call) -> Result<Id, ApiError> {
    let wanted = call.id.as_deref().unwrap_or_default();
    let known = wanted.parse().ok().filter(|id| cloud.security_groups.contains_key(id));
    known.ok_or_else(|| ApiError::no_object(wanted))
}

fn edit(cloud: &mut Cloud, group: Id, template: &Value) -> Value {
    let text = |name: &str| template.get(name).and_then(Value::as_str).map(str::to_owned);
    let today = cloud.today();
    if let Some(group) = cloud.security_groups.get_mut(&group) {
        group.name = text("name").unwrap_or_else(|| group.name.clone());
        group.description = text("description").unwrap_or_else(|| group.description.clone());
        group.modified = today;
    }
    Value::Bool(true)
}

/// The first argument: a list.
fn rows(call: &Call) -> Result<Vec<Value>, ApiError> {
    match call.argument(0) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(ApiError::bad_request()),
    }
}

/// The first argument as a list of ids, as numbers or texts.
fn ids(call: &Call) -> Result<Vec<Id>, ApiError> {
    rows(call)?.iter().map(|id| number(id).ok_or_else(ApiError::bad_request)).collect()
}

fn all_shown(group: Id, rules: &[SecurityRule]) -> Vec<Value> {
    rules.iter().map(|rule| rule::shown(group, rule)).collect()
}

fn refused(why: SecurityRefused) -> ApiError {
    let (status, code) = match why {
        SecurityRefused::NotFound(_) => (404, "SoftLayer_Exception_ObjectNotFound"),
        // A recorded one (terraform-provider-ibm issue 235).
        SecurityRefused::Attached { .. } | SecurityRefused::Referenced { .. } => {
            (500, "SoftLayer_Exception_Network_SecurityGroup_DeleteGroupFailed")
        }
        SecurityRefused::Rule(_) => (500, "SoftLayer_Exception_InvalidValue"),
        SecurityRefused::TooMany { .. } | SecurityRefused::InTransaction(_) => {
            (500, "SoftLayer_Exception_Public")
        }
    };
    ApiError::new(status, code, why.to_string())
}

impl<'c> Record<'c> for View<'c, SecurityGroup> {
    fn class(&self) -> &'static Class {
        &GROUP
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, group) = (self.cloud, self.it);
        Some(match property {
            "id" => value(group.id),
            "name" => value(&group.name),
            "description" => value(&group.description),
            "createDate" => value(dates::show(group.created)),
            "modifyDate" => value(dates::show(group.modified)),
            "rules" => Reading::Many(
                group
                    .rules
                    .iter()
                    .map(|it| Box::new(rule::Rule { cloud, group, it }) as Object<'c>)
                    .collect(),
            ),
            "networkComponentBindings" => {
                Reading::Many(group.components.iter().map(|id| binding(cloud, group, *id)).collect())
            }
            _ => return None,
        })
    }
}

/// The groups of an interface.
pub(super) fn bindings_of<'c>(cloud: &'c Cloud, port: &Port) -> Reading<'c> {
    let id = port.id;
    let has = cloud.security_groups.values().filter(|group| group.components.contains(&id));
    Reading::Many(has.map(|group| binding(cloud, group, id)).collect())
}

fn binding<'c>(cloud: &'c Cloud, group: &'c SecurityGroup, component: Id) -> Object<'c> {
    Box::new(Binding { cloud, group, component })
}

struct Binding<'c> {
    cloud: &'c Cloud,
    group: &'c SecurityGroup,
    component: Id,
}

impl<'c> Record<'c> for Binding<'c> {
    fn class(&self) -> &'static Class {
        &BINDING
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let ports = || self.cloud.machines.values().flat_map(|machine| &machine.ports);
        Some(match property {
            // One for each pair: a number of its own that stays the same.
            "id" => value(self.group.id * 1_000 + self.component % 1_000),
            "networkComponentId" => value(self.component),
            "securityGroupId" => value(self.group.id),
            "networkComponent" => maybe(self.cloud, ports().find(|port| port.id == self.component)),
            "securityGroup" => maybe(self.cloud, Some(self.group)),
            _ => return None,
        })
    }
}
