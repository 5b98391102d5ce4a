//! `SoftLayer_Event_Log`: what happened on the account, newest first. Only security groups are logged here.

use serde_json::json;

use super::dates;
use super::record::{BARE, Class, Object, Reading, Record, View, value, view};
use super::{Answer, ApiError, Call, Caller, Service, security};
use crate::cloud::Cloud;
use crate::cloud::security::LoggedEvent;

pub(super) struct Events;

static EVENT: Class = Class {
    name: "SoftLayer_Event_Log",
    locals: &[
        "accountId",
        "eventCreateDate",
        "eventName",
        "ipAddress",
        "label",
        "metaData",
        "objectId",
        "objectName",
        "traceId",
        "userId",
        "userType",
        "username",
    ],
    ..BARE
};

impl Service for Events {
    fn name(&self) -> &'static str {
        "SoftLayer_Event_Log"
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getAllObjects").then(|| {
            let list: Vec<Object<'c>> =
                cloud.event_log.iter().rev().map(|event| view(cloud, event)).collect();
            Ok(Answer::Many { class: &EVENT, list, root: None })
        })
    }
}

impl<'c> Record<'c> for View<'c, LoggedEvent> {
    fn class(&self) -> &'static Class {
        &EVENT
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, event) = (self.cloud, self.it);
        let user = event.user.and_then(|id| cloud.users.get(&id));
        Some(match property {
            "accountId" => value(cloud.spec.account.id),
            "eventCreateDate" => value(dates::show(event.at)),
            "eventName" => value(&event.name),
            "ipAddress" => value("192.0.2.10"),
            "label" => value(&event.label),
            // JSON inside a text, as recorded.
            "metaData" => value(meta_data(event)),
            "objectId" => value(event.group),
            "objectName" => value("Security Group"),
            "traceId" => value(event.request.get(10..)),
            "userId" => value(event.user),
            "userType" => value("CUSTOMER"),
            "username" => value(user.map(|user| &user.username)),
            _ => return None,
        })
    }
}

fn meta_data(event: &LoggedEvent) -> String {
    let mut data = json!({ "requestId": event.request });
    if !event.rules.is_empty() {
        let rules = event.rules.iter().map(|rule| {
            let mut shown = security::shown_rule(event.group, rule);
            shown["ruleId"] = json!(rule.id.to_string());
            shown
        });
        data["rules"] = rules.collect();
    }
    if let Some(component) = event.component {
        data["networkComponentId"] = json!(component.to_string());
    }
    data.to_string()
}
