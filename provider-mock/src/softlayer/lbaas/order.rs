//! The order of a balancer: `SoftLayer_Container_Product_Order_Network_LoadBalancer_AsAService`.

use serde_json::Value;

use super::{listener, member, small, text};
use crate::cloud::balancer::BalancerKind;
use crate::cloud::balancer::order::BalancerWanted;
use crate::cloud::catalogue::{BALANCER, BALANCER_PACKAGE};
use crate::softlayer::call::number;
use crate::softlayer::error::ApiError;
use crate::softlayer::order::order_error;

pub(in crate::softlayer) const CONTAINER: &str =
    "SoftLayer_Container_Product_Order_Network_LoadBalancer_AsAService";

/// Reads the container. Of the health checks in it nothing is taken but that they are there: each back end starts
/// with the defaults.
pub(in crate::softlayer) fn read_order(container: &Value) -> Result<BalancerWanted, ApiError> {
    if container.get("packageId").and_then(number) != Some(BALANCER_PACKAGE) {
        return Err(order_error("Invalid package specified on the order container."));
    }
    if container.get("useHourlyPricing") != Some(&Value::Bool(true)) {
        return Err(order_error("The load balancer service is available with hourly pricing only."));
    }
    check_prices(container)?;
    let [subnet] = rows(container, "subnets") else {
        return Err(order_error("Exactly one private subnet must be provided on the order container."));
    };
    let location = container.get("locationObject").and_then(|it| it.get("id")).and_then(number);
    let listeners = rows(container, "protocolConfigurations").iter().map(listener::read_protocol);
    Ok(BalancerWanted {
        name: text(container, "name").unwrap_or_default(),
        description: text(container, "description").unwrap_or_default(),
        kind: kind(container)?,
        subnet: subnet.get("id").and_then(number).unwrap_or_default(),
        datacenter: location.or_else(|| small(container, "location").map(u64::from)),
        listeners: listeners.collect::<Result<_, _>>()?,
        members: rows(container, "serverInstancesInformation").iter().map(member::read_member).collect(),
    })
}

/// `type` says it; without one, `isPublic` makes a balancer public to private, which is what IBM's documentation
/// calls a public one.
fn kind(container: &Value) -> Result<BalancerKind, ApiError> {
    if let Some(number) = container.get("type").and_then(number) {
        let kind = BalancerKind::by_number(number);
        return kind.ok_or_else(|| order_error("The type of a load balancer must be 0, 1 or 2."));
    }
    let public =
        container.get("isPublic").is_some_and(|it| *it == Value::Bool(true) || number(it) == Some(1));
    Ok(if public { BalancerKind::PublicToPrivate } else { BalancerKind::PrivateToPrivate })
}

/// All prices of the package are named.
fn check_prices(container: &Value) -> Result<(), ApiError> {
    let prices = rows(container, "prices");
    let ids = prices.iter().map(|price| price.get("id").and_then(number).unwrap_or_default());
    if let Some(id) = ids.into_iter().find(|id| *id != BALANCER.price) {
        return Err(ApiError::public(format!("Price # {id} does not exist.")));
    }
    if prices.is_empty() {
        return Err(order_error("The prices of the package must be provided on the order container."));
    }
    Ok(())
}

fn rows<'v>(container: &'v Value, name: &str) -> &'v [Value] {
    container.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
