//! Ordering a balancer. Its name is unique in the account without regard to case, so an order that is sent twice is
//! refused, and it is found by its name afterwards.
//!
//! Source: softlayer-python `managers/load_balancer.py` `order_lbaas`, softlayer-go
//! `datatypes/container.go` (`Container_Product_Order_Network_LoadBalancer_AsAService`).

use provider::{Exposure, ListenerSpec, ProviderError, ZoneId};
use serde_json::{Value, json};

use super::change::protocol;
use super::wire::{Home, Package};
use crate::NAME;
use crate::client::{Call, Client};
use crate::subnets::{by_id, equals};
use crate::wire::ProductItem;

/// The package, by its key.
const PACKAGE: &str = "LBAAS";

/// Users and members on the private network.
const PRIVATE_TO_PRIVATE: u8 = 0;

/// Users on the public, members on the private network.
const PUBLIC_TO_PRIVATE: u8 = 1;

/// Places it, once.
pub(super) async fn place(
    client: &Client,
    name: &str,
    exposure: Exposure,
    zone: &ZoneId,
    listeners: &[ListenerSpec],
    doing: String,
) -> Result<(), ProviderError> {
    let (package, prices) = package(client, &doing).await?;
    let home = home(client, zone, &doing).await?;
    let kind = match exposure {
        Exposure::Private => PRIVATE_TO_PRIVATE,
        Exposure::Public => PUBLIC_TO_PRIVATE,
    };
    let order = json!({
        "complexType": "SoftLayer_Container_Product_Order_Network_LoadBalancer_AsAService",
        "packageId": package,
        "prices": prices.into_iter().map(|id| json!({ "id": id })).collect::<Vec<_>>(),
        "useHourlyPricing": true,
        "name": name,
        "description": "ordered by Berth",
        "type": kind,
        "subnets": [{ "id": home }],
        "protocolConfigurations": listeners.iter().map(|it| protocol(it, None)).collect::<Vec<_>>(),
    });
    let call = Call::new("SoftLayer_Product_Order", "placeOrder", doing).with(json!([order]));
    client.change::<Value>(&call).await.map(drop)
}

/// The package and all its prices that hold everywhere: LBaaS has one item for each thing that is counted.
async fn package(client: &Client, doing: &str) -> Result<(u64, Vec<u64>), ProviderError> {
    let call = Call::new("SoftLayer_Product_Package", "getAllObjects", doing)
        .mask("id,keyName")
        .filter(json!({ "keyName": { "operation": PACKAGE } }));
    let packages = client.read_all::<Package>(&call).await?;
    let [Package { id }] = packages[..] else {
        return Err(refused(doing, format!("{} packages are called {PACKAGE}", packages.len())));
    };
    let call = Call::new("SoftLayer_Product_Package", "getItems", doing)
        .of(id)
        .mask("id,prices[id,locationGroupId]")
        .filter(json!({ "items": { "id": by_id() } }));
    let items = client.read_all::<ProductItem>(&call).await?;
    let prices = items.iter().flat_map(|item| &item.prices.0);
    let everywhere = prices.filter(|price| price.location_group_id.is_none()).map(|price| price.id.0);
    Ok((id.0, everywhere.collect()))
}

/// The VLAN's own subnet: the addresses of portable ones are for containers, and nobody would know that this one has
/// two of them.
async fn home(client: &Client, zone: &ZoneId, doing: &str) -> Result<u64, ProviderError> {
    let call = Call::new("SoftLayer_Account", "getSubnets", doing)
        .mask("id,subnetType,networkVlanId")
        .filter(json!({ "subnets": { "networkVlan": { "id": equals(zone) }, "id": by_id() } }));
    let rows = client.read_all::<Home>(&call).await?;
    let is_home = |row: &&Home| {
        row.subnet_type.as_deref() == Some("PRIMARY")
            && row.network_vlan_id.is_some_and(|vlan| vlan.to_string() == zone.as_str())
    };
    let home = rows.iter().find(is_home).map(|row| row.id.0);
    home.ok_or_else(|| refused(doing, format!("VLAN {zone} has no primary subnet for its addresses")))
}

fn refused(doing: &str, reason: String) -> ProviderError {
    ProviderError::Refused { provider: NAME, doing: doing.to_owned(), reason }
}
