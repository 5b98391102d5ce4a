//! `SoftLayer_Tag`: tags, and the references that hang them on things.

use super::record::{BARE, Class, Object, Reading, Record, View, maybe, value, view, views};
use super::{Answer, ApiError, Call, Caller, Service};
use crate::cloud::subnet::Tag;
use crate::cloud::{Cloud, Id};

pub(super) struct Tags;

pub(super) static TAG: Class =
    Class { name: "SoftLayer_Tag", locals: &["id", "accountId", "internal", "name"], ..BARE };

pub(super) static TAG_REFERENCE: Class = Class {
    name: "SoftLayer_Tag_Reference",
    locals: &["id", "resourceTableId", "tagId", "tagTypeId", "usrRecordId"],
    relations: &[("tag", &TAG)],
    ..BARE
};

/// The tags in the one comma-separated text that `setTags` takes.
pub(super) fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

/// The references of these tags to a thing.
pub(super) fn references<'c>(cloud: &'c Cloud, thing: Id, tags: &[Id]) -> Reading<'c> {
    let one = |tag| Box::new(TagReference { cloud, thing, tag }) as Object<'c>;
    Reading::Many(tags.iter().filter_map(|id| cloud.tags.get(id)).map(one).collect())
}

struct TagReference<'c> {
    cloud: &'c Cloud,
    thing: Id,
    tag: &'c Tag,
}

impl<'c> Record<'c> for TagReference<'c> {
    fn class(&self) -> &'static Class {
        &TAG_REFERENCE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            // One reference for each pair: a number of its own that stays the same.
            "id" => value(self.thing * 1_000 + self.tag.id % 1_000),
            "resourceTableId" => value(self.thing),
            "tagId" => value(self.tag.id),
            // The type of a subnet's tags in a record of 2024.
            "tagTypeId" => value(5),
            "usrRecordId" => value(self.cloud.users.keys().next()),
            "tag" => maybe(self.cloud, Some(self.tag)),
            _ => return None,
        })
    }
}

impl Service for Tags {
    fn name(&self) -> &'static str {
        "SoftLayer_Tag"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.tags.get(&id?.parse().ok()?).map(|tag| view(cloud, tag))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getTagByTagName").then(|| {
            let name = call.text(0)?;
            let Reading::Many(list) = views(cloud, cloud.tags.values().filter(|tag| tag.name == name)) else {
                return Err(ApiError::internal());
            };
            Ok(Answer::Many { class: &TAG, list, root: None })
        })
    }
}

impl<'c> Record<'c> for View<'c, Tag> {
    fn class(&self) -> &'static Class {
        &TAG
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.it.id),
            "accountId" => value(self.cloud.spec.account.id),
            "internal" => value(0),
            "name" => value(&self.it.name),
            _ => return None,
        })
    }
}
