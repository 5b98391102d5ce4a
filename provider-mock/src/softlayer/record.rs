//! Objects of the API as masks and filters see them: a datatype with properties that lead to values and to other
//! objects.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::filter;
use super::mask::{Field, Mask};
use crate::cloud::Cloud;

/// A datatype: what can be asked of its objects.
pub(crate) struct Class {
    /// As `SoftLayer_Network_Subnet`.
    pub(crate) name: &'static str,
    /// Properties that are values; shown unless a mask names some of them.
    pub(crate) locals: &'static [&'static str],
    /// Properties that lead to objects; shown when a mask names them.
    pub(crate) relations: &'static [(&'static str, &'static Class)],
    /// Relations that are shown like locals.
    pub(crate) automatic: &'static [&'static str],
    /// Properties that SoftLayer has and this cloud never fills: lists without items.
    pub(crate) always_empty: &'static [&'static str],
    /// Properties that SoftLayer has and this cloud never fills: null.
    pub(crate) always_null: &'static [&'static str],
}

/// A class with no properties of its own, to be completed with `..BARE`.
pub(crate) const BARE: Class =
    Class { name: "", locals: &[], relations: &[], automatic: &[], always_empty: &[], always_null: &[] };

/// An object of the cloud, seen as one of a class.
pub(crate) trait Record<'c> {
    /// Its datatype.
    fn class(&self) -> &'static Class;

    /// One of the locals and relations of its class; none for any other name.
    fn read(&self, property: &str) -> Option<Reading<'c>>;
}

/// Any object.
pub(crate) type Object<'c> = Box<dyn Record<'c> + 'c>;

/// What stands behind a property.
pub(crate) enum Reading<'c> {
    /// A value.
    Value(Value),
    /// An object, or none.
    One(Option<Object<'c>>),
    /// A list of objects.
    Many(Vec<Object<'c>>),
}

/// Something of the cloud's state, seen as a record.
pub(crate) struct View<'c, T> {
    pub(crate) cloud: &'c Cloud,
    pub(crate) it: &'c T,
}

/// An object for something of the cloud's state.
pub(crate) fn view<'c, T>(cloud: &'c Cloud, it: &'c T) -> Object<'c>
where
    View<'c, T>: Record<'c> + 'c,
{
    Box::new(View { cloud, it })
}

/// Objects for a list.
pub(crate) fn views<'c, T: 'c>(cloud: &'c Cloud, list: impl IntoIterator<Item = &'c T>) -> Reading<'c>
where
    View<'c, T>: Record<'c> + 'c,
{
    Reading::Many(list.into_iter().map(|it| view(cloud, it)).collect())
}

/// An object that may be absent.
pub(crate) fn maybe<'c, T: 'c>(cloud: &'c Cloud, it: Option<&'c T>) -> Reading<'c>
where
    View<'c, T>: Record<'c> + 'c,
{
    Reading::One(it.map(|it| view(cloud, it)))
}

/// A value.
pub(crate) fn value<'c>(value: impl Serialize) -> Reading<'c> {
    Reading::Value(json!(value))
}

/// What stands behind a property, or behind a `…Count`; none for a property the class does not have.
pub(crate) fn look_up<'c>(object: &dyn Record<'c>, property: &str) -> Option<Reading<'c>> {
    let class = object.class();
    if class.always_empty.contains(&property) {
        return Some(Reading::Many(Vec::new()));
    }
    if class.always_null.contains(&property) {
        return Some(Reading::One(None));
    }
    object.read(property).or_else(|| match object.read(class.counted(property)?) {
        Some(Reading::Many(list)) => Some(value(list.len())),
        _ => Some(value(0)),
    })
}

impl Class {
    fn relation(&self, property: &str) -> Option<&'static Class> {
        self.relations.iter().find(|(name, _)| *name == property).map(|(_, class)| *class)
    }

    /// The relation that a `…Count` counts: `subnetCount` the subnets, `ipAddressCount` the ipAddresses.
    fn counted(&self, property: &str) -> Option<&'static str> {
        let stem = property.strip_suffix("Count")?;
        let plurals = [format!("{stem}s"), format!("{stem}es"), stem.to_owned()];
        let mut names = self.relations.iter().map(|(name, _)| *name).chain(self.always_empty.iter().copied());
        names.find(|name| plurals.iter().any(|plural| plural == name))
    }

    fn is_local(&self, property: &str) -> bool {
        self.locals.contains(&property) || self.counted(property).is_some()
    }

    /// Refuses a mask that names a property this class does not have, however deep.
    pub(crate) fn check(&self, mask: &Mask) -> Result<(), ApiError> {
        // Of what this cloud has none of, it does not know what can be asked.
        if self.name.is_empty() {
            return Ok(());
        }
        for field in mask.fields.iter().filter(|field| self.takes(field)) {
            match self.relation(&field.name) {
                Some(class) => class.check(&field.inner)?,
                None if self.is_local(&field.name) => (),
                None if self.always_empty.contains(&field.name.as_str()) => (),
                None if self.always_null.contains(&field.name.as_str()) => (),
                None => return Err(ApiError::bad_property(&field.name, self.name)),
            }
        }
        Ok(())
    }

    /// Whether a field is for objects of this class.
    fn takes(&self, field: &Field) -> bool {
        field.class.as_ref().is_none_or(|class| class == self.name)
    }
}

/// What an answer shows of an object.
///
/// Naming a local drops the other locals; naming only relations keeps all locals and adds them.
/// `filter` is the part of the filter that belongs to this object, for a `filteredMask`.
pub(crate) fn render(object: &dyn Record<'_>, mask: &Mask, filter: Option<&Value>) -> Value {
    let class = object.class();
    let fields: Vec<_> = mask.fields.iter().filter(|field| class.takes(field)).collect();
    let mut shown = Map::new();
    if !fields.iter().any(|field| class.locals.contains(&field.name.as_str())) {
        for name in class.locals.iter().chain(class.automatic) {
            if let Some(reading) = look_up(object, name) {
                insert(&mut shown, name, show(reading, &Mask::default(), None));
            }
        }
    }
    for field in fields {
        let inner = filter.and_then(|filter| filter.get(&field.name));
        if let Some(reading) = look_up(object, &field.name) {
            insert(&mut shown, &field.name, show(reading, &field.inner, inner));
        }
    }
    Value::Object(shown)
}

/// What is null is left out, also when a mask names it: `slcli` breaks off at a relation that is there and null.
fn insert(shown: &mut Map<String, Value>, name: &str, value: Value) {
    if !value.is_null() {
        shown.insert(name.to_owned(), value);
    }
}

fn show(reading: Reading<'_>, mask: &Mask, filter: Option<&Value>) -> Value {
    match reading {
        Reading::Value(value) => value,
        Reading::One(None) => Value::Null,
        Reading::One(Some(object)) => render(object.as_ref(), mask, filter),
        Reading::Many(list) => {
            let kept = list
                .iter()
                .filter(|object| filter.is_none_or(|filter| filter::keeps(object.as_ref(), filter)));
            kept.map(|object| render(object.as_ref(), mask, filter)).collect()
        }
    }
}
