//! The provider that the configuration chose. The only file that names providers.

use provider::{
    CloudAddress, CloudSubnet, FoundOrder, HostState, Identity, InstanceId, Nic, OrderId, OrderIntent,
    OrderPlaced, OrderRequest, OrderStatus, Provider, ProviderError, Quote, StaticSubnets, SubnetId, TagEdit,
    ZoneId,
};
use provider_softlayer::SoftLayer;

/// One of the providers.
#[derive(Debug)]
pub enum Cloud {
    /// SoftLayer (IBM Cloud classic).
    SoftLayer(SoftLayer),
    /// Subnets that the operator names.
    Static(StaticSubnets),
}

/// Passes a call on to the provider there is.
macro_rules! each {
    ($cloud:expr, $provider:ident => $call:expr) => {
        match $cloud {
            Cloud::SoftLayer($provider) => $call,
            Cloud::Static($provider) => $call,
        }
    };
}

impl Provider for Cloud {
    fn name(&self) -> &'static str {
        each!(self, provider => provider.name())
    }

    async fn whoami(&self, nics: &[Nic]) -> Result<Identity, ProviderError> {
        each!(self, provider => provider.whoami(nics).await)
    }

    async fn subnets(&self, zone: &ZoneId) -> Result<Vec<CloudSubnet>, ProviderError> {
        each!(self, provider => provider.subnets(zone).await)
    }

    async fn set_aside(&self, subnet: &SubnetId) -> Result<Vec<CloudAddress>, ProviderError> {
        each!(self, provider => provider.set_aside(subnet).await)
    }

    async fn verify_order(&self, request: &OrderRequest) -> Result<Quote, ProviderError> {
        each!(self, provider => provider.verify_order(request).await)
    }

    async fn place_order(&self, intent: &OrderIntent) -> Result<OrderPlaced, ProviderError> {
        each!(self, provider => provider.place_order(intent).await)
    }

    async fn order_status(&self, order: &OrderId) -> Result<OrderStatus, ProviderError> {
        each!(self, provider => provider.order_status(order).await)
    }

    async fn find_orders(&self, intent: &OrderIntent) -> Result<Vec<FoundOrder>, ProviderError> {
        each!(self, provider => provider.find_orders(intent).await)
    }

    async fn edit_tags(&self, subnet: &SubnetId, edit: &TagEdit) -> Result<(), ProviderError> {
        each!(self, provider => provider.edit_tags(subnet, edit).await)
    }

    async fn return_subnet(&self, subnet: &SubnetId) -> Result<(), ProviderError> {
        each!(self, provider => provider.return_subnet(subnet).await)
    }

    async fn host_state(&self, instance: &InstanceId) -> Result<HostState, ProviderError> {
        each!(self, provider => provider.host_state(instance).await)
    }
}
