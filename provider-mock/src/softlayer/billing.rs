//! `SoftLayer_Billing_Item` and `SoftLayer_Billing_Order`: what is paid for, and how to stop paying.

use serde_json::Value;

use super::dates;
use super::order::{ORDER_ITEM, OrderItem, receipt};
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, value, view};
use super::{Answer, ApiError, Call, Caller, Service};
use crate::cloud::catalogue::Item;
use crate::cloud::order::BillingItem;
use crate::cloud::{Cloud, Id};

pub(super) struct BillingItems;
pub(super) struct BillingOrders;

pub(super) static BILLING_ITEM: Class = Class {
    name: "SoftLayer_Billing_Item",
    locals: &[
        "id",
        "allowCancellationFlag",
        "cancellationDate",
        "categoryCode",
        "createDate",
        "description",
        "notes",
        "orderItemId",
        "recurringFee",
        "resourceTableId",
        "setupFee",
    ],
    relations: &[
        ("orderItem", &ORDER_ITEM),
        ("item", &super::package::ITEM),
        ("account", &super::account::ACCOUNT),
    ],
    ..BARE
};

impl Service for BillingItems {
    fn name(&self) -> &'static str {
        "SoftLayer_Billing_Item"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.billing_items.get(&id?.parse().ok()?).map(|item| view(cloud, item))
    }

    fn changing(&self) -> &'static [&'static str] {
        &["cancelService", "cancelItem"]
    }

    /// Both methods cancel at once: a portable subnet is never kept to the end of its month.
    fn change(&self, cloud: &mut Cloud, _: &Caller, call: &Call) -> Result<Value, ApiError> {
        let wanted = call.id.as_deref().unwrap_or_default();
        let known = wanted.parse::<Id>().ok().filter(|id| cloud.billing_items.contains_key(id));
        let id = known.ok_or_else(|| ApiError::no_object(wanted))?;
        if cloud.cancel(id) {
            return Ok(Value::Bool(true));
        }
        // A choice: what the real API says to a second cancellation is not known.
        Err(ApiError::public("This billing item has already been cancelled."))
    }
}

impl Service for BillingOrders {
    fn name(&self) -> &'static str {
        "SoftLayer_Billing_Order"
    }

    fn find<'c>(&self, cloud: &'c Cloud, _: &Caller, id: Option<&str>) -> Option<Object<'c>> {
        cloud.orders.get(&id?.parse().ok()?).map(|order| view(cloud, order))
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "getReceipt").then(|| {
            let wanted = call.id.as_deref().unwrap_or_default();
            let order = wanted.parse::<Id>().ok().and_then(|id| cloud.orders.get(&id));
            let order = order.ok_or_else(|| ApiError::no_object(wanted))?;
            Ok(Answer::Value(receipt(cloud, order)))
        })
    }
}

impl<'c> Record<'c> for View<'c, BillingItem> {
    fn class(&self) -> &'static Class {
        &BILLING_ITEM
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, billing) = (self.cloud, self.it);
        let item = Item::by_id(billing.item);
        let order = billing.order.and_then(|id| cloud.orders.get(&id));
        Some(match property {
            "id" => value(billing.id),
            "allowCancellationFlag" => value(u8::from(billing.cancelled.is_none())),
            "cancellationDate" => value(billing.cancelled.map(dates::show)),
            "categoryCode" => value(item.map(|item| item.category().1)),
            "createDate" => value(dates::show(billing.created)),
            "description" => value(item.map(Item::description)),
            // The subnet's identifier stands in the note (release notes of 2023-03-03).
            "notes" => value(cloud.subnets.get(&billing.subnet).map(|subnet| subnet.cidr)),
            "orderItemId" => value(order.map(|order| order.line)),
            "recurringFee" => value(item.map(Item::monthly)),
            "resourceTableId" => value(billing.subnet),
            "setupFee" => value("0"),
            "orderItem" => {
                Reading::One(order.map(|order| Box::new(OrderItem { cloud, order }) as Object<'c>))
            }
            "item" => Reading::One(item.map(|item| Box::new(item) as Object<'c>)),
            "account" => maybe(cloud, Some(&cloud.spec.account)),
            _ => return None,
        })
    }
}
