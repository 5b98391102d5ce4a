//! The SoftLayer (IBM Cloud classic infrastructure) provider.
//!
//! One file for each thing we ask of it:
//!
//! | file | what | calls |
//! |---|---|---|
//! | `whoami` | which machine this is, which VLANs it is on | `Resource_Metadata`, `Network_Vlan`, `Virtual_Guest`, `Hardware_Server` |
//! | `subnets` | portable subnets of a VLAN, addresses set aside | `Account::getSubnets`, `Network_Subnet::getObject` |
//! | `orders` | price, verify, place, wait, find again | `Product_Package`, `Product_Order`, `Account::getOrders`, `Billing_Order::getReceipt` |
//! | `tags` | our tags beside others' | `Network_Subnet::setTags` |
//! | `cancel` | return of a subnet | `Billing_Item::cancelService` |
//! | `balancers` | load balancers: their listeners, members, health; ordering one | `Network_LBaaS_…`, `Product_Order` |
//! | `local` | local load balancers, named by their virtual address | `Account::getAdcLoadBalancers`, `…_LoadBalancer_VirtualIpAddress` |
//! | `firewalls` | rules of a VLAN's firewall, and security groups | `Network_Firewall_Update_Request`, `Network_SecurityGroup` |
//! | `host_state` | what became of a machine | `Virtual_Guest`, `Hardware_Server`, `Account::getCurrentUser` |
//!
//! `client` is the protocol (the only code that names reqwest), `wire` their JSON. Facts come from the API's
//! own description: the doc comments of `softlayer/softlayer-go` (generated from it), the source of
//! sldn.softlayer.com (`softlayer/githubio_source`), and the clients `softlayer-python` and
//! `terraform-provider-ibm`.

mod balancers;
mod cancel;
mod client;
mod credentials;
mod firewalls;
mod host_state;
mod local;
mod orders;
mod subnets;
mod tags;
mod whoami;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use provider::{
    BalancerChange, BalancerSeen, Balancers, CloudAddress, CloudSubnet, Firewall, FirewallChange,
    FirewallSeen, Firewalls, FoundOrder, HostState, Identity, InstanceId, Interface, MemberId, Nic, OrderId,
    OrderIntent, OrderPlaced, OrderRequest, OrderStatus, Provider, ProviderError, Quote, SubnetId, TagEdit,
    ZoneId,
};

pub use client::{CALL_TIME_MAX, EndpointError};
pub use credentials::{Credentials, CredentialsError};

/// The name in messages.
pub(crate) const NAME: &str = "SoftLayer";

/// Where the API is on the private network. It is the only endpoint with the metadata service, and reachable from
/// machines without a public interface. Source: sldn.softlayer.com, article "REST".
pub const PRIVATE_ENDPOINT: &str = "https://api.service.softlayer.com/rest/v3.1/";

/// SoftLayer, asked as one API user.
#[derive(Debug)]
pub struct SoftLayer {
    client: client::Client,
    balancers: balancers::Uuids,
}

impl SoftLayer {
    /// A client of the API at `endpoint`, such as [`PRIVATE_ENDPOINT`]. Connects to nothing yet.
    ///
    /// # Errors
    /// When the endpoint is not an `http` or `https` address.
    pub fn new(endpoint: &str, credentials: Credentials) -> Result<Self, EndpointError> {
        Ok(Self {
            client: client::Client::new(endpoint, credentials)?,
            balancers: balancers::Uuids::default(),
        })
    }
}

impl Provider for SoftLayer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn user(&self) -> Option<String> {
        Some(self.client.username().to_owned())
    }

    fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        self.client.clock_ahead()
    }

    async fn whoami(&self, nics: &[Nic]) -> Result<Identity, ProviderError> {
        whoami::whoami(&self.client, nics).await
    }

    async fn subnets(&self, zone: &ZoneId) -> Result<Vec<CloudSubnet>, ProviderError> {
        subnets::portable(&self.client, zone).await
    }

    async fn set_aside(&self, subnet: &SubnetId) -> Result<Vec<CloudAddress>, ProviderError> {
        subnets::set_aside(&self.client, subnet).await
    }

    async fn verify_order(&self, request: &OrderRequest) -> Result<Quote, ProviderError> {
        orders::verify(&self.client, request).await
    }

    async fn place_order(&self, intent: &OrderIntent) -> Result<OrderPlaced, ProviderError> {
        orders::place(&self.client, intent).await
    }

    async fn order_status(&self, order: &OrderId) -> Result<OrderStatus, ProviderError> {
        orders::status(&self.client, order).await
    }

    async fn find_orders(&self, intent: &OrderIntent) -> Result<Vec<FoundOrder>, ProviderError> {
        orders::find(&self.client, intent).await
    }

    async fn edit_tags(&self, subnet: &SubnetId, edit: &TagEdit) -> Result<(), ProviderError> {
        tags::edit(&self.client, subnet, edit).await
    }

    async fn return_subnet(&self, subnet: &SubnetId) -> Result<(), ProviderError> {
        cancel::return_subnet(&self.client, subnet).await
    }

    async fn host_state(&self, instance: &InstanceId) -> Result<HostState, ProviderError> {
        host_state::host_state(&self.client, instance).await
    }
}

impl Balancers for SoftLayer {
    async fn balancer(&self, name: &str) -> Result<Option<BalancerSeen>, ProviderError> {
        match local_address(name) {
            Some(at) => local::look(&self.client, at).await,
            None => balancers::look(&self.client, &self.balancers, name).await,
        }
    }

    async fn balancer_health(&self, name: &str) -> Result<BTreeMap<MemberId, bool>, ProviderError> {
        match local_address(name) {
            Some(at) => local::health(&self.client, at).await,
            None => balancers::health(&self.client, &self.balancers, name).await,
        }
    }

    fn says_when_in_force(&self, name: &str) -> bool {
        local_address(name).is_none()
    }

    async fn change_balancer(&self, name: &str, change: &BalancerChange) -> Result<(), ProviderError> {
        match local_address(name) {
            Some(at) => local::change(&self.client, at, change).await,
            None => balancers::change(&self.client, &self.balancers, name, change).await,
        }
    }
}

/// A local load balancer has no name but its virtual address.
fn local_address(name: &str) -> Option<Ipv4Addr> {
    name.parse().ok()
}

impl Firewalls for SoftLayer {
    async fn firewall(
        &self,
        firewall: &Firewall,
        cluster: &str,
        interfaces: &BTreeSet<Interface>,
    ) -> Result<Option<FirewallSeen>, ProviderError> {
        firewalls::look(&self.client, firewall, cluster, interfaces).await
    }

    async fn change_firewall(
        &self,
        firewall: &Firewall,
        cluster: &str,
        change: &FirewallChange,
    ) -> Result<(), ProviderError> {
        firewalls::change(&self.client, firewall, cluster, change).await
    }
}
