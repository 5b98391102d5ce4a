//! Subnets that were asked of the cloud.

use ipnetwork::IpNetwork;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One order of a subnet, from the intent to the open subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name in the cluster, made before the cloud was asked.
    pub id: String,
    /// The provider's order number, once there is one.
    pub provider_order: Option<String>,
    /// The pool it is for.
    pub pool: String,
    /// The zone it is for.
    pub zone: String,
    /// Prefix length that was asked for.
    pub prefix: u8,
    /// How far it is.
    #[serde(flatten)]
    pub state: OrderState,
    /// The subnet, once it was delivered.
    pub subnet: Option<IpNetwork>,
    /// When the intent was written.
    pub since: Option<Timestamp>,
    /// What keeps its next step from succeeding, with the causes.
    #[serde(default)]
    pub trouble: Option<String>,
    /// When that step is tried again.
    pub next_try: Option<Timestamp>,
}

/// How far an order is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OrderState {
    /// The intent is written; the cloud may or may not have been asked.
    Intended,
    /// The cloud has taken the order.
    Placed,
    /// The subnet is there; its addresses are being looked at.
    Delivered,
    /// The subnet is open.
    Open,
    /// It is being emptied: no further address of it is taken.
    Draining,
    /// It is empty and on its way back; it is never opened again.
    Returning,
    /// The cloud has it back.
    Returned,
    /// The cloud refused it.
    Refused {
        /// Why, in the cloud's words.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// It cannot be told whether the cloud has taken it: nothing is ordered until an operator decides.
    InDoubt {
        /// What is known.
        reason: String,
    },
}

impl OrderState {
    /// The state in one or two words, as tables show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Placed => "placed",
            Self::Delivered => "delivered",
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Returning => "returning",
            Self::Returned => "returned",
            Self::Refused { .. } => "refused",
            Self::InDoubt { .. } => "in doubt",
        }
    }
}

/// All that is known of one order, and what an operator can do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReport {
    /// The order.
    pub order: Order,
    /// The host that wrote it down: the one that may have sent it.
    pub host: String,
    /// What was to be ordered; none for a subnet that was there and was adopted.
    pub intent: Option<OrderIntent>,
    /// The provider's orders that one in doubt may be.
    pub candidates: Vec<Candidate>,
    /// What can be done now; empty when there is nothing to decide.
    pub next: Vec<NextStep>,
}

/// What was written down before the provider was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderIntent {
    /// `private` or `public`.
    pub network: String,
    /// The provider's name of the price.
    pub price: String,
    /// The user of the provider's API, where it has users.
    pub user: Option<String>,
    /// When, by the clock of the host that intended it.
    pub at: Timestamp,
}

/// An order at the provider that may be the one in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its number at the provider.
    pub order: String,
    /// What the provider says of it now.
    pub says: String,
}

/// A command, and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// To be typed as it stands, but for what is written in capitals.
    pub command: String,
    /// When to type it, and what it leads to.
    pub meaning: String,
}

/// An operator's word on an order in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "settlement", rename_all = "snake_case")]
pub enum Settle {
    /// It is this one.
    Is {
        /// Its number at the provider.
        order: String,
    },
    /// Nothing was ordered.
    NothingOrdered,
}

/// Names a subnet that is to be emptied, or kept after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSubnet {
    /// The subnet.
    pub subnet: IpNetwork,
}
