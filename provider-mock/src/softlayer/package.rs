//! `SoftLayer_Product_Package`: the catalogue.

use super::record::{BARE, Class, Object, Reading, Record, value};
use super::{Answer, ApiError, Call, Caller, Service};
use crate::cloud::Cloud;
use crate::cloud::catalogue::{BALANCER_PACKAGE, Item, OLD_PACKAGE, PORTABLE_PACKAGE};

pub(super) struct Packages;

static PACKAGE: Class = Class {
    name: "SoftLayer_Product_Package",
    locals: &["id", "keyName", "name", "isActive"],
    relations: &[("type", &PACKAGE_TYPE), ("items", &ITEM), ("itemPrices", &PRICE)],
    ..BARE
};

static PACKAGE_TYPE: Class =
    Class { name: "SoftLayer_Product_Package_Type", locals: &["id", "keyName", "name"], ..BARE };

pub(super) static ITEM: Class = Class {
    name: "SoftLayer_Product_Item",
    locals: &["id", "keyName", "description", "capacity", "units"],
    relations: &[("itemCategory", &CATEGORY), ("prices", &PRICE)],
    // Clients pick an item by its category and order by its first price without asking for either.
    automatic: &["itemCategory", "prices"],
    ..BARE
};

static CATEGORY: Class =
    Class { name: "SoftLayer_Product_Item_Category", locals: &["id", "categoryCode", "name"], ..BARE };

pub(super) static PRICE: Class = Class {
    name: "SoftLayer_Product_Item_Price",
    locals: &[
        "id",
        "itemId",
        "locationGroupId",
        "recurringFee",
        "hourlyRecurringFee",
        "setupFee",
        "oneTimeFee",
        "laborFee",
        "sort",
    ],
    relations: &[("item", &ITEM), ("packageReferences", &PACKAGE_REFERENCE)],
    ..BARE
};

static PACKAGE_REFERENCE: Class = Class {
    name: "SoftLayer_Product_Package_Item_Prices",
    locals: &["id", "packageId"],
    relations: &[("package", &PACKAGE)],
    ..BARE
};

impl Service for Packages {
    fn name(&self) -> &'static str {
        "SoftLayer_Product_Package"
    }

    fn find<'c>(&self, _: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        let id: u64 = id?.parse().ok()?;
        PACKAGES.iter().find(|package| package.0 == id).map(|package| Box::new(package) as Object<'c>)
    }

    fn read<'c>(&self, _: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getAllObjects").then(|| {
            let list = PACKAGES.iter().map(|package| Box::new(package) as Object<'c>).collect();
            Ok(Answer::Many { class: &PACKAGE, list, root: None })
        })
    }
}

/// A package: its id, key name, name, and the key name of its type.
type Package = (u64, &'static str, &'static str, &'static str);

static PACKAGES: [Package; 3] = [
    (OLD_PACKAGE, "ADDITIONAL_PRODUCTS", "Additional Products", "ADDITIONAL_PRODUCTS"),
    (
        PORTABLE_PACKAGE,
        "ADDITIONAL_SERVICES_PORTABLE_IP_ADDRESSES",
        "Additional Services - Portable IP Addresses",
        "ADDITIONAL_SERVICES_PORTABLE_IP_ADDRESSES",
    ),
    (BALANCER_PACKAGE, "LBAAS", "Load Balancer As A Service (LBaaS)", "LOAD_BALANCER_AS_A_SERVICE"),
];

impl<'c> Record<'c> for &'static Package {
    fn class(&self) -> &'static Class {
        &PACKAGE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.0),
            "keyName" => value(self.1),
            "name" => value(self.2),
            "isActive" => value(1),
            "type" => Reading::One(Some(Box::new(PackageType(self)))),
            "items" => Reading::Many(
                Item::of_package(self.0).iter().map(|item| Box::new(item) as Object<'c>).collect(),
            ),
            "itemPrices" => Reading::Many(Item::of_package(self.0).iter().flat_map(prices).collect()),
            _ => return None,
        })
    }
}

struct PackageType(&'static Package);

impl<'c> Record<'c> for PackageType {
    fn class(&self) -> &'static Class {
        &PACKAGE_TYPE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.0.0 + 1),
            "keyName" => value(self.0.3),
            "name" => value(self.0.2),
            _ => return None,
        })
    }
}

impl<'c> Record<'c> for &'static Item {
    fn class(&self) -> &'static Class {
        &ITEM
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.id),
            "keyName" => value(self.key()),
            "description" => value(self.description()),
            "capacity" => value(self.capacity().0),
            "units" => value(self.capacity().1),
            "itemCategory" => Reading::One(Some(Box::new(Category(self)))),
            "prices" => Reading::Many(prices(self).collect()),
            _ => return None,
        })
    }
}

struct Category(&'static Item);

impl<'c> Record<'c> for Category {
    fn class(&self) -> &'static Class {
        &CATEGORY
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (id, code, name) = self.0.category();
        Some(match property {
            "id" => value(id),
            "categoryCode" => value(code),
            "name" => value(name),
            _ => return None,
        })
    }
}

/// The prices of an item: the one that holds everywhere first.
fn prices<'c>(item: &'static Item) -> impl Iterator<Item = Object<'c>> {
    [false, true].into_iter().map(move |local| Box::new(Price { item, local }) as Object<'c>)
}

/// A price of an item.
pub(super) struct Price {
    pub(super) item: &'static Item,
    /// Holds in one group of datacenters only.
    pub(super) local: bool,
}

impl<'c> Record<'c> for Price {
    fn class(&self) -> &'static Class {
        &PRICE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(if self.local { self.item.local_price } else { self.item.price }),
            "itemId" => value(self.item.id),
            "locationGroupId" => value(self.local.then_some(503)),
            "recurringFee" => value(self.item.monthly()),
            "hourlyRecurringFee" => value(self.item.hourly()),
            "setupFee" | "oneTimeFee" | "laborFee" => value("0"),
            "sort" => value(0),
            "item" => Reading::One(Some(Box::new(self.item))),
            "packageReferences" => {
                let one =
                    |package| Box::new(PackageReference { price: self.item.price, package }) as Object<'c>;
                let has_it = |package: &&Package| Item::of_package(package.0).contains(self.item);
                Reading::Many(PACKAGES.iter().filter(has_it).map(one).collect())
            }
            _ => return None,
        })
    }
}

struct PackageReference {
    price: u64,
    package: &'static Package,
}

impl<'c> Record<'c> for PackageReference {
    fn class(&self) -> &'static Class {
        &PACKAGE_REFERENCE
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.price * 1_000 + self.package.0),
            "packageId" => value(self.package.0),
            "package" => Reading::One(Some(Box::new(self.package))),
            _ => return None,
        })
    }
}
