//! Giving a subnet back: find its billing item, cancel it. SoftLayer takes the subnet away some time later.
//!
//! Source: softlayer-python `managers/network.py` `cancel_subnet`, terraform-provider-ibm `resource_ibm_subnet.go`.

use provider::{ProviderError, SubnetId};
use serde_json::Value;

use crate::{
    NAME,
    client::{Call, Client},
    subnets,
    wire::Subnet,
};

pub(crate) async fn return_subnet(client: &Client, subnet: &SubnetId) -> Result<(), ProviderError> {
    let doing = format!("the return of subnet {subnet}");
    let call = Call::new("SoftLayer_Network_Subnet", "getObject", doing.clone()).of(subnet);
    let row = match client.read::<Subnet>(&call.mask("id,subnetType,billingItem[id]")).await {
        Err(ProviderError::Gone { .. }) => return Ok(()),
        row => row?,
    };
    match row.billing_item.as_ref().and_then(|item| item.id) {
        Some(item) => cancel(client, item.0, doing).await,
        // The billing item is gone at once, the subnet stays until it is reclaimed. A type is lost on the way.
        None if subnets::is_portable(&row) || row.subnet_type.is_none() => Ok(()),
        None => Err(ProviderError::Refused {
            provider: NAME,
            doing,
            reason: format!("it is {}, which cannot be cancelled", row.subnet_type.unwrap_or_default()),
        }),
    }
}

async fn cancel(client: &Client, billing_item: u64, doing: String) -> Result<(), ProviderError> {
    let call = Call::new("SoftLayer_Billing_Item", "cancelService", doing).of(billing_item);
    match client.change::<Value>(&call).await {
        Ok(_) | Err(ProviderError::Gone { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
