//! `SoftLayer_Network_LBaaS_HealthMonitor`: how members are checked, one for each back-end protocol and port.

use serde_json::Value;

use super::{Shown, apply, find_part, list, small, text};
use crate::cloud::Cloud;
use crate::cloud::balancer::change::{Change, MonitorEdit};
use crate::cloud::balancer::setup::{Monitor, uuid};
use crate::softlayer::call::Call;
use crate::softlayer::dates;
use crate::softlayer::error::ApiError;
use crate::softlayer::record::{BARE, Class, Object, Reading, Record, value};
use crate::softlayer::{Caller, Service};

pub(in crate::softlayer) struct Monitors;

pub(super) static MONITOR: Class = Class {
    name: "SoftLayer_Network_LBaaS_HealthMonitor",
    locals: &[
        "id",
        "uuid",
        "monitorType",
        "interval",
        "timeout",
        "maxRetries",
        "urlPath",
        "provisioningStatus",
        "createDate",
        "modifyDate",
    ],
    ..BARE
};

impl Service for Monitors {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_LBaaS_HealthMonitor"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        find_part(cloud, id?).map(|part| Box::new(MonitorShown(part)) as Object<'c>)
    }

    fn changing(&self) -> &'static [&'static str] {
        &["updateLoadBalancerHealthMonitors"]
    }

    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let edits = list(call)?.iter().map(read_edit).collect::<Result<_, _>>()?;
        apply(cloud, call, &Change::Monitors(edits))
    }
}

/// `SoftLayer_Network_LBaaS_LoadBalancerHealthMonitorConfiguration`. Back-end protocol and port say again what the
/// UUID says; they cannot be changed here.
fn read_edit(it: &Value) -> Result<MonitorEdit, ApiError> {
    let uuid = text(it, "healthMonitorUuid");
    Ok(MonitorEdit {
        uuid: uuid.ok_or_else(|| ApiError::public("The healthMonitorUuid must be provided."))?,
        interval_secs: small(it, "interval"),
        timeout_secs: small(it, "timeout"),
        retries_max: small(it, "maxRetries"),
        path: text(it, "urlPath"),
    })
}

pub(super) struct MonitorShown<'c>(pub(super) Shown<'c, Monitor>);

impl<'c> Record<'c> for MonitorShown<'c> {
    fn class(&self) -> &'static Class {
        &MONITOR
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let Shown { part: monitor, status, .. } = &self.0;
        Some(match property {
            "id" => value(monitor.id),
            "uuid" => value(uuid(monitor.id)),
            "monitorType" => value(monitor.backend.protocol.key()),
            "interval" => value(monitor.interval_secs),
            "timeout" => value(monitor.timeout_secs),
            "maxRetries" => value(monitor.retries_max),
            "urlPath" => value(&monitor.path),
            "provisioningStatus" => value(status.key()),
            "createDate" => value(dates::show(monitor.created)),
            "modifyDate" => value(dates::show(monitor.modified)),
            _ => return None,
        })
    }
}
