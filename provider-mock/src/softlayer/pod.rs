//! `SoftLayer_Network_Pod`: the machines behind one pair of routers.

use super::record::{BARE, Class, Reading, Record, View, value, views};
use super::{Answer, ApiError, Call, Caller, Service};
use crate::cloud::{Cloud, Pod};

pub(super) struct Pods;

static POD: Class = Class {
    name: "SoftLayer_Network_Pod",
    locals: &[
        "name",
        "datacenterId",
        "datacenterName",
        "datacenterLongName",
        "backendRouterId",
        "backendRouterName",
        "frontendRouterId",
        "frontendRouterName",
    ],
    always_empty: &["capabilities"],
    ..BARE
};

impl Service for Pods {
    fn name(&self) -> &'static str {
        "SoftLayer_Network_Pod"
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getAllObjects").then(|| {
            let Reading::Many(list) = views(cloud, cloud.pods.values()) else {
                return Err(ApiError::internal());
            };
            Ok(Answer::Many { class: &POD, list, root: None })
        })
    }
}

impl<'c> Record<'c> for View<'c, Pod> {
    fn class(&self) -> &'static Class {
        &POD
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, pod) = (self.cloud, self.it);
        let datacenter = cloud.datacenters.get(&pod.datacenter);
        let router = |front: &str| {
            cloud.routers.values().find(|router| router.pod == pod.id && router.hostname.starts_with(front))
        };
        Some(match property {
            "name" => value(&pod.name),
            "datacenterId" => value(pod.datacenter),
            "datacenterName" => value(datacenter.map(|datacenter| &datacenter.name)),
            "datacenterLongName" => value(datacenter.map(|datacenter| &datacenter.long_name)),
            "backendRouterId" => value(router("bcr").map(|router| router.id)),
            "backendRouterName" => value(router("bcr").map(|router| &router.hostname)),
            "frontendRouterId" => value(router("fcr").map(|router| router.id)),
            "frontendRouterName" => value(router("fcr").map(|router| &router.hostname)),
            _ => return None,
        })
    }
}
