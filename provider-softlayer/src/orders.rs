//! Ordering a portable subnet: price, verify, place, wait, find again.
//!
//! An order cannot be tagged, and its answer can be lost. So it is recognised afterwards by its VLAN, price, API user
//! and time. Sources: softlayer-python `managers/network.py` (package 0, categories), terraform-provider-ibm
//! `resource_ibm_subnet.go` (waiting by order id, no retry of `placeOrder`), softlayer-go `services/billing.go`
//! (`Billing_Order::getReceipt`: "all the order information").

use jiff::{SignedDuration, Timestamp, tz};
use provider::{
    FoundOrder, Network, OrderId, OrderIntent, OrderPlaced, OrderRequest, OrderStatus, ProviderError, Quote,
    ZoneId,
};
use serde_json::{Value, json};

use crate::{
    NAME,
    client::{Call, Client},
    subnets,
    wire::{BillingOrder, ItemPrice, ProductItem, Receipt, Subnet, VerifiedOrder},
};

/// The package of additional services, which every account has.
const PACKAGE: u64 = 0;
/// The category of portable private IPv4 subnets.
const PORTABLE_PRIVATE: &str = "sov_sec_ip_addresses_priv";
/// How far SoftLayer's clock may be behind ours.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(10);
/// SoftLayer reads the dates of a filter in a time zone of its own, so the filter is this much wider than needed.
const FILTER_MARGIN: SignedDuration = SignedDuration::from_hours(26);

pub(crate) async fn verify(client: &Client, request: &OrderRequest) -> Result<Quote, ProviderError> {
    let price = price(client, request).await?;
    let id = price.id.to_string();
    let call = Call::new("SoftLayer_Product_Order", "verifyOrder", format!("the verification of {request}"));
    let verified: VerifiedOrder = client.read(&call.with(json!([container(request, &id)?]))).await?;
    let monthly =
        verified.prices.0.first().and_then(|price| price.recurring_fee.clone()).or(price.recurring_fee);
    Ok(Quote { price: id, monthly_fee: monthly.map(|fee| fee.to_string()) })
}

pub(crate) async fn place(client: &Client, intent: &OrderIntent) -> Result<OrderPlaced, ProviderError> {
    let doing = format!("the order of {}", intent.request);
    let call = Call::new("SoftLayer_Product_Order", "placeOrder", doing.clone());
    let receipt: Receipt =
        client.change(&call.with(json!([container(&intent.request, &intent.price)?]))).await?;
    match receipt.order_id {
        Some(order) => Ok(OrderPlaced { order: OrderId::new(order.to_string()) }),
        None => {
            Err(ProviderError::InDoubt { provider: NAME, doing, source: "a receipt without a number".into() })
        }
    }
}

pub(crate) async fn status(client: &Client, order: &OrderId) -> Result<OrderStatus, ProviderError> {
    let delivered = subnets_of(client, order).await?;
    match delivered.as_slice() {
        [] => waiting(client, order).await,
        // `activeTransaction` is deprecated and empty even while a subnet is provisioned (release notes of May 2021),
        // so what counts is that the subnet is portable and has its VLAN.
        [row] if subnets::is_portable(row) && row.network_vlan_id.is_some() => {
            let doing = format!("reading the subnet of order {order}");
            Ok(OrderStatus::Delivered(subnets::in_our_words(row, &doing)?))
        }
        [_] => Ok(OrderStatus::Pending("the subnet is not routed to its VLAN yet".to_owned())),
        several => Err(ProviderError::Malformed {
            provider: NAME,
            doing: format!("waiting for order {order}"),
            source: format!("{} subnets came of one order", several.len()).into(),
        }),
    }
}

pub(crate) async fn find(client: &Client, intent: &OrderIntent) -> Result<Vec<FoundOrder>, ProviderError> {
    let since = earliest(intent.intended_at, SKEW_MAX);
    let after =
        earliest(since, FILTER_MARGIN).to_zoned(tz::TimeZone::UTC).strftime("%m/%d/%Y %H:%M:%S").to_string();
    let doing = format!("looking for an earlier order of {}", intent.request);
    let after = json!({ "operation": "greaterThanDate", "options": [{ "name": "date", "value": [after] }] });
    let call = Call::new("SoftLayer_Account", "getOrders", doing)
        .mask("id,createDate,status,userRecord[username],items[itemPriceId]")
        .filter(json!({ "orders": { "createDate": after, "id": subnets::by_id() } }));
    let mut found = Vec::new();
    for order in client.read_all::<BillingOrder>(&call).await? {
        let Some(placed_at) = may_be(&order, intent, since, client.username()) else { continue };
        let order = OrderId::new(order.id.to_string());
        if is_for_zone(client, &order, &intent.request.zone).await? {
            found.push(FoundOrder { order, placed_at });
        }
    }
    Ok(found)
}

/// The price of one subnet of this size, where it holds everywhere.
async fn price(client: &Client, request: &OrderRequest) -> Result<ItemPrice, ProviderError> {
    let doing = format!("looking up the price of {request}");
    if request.network == Network::Public {
        let reason = "public subnets are ordered with answers (contact, reason) that only a person can give; order it \
                      in the portal and tag it for this cluster, and it is adopted";
        return Err(ProviderError::Refused { provider: NAME, doing, reason: reason.to_owned() });
    }
    let addresses = 1_u64 << 32_u8.saturating_sub(request.prefix);
    let call = Call::new("SoftLayer_Product_Package", "getItems", doing.clone())
        .of(PACKAGE)
        .mask("id,keyName,capacity,itemCategory[categoryCode],prices[id,locationGroupId,recurringFee]")
        .filter(json!({ "items": {
            "itemCategory": { "categoryCode": { "operation": PORTABLE_PRIVATE } }, "id": subnets::by_id(),
        } }));
    let items = client.read_all::<ProductItem>(&call).await?;
    let fits = |item: &&ProductItem| {
        let category = item.item_category.as_ref().and_then(|category| category.category_code.as_deref());
        category == Some(PORTABLE_PRIVATE) && item.capacity.is_some_and(|capacity| capacity.0 == addresses)
    };
    let price = items.iter().find(fits).and_then(|item| {
        let everywhere = item.prices.0.iter().find(|price| price.location_group_id.is_none());
        everywhere.or(item.prices.0.first())
    });
    price.cloned().ok_or_else(|| ProviderError::Refused {
        provider: NAME,
        doing,
        reason: format!("no portable private subnet of {addresses} addresses is for sale"),
    })
}

fn container(request: &OrderRequest, price: &str) -> Result<Value, ProviderError> {
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| ProviderError::Refused {
            provider: NAME,
            doing: format!("the order of {request}"),
            reason: format!("'{text}' is not the number of a VLAN or price"),
        })
    };
    Ok(json!({
        "complexType": "SoftLayer_Container_Product_Order_Network_Subnet",
        "packageId": PACKAGE,
        "prices": [{ "id": number(price)? }],
        "quantity": 1,
        "endPointVlanId": number(request.zone.as_str())?,
    }))
}

/// What an order says of itself that has brought nothing yet.
async fn waiting(client: &Client, order: &OrderId) -> Result<OrderStatus, ProviderError> {
    let call = Call::new("SoftLayer_Billing_Order", "getObject", format!("waiting for order {order}"));
    let row: BillingOrder = client.read(&call.of(order).mask("id,status")).await?;
    let status = row.status.unwrap_or_else(|| "no status yet".to_owned());
    // Only words that can mean nothing else; anything new is waited for, and shown.
    match status.to_ascii_uppercase().as_str() {
        "CANCELLED" | "CANCELED" | "DECLINED" | "DENIED" | "REJECTED" => Ok(OrderStatus::Declined(status)),
        _ => Ok(OrderStatus::Pending(status)),
    }
}

/// The subnets that an order brought.
async fn subnets_of(client: &Client, order: &OrderId) -> Result<Vec<Subnet>, ProviderError> {
    let call = Call::new("SoftLayer_Account", "getSubnets", format!("waiting for order {order}"))
        .mask(
            "id,networkIdentifier,cidr,gateway,networkVlanId,subnetType,note,tagReferences[tag[name]],\
             billingItem[id,orderItem[order[id]]]",
        )
        .filter(json!({ "subnets": {
            "billingItem": { "orderItem": { "order": { "id": subnets::equals(order) } } },
            "id": subnets::by_id(),
        } }));
    let mut rows = client.read_all::<Subnet>(&call).await?;
    // Looked at again: a filter that SoftLayer does not understand is ignored without a word.
    rows.retain(|row| {
        let item = row.billing_item.as_ref().and_then(|item| item.order_item.as_ref());
        item.and_then(|item| item.order.as_ref()).is_some_and(|from| from.id.to_string() == order.as_str())
    });
    Ok(rows)
}

/// When an order was placed, if by user, price and time it may be the one that is looked for. What it does not say
/// does not speak against it.
fn may_be(order: &BillingOrder, intent: &OrderIntent, since: Timestamp, user: &str) -> Option<Timestamp> {
    let placed_at =
        order.create_date.as_deref().and_then(|date| date.parse::<Timestamp>().ok()).unwrap_or(since);
    let orderer = order.user_record.as_ref().and_then(|user| user.username.as_deref());
    let prices: Vec<String> =
        order.items.0.iter().filter_map(|item| item.item_price_id).map(|id| id.to_string()).collect();
    let ours = orderer.is_none_or(|orderer| orderer == user);
    let same_price = prices.is_empty() || prices.contains(&intent.price);
    (placed_at >= since && ours && same_price).then_some(placed_at)
}

/// Whether an order is for this VLAN, said by its receipt or by the subnet it brought. An order that says neither may
/// be.
async fn is_for_zone(client: &Client, order: &OrderId, zone: &ZoneId) -> Result<bool, ProviderError> {
    let call =
        Call::new("SoftLayer_Billing_Order", "getReceipt", format!("reading the receipt of order {order}"));
    let receipt = match client.read::<Receipt>(&call.of(order)).await {
        Ok(receipt) => receipt.order_details.and_then(|details| details.end_point_vlan_id),
        Err(ProviderError::Gone { .. } | ProviderError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    let vlan = match receipt {
        Some(vlan) => Some(vlan),
        None => subnets_of(client, order).await?.iter().find_map(|row| row.network_vlan_id),
    };
    Ok(vlan.is_none_or(|vlan| vlan.to_string() == zone.as_str()))
}

fn earliest(time: Timestamp, before: SignedDuration) -> Timestamp {
    time.checked_sub(before).unwrap_or(Timestamp::MIN)
}
