//! The life of one subnet that a cluster pays for, as a pure machine.
//!
//! ```text
//! intended ──▶ placed ──▶ delivered ──▶ open ◀──▶ draining ──▶ returning ──▶ returned
//!    │  ╲         ╲           ▲
//!    │   ▶ ambiguous ◀╯       ╰── adopted: tagged for the cluster, never opened
//!    ╰──▶ failed ◀── (the operator says that nothing was ordered)
//! ```
//!
//! An order is written down as `intended` *before* it is sent, so a process that finds `intended` must assume that
//! it was sent. It never sends it again: it looks for it, and what it cannot settle becomes `ambiguous`, which only
//! an operator leaves.

use ipnetwork::IpNetwork;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

use crate::{CloudSubnet, Network, SubnetId, ZoneId};

/// An order's number at the provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(String);

impl OrderId {
    /// From the provider's own spelling.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is to be ordered: one portable IPv4 subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// The zone it is for.
    pub zone: ZoneId,
    /// Private or public addresses; must be the zone's own kind.
    pub network: Network,
    /// Its size as a prefix length: 24 is 256 addresses, 30 is 4.
    pub prefix: u8,
}

impl fmt::Display for OrderRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} /{} in zone {}", self.network, self.prefix, self.zone)
    }
}

/// What an order would cost, said by the provider without ordering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The provider's name of the price, by which the order is recognised later.
    pub price: String,
    /// The monthly fee in the account's currency, as the provider spells it.
    pub monthly_fee: Option<String>,
}

/// What is written down before an order is placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderIntent {
    /// What is ordered.
    pub request: OrderRequest,
    /// At which price.
    pub price: String,
    /// When it was intended, by the provider's clock where it tells the time, else by that of the host that did: it is
    /// looked for by this, and a host's clock may be hours off.
    pub intended_at: Timestamp,
}

/// The provider took the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPlaced {
    /// Its number.
    pub order: OrderId,
}

/// How an order is doing at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderStatus {
    /// Being approved or delivered; the text is the provider's.
    Pending(String),
    /// The subnet is there and routed to its zone.
    Delivered(CloudSubnet),
    /// It will never be delivered; the text is the provider's.
    Declined(String),
}

/// An order that may be the one an intent led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundOrder {
    /// Its number.
    pub order: OrderId,
    /// When it was placed, by the provider's clock.
    pub placed_at: Timestamp,
}

/// One subnet's life, from the intent to its return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Where the subnet comes from.
    pub origin: Origin,
    /// How far it is.
    pub state: OrderState,
    /// Since when, by the wall clock of the host that wrote it.
    pub since: Timestamp,
}

/// Where a subnet comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// This cluster ordered it.
    Ordered(OrderIntent),
    /// It was there, tagged for this cluster and never opened.
    Adopted,
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Written down; it may have been sent.
    Intended,
    /// The provider has it.
    Placed(OrderId),
    /// The subnet is there; its addresses are being checked.
    Delivered(DeliveredSubnet),
    /// Its addresses are handed out.
    Open(DeliveredSubnet),
    /// Being emptied: no further address of it is taken.
    Draining(DeliveredSubnet),
    /// Empty and on its way back; never opened again.
    Returning(DeliveredSubnet),
    /// The provider has it back.
    Returned(DeliveredSubnet),
    /// Nothing was ordered, or it will never be delivered.
    Failed {
        /// Why.
        reason: String,
        /// The provider's orders that came to nothing, or are not this one.
        orders: Vec<OrderId>,
    },
    /// We cannot tell what became of it: the operator decides.
    Ambiguous {
        /// Why we cannot tell.
        reason: String,
        /// The provider's orders that it may be.
        candidates: Vec<OrderId>,
    },
}

/// A subnet that was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredSubnet {
    /// Its id at the provider.
    pub id: SubnetId,
    /// Its addresses.
    pub cidr: IpNetwork,
    /// The provider's router in it.
    pub gateway: Option<IpAddr>,
    /// The order that brought it; none for an adopted one.
    pub order: Option<OrderId>,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEvent {
    /// The provider took it, or exactly one order was found that must be it.
    Placed(OrderId),
    /// The provider refused or declined it: nothing will be delivered.
    Declined(String),
    /// Several orders may be it, or its sender may still be about to send it.
    Doubted {
        /// Why we cannot tell.
        reason: String,
        /// The provider's orders that it may be.
        candidates: Vec<OrderId>,
    },
    /// The subnet is there.
    Delivered(CloudSubnet),
    /// Its addresses were checked, it is tagged, and its blocks are written.
    Opened,
    /// It is to be emptied.
    Drain,
    /// It is wanted again.
    Undrain,
    /// It is empty and is going back.
    Return,
    /// The provider has it back, or took it away.
    Returned,
    /// The operator says which order it is.
    OperatorFound(OrderId),
    /// The operator says that nothing was ordered.
    OperatorForgot,
}

/// An event that cannot happen to an order in its state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {state} cannot become {event}")]
pub struct OrderRefusal {
    state: &'static str,
    event: &'static str,
}

impl Order {
    /// Writes an intent down.
    pub fn intended(intent: OrderIntent) -> Self {
        let since = intent.intended_at;
        Self { origin: Origin::Ordered(intent), state: OrderState::Intended, since }
    }

    /// Writes down that a subnet that is there is going to be opened.
    pub fn adopted(subnet: &CloudSubnet, now: Timestamp) -> Self {
        let delivered = DeliveredSubnet::of(subnet, None);
        Self { origin: Origin::Adopted, state: OrderState::Delivered(delivered), since: now }
    }

    /// What an event makes of the order. An event that has happened already changes nothing.
    ///
    /// # Errors
    /// When the event cannot happen in this state.
    pub fn apply(&self, event: OrderEvent, now: Timestamp) -> Result<Self, OrderRefusal> {
        let refusal = OrderRefusal { state: self.state.name(), event: event.name() };
        let state = self.state.clone().after(event).ok_or(refusal)?;
        let since = if state == self.state { self.since } else { now };
        Ok(Self { origin: self.origin.clone(), state, since })
    }

    /// What was intended, unless the subnet was adopted.
    pub fn intent(&self) -> Option<&OrderIntent> {
        match &self.origin {
            Origin::Ordered(intent) => Some(intent),
            Origin::Adopted => None,
        }
    }

    /// The order's number at the provider, as far as it is known.
    pub fn id(&self) -> Option<&OrderId> {
        match &self.state {
            OrderState::Placed(order) => Some(order),
            _ => self.subnet()?.order.as_ref(),
        }
    }

    /// Every order at the provider that is known to belong here, or not to bring anything.
    pub fn known_ids(&self) -> Vec<&OrderId> {
        match &self.state {
            OrderState::Failed { orders, .. } => orders.iter().collect(),
            OrderState::Ambiguous { candidates, .. } => candidates.iter().collect(),
            _ => self.id().into_iter().collect(),
        }
    }

    /// The subnet it brought, as far as there is one.
    pub fn subnet(&self) -> Option<&DeliveredSubnet> {
        match &self.state {
            OrderState::Delivered(subnet)
            | OrderState::Open(subnet)
            | OrderState::Draining(subnet)
            | OrderState::Returning(subnet)
            | OrderState::Returned(subnet) => Some(subnet),
            OrderState::Intended
            | OrderState::Placed(_)
            | OrderState::Failed { .. }
            | OrderState::Ambiguous { .. } => None,
        }
    }

    /// Whether addresses are still to come from it, so that nothing more is ordered meanwhile.
    pub fn is_in_flight(&self) -> bool {
        match self.state {
            OrderState::Intended
            | OrderState::Placed(_)
            | OrderState::Delivered(_)
            | OrderState::Ambiguous { .. } => true,
            OrderState::Open(_)
            | OrderState::Draining(_)
            | OrderState::Returning(_)
            | OrderState::Returned(_)
            | OrderState::Failed { .. } => false,
        }
    }

    /// Whether it costs money, or may: what the spending limit counts.
    pub fn is_paid_for(&self) -> bool {
        match self.state {
            OrderState::Returned(_) | OrderState::Failed { .. } => false,
            OrderState::Intended
            | OrderState::Placed(_)
            | OrderState::Delivered(_)
            | OrderState::Open(_)
            | OrderState::Draining(_)
            | OrderState::Returning(_)
            | OrderState::Ambiguous { .. } => true,
        }
    }
}

impl OrderState {
    /// One word for people and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Placed(_) => "placed",
            Self::Delivered(_) => "delivered",
            Self::Open(_) => "open",
            Self::Draining(_) => "draining",
            Self::Returning(_) => "returning",
            Self::Returned(_) => "returned",
            Self::Failed { .. } => "failed",
            Self::Ambiguous { .. } => "ambiguous",
        }
    }

    fn after(self, event: OrderEvent) -> Option<Self> {
        use OrderEvent as E;
        Some(match (self, event) {
            (Self::Intended, E::Placed(order)) => Self::Placed(order),
            (Self::Intended, E::Doubted { reason, candidates }) => Self::Ambiguous { reason, candidates },
            (Self::Intended, E::Declined(reason)) => Self::Failed { reason, orders: vec![] },
            (Self::Placed(order), E::Declined(reason)) => Self::Failed { reason, orders: vec![order] },
            (Self::Placed(order), E::Doubted { reason, candidates: _ }) => {
                Self::Ambiguous { reason, candidates: vec![order] }
            }
            (Self::Placed(order), E::Delivered(subnet)) => {
                Self::Delivered(DeliveredSubnet::of(&subnet, Some(order)))
            }
            (Self::Delivered(subnet), E::Opened) => Self::Open(subnet),
            (Self::Open(subnet), E::Drain) => Self::Draining(subnet),
            (Self::Draining(subnet), E::Undrain) => Self::Open(subnet),
            (Self::Draining(subnet), E::Return) => Self::Returning(subnet),
            // A delivered subnet that is taken away before it was opened is simply back.
            (Self::Delivered(subnet) | Self::Returning(subnet), E::Returned) => Self::Returned(subnet),
            (Self::Ambiguous { .. }, E::OperatorFound(order)) => Self::Placed(order),
            (Self::Ambiguous { candidates, .. }, E::OperatorForgot) => {
                let reason = "the operator says that nothing was ordered".to_owned();
                Self::Failed { reason, orders: candidates }
            }
            (state, event) if state.has_seen(&event) => state,
            _ => return None,
        })
    }

    /// Whether the event already led to this state, so that hearing of it twice is not an error.
    fn has_seen(&self, event: &OrderEvent) -> bool {
        use OrderEvent as E;
        match (self, event) {
            (Self::Placed(order), E::Placed(again) | E::OperatorFound(again)) => order == again,
            (Self::Delivered(subnet), E::Delivered(again)) => subnet.id == again.id,
            (Self::Open(_), E::Opened | E::Undrain)
            | (Self::Draining(_), E::Drain)
            | (Self::Returning(_), E::Return)
            | (Self::Returned(_), E::Returned)
            | (Self::Failed { .. }, E::Declined(_) | E::OperatorForgot)
            | (Self::Ambiguous { .. }, E::Doubted { .. }) => true,
            _ => false,
        }
    }
}

impl OrderEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Placed(_) | Self::OperatorFound(_) => "placed",
            Self::Declined(_) | Self::OperatorForgot => "failed",
            Self::Doubted { .. } => "ambiguous",
            Self::Delivered(_) => "delivered",
            Self::Opened | Self::Undrain => "open",
            Self::Drain => "draining",
            Self::Return => "returning",
            Self::Returned => "returned",
        }
    }
}

impl DeliveredSubnet {
    fn of(subnet: &CloudSubnet, order: Option<OrderId>) -> Self {
        Self { id: subnet.id.clone(), cidr: subnet.cidr, gateway: subnet.gateway, order }
    }
}

#[cfg(test)]
mod tests;
