//! `SoftLayer_Product_Order`, and the orders (`SoftLayer_Billing_Order`) that come of it.

use serde_json::{Value, json};

use super::call::{Call, number};
use super::dates;
use super::error::ApiError;
use super::mask::Mask;
use super::package::Price;
use super::record::{BARE, Class, Object, Reading, Record, View, maybe, render, value};
use super::{Answer, Caller, Service, lbaas};
use crate::cloud::balancer::order::BalancerWanted;
use crate::cloud::catalogue::{BALANCER, Item, OLD_PACKAGE, PORTABLE_PACKAGE, Portable};
use crate::cloud::order::{Order, OrderRefused, Product, Wanted};
use crate::cloud::{Cloud, Id, User};

pub(super) struct Orders;

pub(super) static ORDER: Class = Class {
    name: "SoftLayer_Billing_Order",
    locals: &["id", "accountId", "createDate", "modifyDate", "orderTypeId", "status", "userRecordId"],
    relations: &[("items", &ORDER_ITEM), ("userRecord", &USER), ("account", &super::account::ACCOUNT)],
    ..BARE
};

pub(super) static ORDER_ITEM: Class = Class {
    name: "SoftLayer_Billing_Order_Item",
    locals: &[
        "id",
        "orderId",
        "categoryCode",
        "description",
        "itemId",
        "itemPriceId",
        "quantity",
        "recurringFee",
    ],
    relations: &[
        ("order", &ORDER),
        ("item", &super::package::ITEM),
        ("itemPrice", &super::package::PRICE),
        ("billingItem", &super::billing::BILLING_ITEM),
    ],
    ..BARE
};

pub(super) static USER: Class = Class {
    name: "SoftLayer_User_Customer",
    locals: &["id", "username", "accountId", "hasFullVirtualGuestAccessFlag", "hasFullHardwareAccessFlag"],
    ..BARE
};

impl Service for Orders {
    fn name(&self) -> &'static str {
        "SoftLayer_Product_Order"
    }

    fn read<'c>(&self, cloud: &'c Cloud, _: &Caller, call: &Call) -> Option<Result<Answer<'c>, ApiError>> {
        (call.method == "verifyOrder").then(|| {
            let asked = call.argument(0).ok_or_else(ApiError::bad_request)?;
            let shown = match read_container(&asked, cloud)? {
                Container::Subnet(wanted) => {
                    cloud.verify_order(wanted).map_err(refused)?;
                    subnet_container(&asked, wanted.item, wanted.vlan)
                }
                Container::Balancer(wanted) => {
                    cloud.verify_balancer(&wanted).map_err(lbaas::refused)?;
                    priced(&asked, &BALANCER)
                }
            };
            Ok(Answer::Value(shown))
        })
    }

    fn changing(&self) -> &'static [&'static str] {
        &["placeOrder"]
    }

    fn change(&self, cloud: &mut Cloud, caller: &Caller, call: &Call) -> Result<Value, ApiError> {
        let asked = call.argument(0).ok_or_else(ApiError::bad_request)?;
        let user = caller.user.ok_or_else(ApiError::access_denied)?;
        let id = match read_container(&asked, cloud)? {
            Container::Subnet(wanted) => cloud.place_order(user, wanted).map_err(refused)?,
            Container::Balancer(wanted) => cloud.order_balancer(user, &wanted).map_err(lbaas::refused)?,
        };
        let order = cloud.orders.get(&id).ok_or_else(ApiError::internal)?;
        Ok(receipt(cloud, order))
    }
}

/// What an order is acknowledged with (`SoftLayer_Container_Product_Order_Receipt`), at once and later.
pub(super) fn receipt(cloud: &Cloud, order: &Order) -> Value {
    let mut placed = render(&View { cloud, it: order }, &Mask::default(), None);
    placed["items"] = json!([render(&OrderItem { cloud, order }, &Mask::default(), None)]);
    let details = Item::by_id(order.item).map(|item| match order.product {
        Product::Subnet { vlan, .. } => subnet_container(&json!({}), item, vlan),
        Product::Balancer(_) => priced(&json!({ "complexType": lbaas::CONTAINER }), item),
    });
    json!({
        "orderId": order.id,
        "orderDate": dates::show(order.placed),
        "orderDetails": details,
        "placedOrder": placed,
    })
}

const CONTAINER: &str = "SoftLayer_Container_Product_Order_Network_Subnet";

fn refused(why: OrderRefused) -> ApiError {
    let code = match why {
        OrderRefused::NoSuchVlan(_) | OrderRefused::WrongNetwork { .. } => "SoftLayer_Exception_Public",
        OrderRefused::VlanFull { .. } | OrderRefused::NoSpace(_) => "SoftLayer_Exception_Order",
    };
    ApiError::new(500, code, why.to_string())
}

/// What an order is of.
enum Container {
    Subnet(Wanted),
    Balancer(BalancerWanted),
}

/// Reads an order container. Its type is what says of what it is.
fn read_container(container: &Value, cloud: &Cloud) -> Result<Container, ApiError> {
    match container.get("complexType").and_then(Value::as_str).unwrap_or_default() {
        CONTAINER => read_subnet(container, cloud).map(Container::Subnet),
        lbaas::CONTAINER => lbaas::read_order(container).map(Container::Balancer),
        _ => Err(order_error(
            "Invalid container specified: only subnets and load balancers can be ordered from this simulated \
             cloud.",
        )),
    }
}

pub(super) fn order_error(text: &str) -> ApiError {
    ApiError::new(500, "SoftLayer_Exception_Order", text)
}

/// Of a subnet: one price, one VLAN, quantity one.
fn read_subnet(container: &Value, cloud: &Cloud) -> Result<Wanted, ApiError> {
    let package = container.get("packageId").and_then(number);
    if !package.is_some_and(|id| id == OLD_PACKAGE || id == PORTABLE_PACKAGE) {
        return Err(order_error("Invalid package specified on the order container."));
    }
    if container.get("quantity").and_then(number).unwrap_or(1) != 1 {
        return Err(order_error("One subnet is ordered at a time from this simulated cloud."));
    }
    let (item, portable) = ordered_item(container)?;
    check_location(container, cloud)?;
    let vlan = container.get("endPointVlanId").and_then(number);
    let vlan =
        vlan.ok_or_else(|| order_error("Please provide a VLAN (endPointVlanId) to route the subnet to."))?;
    Ok(Wanted { item, portable, vlan })
}

fn ordered_item(container: &Value) -> Result<(&'static Item, Portable), ApiError> {
    let prices = container.get("prices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [price] = prices else {
        let text = "Exactly one price must be provided on the order container.";
        return Err(ApiError::new(500, "SoftLayer_Exception_Order_Item_Invalid", text));
    };
    let id = price.get("id").and_then(number).unwrap_or_default();
    Item::subnet_by_price(id).ok_or_else(|| ApiError::public(format!("Price # {id} does not exist.")))
}

/// The location is optional; a region's keyname, a datacenter's name or its id.
fn check_location(container: &Value, cloud: &Cloud) -> Result<(), ApiError> {
    let Some(location) = container.get("location").filter(|location| !location.is_null()) else {
        return Ok(());
    };
    let vlan = container.get("endPointVlanId").and_then(number).and_then(|id| cloud.vlans.get(&id));
    let router = vlan.and_then(|vlan| cloud.routers.get(&vlan.router));
    // Without a VLAN the order fails for that, with a better reason.
    let Some(datacenter) = router.and_then(|router| cloud.datacenters.get(&router.datacenter)) else {
        return Ok(());
    };
    let named = location.as_str().is_some_and(|name| name == datacenter.name || name == datacenter.region());
    if named || number(location) == Some(datacenter.id) {
        return Ok(());
    }
    Err(ApiError::public(format!("The VLAN is not in the location {location} of the order.")))
}

/// The container of a subnet as it comes back.
fn subnet_container(asked: &Value, item: &'static Item, vlan: Id) -> Value {
    let mut container = priced(asked, item);
    container["complexType"] = json!(CONTAINER);
    container["endPointVlanId"] = json!(vlan);
    container
}

/// A container as it comes back: what was asked for, and the price in full.
fn priced(asked: &Value, item: &'static Item) -> Value {
    let mut price = render(&Price { item, local: false }, &Mask::default(), None);
    price["item"] = json!({ "id": item.id, "description": item.description(), "keyName": item.key() });
    let mut container = asked.clone();
    container["quantity"] = json!(1);
    container["prices"] = json!([price]);
    container["postTaxRecurring"] = json!(item.monthly());
    container["postTaxSetup"] = json!("0");
    container["currencyShortName"] = json!("USD");
    container
}

impl<'c> Record<'c> for View<'c, Order> {
    fn class(&self) -> &'static Class {
        &ORDER
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, order) = (self.cloud, self.it);
        Some(match property {
            "id" => value(order.id),
            "accountId" => value(cloud.spec.account.id),
            "createDate" | "modifyDate" => value(dates::show(order.placed)),
            "orderTypeId" => value(4),
            // The first is of a recorded receipt; the second a choice.
            "status" => value(if order.delivered { "APPROVED" } else { "PENDING_AUTO_APPROVAL" }),
            "userRecordId" => value(order.user),
            "items" => Reading::Many(vec![Box::new(OrderItem { cloud, order })]),
            "userRecord" => maybe(cloud, cloud.users.get(&order.user)),
            "account" => maybe(cloud, Some(&cloud.spec.account)),
            _ => return None,
        })
    }
}

/// The only line of an order.
pub(super) struct OrderItem<'c> {
    pub(super) cloud: &'c Cloud,
    pub(super) order: &'c Order,
}

impl<'c> Record<'c> for OrderItem<'c> {
    fn class(&self) -> &'static Class {
        &ORDER_ITEM
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        let (cloud, order) = (self.cloud, self.order);
        let item = Item::by_id(order.item);
        Some(match property {
            "id" => value(order.line),
            "orderId" => value(order.id),
            "categoryCode" => value(item.map(|item| item.category().1)),
            "description" => value(item.map(Item::description)),
            "itemId" => value(order.item),
            "itemPriceId" => value(item.map(|item| item.price)),
            "quantity" => value(1),
            "recurringFee" => value(item.map(Item::monthly)),
            "order" => maybe(cloud, Some(order)),
            "item" => Reading::One(item.map(|item| Box::new(item) as Object<'c>)),
            "itemPrice" => {
                Reading::One(item.map(|item| Box::new(Price { item, local: false }) as Object<'c>))
            }
            "billingItem" => {
                maybe(cloud, cloud.billing_items.values().find(|billing| billing.order == Some(order.id)))
            }
            _ => return None,
        })
    }
}

impl<'c> Record<'c> for View<'c, User> {
    fn class(&self) -> &'static Class {
        &USER
    }

    fn read(&self, property: &str) -> Option<Reading<'c>> {
        Some(match property {
            "id" => value(self.it.id),
            "username" => value(&self.it.username),
            "hasFullVirtualGuestAccessFlag" | "hasFullHardwareAccessFlag" => value(self.it.sees_machines),
            "accountId" => value(self.cloud.spec.account.id),
            _ => return None,
        })
    }
}
