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
