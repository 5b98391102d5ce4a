//! `SoftLayer_Location`: datacenters.

use super::record::{BARE, Class, Object, Reading, Record, View, value, view, views};
use super::{Answer, ApiError, Call, Caller, Service};
use crate::cloud::{Cloud, Datacenter};

/// Answers under two names: a datacenter is a kind of location.
pub(super) struct Locations(pub(super) &'static str);

pub(super) static LOCATION: Class = Class {
    name: "SoftLayer_Location",
    locals: &["id", "name", "longName", "statusId"],
    relations: &[("regions", &REGION)],
    always_empty: &["groups", "priceGroups"],
    ..BARE
};

static REGION: Class =
    Class { name: "SoftLayer_Location_Region", locals: &["keyname", "description"], ..BARE };

impl Service for Locations {
    fn name(&self) -> &'static str {
        self.0
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.datacenters.get(&id?.parse().ok()?).map(|datacenter| view(cloud, datacenter))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getDatacenters").then(|| {
            let Reading::Many(list) = views(cloud, cloud.datacenters.values()) else {
                return Err(ApiError::internal());
            };
            Ok(Answer::Many { class: &LOCATION, list, root: None })
        })
    }
}

impl<'c> Record<'c> for View<'c, Datacenter> {
    fn class(&self) -> &'static Class {
        &LOCATION
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.it.id),
            "name" => value(&self.it.name),
            "longName" => value(&self.it.long_name),
            "statusId" => value(2),
            "regions" => Reading::Many(vec![Box::new(Region(self.it))]),
            _ => return None,
        })
    }
}

struct Region<'c>(&'c Datacenter);

impl<'c> Record<'c> for Region<'c> {
    fn class(&self) -> &'static Class {
        &REGION
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        match property {
            "keyname" => Some(value(self.0.region())),
            "description" => Some(value(&self.0.long_name)),
            _ => None,
        }
    }
}
