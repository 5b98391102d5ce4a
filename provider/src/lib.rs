//! What Berth asks of a cloud, in Berth's own words.
//!
//! A [`Provider`] says who this machine is and which [zones](ZoneId) it is attached to, lists, orders, tags and
//! returns the portable subnets of a zone, and witnesses what became of a machine. It knows nothing of pools,
//! blocks or containers.
//!
//! Its load balancers are another concern, [`Balancers`], and its firewalls are, [`Firewalls`]: they know members,
//! listeners and rules, not services.
//!
//! What happens to one ordered subnet is a pure machine, [`order::Order`]; how a provider fails, and what a caller
//! can do about it, is [`ProviderError`] and its [`Recourse`].

mod balancer;
mod error;
mod firewall;
mod identity;
pub mod order;
mod secret;
mod static_subnets;
mod subnet;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::future::Future;

use jiff::SignedDuration;

pub use balancer::{
    BalancerChange, BalancerSeen, BalancerState, Balancers, Exposure, HealthSpec, ListenerId,
    ListenerProtocol, ListenerSeen, ListenerSpec, MemberId, MemberSeen,
};
pub use error::{Cause, ProviderError, Recourse};
pub use firewall::{
    Firewall, FirewallChange, FirewallRule, FirewallSeen, FirewallTransport, Firewalls, Interface,
    InterfaceSeen, Whose,
};
pub use identity::{
    Attachment, HostState, Identity, InstanceId, InstanceKind, MacAddress, MalformedMac, Network, Nic,
};
pub use order::{FoundOrder, OrderId, OrderIntent, OrderPlaced, OrderRequest, OrderStatus, Quote};
pub use secret::Secret;
pub use static_subnets::{StaticSubnet, StaticSubnets, StaticTagsError, StaticZone};
pub use subnet::{
    CloudAddress, CloudSubnet, ClusterTags, MalformedClusterName, SetAside, SubnetId, Tag, TagEdit, ZoneId,
};

/// A cloud that can deliver portable subnets to a zone.
///
/// Every call but [`place_order`](Provider::place_order) may be repeated. An implementation repeats reads by itself
/// where that helps; it never repeats an order.
pub trait Provider: Send + Sync + 'static {
    /// The provider's name in messages: `SoftLayer`, `static`.
    fn name(&self) -> &'static str;

    /// The user in whose name it is asked, where there are users.
    fn user(&self) -> Option<String> {
        None
    }

    /// How far the provider's clock is ahead of this host's, as its last answer showed; nothing where it does not say.
    fn clock_ahead(&self) -> Option<SignedDuration> {
        None
    }

    /// Who this machine is, and the zones its interfaces are attached to.
    ///
    /// `nics` are the machine's own interfaces; an attachment is reported only where one of them carries the MAC
    /// address that the provider knows.
    fn whoami(&self, nics: &[Nic]) -> impl Future<Output = Result<Identity, ProviderError>> + Send;

    /// The portable subnets of a zone that are there now, ordered by us or not.
    ///
    /// A subnet is listed only when it is routed to the zone: one that is still being delivered is not.
    fn subnets(&self, zone: &ZoneId) -> impl Future<Output = Result<Vec<CloudSubnet>, ProviderError>> + Send;

    /// The addresses of a subnet that the provider keeps for itself, as it says and never computed.
    fn set_aside(
        &self,
        subnet: &SubnetId,
    ) -> impl Future<Output = Result<Vec<CloudAddress>, ProviderError>> + Send;

    /// Whether an order would be accepted, and what it costs. Orders nothing.
    fn verify_order(
        &self,
        request: &OrderRequest,
    ) -> impl Future<Output = Result<Quote, ProviderError>> + Send;

    /// Places the order. The caller has written `intent` down before.
    ///
    /// # Errors
    /// [`ProviderError::InDoubt`] when the order may have been placed; any other error says that it was not.
    fn place_order(
        &self,
        intent: &OrderIntent,
    ) -> impl Future<Output = Result<OrderPlaced, ProviderError>> + Send;

    /// How an order is doing.
    fn order_status(
        &self,
        order: &OrderId,
    ) -> impl Future<Output = Result<OrderStatus, ProviderError>> + Send;

    /// Every order that may be the one `intent` led to: same zone, size and user, placed since shortly before the
    /// intent. Used when the answer to an order was lost.
    fn find_orders(
        &self,
        intent: &OrderIntent,
    ) -> impl Future<Output = Result<Vec<FoundOrder>, ProviderError>> + Send;

    /// Adds and removes tags, leaves all others in place, and answers only after the provider showed the result.
    fn edit_tags(
        &self,
        subnet: &SubnetId,
        edit: &TagEdit,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// Gives a subnet back. Returning one that is gone already succeeds.
    fn return_subnet(&self, subnet: &SubnetId) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// What became of a machine: the witness that an eviction needs.
    ///
    /// [`HostState::Unknown`] whenever the provider's word is not plain.
    fn host_state(
        &self,
        instance: &InstanceId,
    ) -> impl Future<Output = Result<HostState, ProviderError>> + Send;
}
